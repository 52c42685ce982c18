"""Calls about test sessions: the runs of a CI pipeline (vendors.md §2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.events import Json
from service.errors import VendorBroken
from service.http import path_of
from service.vendors.checkly.answers import (
    Scheduling,
    SessionDetail,
    SessionEntry,
    SessionResult,
)
from service.vendors.checkly.calling import (
    LARGEST_PAGE,
    LONGEST_WAIT_S,
    NOTHING_FITS,
    Api,
    Page,
    every,
)

SESSIONS = "/v1/test-sessions"
_REFUSALS: Mapping[int, str] = {HTTPStatus.FORBIDDEN: NOTHING_FITS}

SessionStatus: TypeAlias = Literal["RUNNING", "FAILED", "PASSED", "CANCELLED"]
Provider: TypeAlias = Literal["GITHUB", "VERCEL", "API", "TRIGGER", "PW_REPORTER"]


class Wanted(BaseModel):
    """Base of what is sent: immutable, in the vendor's names, without what was not given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    def body(self) -> dict[str, Any]:
        """Give the JSON to send."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Target(Wanted):
    """Which checks: those with all tags of any of the lists, and those with these ids."""

    match_tags: tuple[tuple[str, ...], ...] | None = None
    check_id: tuple[str, ...] | None = None
    allow_deactivated: bool | None = None


class SessionMetadata(Wanted):
    """Where a test session belongs in the code."""

    environment: str | None = None
    repo_url: str | None = None
    commit_id: str | None = None
    commit_owner: str | None = None
    commit_message: str | None = None
    branch_name: str | None = None


class EnvironmentVariable(Wanted):
    """A variable that the checks of a session see."""

    key: str
    value: str
    locked: bool | None = None


class SessionOrder(Wanted):
    """A test session to be started. `run_location` is a public location or a private one's slug."""

    name: str | None = None
    run_location: str | None = None
    target: Target = Field(default_factory=Target)
    environment_variables: tuple[EnvironmentVariable, ...] | None = None
    retry_strategy: Json | None = None
    refresh_cache: bool | None = None
    metadata: SessionMetadata | None = None


class SessionFilter(Wanted):
    """Which test sessions of the list; None and empty narrow nothing.

    `since` and `until` are times of creation. `text_search` has 3 to 200 characters.
    """

    since: datetime | None = None
    until: datetime | None = None
    statuses: tuple[SessionStatus, ...] = ()
    branches: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    providers: tuple[Provider, ...] = ()
    no_users: bool | None = None
    text_search: str | None = Field(default=None, min_length=3, max_length=200)
    error_group_id: str | None = None


EVERYTHING = SessionFilter()


class SessionCalls:
    """Starting test sessions, waiting for them, reading them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def page(
        self,
        wanted: SessionFilter = EVERYTHING,
        *,
        limit: int = LARGEST_PAGE,
        cursor: str | None = None,
    ) -> Page[SessionEntry]:
        """Give one page; `limit` is at most 100, `cursor` is the `next` of the page before."""
        params = {
            "from": self._api.moment(wanted.since),
            "to": self._api.moment(wanted.until, up=True),
            "limit": limit,
            "statuses": wanted.statuses,
            "branches": wanted.branches,
            "users": wanted.users,
            "providers": wanted.providers,
            "noUsers": wanted.no_users,
            "textSearch": wanted.text_search,
            "errorGroupId": wanted.error_group_id,
            "nextId": cursor,
        }
        return self._api.cursor_page(SESSIONS, params, SessionEntry)

    def every(self, wanted: SessionFilter = EVERYTHING) -> Iterator[SessionEntry]:
        """Give every test session that fits, page by page."""
        return every(lambda cursor: self.page(wanted, cursor=cursor))

    def trigger(self, order: SessionOrder) -> SessionDetail:
        """Start a test session. Refused with 403 when no check fits."""
        answer = self._api.send("POST", f"{SESSIONS}/trigger", order.body(), hints=_REFUSALS)
        started = answer.read(SessionDetail)
        if started.session_id is None:
            raise VendorBroken(
                "Checkly started a test session and did not name it", perhaps_done=True
            )
        return started

    def run(self, order: SessionOrder) -> Scheduling:
        """Have a test session scheduled; which one it becomes is told by `scheduled`."""
        answer = self._api.send("POST", f"{SESSIONS}/run", order.body(), hints=_REFUSALS)
        begun = answer.read(Scheduling)
        if begun.scheduling_id is None:
            raise VendorBroken(
                "Checkly scheduled a test session and did not name it", perhaps_done=True
            )
        return begun

    def scheduled(
        self, scheduling_id: str, *, max_wait_s: int = LONGEST_WAIT_S
    ) -> Scheduling | None:
        """Wait 1 to 30 s for a scheduling to end; None when it has not."""
        path = f"{SESSIONS}/scheduling{path_of(scheduling_id)}/completion"
        answer = self._api.long_poll(path, max_wait_s)
        return answer.read(Scheduling) if answer else None

    def get(self, session_id: str) -> SessionDetail:
        """Give one test session with its results."""
        return self._api.get(f"{SESSIONS}{path_of(session_id)}").read(SessionDetail)

    def completion(
        self, session_id: str, *, max_wait_s: int = LONGEST_WAIT_S
    ) -> SessionDetail | None:
        """Wait 1 to 30 s for a test session to end; None when it has not."""
        path = f"{SESSIONS}{path_of(session_id)}/completion"
        answer = self._api.long_poll(path, max_wait_s)
        return answer.read(SessionDetail) if answer else None

    def result(self, session_id: str, result_id: str) -> SessionResult:
        """Give one result with all its details."""
        path = f"{SESSIONS}{path_of(session_id, 'results', result_id)}"
        return self._api.get(path).read(SessionResult)

    def cancel(self, session_id: str) -> None:
        """Stop a test session; one that is stopped already stays so."""
        self._api.send("POST", f"{SESSIONS}{path_of(session_id)}/cancel", safe=True)
