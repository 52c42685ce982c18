"""Polls: ask a vendor what no webhook tells; the answer's events start runs as any other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.configured_tables import PollRow
from schemas.events import Origin
from schemas.jobs import PerformPoll
from schemas.plain_words import error_in_plain_words
from schemas.storable import storable
from service.connections import OpenConnection
from service.effects import earlier_references
from service.errors import (
    ConfigurationError,
    HookwrightError,
    RateLimited,
    Transient,
    Unavailable,
)
from service.faults import note_fault
from service.ingest import account, make_event
from service.losses import MOST_LOSSES, said_of
from service.routing import store_and_route
from service.runtime import Runtime
from service.store import leased
from service.store import polls as store
from service.unit_of_work import unit_of_work
from service.vendors.base import CallContext, Poll, PollAnswer, Vendor

log = structlog.get_logger(__name__)

LONGEST_PAUSE = timedelta(minutes=5)
"""After faults a poll is put off, but no longer than this (or its own interval): a vendor that is
back should not go unasked for an hour."""

AFTER_LOSSES = timedelta(hours=1)
"""A poll that took its workers down rests so long before it may do so again."""


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
    with runtime.holding(leased.LEASE) as owner:
        _perform(runtime, poll_id, owner)


def _perform(runtime: Runtime, poll_id: UUID, owner: str) -> None:
    question = _take(runtime, poll_id, owner)
    if question is None:
        return
    now = runtime.clock()
    context = CallContext(
        http=question.connection.http,
        credentials=question.connection.credentials,
        options=question.connection.options,
        connection=question.connection.name,
        now=now,
        earlier=lambda action: earlier_references(
            runtime.database, question.connection.name, action, now
        ),
    )
    try:
        answer = question.poll.ask(context, question.options, question.position)
    except Unavailable:
        raise
    except HookwrightError as error:
        _later(runtime, poll_id, owner, f"{error.code}: {error.message}", error)
        return
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame around a vendor's code: one poll must not stop the others.
        fault = note_fault(error, "poll_raised", poll=question.name)
        reason = f"{type(error).__name__} while asking (fault={fault})"
        _later(runtime, poll_id, owner, reason, None)
        return
    _store(runtime, poll_id, owner, question, answer)


def _take(runtime: Runtime, poll_id: UUID, owner: str) -> Question | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = store.claim(work.session, poll_id, owner=owner, now=now, ttl=leased.LEASE)
        if row is None:
            return None
        if row.losses >= MOST_LOSSES:
            _postpone(row, now, f"{said_of(row.losses)} while asking", None, least=AFTER_LOSSES)
            return None
        try:
            connection_row = runtime.connections.by_name(work.session, row.connection)
            vendor = runtime.vendors[connection_row.vendor]
            poll = next(poll for poll in vendor.polls if poll.name == row.poll)
            options = poll.options.model_validate(row.options)
            connection = runtime.connections.open(connection_row, vendor)
        except (ConfigurationError, ValidationError, KeyError, StopIteration) as error:
            _postpone(
                row, now, f"it is not usable as configured: {error_in_plain_words(error)}", None
            )
            return None
        return Question(row.name, vendor, poll, options, connection, row.position)


def _store(
    runtime: Runtime, poll_id: UUID, owner: str, question: Question, answer: PollAnswer
) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = store.held(work.session, poll_id, owner)
        if row is None:
            log.warning("poll_lease_lost", poll=question.name)
            return
        events = [
            make_event(
                draft,
                vendor=question.vendor.name,
                source=None,
                account=account(question.connection.name),
                dedupe_key=f"poll:{question.name}:{draft.key or number}",
                received_at=now,
                origin=Origin.POLL,
            )
            for number, draft in enumerate(answer.events)
        ]
        new = store_and_route(runtime, work, events)
        row.position = storable(dict(answer.position))
        row.failures = 0
        row.error = None
        row.asked_at = now
        row.due_at = now if answer.more else now + timedelta(seconds=row.every_seconds)
        row.lease_owner = row.lease_until = None
        if answer.more:
            work.ring(PerformPoll(poll_id))
    log.debug("poll_answered", poll=question.name, events=len(new))


def _later(
    runtime: Runtime, poll_id: UUID, owner: str, reason: str, error: HookwrightError | None
) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = store.held(work.session, poll_id, owner)
        if row is not None:
            _postpone(row, runtime.clock(), reason, error)


def _postpone(
    row: PollRow,
    now: datetime,
    reason: str,
    error: HookwrightError | None,
    least: timedelta = timedelta(),
) -> None:
    every = timedelta(seconds=row.every_seconds)
    retry_after = error.retry_after if isinstance(error, Transient) else None
    if isinstance(error, RateLimited) and retry_after is not None:
        # Nothing failed: the poll goes on where it was as soon as it may ask again.
        pause = retry_after
    else:
        pause = min(every * 2 ** min(row.failures, 16), max(LONGEST_PAUSE, every))
        row.failures += 1
    row.error = reason[:2000]
    row.due_at = now + max(pause, least, retry_after or timedelta())
    row.lease_owner = row.lease_until = None
    log.warning(
        "poll_failed", poll=row.name, reason=reason, failures=row.failures, again_at=row.due_at
    )
