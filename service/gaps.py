"""Entries of a vendor's record that we do not have: finding them, and having them after all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from schemas.configured_tables import SourceRow
from schemas.events import EventDraft, Json, Origin
from schemas.reconciliation_tables import GapRow
from schemas.states import GapState
from schemas.storable import bounded, storable
from service.db import Session
from service.errors import Permanent, Refused
from service.ingest import account_of, as_it_came, make_event
from service.routing import store_and_route
from service.runtime import Runtime
from service.store import reconciliations as store
from service.unit_of_work import UnitOfWork, reading, unit_of_work
from service.vendors.base import CallContext, Record, Recorded, Vendor

log = structlog.get_logger(__name__)

MOST_LOOKED_THROUGH = 50_000
"""Deliveries that are looked through at most for an id that is no delivery key."""
LOOK_BACK = timedelta(minutes=5)
"""How much earlier than the vendor's time a delivery may be stored here: clocks differ."""
REFERENCE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Comparison:
    """One record of a vendor that is being compared with one source."""

    id: UUID
    source: SourceRow
    vendor: Vendor
    record: Record
    options: Any
    context: CallContext


def close_page(runtime: Runtime, comparison: Comparison, entries: Sequence[Recorded]) -> None:
    """Find which entries we do not have, and close each gap as far as that can be done now.

    Doing a page twice does no harm: an event is stored once, and a delivery is asked for once in
    one comparison. Raises what calling the vendor raises; what was closed by then stays closed.
    """
    told = [entry for entry in entries if entry.events]
    others = [entry for entry in entries if not entry.events]
    _store_told(runtime, comparison, told)
    for entry in _missing(runtime, comparison, others):
        _close(runtime, comparison, entry)


def _store_told(runtime: Runtime, comparison: Comparison, entries: Sequence[Recorded]) -> None:
    """Store what entries mean; what was not here before is a gap that is closed already."""
    if not entries:
        return
    with unit_of_work(runtime.database, runtime.queue) as work:
        for entry in entries:
            keys = store.known_keys(work.session, comparison.source.id, entry.delivery_keys)
            if keys or not _store_events(runtime, work, comparison, entry, entry.events):
                continue
            _note(work.session, comparison, entry, GapState.FILLED, runtime.clock())


def _missing(
    runtime: Runtime, comparison: Comparison, entries: Sequence[Recorded]
) -> list[Recorded]:
    """Give the entries of which nothing is here, and write down that they are gaps."""
    if not entries:
        return []
    source, record = comparison.source, comparison.record
    with unit_of_work(runtime.database, runtime.queue) as work:
        session = work.session
        absent = _absent(session, comparison.vendor, source, record, entries)
        known = store.gaps_by_reference(
            session, source.id, record.name, [_reference(entry) for entry in entries]
        )
        absent_references = {_reference(entry) for entry in absent}
        for reference, gap in known.items():
            if reference not in absent_references and gap.state != GapState.FILLED:
                gap.state, gap.changed_at, gap.error = GapState.FILLED, runtime.clock(), None
        missing = []
        for entry in absent:
            before = known.get(_reference(entry))
            if before is not None and before.state == GapState.FILLED:
                continue  # its events were read from the API
            if (
                before is not None
                and before.reconciliation_id == comparison.id
                and before.state != GapState.FOUND
            ):
                continue  # this page is done again, and this entry was seen to
            _note(session, comparison, entry, GapState.FOUND, runtime.clock())
            missing.append(entry)
        return missing


def _absent(
    session: Session,
    vendor: Vendor,
    source: SourceRow,
    record: Record,
    entries: Sequence[Recorded],
) -> list[Recorded]:
    """Give the entries under none of whose keys a delivery is stored."""
    keys = {key for entry in entries for key in entry.delivery_keys}
    found = store.known_keys(session, source.id, keys)
    absent = [entry for entry in entries if found.isdisjoint(entry.delivery_keys)]
    if not absent or record.identities is None or vendor.incoming is None:
        return absent
    wanted = {key for entry in absent for key in entry.delivery_keys}
    since = min(entry.time for entry in absent) - LOOK_BACK
    options = vendor.incoming.options.model_validate(source.options)
    for row in store.deliveries_between(session, source.id, since, most=MOST_LOOKED_THROUGH):
        found |= wanted.intersection(record.identities(as_it_came(row), options))
        if wanted <= found:
            break
    return [entry for entry in absent if found.isdisjoint(entry.delivery_keys)]


def _close(runtime: Runtime, comparison: Comparison, entry: Recorded) -> None:
    record = comparison.record
    if record.redeliver is not None and not _was_asked(runtime, comparison, entry):
        try:
            record.redeliver(comparison.context, comparison.options, entry)
        except Permanent as error:
            log.info("redelivery_refused", source=comparison.source.name, reason=error.message)
        else:
            _set(runtime, comparison, entry, GapState.ASKED)
            return
    close_by_reading(runtime, comparison, entry)


def close_by_reading(runtime: Runtime, comparison: Comparison, entry: Recorded) -> None:
    """Store what the vendor's API says of an entry, or note why it can no longer be known."""
    restore = comparison.record.restore
    reason = "the vendor does not send it again, and its API does not give it"
    if restore is not None:
        try:
            drafts = restore(comparison.context, comparison.options, entry)
        except (Refused, ValueError) as error:
            reason = error.message if isinstance(error, Refused) else str(error)
        else:
            with unit_of_work(runtime.database, runtime.queue) as work:
                _store_events(runtime, work, comparison, entry, drafts)
                _note(work.session, comparison, entry, GapState.FILLED, runtime.clock())
            return
    _set(runtime, comparison, entry, GapState.OPEN, error=reason)


def note_arrivals(
    runtime: Runtime,
    work: UnitOfWork,
    source: SourceRow,
    vendor: Vendor,
    gaps: Sequence[GapRow],
) -> list[GapRow]:
    """Mark the gaps whose deliveries have come by now; gives those that are still open."""
    late = []
    for record in vendor.records:
        mine = [gap for gap in gaps if gap.record == record.name]
        if not mine:
            continue
        entries = {gap.reference: entry_of(gap) for gap in mine}
        absent = _absent(work.session, vendor, source, record, list(entries.values()))
        still = {entry.reference for entry in absent}
        for gap in mine:
            if gap.reference not in still:
                gap.state, gap.changed_at = GapState.FILLED, runtime.clock()
            else:
                late.append(gap)
    return late


def entry_of(gap: GapRow) -> Recorded:
    """Give the entry that a gap was noted for."""
    return Recorded(
        reference=gap.reference,
        time=gap.time,
        vendor_type=gap.vendor_type,
        delivery_keys=tuple(gap.entry.get("delivery_keys", ())),
        detail=gap.entry.get("detail", {}),
    )


def _store_events(
    runtime: Runtime,
    work: UnitOfWork,
    comparison: Comparison,
    entry: Recorded,
    drafts: Sequence[EventDraft],
) -> bool:
    """Store these events as reconciled; False when all of them were here."""
    source, now = comparison.source, runtime.clock()
    known_as = f"record:{source.name}:{comparison.record.name}:{entry.reference}"
    events = [
        make_event(
            draft,
            vendor=source.vendor,
            source=source.name,
            account=account_of(source),
            dedupe_key=f"{known_as}:{draft.key or number}",
            received_at=now,
            origin=Origin.RECONCILED,
        )
        for number, draft in enumerate(drafts)
    ]
    return bool(store_and_route(runtime, work, events))


def _was_asked(runtime: Runtime, comparison: Comparison, entry: Recorded) -> bool:
    with reading(runtime.database) as session:
        gaps = store.gaps_by_reference(
            session, comparison.source.id, comparison.record.name, [_reference(entry)]
        )
        return any(gap.asked for gap in gaps.values())


def _set(
    runtime: Runtime,
    comparison: Comparison,
    entry: Recorded,
    state: GapState,
    *,
    error: str | None = None,
) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        gap = _note(work.session, comparison, entry, state, runtime.clock())
        gap.error = None if error is None else storable(error[:2000])
        gap.asked += state is GapState.ASKED


def _note(
    session: Session, comparison: Comparison, entry: Recorded, state: GapState, now: datetime
) -> GapRow:
    """Write down what is known of a gap."""
    reference = _reference(entry)
    known = store.gaps_by_reference(
        session, comparison.source.id, comparison.record.name, [reference]
    )
    gap = known.get(reference)
    if gap is None:
        gap = GapRow(
            source_id=comparison.source.id,
            source=comparison.source.name,
            record=comparison.record.name,
            reference=reference,
            vendor_type=storable(entry.vendor_type)[:200],
            time=entry.time,
            state=state,
            entry=_kept(entry),
            reconciliation_id=comparison.id,
            found_at=now,
            changed_at=now,
        )
        session.add(gap)
    gap.state = state
    gap.reconciliation_id = comparison.id
    gap.changed_at = now
    return gap


def _kept(entry: Recorded) -> dict[str, Json]:
    detail: Mapping[str, Json] = storable(dict(entry.detail))
    return {"delivery_keys": list(entry.delivery_keys), "detail": detail}


def _reference(entry: Recorded) -> str:
    return bounded(entry.reference, REFERENCE_LENGTH)
