"""The `agents` calls: agents, kill switch, control messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from examples.twins.checkrd.account import ORG_ID, Account, written
from examples.twins.checkrd.agents_book import Agent, Message
from examples.twins.checkrd.bodies import AgentChange, KillSwitch, NewAgent
from examples.twins.checkrd.idempotency import IdempotencyKeys
from examples.twins.checkrd.paging import list_page
from examples.twins.record import mark_effect


class Agents:
    """Agents of one account."""

    def __init__(self, account: Account, keys: IdempotencyKeys) -> None:
        self._account = account
        self._once = keys.once

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        one, once = "/v1/agents/{id}", self._once
        return (
            Route("/v1/agents", self.list, methods=["GET"]),
            Route("/v1/agents", once(self.create), methods=["POST"]),
            Route(one, self.show, methods=["GET"]),
            Route(one, once(self.change), methods=["PUT"]),
            Route(one, once(self.remove), methods=["DELETE"]),
            Route(f"{one}/kill-switch", once(self.switch), methods=["POST"]),
            Route(f"{one}/control", self.control, methods=["GET"]),
            Route(f"{one}/control/state", self.control_state, methods=["GET"]),
        )

    async def list(self, request: Request) -> Response:
        """A page of agents, newest first."""
        return list_page(request, [agent.show() for agent in self._account.agents.all()])

    async def create(self, request: Request) -> Response:
        """A new agent."""
        asked = NewAgent.model_validate_json(await request.body() or b"{}")
        slug = asked.slug or asked.name.lower().replace(" ", "-")
        now = written(self._account.clock.now())
        agent = Agent(str(uuid4()), ORG_ID, asked.name, slug, now, asked.description)
        agent.public_key, agent.active_policy_mode = asked.public_key, asked.active_policy_mode
        self._account.agents.add(agent)
        self._account.note("agent.created", "agent", agent.id)
        mark_effect(request)
        return JSONResponse(agent.show(), 201)

    async def show(self, request: Request) -> Response:
        """One agent."""
        return JSONResponse(self._asked(request).show())

    async def change(self, request: Request) -> Response:
        """Change what is named."""
        agent = self._asked(request)
        asked = AgentChange.model_validate_json(await request.body() or b"{}")
        for name, value in asked.model_dump(exclude_none=True).items():
            setattr(agent, name, value)
        self._account.note("agent.updated", "agent", agent.id)
        mark_effect(request)
        return JSONResponse(agent.show())

    async def remove(self, request: Request) -> Response:
        """Forget an agent."""
        agent = self._asked(request)
        self._account.agents.remove(agent.id)
        self._account.note("agent.deleted", "agent", agent.id)
        mark_effect(request)
        return Response(status_code=204)

    async def switch(self, request: Request) -> Response:
        """Set the kill switch, tell the streams, and the receiver where that is switched on."""
        agent = self._asked(request)
        asked = KillSwitch.model_validate_json(await request.body() or b"{}")
        if agent.kill_switch_active != asked.active:
            agent.kill_switch_active = asked.active
            agent.tell("kill_switch", {"active": asked.active})
            mark_effect(request)
            await announce(
                self._account, type="kill_switch", agent_id=agent.id, active=asked.active
            )
        self._account.note(
            "agent.kill_switch", "agent", agent.id, active=asked.active, reason=asked.reason
        )
        return JSONResponse(agent.show())

    async def control_state(self, request: Request) -> Response:
        """What the agent has to obey now."""
        agent = self._asked(request)
        envelope = agent.envelope()
        state = {"kill_switch_active": agent.kill_switch_active, "policy_envelope": envelope}
        return JSONResponse(state)

    async def control(self, request: Request) -> Response:
        """A stream of server-sent events that goes on until the client leaves."""
        messages = self._messages(self._asked(request))
        return StreamingResponse(messages, media_type="text/event-stream")

    async def _messages(self, agent: Agent) -> AsyncIterator[str]:
        stream: asyncio.Queue[Message] = asyncio.Queue()
        agent.streams.append(stream)
        state: dict[str, object] = {
            "kill_switch_active": agent.kill_switch_active,
            "active_policy_hash": agent.policy_hash,
        }
        try:
            yield _written("init", state)
            while True:
                try:
                    pause_s = self._account.settings.heartbeat_s
                    event, members = await asyncio.wait_for(stream.get(), pause_s)
                except TimeoutError:
                    yield ": heartbeat\n\n"
                else:
                    yield _written(event, members)
        finally:
            agent.streams.remove(stream)

    def _asked(self, request: Request) -> Agent:
        return self._account.agent(request.path_params["id"])


async def announce(account: Account, **data: object) -> None:
    """Send a control message as a webhook in the general envelope, where that is switched on."""
    receiver = account.settings.receiver
    if receiver is None or not account.settings.announce_control:
        return
    envelope = {
        "id": str(uuid4()),
        "timestamp": written(account.clock.now()),
        "schema_version": 1,
        "data": data,
    }
    await account.webhook.send(envelope, receiver)


def _written(event: str, members: dict[str, object]) -> str:
    return f"event: {event}\ndata: {json.dumps(members)}\n\n"
