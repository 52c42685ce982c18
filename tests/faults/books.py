"""Balances the books: what was acknowledged, what is stored, what came of it, what twins did.

`read_rows` takes everything from the database, past the product's own code; `balance` compares it
with what was sent and with what the twins recorded, and tells every difference.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from schemas.events import Origin
from schemas.run_tables import RunRow, StepRow
from schemas.states import AlertState, DeliveryState, EffectState
from schemas.tables import AlertRow, DeliveryRow, EffectRow, EventRow
from schemas.workflow import RunStatus, StepStatus
from service.db import Database
from service.ingest import account_of, make_event
from service.vendors import BY_NAME
from service.vendors.base import Delivery, Headers
from tests.faults.plan import Planned
from tests.faults.sending import Ledger, Sent

ROWS_AT_A_TIME = 500
SETTLED = {EffectState.MADE, EffectState.NOT_MADE}


class Wrong(StrEnum):
    """In which way something does not balance."""

    LOST = "lost"
    """It was promised, and it is not there or was not done."""
    DOUBLED = "doubled"
    """It is there, or was done, more than once."""
    INVENTED = "invented"
    """It is there, or was done, and nobody asked for it."""
    LEFT = "left"
    """It has not come to its end, or not to the right one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not balance."""

    wrong: Wrong
    what: str

    def __str__(self) -> str:
        return f"{self.wrong.value}: {self.what}"


@dataclass(frozen=True, slots=True)
class DeliveryEntry:
    """A stored delivery: the digest of its body, its state, and the events it must have given."""

    id: UUID
    digest: str
    state: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run, no branch; `caused_by` is the delivery or the run that it goes back to."""

    id: UUID
    workflow: str
    status: str
    caused_by: UUID | None
    error: str
    held: bool


@dataclass
class Rows:
    """What the database holds."""

    deliveries: dict[tuple[str, str], list[DeliveryEntry]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    runs: list[RunEntry] = field(default_factory=list)
    ticks: Counter[str] = field(default_factory=Counter)
    open_steps: list[str] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    alerts: dict[str, list[str]] = field(default_factory=dict)


def read_rows(database_url: str) -> Rows:
    """Read what a balance needs."""
    database = Database(database_url)
    rows = Rows()
    try:
        with database.session() as session:
            _read_deliveries(session, rows)
            _read_events(session, rows)
            _read_runs(session, rows)
            _read_ends(session, rows)
    finally:
        database.dispose()
    return rows


def balance(rows: Rows, ledger: Ledger, done: Mapping[str, int]) -> list[Difference]:
    """Give every difference; `done` is how often each cause took effect at the twins."""
    return [
        *_balance_deliveries(rows, ledger),
        *_balance_events(rows),
        *_balance_runs(rows, ledger),
        *_balance_effects(rows, ledger, done),
        *_balance_ends(rows, ledger),
    ]


# --- reading ----------------------------------------------------------------------------------


def _read_deliveries(session: Session, rows: Rows) -> None:
    sources = {row.id: row for row in session.exec(select(SourceRow))}
    found = session.exec(select(DeliveryRow).execution_options(yield_per=ROWS_AT_A_TIME))
    for row in found:
        source = sources.get(row.source_id)
        entry = DeliveryEntry(
            row.id,
            hashlib.sha256(row.body).hexdigest(),
            row.state,
            frozenset() if source is None else frozenset(expected_events(row, source)),
        )
        rows.deliveries.setdefault((row.source, row.delivery_key), []).append(entry)
        session.expunge(row)


def expected_events(row: DeliveryRow, source: SourceRow) -> Iterator[str]:
    """Give the keys of the events that a stored delivery must have given."""
    vendor = BY_NAME[row.vendor]
    assert vendor.incoming is not None
    headers = Headers([(name, value) for name, value in row.headers])
    delivery = Delivery(row.source, headers, row.body, row.received_at)
    drafts = vendor.incoming.normalise(
        delivery, vendor.incoming.options.model_validate(source.options)
    )
    for number, draft in enumerate(drafts):
        event = make_event(
            draft,
            vendor=row.vendor,
            source=row.source,
            account=account_of(source),
            dedupe_key=f"delivery:{row.id}:{draft.key or number}",
            received_at=row.received_at,
            origin=Origin.WEBHOOK,
        )
        yield event.dedupe_key


def _read_events(session: Session, rows: Rows) -> None:
    found = session.exec(select(EventRow.dedupe_key).where(EventRow.origin == Origin.WEBHOOK.value))
    rows.events.update(found)


def _read_runs(session: Session, rows: Rows) -> None:
    found = session.exec(
        select(RunRow, EventRow)
        .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
        .where(col(RunRow.parent_id).is_(None))
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    for run, event in found:
        rows.runs.append(
            RunEntry(
                id=run.id,
                workflow=run.workflow,
                status=run.status,
                caused_by=event.delivery_id or event.caused_by or run.caller_id,
                error="" if run.error is None else str(run.error),
                held=run.lease_owner is not None,
            )
        )
        if run.workflow == "tick":
            rows.ticks[f"{event.time}"] += 1


def _read_ends(session: Session, rows: Rows) -> None:
    open_ = session.exec(
        select(StepRow.run_id, StepRow.step, StepRow.status).where(
            col(StepRow.status).not_in([status for status in StepStatus if status.is_final])
        )
    )
    rows.open_steps = [f"step {step} of run {run} is {status}" for run, step, status in open_]
    rows.effects.update(session.exec(select(EffectRow.state)))
    for key, state in session.exec(select(AlertRow.key, AlertRow.state)):
        rows.alerts.setdefault(key, []).append(state)


# --- comparing --------------------------------------------------------------------------------


def _balance_deliveries(rows: Rows, ledger: Ledger) -> Iterator[Difference]:
    for (source, key), sent in ledger.sent.items():
        stored = rows.deliveries.get((source, key), [])
        name = f"delivery {key} of {source}"
        if sent.acknowledged and not stored:
            yield Difference(Wrong.LOST, f"{name} was answered 2xx and is not stored")
        if len(stored) > 1 or len(sent.ids) > 1:
            yield Difference(Wrong.DOUBLED, f"{name} is {len(stored)} rows, {sent.ids}")
        for entry in stored:
            if sent.acknowledged and str(entry.id) not in sent.ids:
                yield Difference(Wrong.LOST, f"{name} was answered {sent.ids}, not {entry.id}")
            if entry.digest != sent.digest:
                yield Difference(Wrong.LOST, f"{name} has another body than was sent")
            if entry.state != DeliveryState.INGESTED:
                yield Difference(Wrong.LEFT, f"{name} is {entry.state}")
    for source, key in rows.deliveries.keys() - ledger.sent.keys():
        yield Difference(Wrong.INVENTED, f"nobody sent the delivery {key} of {source}")


def _balance_events(rows: Rows) -> Iterator[Difference]:
    expected = {
        key for entries in rows.deliveries.values() for entry in entries for key in entry.events
    }
    for key in expected - rows.events.keys():
        yield Difference(Wrong.LOST, f"the event {key}")
    for key in rows.events.keys() - expected:
        yield Difference(Wrong.INVENTED, f"the event {key}")
    yield from _doubled(rows.events, "the event")


def _balance_runs(rows: Rows, ledger: Ledger) -> Iterator[Difference]:
    begun = _begun(rows)
    expected_roots = set()
    for entry, planned in _stored(rows, ledger):
        expected_roots.add(entry.id)
        wanted = Counter(planned.expected.runs)
        found = Counter(begun.get(entry.id, ()))
        name = f"of delivery {entry.id} ({planned.subject or planned.event})"
        for workflow in wanted - found:
            yield Difference(Wrong.LOST, f"the run of {workflow} {name}")
        for workflow in found - wanted:
            wrong = Wrong.DOUBLED if workflow in wanted else Wrong.INVENTED
            yield Difference(wrong, f"a run of {workflow} {name}")
    for root in begun.keys() - expected_roots - {None}:
        yield Difference(Wrong.INVENTED, f"runs {begun[root]} go back to {root}, which is nothing")
    for tick, times in rows.ticks.items():
        if times > 1:
            yield Difference(Wrong.DOUBLED, f"the schedule of {tick} was due {times} times")


def _begun(rows: Rows) -> dict[UUID | None, list[str]]:
    """Give the workflows that were started by each delivery, also by way of other runs."""
    causes = {run.id: run.caused_by for run in rows.runs}
    begun: dict[UUID | None, list[str]] = defaultdict(list)
    for run in rows.runs:
        root = run.caused_by
        while root in causes:
            root = causes[root]
        begun[root].append(run.workflow)
    return begun


def _balance_effects(rows: Rows, ledger: Ledger, done: Mapping[str, int]) -> Iterator[Difference]:
    expected: set[str] = set()
    for entry, planned in _stored(rows, ledger):
        for cause in planned.expected.effects:
            expected.add(cause)
            if not done.get(cause):
                yield Difference(Wrong.LOST, f"the effect {cause} of delivery {entry.id}")
    yield from _doubled(done, "the effect")
    ticks = sum(rows.ticks.values())
    told = [cause for cause in done if cause.startswith("tick/")]
    if len(told) != ticks:
        yield Difference(Wrong.LOST, f"{ticks} runs of the schedule, {len(told)} messages of it")
    for cause in done.keys() - expected - set(told):
        yield Difference(Wrong.INVENTED, f"the effect {cause}")


def _balance_ends(rows: Rows, ledger: Ledger) -> Iterator[Difference]:
    for run in rows.runs:
        if run.status != RunStatus.SUCCEEDED:
            yield Difference(
                Wrong.LEFT, f"run {run.id} of {run.workflow} is {run.status}: {run.error}"
            )
        elif run.held:
            yield Difference(Wrong.LEFT, f"run {run.id} of {run.workflow} has ended and is held")
    for told in rows.open_steps:
        yield Difference(Wrong.LEFT, told)
    for state in rows.effects.keys() - SETTLED:
        yield Difference(Wrong.LEFT, f"{rows.effects[state]} effects are {state}")
    opened = {key for _, planned in _stored(rows, ledger) for key in planned.expected.alerts}
    for key in opened - rows.alerts.keys():
        yield Difference(Wrong.LOST, f"the alert {key}")
    for key, states in rows.alerts.items():
        if key in opened and len(states) > 1:
            yield Difference(Wrong.DOUBLED, f"the alert {key} was opened {len(states)} times")
        if set(states) != {AlertState.RESOLVED}:
            yield Difference(Wrong.LEFT, f"the alert {key} is {states}")


def _stored(rows: Rows, ledger: Ledger) -> Iterator[tuple[DeliveryEntry, Planned]]:
    """Give each stored delivery with what was planned of it, whether or not it was answered."""
    for key, entries in rows.deliveries.items():
        sent: Sent | None = ledger.sent.get(key)
        if sent is not None:
            yield from ((entry, sent.planned) for entry in entries)


def _doubled(counted: Mapping[str, int], what: str) -> Iterable[Difference]:
    return (
        Difference(Wrong.DOUBLED, f"{what} {name} is there {times} times")
        for name, times in counted.items()
        if times > 1
    )
