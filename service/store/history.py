"""What happened: stored events in their order, and the runs of one workflow that they started.

Read in pages and as plain values: a backtest goes through hundreds of thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlmodel import Session, col

from schemas.events import Event, Json
from schemas.run_tables import RunEventRow, RunRow, StepRow
from schemas.states import EffectState
from schemas.tables import EffectRow, EventRow
from service.store.insert import in_parts
from service.store.payloads import payload_of

PAGE = 1000
"""Events that are read at once."""
_ESCAPE = "\\"
_FIELDS = tuple(name for name in Event.model_fields if name != "payload")
_COUNTED = (EffectState.MADE, EffectState.SHADOWED, EffectState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step of a run as it was recorded."""

    action: str | None
    status: str
    output: Mapping[str, Json] | None
    error: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class RecordedEffect:
    """A change outside that was made, would have been made, or is in doubt."""

    path: str
    action: str
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as it was recorded, with its branches. Steps are by their path (`each[3].note`)."""

    id: UUID
    status: str
    reason: str | None
    steps: dict[str, RecordedStep] = field(default_factory=dict)
    effects: list[RecordedEffect] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time and the types of events that matter in it (with `*`)."""

    since: datetime
    until: datetime
    patterns: frozenset[str]


def count_events(session: Session, span: Span) -> int:
    """Give how many events there are."""
    counted = select(func.count()).select_from(EventRow).where(*_within(span))
    return int(session.execute(counted).scalar_one())


def count_direct(session: Session, workflow: str, span: Span, types: Iterable[str]) -> int:
    """Give how many runs of a workflow events of these types began."""
    counted = (
        select(func.count())
        .select_from(RunRow)
        .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
        .where(
            col(RunRow.workflow) == workflow,
            col(RunRow.parent_id).is_(None),
            col(RunRow.created_at) >= span.since,
            col(RunRow.created_at) < span.until,
            col(EventRow.type).in_(list(types)),
        )
    )
    return int(session.execute(counted).scalar_one())


def read_events(session: Session, span: Span, *, payloads: bool) -> Iterator[list[dict[str, Json]]]:
    """Give pages of events as expressions see them, in the order they came.

    `payloads`: with the vendors' own bodies, which are null otherwise.
    """
    after: tuple[datetime, UUID] | None = None
    while True:
        page, after = _page(session, span, after, payloads=payloads)
        if page:
            yield page
        if after is None:
            return


def _page(
    session: Session, span: Span, after: tuple[datetime, UUID] | None, *, payloads: bool
) -> tuple[list[dict[str, Json]], tuple[datetime, UUID] | None]:
    position = (col(EventRow.received_at), col(EventRow.id))
    later = () if after is None else (tuple_(*position) > after,)
    if payloads:
        rows: Sequence[Any] = (
            session.execute(
                select(EventRow).where(*_within(span), *later).order_by(*position).limit(PAGE)
            )
            .scalars()
            .all()
        )
        found = [_view(row, payload_of(session, row)) for row in rows]
        session.expunge_all()  # what was read is not kept
    else:
        rows = session.execute(
            select(*(col(getattr(EventRow, name)) for name in _FIELDS))
            .where(*_within(span), *later)
            .order_by(*position)
            .limit(PAGE)
        ).all()
        found = [_view(row, None) for row in rows]
    last = (rows[-1].received_at, rows[-1].id) if len(rows) == PAGE else None
    return found, last


def _view(row: Any, payload: Json) -> dict[str, Json]:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Event.model_construct(**values, payload=payload).model_dump(mode="json", warnings=False)


def _within(span: Span) -> list[ColumnElement[bool]]:
    found = [col(EventRow.received_at) >= span.since, col(EventRow.received_at) < span.until]
    if "*" not in span.patterns:
        found.append(or_(*(_fits(pattern) for pattern in sorted(span.patterns))))
    return found


def _fits(pattern: str) -> ColumnElement[bool]:
    if "*" not in pattern:
        return col(EventRow.type) == pattern
    escaped = pattern.replace(_ESCAPE, _ESCAPE * 2).replace("%", r"\%").replace("_", r"\_")
    return col(EventRow.type).like(escaped.replace("*", "%"), escape=_ESCAPE)


def recorded_runs(session: Session, workflow: str, events: Iterable[str]) -> dict[str, RecordedRun]:
    """Give the runs of a workflow by the events they saw (ids as texts), the latest of each."""
    ids = [UUID(event) for event in events]
    runs: dict[UUID, RecordedRun] = {}
    by_event: dict[str, RecordedRun] = {}
    columns = (col(RunRow.id), col(RunRow.event_id), col(RunRow.status), col(RunRow.reason))
    own = (col(RunRow.workflow) == workflow, col(RunRow.parent_id).is_(None))
    for run_id, event_id, status, reason in session.execute(
        select(*columns).where(*own, col(RunRow.event_id).in_(ids)).order_by(col(RunRow.id))
    ):
        runs[run_id] = by_event[str(event_id)] = RecordedRun(run_id, status, reason)
    joined = (
        select(col(RunEventRow.event_id), *columns)
        .join(RunRow, col(RunRow.id) == col(RunEventRow.run_id))
        .where(*own, col(RunEventRow.event_id).in_(ids))
    )
    for joined_id, run_id, _, status, reason in session.execute(joined):
        run = runs.setdefault(run_id, RecordedRun(run_id, status, reason))
        by_event.setdefault(str(joined_id), run)
    rows = _rows_of(session, runs)
    _read_steps(session, runs, rows)
    _read_effects(session, runs, rows)
    return by_event


def _rows_of(session: Session, runs: Mapping[UUID, RecordedRun]) -> dict[UUID, tuple[UUID, str]]:
    """Give the rows of these runs and of their branches: whose they are, and their paths."""
    columns = (col(RunRow.id), col(RunRow.root_id), col(RunRow.path))
    found = {run_id: (run_id, "") for run_id in runs}
    for part in in_parts(list(runs), each=1):
        for row_id, root_id, path in session.execute(
            select(*columns).where(col(RunRow.root_id).in_(part))
        ):
            found[row_id] = (root_id, f"{path}." if path else "")
    return found


def _read_steps(
    session: Session, runs: Mapping[UUID, RecordedRun], rows: Mapping[UUID, tuple[UUID, str]]
) -> None:
    columns = (
        col(StepRow.run_id),
        col(StepRow.step),
        col(StepRow.action),
        col(StepRow.status),
        col(StepRow.output),
        col(StepRow.error),
    )
    # By the rows' ids alone: joined to the runs, SQLite would go through every step there is.
    for part in in_parts(list(rows), each=1):
        for row_id, step, action, status, output, error in session.execute(
            select(*columns).where(col(StepRow.run_id).in_(part)).order_by(col(StepRow.id))
        ):
            run_id, prefix = rows[row_id]
            runs[run_id].steps[prefix + step] = RecordedStep(action, status, output, error)


def _read_effects(
    session: Session, runs: Mapping[UUID, RecordedRun], rows: Mapping[UUID, tuple[UUID, str]]
) -> None:
    columns = (
        col(EffectRow.run_id),
        col(EffectRow.step),
        col(EffectRow.action),
        col(EffectRow.params),
    )
    for part in in_parts(list(rows), each=1):
        for row_id, step, action, params in session.execute(
            select(*columns)
            .where(col(EffectRow.run_id).in_(part), col(EffectRow.state).in_(_COUNTED))
            .order_by(col(EffectRow.id))
        ):
            run_id, prefix = rows[row_id]
            runs[run_id].effects.append(RecordedEffect(prefix + step, action, params))
