"""Reading a stored delivery anew, with today's code and options, and acting upon it once more.

Events are known by their keys: none is stored twice. One that is new to us starts what it matches,
for the first time. One that was stored before starts what it matches today anew, and these runs
count as replays; only a delivery that was read before has such. Their effects are made once more,
unless the thing outside has a key of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog

from schemas.configured_tables import SourceRow
from schemas.events import Json
from schemas.jobs import IngestOneByOne
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EventRow
from service import audit
from service.db import Session
from service.errors import Conflict, NotFound
from service.event_form import event_view
from service.ingest import (
    Unread,
    ask_vendor,
    is_only_a_hint,
    mark_dead,
    mark_ingested,
    mark_malformed,
    read_events,
)
from service.routing import store_and_route, stored_before
from service.runtime import Runtime
from service.starting import Hand, matching, start_anew
from service.store import audit as audit_store
from service.store import deliveries as store
from service.store import details, starts
from service.store.payloads import payload_of
from service.tokens import Caller
from service.unit_of_work import UnitOfWork, unit_of_work

log = structlog.get_logger(__name__)

ACTION = "delivery.replay"
KEY_KEPT = timedelta(hours=24)

Viewed = list[tuple[EventRow, Mapping[str, Json]]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What reading a delivery anew has come to.

    `state`, `error` and `fault` are the delivery's afterwards; `received` when a worker is about to
    read it, or to ask its vendor. Of its `events` so many were `stored` as new to us. `runs` are
    those that were started, the first 100 of them.
    """

    delivery_id: UUID
    state: str
    error: str | None
    fault: str | None
    events: int
    stored: int
    runs: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a replay would start, by the names of workflows: anew, and for the first time."""

    again: tuple[str, ...]
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """The events of a delivery: those that are new, and those that were stored before."""

    new: Sequence[EventRow]
    known: Sequence[EventRow]


def replay_delivery(
    runtime: Runtime,
    delivery_id: UUID,
    *,
    caller: Caller,
    only: str | None = None,
    shadow: bool = False,
    key: str | None = None,
) -> Replayed:
    """Read a stored delivery anew.

    `only` narrows what is started anew to one workflow; what a new event starts is not narrowed.
    `shadow`: the runs only record what they would change. `key` is the same whenever the same
    replay is asked for again within a day, which does nothing more.

    Raises NotFound; Conflict for a delivery that is on its way, that was read before and cannot be
    any more, or whose events in shadow would use up their first runs.
    """
    hand = Hand(caller.label, shadow=shadow)
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = _lock(work.session, delivery_id)
        earlier = _earlier(work.session, row, key_of(caller, key), runtime.clock())
        if earlier is not None:
            return earlier
        if only is not None:
            starts.check_workflow(work.session, only)
        replayed = replay_in(runtime, work, row, hand, only=only)
        audit.record(
            work.session,
            caller,
            ACTION,
            str(delivery_id),
            now=runtime.clock(),
            details={
                "source": row.source,
                "state": replayed.state,
                "events": replayed.events,
                "stored": replayed.stored,
                "runs": [str(run.id) for run in replayed.runs],
                "only": only,
                "shadow": shadow,
                "key": key_of(caller, key),
            },
        )
    return replayed


def foresee(runtime: Runtime, delivery_id: UUID, *, only: str | None = None) -> Foreseen:
    """Give what a replay would start; nothing is changed. Raises as `replay_delivery` does."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = _lock(work.session, delivery_id)
        if only is not None:
            starts.check_workflow(work.session, only)
        source = _source(work.session, row)
        if _is_to_be_asked(runtime, row, source) or _is_suspect(row):
            return Foreseen((), ())
        read = _read(runtime, work.session, row, source)
        if isinstance(read, Unread):
            _refuse_read_before(row, read)
            return Foreseen((), ())
        again = matching(runtime, work, _viewed(work.session, read.known))
        first = matching(runtime, work, [(event, event_view(event)) for event in read.new])
    return Foreseen(tuple(name for name in again if only in {None, name}), tuple(first))


def replay_in(
    runtime: Runtime,
    work: UnitOfWork,
    row: DeliveryRow,
    hand: Hand,
    *,
    only: str | None = None,
) -> Replayed:
    """Read a delivery anew in a transaction that has locked it; raises Conflict as above."""
    session = work.session
    if row.state == DeliveryState.RECEIVED:
        raise Conflict(
            "the delivery is on its way: it is read by itself",
            hint=f"hookwright delivery show {row.id}",
        )
    source = _source(session, row)
    row.replays += 1
    if _is_to_be_asked(runtime, row, source) or _is_suspect(row):
        _hand_to_worker(runtime, work, row, source)
        return _told(row)
    read = _read(runtime, session, row, source)
    if isinstance(read, Unread):
        _refuse_read_before(row, read)
        (mark_malformed if read.malformed else mark_dead)(row, read)
        return _told(row)
    if hand.shadow and read.new:
        raise Conflict(
            "some of its events were never stored: tried in shadow, they would never act",
            hint="replay it without shadow, or try workflows with `hookwright workflow backtest`",
        )
    runs = start_anew(runtime, work, _viewed(session, read.known), hand, only=only)
    stored = store_and_route(runtime, work, read.new, hand)
    runs += details.runs_of(session, [event.id for event in stored[: details.MOST_RUNS]])
    mark_ingested(row)
    log.info(
        "delivery_replayed",
        delivery_id=str(row.id),
        by=hand.by,
        stored=len(stored),
        runs=len(runs),
    )
    return _told(row, len(read.new) + len(read.known), len(stored), runs)


def _lock(session: Session, delivery_id: UUID) -> DeliveryRow:
    row = store.lock_one(session, delivery_id)
    if row is None:
        raise NotFound("there is no delivery with this id")
    return row


def key_of(caller: Caller, key: str | None) -> str | None:
    """Give what a key is known by here: those of two callers are two."""
    return None if key is None else f"{caller.token_id or caller.label}:{key}"


def _earlier(session: Session, row: DeliveryRow, key: str | None, now: datetime) -> Replayed | None:
    """Give what the replay has come to that was asked for with this key before."""
    if key is None:
        return None
    for done in audit_store.done_to(session, str(row.id), ACTION, now - KEY_KEPT):
        if done.details.get("key") == key:
            runs = details.runs_by_id(session, [UUID(one) for one in done.details["runs"]])
            return _told(row, done.details["events"], done.details["stored"], runs)
    return None


def _source(session: Session, row: DeliveryRow) -> SourceRow | None:
    return store.sources_of(session, [row.source_id]).get(row.source_id)


def _was_read(row: DeliveryRow) -> bool:
    return row.state == DeliveryState.INGESTED


def _is_to_be_asked(runtime: Runtime, row: DeliveryRow, source: SourceRow | None) -> bool:
    """Say whether only the vendor knows what a delivery spoke of, and has not told yet."""
    return not _was_read(row) and is_only_a_hint(runtime, row, source)


def _is_suspect(row: DeliveryRow) -> bool:
    """Say whether workers were lost with a delivery: nobody else shall read it then."""
    return row.losses > 0 and not _was_read(row)


def _hand_to_worker(
    runtime: Runtime, work: UnitOfWork, row: DeliveryRow, source: SourceRow | None
) -> None:
    """Let a delivery be read as if it had just come."""
    row.state = DeliveryState.RECEIVED
    row.failures = row.rings = row.losses = 0
    if is_only_a_hint(runtime, row, source):
        ask_vendor(runtime, work, row)
    else:
        row.due_at = runtime.clock()
        work.ring(IngestOneByOne((row.id,)))


def _read(
    runtime: Runtime, session: Session, row: DeliveryRow, source: SourceRow | None
) -> _Read | Unread:
    if is_only_a_hint(runtime, row, source):
        return _Read((), store.events_of(session, row.id))
    events = read_events(runtime, row, source)
    if isinstance(events, Unread):
        return events
    known = stored_before(session, events)
    new = [event for event in events if event.dedupe_key not in known]
    # What another delivery or a poll has told us of has had its runs, and this one asked for none.
    before = {event.id: event for event in known.values()} if _was_read(row) else {}
    return _Read(new, list(before.values()))


def _refuse_read_before(row: DeliveryRow, unread: Unread) -> None:
    """Leave a delivery as it is that gave its events once. Raises Conflict."""
    if _was_read(row):
        raise Conflict(
            f"the delivery cannot be read any more: {unread.reason}",
            hint=None if unread.fault is None else f"the log has more under fault={unread.fault}",
        )


def _viewed(session: Session, events: Sequence[EventRow]) -> Viewed:
    # Expressions may read payloads, and large ones stand apart.
    return [
        (event, event_view(event) | {"payload": cast("Json", payload_of(session, event))})
        for event in events
    ]


def _told(
    row: DeliveryRow, events: int = 0, stored: int = 0, runs: Sequence[RunRow] = ()
) -> Replayed:
    return Replayed(
        delivery_id=row.id,
        state=row.state,
        error=row.error,
        fault=row.fault,
        events=events,
        stored=stored,
        runs=tuple(runs[: details.MOST_RUNS]),
    )
