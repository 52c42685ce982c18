"""Calls about agents: what they are, whether they are stopped, what they have to obey."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from typing import Literal, TypeAlias

from service.errors import Refused
from service.http import path_of
from service.vendors.checkrd.answers import Agent, ControlEvent, ControlState
from service.vendors.checkrd.calls import PAGE, CheckrdCalls, Page, chosen
from service.vendors.checkrd.connection import NotRenewed
from service.vendors.reading import as_mapping

AGENTS = "/v1/agents"
HEARTBEAT = "heartbeat"
CONTROL_S = 60.0

PolicyMode: TypeAlias = Literal["enforce", "dry_run"]


class AgentCalls(CheckrdCalls):
    """Agents, kill switch and control."""

    def list_agents(self) -> Iterator[Agent]:
        """Give every agent, page by page."""
        return self._every(AGENTS, {}, Agent)

    def agents_page(self, *, limit: int = PAGE, cursor: str | None = None) -> Page[Agent]:
        """Give one page of agents; `limit` is at most 100."""
        return self._page(AGENTS, {"limit": limit}, Agent, cursor=cursor)

    def create_agent(
        self,
        *,
        name: str,
        slug: str | None = None,
        description: str | None = None,
        public_key: str | None = None,
        active_policy_mode: PolicyMode | None = None,
        idempotency_key: str | None = None,
    ) -> Agent:
        """Make an agent known."""
        body = chosen(
            name=name,
            slug=slug,
            description=description,
            public_key=public_key,
            active_policy_mode=active_policy_mode,
        )
        return self._write("POST", AGENTS, body, key=idempotency_key).read(Agent)

    def agent(self, agent_id: str) -> Agent:
        """Give an agent."""
        return self._get(AGENTS + path_of(agent_id)).read(Agent)

    def update_agent(
        self,
        agent_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        public_key: str | None = None,
        active_policy_mode: PolicyMode | None = None,
        idempotency_key: str | None = None,
    ) -> Agent:
        """Change what is named."""
        body = chosen(
            name=name,
            description=description,
            public_key=public_key,
            active_policy_mode=active_policy_mode,
        )
        path = AGENTS + path_of(agent_id)
        return self._write("PUT", path, body, key=idempotency_key, repeatable=True).read(Agent)

    def delete_agent(self, agent_id: str, *, idempotency_key: str | None = None) -> None:
        """Forget an agent."""
        self._write("DELETE", AGENTS + path_of(agent_id), key=idempotency_key)

    def set_kill_switch(
        self,
        agent_id: str,
        *,
        active: bool,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Agent:
        """Stop an agent or let it go on. A desired state: setting it twice changes nothing."""
        path = f"{AGENTS}{path_of(agent_id)}/kill-switch"
        body = chosen(active=active, reason=reason)
        return self._write("POST", path, body, key=idempotency_key, repeatable=True).read(Agent)

    def control_state(self, agent_id: str) -> ControlState:
        """Give what an agent has to obey now."""
        path = f"{AGENTS}{path_of(agent_id)}/control/state"
        return self._get(path, by_key=True).read(ControlState)

    def control(
        self, agent_id: str, *, for_s: float = CONTROL_S, heartbeats: bool = False
    ) -> Generator[ControlEvent, None, None]:
        """Give an agent's control messages as they come, for so many seconds.

        The first tells where it stands (`init`). `heartbeats` also gives the vendor's signs of
        life, one in 15 s. The vendor may end the stream earlier; whoever wants more asks again.
        Whoever wants less closes it: until then its time also limits other calls of the thread.
        """
        path = f"{AGENTS}{path_of(agent_id)}/control"
        headers = {"Accept": "text/event-stream", **self._own_headers()}
        try:
            yield from read_stream(
                self._http.lines(path, headers=headers, for_s=for_s), heartbeats=heartbeats
            )
        except NotRenewed:
            raise
        except Refused as fault:
            raise self._in_words(fault, by_key=True, safe=True) from fault


def read_stream(lines: Iterable[str], *, heartbeats: bool = False) -> Iterator[ControlEvent]:
    """Give the messages of a stream of server-sent events; what is no JSON object has no members.

    A message that the stream's end cut off is not given.
    """
    name, data = "", list[str]()
    for number, raw in enumerate(lines):
        line = raw.removeprefix("\ufeff") if number == 0 else raw
        if line.startswith(":"):
            if heartbeats:
                yield ControlEvent(event=HEARTBEAT)
            continue
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            yield _message(name or "message", "\n".join(data))
        name, data = "", []


def _message(name: str, text: str) -> ControlEvent:
    try:
        members = as_mapping(json.loads(text))
    except (ValueError, RecursionError):
        members = {}
    return ControlEvent.model_validate({**members, "event": name})
