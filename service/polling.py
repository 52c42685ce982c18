"""Polls: ask a vendor what no webhook tells; the answer's events start runs as any other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.tables import PollRow
from service.connections import OpenConnection
from service.errors import ConfigurationError, HookwrightError, Transient, Unavailable
from service.ingest import make_event, store_events_and_start_runs
from service.runtime import Runtime
from service.store import polls as store
from service.unit_of_work import unit_of_work
from service.vendors.base import CallContext, Poll, PollAnswer, Vendor

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)
"""Longer than asking may take: a poll may page through lists."""
LONGEST_PAUSE = timedelta(minutes=5)
"""After faults a poll is put off, but no longer than this (or its own interval): a vendor that is
back should not go unasked for an hour."""


@dataclass(frozen=True, slots=True)
class Question:
    """A poll that was taken and is about to be asked."""

    name: str
    vendor: Vendor
    poll: Poll
    options: Any
    connection: OpenConnection
    position: dict[str, Any] | None


def perform_poll(runtime: Runtime, poll_id: UUID) -> None:
    """Ask once. Events and position are stored together: a crash loses and repeats nothing."""
    question = _take(runtime, poll_id)
    if question is None:
        return
    now = runtime.clock()
    context = CallContext(
        http=question.connection.http,
        credentials=question.connection.credentials,
        options=question.connection.options,
        connection=question.connection.name,
        now=now,
    )
    try:
        answer = question.poll.ask(context, question.options, question.position)
    except Unavailable:
        raise
    except HookwrightError as error:
        retry_after = error.retry_after if isinstance(error, Transient) else None
        _later(runtime, poll_id, f"{error.code}: {error.message}", retry_after)
        return
    except Exception as error:
        # The outermost frame around a vendor's code: one poll must not stop the others.
        log.exception("poll_raised", poll=question.name)
        _later(runtime, poll_id, f"{type(error).__name__} while asking", None)
        return
    _store(runtime, poll_id, question, answer)


def _take(runtime: Runtime, poll_id: UUID) -> Question | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = store.claim(work.session, poll_id, owner=runtime.owner, now=now, ttl=LEASE)
        if row is None:
            return None
        try:
            connection_row = runtime.connections.by_name(work.session, row.connection)
            vendor = runtime.vendors[connection_row.vendor]
            poll = next(poll for poll in vendor.polls if poll.name == row.poll)
            options = poll.options.model_validate(row.options)
            connection = runtime.connections.open(connection_row, vendor)
        except (ConfigurationError, ValidationError, KeyError, StopIteration) as error:
            _postpone(row, now, f"it is not usable as configured: {error}", None)
            return None
        return Question(row.name, vendor, poll, options, connection, row.position)


def _store(runtime: Runtime, poll_id: UUID, question: Question, answer: PollAnswer) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = store.held(work.session, poll_id, runtime.owner)
        if row is None:
            log.warning("poll_lease_lost", poll=question.name)
            return
        events = [
            make_event(
                draft,
                vendor=question.vendor.name,
                source=None,
                dedupe_key=f"poll:{question.name}:{draft.key or number}",
                received_at=now,
            )
            for number, draft in enumerate(answer.events)
        ]
        new = store_events_and_start_runs(runtime, work, events)
        row.position = dict(answer.position)
        row.failures = 0
        row.error = None
        row.asked_at = now
        row.due_at = now + timedelta(seconds=row.every_seconds)
        row.lease_owner = row.lease_until = None
    log.debug("poll_answered", poll=question.name, events=len(new))


def _later(runtime: Runtime, poll_id: UUID, reason: str, retry_after: timedelta | None) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = store.held(work.session, poll_id, runtime.owner)
        if row is not None:
            _postpone(row, runtime.clock(), reason, retry_after)


def _postpone(row: PollRow, now: datetime, reason: str, retry_after: timedelta | None) -> None:
    every = timedelta(seconds=row.every_seconds)
    pause = min(every * 2 ** min(row.failures, 16), max(LONGEST_PAUSE, every))
    row.failures += 1
    row.error = reason[:2000]
    row.due_at = now + max(pause, retry_after or timedelta())
    row.lease_owner = row.lease_until = None
    log.warning(
        "poll_failed", poll=row.name, reason=reason, failures=row.failures, again_at=row.due_at
    )
