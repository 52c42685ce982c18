"""A stored delivery becomes events. What events start is in `routing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.events import EventDraft, Origin, is_own_type
from schemas.ids import new_id
from schemas.jobs import ReadBackDelivery
from schemas.storable import bounded, storable
from schemas.tables import DeliveryRow, DeliveryState, EventRow, SourceRow
from service.db import in_short, is_outage
from service.errors import Unavailable
from service.own_events import KEY_LENGTH, SUBJECT_LENGTH
from service.routing import account_of_untied, store_and_route
from service.runtime import Runtime
from service.store import deliveries as store
from service.unit_of_work import unit_of_work
from service.vendors.base import Delivery, Headers, Incoming, Options

log = structlog.get_logger(__name__)

MOST_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=5)
RING_READ_BACK_AGAIN = timedelta(seconds=90)
"""Asking a vendor may take as long as a call may; then a lost bell is rung again."""
TYPE_LENGTH = 200


def ingest_deliveries(runtime: Runtime, ids: Sequence[UUID]) -> int:
    """Turn these deliveries into events and start the runs they match; gives how many.

    Safe to run twice and at the same time: rows are locked, events and runs have unique keys.
    A delivery whose events cannot be stored does not stop the others.
    Raises Unavailable when it is away.
    """
    try:
        return _ingest(runtime, ids)
    except Unavailable:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        # One of them is to blame, and nobody can tell which before each has its own transaction.
        log.warning("ingest_failed", deliveries=len(ids), reason=in_short(error))
    return sum(_ingest_alone(runtime, delivery_id) for delivery_id in ids)


def _ingest_alone(runtime: Runtime, delivery_id: UUID) -> int:
    try:
        return _ingest(runtime, [delivery_id])
    except Unavailable:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        reason = f"its events could not be stored: {in_short(error)}"
        log.warning("delivery_failed", delivery_id=str(delivery_id), reason=reason)
    with unit_of_work(runtime.database, runtime.queue) as work:
        for row in store.lock_received(work.session, [delivery_id]):
            _fail(runtime, row, reason)
    return 1


def _ingest(runtime: Runtime, ids: Sequence[UUID]) -> int:
    with unit_of_work(runtime.database, runtime.queue) as work:
        rows = store.lock_received(work.session, ids)
        sources = store.sources_of(work.session, [row.source_id for row in rows])
        events: list[EventRow] = []
        for row in rows:
            source = sources.get(row.source_id)
            if source is not None and _is_only_a_hint(runtime, row, source):
                row.due_at = runtime.clock() + RING_READ_BACK_AGAIN
                work.ring(ReadBackDelivery(row.id))
            else:
                events += read_delivery(runtime, row, source)
        store_and_route(runtime, work, events)
        return len(rows)


def account_of(source: SourceRow) -> str:
    """Give what facts of a source belong to: its vendor account, or itself when none is known."""
    if source.connection is None:
        return account_of_untied(source.name)
    return account(source.connection)


def account(connection: str) -> str:
    """Give what facts of a connection belong to."""
    return f"connection:{connection}"


def make_event(
    draft: EventDraft,
    *,
    vendor: str,
    source: str | None,
    account: str,
    dedupe_key: str,
    received_at: datetime,
    origin: Origin,
    delivery_id: UUID | None = None,
) -> EventRow:
    """Give the row of an event, with texts that every database can hold.

    A draft with a `fact` is one event for its `account`, whichever way it came; `dedupe_key` is
    that of a draft without. What only we make keeps the vendor's name before its type: no sender
    can say that a run here has failed.
    """
    type_ = f"{vendor}.{draft.type}" if is_own_type(draft.type) else draft.type
    key = f"fact:{account}:{draft.fact}" if draft.fact else dedupe_key
    return EventRow(
        dedupe_key=bounded(key, KEY_LENGTH),
        origin=origin,
        type=storable(type_)[:TYPE_LENGTH],
        vendor=vendor,
        vendor_type=storable(draft.vendor_type)[:TYPE_LENGTH],
        source=source,
        delivery_id=delivery_id,
        subject=None if draft.subject is None else storable(draft.subject)[:SUBJECT_LENGTH],
        time=draft.time or received_at,
        received_at=received_at,
        facts=storable(draft.facts),
        payload=storable(draft.payload),
        correlation_id=new_id(),
    )


def _is_only_a_hint(runtime: Runtime, row: DeliveryRow, source: SourceRow) -> bool:
    vendor = runtime.vendors.get(row.vendor)
    incoming = None if vendor is None else vendor.incoming
    return incoming is not None and incoming.read_back is not None and source.connection is not None


def read_delivery(runtime: Runtime, row: DeliveryRow, source: SourceRow | None) -> list[EventRow]:
    """Give the events of a delivery by its own word, and note in the row how far it has come."""
    options: Mapping[str, Any] = {} if source is None else source.options
    vendor = runtime.vendors.get(row.vendor)
    incoming = None if vendor is None else vendor.incoming
    if incoming is None:
        _fail(runtime, row, f"this version does not know the vendor {row.vendor!r}")
        return []
    try:
        typed = incoming.options.model_validate(options)
    except ValidationError as error:
        _fail(runtime, row, f"the options of its source are not usable: {error}")
        return []
    try:
        drafts = _normalise(incoming, row, typed)
    except ValueError as error:
        # It is authentic and understood no better by trying again: kept, marked, answered.
        row.state = DeliveryState.MALFORMED
        row.error = storable(f"the body is not what {row.vendor} documents: {error}"[:2000])
        row.due_at = None
        log.warning("delivery_malformed", delivery_id=str(row.id), source=row.source)
        return []
    except Exception as error:
        # The outermost frame around a vendor's code: one delivery must not stop the others.
        log.exception("normalise_raised", delivery_id=str(row.id), vendor=row.vendor)
        _fail(runtime, row, f"{type(error).__name__} while it was read")
        return []
    row.state = DeliveryState.INGESTED
    row.due_at = None
    row.error = None
    return [
        make_event(
            draft,
            vendor=row.vendor,
            source=row.source,
            account=account_of_untied(row.source) if source is None else account_of(source),
            dedupe_key=f"delivery:{row.id}:{draft.key or number}",
            received_at=row.received_at,
            origin=Origin.WEBHOOK,
            delivery_id=row.id,
        )
        for number, draft in enumerate(drafts)
    ]


def _normalise(incoming: Incoming, row: DeliveryRow, options: Options) -> list[EventDraft]:
    return incoming.normalise(as_it_came(row), options)


def as_it_came(row: DeliveryRow) -> Delivery:
    """Give a stored delivery as its vendor's functions take it."""
    headers = Headers([(name, value) for name, value in row.headers])
    return Delivery(row.source, headers, row.body, row.received_at)


def _fail(runtime: Runtime, row: DeliveryRow, reason: str) -> None:
    row.failures += 1
    row.error = storable(reason[:2000])
    if row.failures < MOST_FAILURES:
        row.due_at = runtime.clock() + FIRST_PAUSE * 2 ** (row.failures - 1)
        return
    row.state = DeliveryState.DEAD
    row.due_at = None
    log.error(
        "delivery_dead",
        delivery_id=str(row.id),
        source=row.source,
        reason=reason,
        to_do="mend the cause, then let the vendor send it again or replay it",
    )
