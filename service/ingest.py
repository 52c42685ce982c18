"""A stored delivery becomes events. What events start is in `routing`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.configured_tables import SourceRow
from schemas.events import EventDraft, Origin, is_own_type
from schemas.ids import new_id
from schemas.jobs import ReadBackDelivery
from schemas.plain_words import faults_in_plain_words
from schemas.states import DeliveryState
from schemas.storable import bounded, storable
from schemas.tables import DeliveryRow, EventRow
from service.db import in_short, is_outage
from service.errors import Unavailable
from service.faults import note_fault
from service.losses import MOST_LOSSES, said_of
from service.own_events import KEY_LENGTH, SUBJECT_LENGTH
from service.routing import account_of_untied, store_and_route
from service.runtime import Runtime
from service.store import deliveries as store
from service.unit_of_work import UnitOfWork, reading, unit_of_work
from service.vendors.base import Delivery, Headers, Incoming, Options

log = structlog.get_logger(__name__)

Begin: TypeAlias = Callable[[UnitOfWork, Sequence[UUID]], None]
"""Takes new runs that would be rung for, within the transaction that makes them."""
MOST_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=5)
RING_READ_BACK_AGAIN = timedelta(seconds=10)
"""A lost bell is rung again after this time; whoever is asking the vendor then goes on."""
TYPE_LENGTH = 200
MOST_REASON = 2000
"""Characters of what is said of a delivery."""
PORTION_BYTES = 1024 * 1024
"""Bodies that are read in one transaction; one alone may be as large as its source takes. A MiB of
JSON costs a third of a second and some 16 MiB, during which its rows, or all of SQLite, are locked.
"""


def in_portions(runtime: Runtime, ids: Sequence[UUID]) -> list[list[UUID]]:
    """Give those of these deliveries that wait, in portions that are read together.

    Raises Unavailable.
    """
    if len(ids) == 1:
        return [list(ids)]
    with reading(runtime.database) as session:
        sizes = store.sizes_of_received(session, ids)
    portions: list[list[UUID]] = []
    room = 0
    for id_, size in sizes:
        if not portions or size > room:
            portions.append([])
            room = PORTION_BYTES
        portions[-1].append(id_)
        room -= size
    return portions


def ingest_deliveries(runtime: Runtime, ids: Sequence[UUID]) -> int:
    """Turn these deliveries into events and start the runs they match; gives how many.

    Safe to run twice and at the same time: rows are locked, events and runs have unique keys.
    A delivery whose events cannot be stored does not stop the others.
    Raises Unavailable when it is away.
    """
    try:
        return ingest_together(runtime, ids)
    except Unavailable:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        # One of them is to blame, and nobody can tell which before each has its own transaction.
        log.warning("ingest_failed", deliveries=len(ids), reason=in_short(error))
    return sum(_ingest_alone(runtime, delivery_id) for delivery_id in ids)


def ingest_one_by_one(runtime: Runtime, ids: Sequence[UUID]) -> int:
    """Do the same for deliveries of which one may be taking its workers down; gives how many.

    That a delivery was begun is written down before, so that it is told from the others when this
    worker is lost with it. Raises Unavailable when it is away.
    """
    done = 0
    for delivery_id in ids:
        with unit_of_work(runtime.database, runtime.queue) as work:
            losses = store.count_begun(work.session, delivery_id)
            if losses is None:
                continue
            if losses > MOST_LOSSES:
                _set_aside(work, delivery_id, losses - 1)
                continue
        done += _ingest_alone(runtime, delivery_id)
        with unit_of_work(runtime.database, runtime.queue) as work:
            store.count_returned(work.session, delivery_id)
    return done


def _set_aside(work: UnitOfWork, delivery_id: UUID, losses: int) -> None:
    for row in store.lock_received(work.session, [delivery_id]):
        mark_dead(row, Unread(f"{said_of(losses)} while it was read"))


def _ingest_alone(runtime: Runtime, delivery_id: UUID) -> int:
    try:
        return ingest_together(runtime, [delivery_id])
    except Unavailable:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        fault = note_fault(error, "delivery_failed", delivery_id=str(delivery_id))
        unread = Unread(f"its events could not be stored: {in_short(error)}", fault=fault)
    with unit_of_work(runtime.database, runtime.queue) as work:
        for row in store.lock_received(work.session, [delivery_id]):
            _fail(runtime, row, unread)
    return 1


def ingest_together(runtime: Runtime, ids: Sequence[UUID], begin: Begin | None = None) -> int:
    """Do the same in one transaction, for all of them or for none; gives how many.

    `begin` is given the new runs before it ends; those are not rung for.
    """
    with unit_of_work(runtime.database, runtime.queue) as work:
        rows = store.lock_received(work.session, ids)
        if not rows:
            return 0
        sources = store.sources_of(work.session, [row.source_id for row in rows])
        events: list[EventRow] = []
        read: list[UUID] = []
        for row in rows:
            source = sources.get(row.source_id)
            if is_only_a_hint(runtime, row, source):
                ask_vendor(runtime, work, row)
            elif (found := _read(runtime, row, source)) is not None:
                events += found
                read.append(row.id)
        store.mark_ingested(work.session, read)
        store_and_route(runtime, work, events)
        if begin is not None:
            begin(work, work.take_new_runs())
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


def is_only_a_hint(runtime: Runtime, row: DeliveryRow, source: SourceRow | None) -> bool:
    """Say whether the vendor is asked what a delivery speaks of, because it proves little."""
    vendor = runtime.vendors.get(row.vendor)
    incoming = None if vendor is None else vendor.incoming
    return (
        incoming is not None
        and incoming.read_back is not None
        and source is not None
        and source.connection is not None
    )


def ask_vendor(runtime: Runtime, work: UnitOfWork, row: DeliveryRow) -> None:
    """Let the vendor be asked what a delivery speaks of."""
    row.due_at = runtime.clock() + RING_READ_BACK_AGAIN
    # Reading it took nobody down. Who asks counts for itself.
    row.rings = 0
    work.ring(ReadBackDelivery(row.id))


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a delivery gave no events. `fault`: where the log has the traceback.

    `malformed`: it is authentic and understood no better by trying again.
    """

    reason: str
    malformed: bool = False
    fault: str | None = None


def read_delivery(runtime: Runtime, row: DeliveryRow, source: SourceRow | None) -> list[EventRow]:
    """Give the events of a delivery by its own word, and note in the row how far it has come."""
    found = _read(runtime, row, source)
    if found is None:
        return []
    mark_ingested(row)
    return found


def _read(runtime: Runtime, row: DeliveryRow, source: SourceRow | None) -> list[EventRow] | None:
    """Give the events of a delivery; None when it cannot be read, which is noted in the row."""
    found = read_events(runtime, row, source)
    if not isinstance(found, Unread):
        return found
    if found.malformed:
        mark_malformed(row, found)
    else:
        _fail(runtime, row, found)
    return None


def read_events(
    runtime: Runtime, row: DeliveryRow, source: SourceRow | None
) -> list[EventRow] | Unread:
    """Give the events that a delivery speaks of by its own word; nothing is noted or stored."""
    options: Mapping[str, Any] = {} if source is None else source.options
    vendor = runtime.vendors.get(row.vendor)
    incoming = None if vendor is None else vendor.incoming
    if incoming is None:
        return Unread(f"this version does not know the vendor {row.vendor!r}")
    try:
        typed = incoming.options.model_validate(options)
    except ValidationError as error:
        return Unread(f"the options of its source are not usable: {faults_in_plain_words(error)}")
    try:
        drafts = _normalise(incoming, row, typed)
    except ValueError as error:
        return Unread(f"the body is not what {row.vendor} documents: {error}", malformed=True)
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame around a vendor's code: one delivery must not stop the others.
        fault = note_fault(error, "normalise_raised", delivery_id=str(row.id), vendor=row.vendor)
        return Unread(f"{type(error).__name__} while it was read", fault=fault)
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


def mark_ingested(row: DeliveryRow) -> None:
    """Note that a delivery's events are stored."""
    row.state = DeliveryState.INGESTED
    row.due_at = None
    row.error = row.fault = None


def mark_malformed(row: DeliveryRow, unread: Unread) -> None:
    """Note that a delivery is not what its vendor documents: kept, marked, answered."""
    row.state = DeliveryState.MALFORMED
    _note(row, unread)
    row.due_at = None
    log.warning("delivery_malformed", delivery_id=str(row.id), source=row.source)


def mark_dead(row: DeliveryRow, unread: Unread) -> None:
    """Note that a delivery could not be read and is not tried again by itself."""
    row.state = DeliveryState.DEAD
    _note(row, unread)
    row.due_at = None
    log.error(
        "delivery_dead",
        delivery_id=str(row.id),
        source=row.source,
        reason=unread.reason,
        to_do=f"mend the cause, then: hookwright delivery replay {row.id}",
    )


def _note(row: DeliveryRow, unread: Unread) -> None:
    row.error = storable(unread.reason[:MOST_REASON])
    row.fault = unread.fault


def _fail(runtime: Runtime, row: DeliveryRow, unread: Unread) -> None:
    row.failures += 1
    if row.failures >= MOST_FAILURES:
        mark_dead(row, unread)
        return
    _note(row, unread)
    row.due_at = runtime.clock() + FIRST_PAUSE * 2 ** (row.failures - 1)
