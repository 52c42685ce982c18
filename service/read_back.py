"""Deliveries of vendors that sign nothing: their word is a hint, the vendor's API has the truth.

The delivery is stored and answered as any other. Then its vendor is asked over the connection the
source is tied to, and the events are those of the answer. A vendor that cannot be asked for an hour
is taken at the delivery's word, because losing an event is worse than trusting the path token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.configured_tables import SourceRow
from schemas.events import EventDraft, Origin
from schemas.plain_words import error_in_plain_words
from schemas.states import DeliveryState
from schemas.storable import storable
from schemas.tables import DeliveryRow
from service.connections import OpenConnection
from service.errors import (
    AddressRefused,
    Bug,
    ConfigurationError,
    HookwrightError,
    Permanent,
    RateLimited,
    Refused,
    Transient,
    Unavailable,
)
from service.faults import note_fault
from service.ingest import (
    RING_READ_BACK_AGAIN,
    Unread,
    account_of,
    as_it_came,
    make_event,
    mark_dead,
    mark_ingested,
    read_delivery,
)
from service.losses import MOST_LOSSES, said_of
from service.routing import store_and_route
from service.runtime import Runtime
from service.store import deliveries as store
from service.store import leases
from service.unit_of_work import UnitOfWork, unit_of_work
from service.vendors.base import CallContext, Delivery, ReadBack

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=8)
"""How long nobody else asks when a worker is lost; one that lives keeps it for longer."""
MOST_FAILURES = 5
"""So often is tried to ask about a delivery that somebody replays."""
GIVE_UP = timedelta(hours=1)
"""After this time since it came, a delivery whose vendor cannot be asked is taken at its word."""
LONGEST_WAIT = timedelta(hours=24)
"""So long a vendor is asked again that answers and has nothing final to tell."""
MAY_BE_LATE = timedelta(minutes=5)
"""For so long a vendor may tell us of something that its API does not list yet."""
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=2)
LONGEST_PAUSE_LATER = timedelta(minutes=15)
_UNKNOWN_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True)
class Hint:
    """A delivery that was taken and whose vendor is about to be asked."""

    delivery: Delivery
    read_back: ReadBack
    options: Any
    connection: OpenConnection


def read_back_delivery(runtime: Runtime, delivery_id: UUID) -> None:
    """Ask the vendor once what the delivery speaks of.

    Safe to run twice and at the same time: the facts that are read are stored once.
    """
    with runtime.holding(LEASE) as owner:
        hint = _take(runtime, delivery_id, owner)
        if hint is not None:
            _ask(runtime, delivery_id, owner, hint)


def _ask(runtime: Runtime, delivery_id: UUID, owner: str, hint: Hint) -> None:
    context = CallContext(
        http=hint.connection.http,
        credentials=hint.connection.credentials,
        options=hint.connection.options,
        connection=hint.connection.name,
        now=runtime.clock(),
    )
    try:
        drafts = hint.read_back(context, hint.delivery, hint.options)
    except Unavailable:
        raise
    except ValueError as error:
        # Nobody gets an event past the vendor by leaving out what it could be asked for.
        refused = Refused(f"it names nothing that can be looked up: {error}")
        _after(runtime, delivery_id, owner, refused)
    except HookwrightError as error:
        _after(runtime, delivery_id, owner, error)
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame around a vendor's code: one delivery must not stop the others.
        fault = note_fault(error, "read_back_raised", delivery_id=str(delivery_id))
        bug = Bug(f"{type(error).__name__} while it was looked up")
        _after(runtime, delivery_id, owner, bug, fault)
    else:
        _store(runtime, delivery_id, owner, drafts)


def _take(runtime: Runtime, delivery_id: UUID, owner: str) -> Hint | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now, name = runtime.clock(), _lease_name(delivery_id)
        if not leases.acquire(work.session, name, owner, now=now, ttl=LEASE):
            return None
        hint = _prepare(runtime, work, delivery_id)
        if hint is None:
            leases.release(work.session, name, owner)
        return hint


def _prepare(runtime: Runtime, work: UnitOfWork, delivery_id: UUID) -> Hint | None:
    """Give what is to be asked, and note that it was begun; None when nothing is asked now."""
    found = store.lock_one_received(work.session, delivery_id)
    if found is None:
        return None
    row, source = found
    vendor = runtime.vendors.get(row.vendor)
    incoming = None if vendor is None else vendor.incoming
    if (
        vendor is None
        or incoming is None
        or incoming.read_back is None
        or source.connection is None
    ):
        row.due_at = runtime.clock()
        return None
    try:
        options = incoming.options.model_validate(source.options)
        connection = runtime.connections.open(
            runtime.connections.by_name(work.session, source.connection), vendor
        )
    except (ConfigurationError, ValidationError) as error:
        reason = f"its vendor cannot be asked: {error_in_plain_words(error)}"
        _put_off(runtime, work, row, source, reason, None)
        return None
    row.losses += 1
    if row.losses > MOST_LOSSES:
        said = said_of(row.losses - 1)
        mark_dead(row, Unread(f"{said} while its vendor was asked"))
        return None
    row.due_at = runtime.clock() + RING_READ_BACK_AGAIN
    return Hint(as_it_came(row), incoming.read_back, options, connection)


def _found(work: UnitOfWork, delivery_id: UUID, owner: str) -> tuple[DeliveryRow, SourceRow] | None:
    """Lock the delivery when its vendor has answered; None when it waits no more."""
    leases.release(work.session, _lease_name(delivery_id), owner)
    found = store.lock_one_received(work.session, delivery_id)
    if found is not None:
        found[0].losses = 0
    return found


def _lease_name(delivery_id: UUID) -> str:
    return f"read-back:{delivery_id}"


def _after(
    runtime: Runtime,
    delivery_id: UUID,
    owner: str,
    error: HookwrightError,
    fault: str | None = None,
) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        found = _found(work, delivery_id, owner)
        if found is None:
            return
        row, source = found
        row.fault = fault
        if _is_final(error, runtime.clock() - row.received_at):
            row.state = DeliveryState.UNCONFIRMED
            row.error = storable(f"not confirmed by its vendor: {error.message}"[:2000])
            row.due_at = None
            log.warning(
                "delivery_unconfirmed",
                delivery_id=str(row.id),
                source=row.source,
                reason=error.message,
                to_do="check the options and paths of its connection; if those are right, somebody "
                "else knows the path token: change it",
            )
        else:
            _put_off(runtime, work, row, source, f"{error.code}: {error.message}", error)


def _is_final(error: HookwrightError, age: timedelta) -> bool:
    """Say whether the vendor's answer is the last word: it was asked, and does not confirm."""
    if isinstance(error, Refused) and error.status is not None:
        return error.status in _UNKNOWN_THERE and age >= MAY_BE_LATE
    if isinstance(error, Permanent):
        return not isinstance(error, AddressRefused)
    return _is_not_yet(error) and age >= LONGEST_WAIT


def _is_not_yet(error: HookwrightError | None) -> bool:
    """Say whether the vendor answered, and only had nothing final to tell."""
    return type(error) is Transient


def _believe(
    runtime: Runtime, work: UnitOfWork, row: DeliveryRow, source: SourceRow, reason: str
) -> None:
    log.warning(
        "delivery_not_confirmed",
        delivery_id=str(row.id),
        reason=reason,
        consequence="its events are what the delivery says by itself",
    )
    store_and_route(runtime, work, read_delivery(runtime, row, source))


def _store(runtime: Runtime, delivery_id: UUID, owner: str, drafts: list[EventDraft]) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        found = _found(work, delivery_id, owner)
        if found is None:
            return
        row, source = found
        events = [
            make_event(
                draft,
                vendor=row.vendor,
                source=row.source,
                account=account_of(source),
                dedupe_key=f"delivery:{row.id}:{draft.key or number}",
                received_at=row.received_at,
                origin=Origin.WEBHOOK,
                delivery_id=row.id,
            )
            for number, draft in enumerate(drafts)
        ]
        store_and_route(runtime, work, events)
        mark_ingested(row)


def _put_off(
    runtime: Runtime,
    work: UnitOfWork,
    row: DeliveryRow,
    source: SourceRow,
    reason: str,
    error: HookwrightError | None,
) -> None:
    age = runtime.clock() - row.received_at
    if row.replays and row.failures >= MOST_FAILURES:
        # Somebody asks for it once more who may not know what it says: it is never believed.
        row.state = DeliveryState.UNCONFIRMED
        row.error = storable(f"its vendor could not be asked: {reason}"[:2000])
        row.due_at = None
        return
    if age >= GIVE_UP and not row.replays and not _is_not_yet(error):
        _believe(runtime, work, row, source, reason)
        return
    longest = LONGEST_PAUSE if age < GIVE_UP else LONGEST_PAUSE_LATER
    pause = min(FIRST_PAUSE * 2 ** min(row.failures, 10), longest)
    if isinstance(error, Transient) and error.retry_after is not None:
        pause = max(pause, error.retry_after)
    if not isinstance(error, RateLimited):
        row.failures += 1
    row.error = storable(reason[:2000])
    row.due_at = runtime.clock() + pause
    log.info("read_back_later", delivery_id=str(row.id), reason=reason, again_at=row.due_at)
