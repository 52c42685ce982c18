"""What must be asked of Checkly: test sessions, of which no webhook tells, and its alerts.

The poll of alerts is for those who take no webhooks, or trust them less than a list. An alert that
came both ways is one event, since both give the same fact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Poll, PollAnswer
from service.vendors.checkly.alert_rows import AlertRowOptions, read_alert
from service.vendors.checkly.answers import FAILED, RUNNING, SessionDetail, SessionEntry
from service.vendors.checkly.client import ChecklyClient, client_of
from service.vendors.checkly.events import alert_event
from service.vendors.checkly.session_calls import Provider, SessionFilter
from service.vendors.checkly.session_events import SessionRule, session_event, status_of
from service.vendors.checkly.sweeping import Reach, Sighting, sweep

SESSIONS_A_PAGE = 50
"""Half of what the vendor allows: each that failed may cost a call of its own."""
ALERTS_A_PAGE = 100


class SessionsOptions(SessionRule):
    """Options of the poll `test_sessions`."""

    overlap: Duration = Field(
        default=timedelta(seconds=300),
        description="How far before the newest session seen each question reaches back.",
    )
    look_back: Duration = Field(
        default=timedelta(seconds=300),
        description="How far the first question reaches back.",
    )
    give_up: Duration = Field(
        default=timedelta(hours=6),
        description="How long a session that has not ended is waited for.",
    )
    tell: tuple[Literal["running", "failed", "cancelled", "passed"], ...] = Field(
        default=("running", "failed", "cancelled", "passed"),
        description="Which statuses are told.",
    )
    branches: tuple[str, ...] = Field(
        default=(), description="Git branches whose sessions are told; none means all."
    )
    providers: tuple[Provider, ...] = Field(
        default=(), description="What started the sessions that are told; none means all."
    )
    details: bool = Field(
        default=True,
        description="Whether the results and error groups of a failed session are asked for.",
    )


def ask_test_sessions(
    context: CallContext, options: SessionsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every test session that began or ended, once for each status."""
    client = client_of(context)

    def read(since: datetime, place: str | None) -> tuple[Sequence[Sighting], str | None]:
        wanted = SessionFilter(since=since, branches=options.branches, providers=options.providers)
        page = client.sessions.page(wanted, limit=SESSIONS_A_PAGE, cursor=place)
        seen = [
            _session_sighting(client, session, raw, options)
            for session, raw in zip(page.rows, page.raw, strict=True)
            if session.id is not None
        ]
        return seen, page.next

    reach = Reach(options.overlap, options.look_back, options.give_up)
    return sweep(position, now=context.now, reach=reach, read=read)


def _session_sighting(
    client: ChecklyClient, session: SessionEntry, raw: Json, options: SessionsOptions
) -> Sighting:
    status = status_of(session, options)

    def make() -> EventDraft | None:
        if status not in options.tell:
            return None
        wants = options.details and status == FAILED
        return session_event(session, raw, status, _detail(client, session) if wants else None)

    return Sighting(
        mark=session.id or "",
        state=status,
        at=session.created_at or session.started_at,
        make=make,
        has_ended=status != RUNNING,
    )


def _detail(client: ChecklyClient, session: SessionEntry) -> SessionDetail | None:
    try:
        return client.sessions.get(session.id or "")
    except Refused as fault:
        if fault.status == HTTPStatus.NOT_FOUND:
            return None
        raise


class AlertsOptions(AlertRowOptions):
    """Options of the poll `check_alerts`."""

    overlap: Duration = Field(
        # An alert is listed when its check has ended, under the time when that had begun.
        default=timedelta(minutes=30),
        description="How far before the newest alert seen each question reaches back: longer than "
        "a check takes.",
    )
    look_back: Duration = Field(
        default=timedelta(seconds=300),
        description="How far the first question reaches back.",
    )


def ask_check_alerts(
    context: CallContext, options: AlertsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every alert of the vendor's list once, whatever order it has."""
    client = client_of(context)

    def read(since: datetime, place: str | None) -> tuple[Sequence[Sighting], str | None]:
        page = client.alerts.alerts_page(since=since, page=int(place or 1), limit=ALERTS_A_PAGE)
        return [_alert_sighting(raw, options) for raw in page.raw], page.next

    reach = Reach(options.overlap, options.look_back)
    return sweep(position, now=context.now, reach=reach, read=read)


def _alert_sighting(raw: Json, options: AlertRowOptions) -> Sighting:
    event = row_event(raw, options)
    return Sighting(mark=event.key, state=event.vendor_type, at=event.time, make=lambda: event)


def row_event(raw: Json, options: AlertRowOptions) -> EventDraft:
    """Give the event of an entry; its key is the fact, or the entry's digest without one."""
    event = alert_event(read_alert(raw, options), raw)
    written = json.dumps(raw, sort_keys=True).encode()
    key = event.fact or f"alert:{hashlib.sha256(written).hexdigest()}"
    return event.model_copy(update={"key": key})


POLLS = (
    Poll(
        name="test_sessions",
        summary="Test sessions that began, failed, passed or were cancelled",
        options=SessionsOptions,
        ask=ask_test_sessions,
    ),
    Poll(
        name="check_alerts",
        summary="Alerts of checks, as Checkly's own list has them",
        options=AlertsOptions,
        ask=ask_check_alerts,
    ),
)
