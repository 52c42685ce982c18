"""One row with what belongs to it, for the API and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel, col, select

from schemas.configured_tables import SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.run_tables import RunEventRow, RunRow
from schemas.tables import DeliveryRow, EventRow
from service.errors import NotFound
from service.store import sources
from service.store.payloads import payload_of

Row = TypeVar("Row", bound=SQLModel)
MOST_GAPS = 200
MOST_RUNS = 100
"""How many runs one event or delivery is shown with."""


@dataclass(frozen=True, slots=True)
class DeliveryStory:
    """A delivery and what became of it."""

    row: DeliveryRow
    events: Sequence[EventRow]
    runs: Sequence[RunRow]


@dataclass(frozen=True, slots=True)
class EventStory:
    """An event and the runs it started."""

    row: EventRow
    runs: Sequence[RunRow]


def read(session: Session, model: type[Row], ident: UUID) -> Row:
    """Give the row with this id. Raises NotFound."""
    row = session.get(model, ident)
    if row is None:
        raise NotFound
    return row


def read_delivery(session: Session, ident: UUID) -> DeliveryStory:
    """Give a delivery with its events and their runs. Raises NotFound."""
    row = read(session, DeliveryRow, ident)
    events = session.exec(
        select(EventRow).where(EventRow.delivery_id == ident).order_by(col(EventRow.id))
    ).all()
    return DeliveryStory(row, events, runs_of(session, [event.id for event in events]))


def read_event(session: Session, ident: UUID) -> EventStory:
    """Give an event with its runs. Raises NotFound."""
    row = read(session, EventRow, ident)
    set_committed_value(row, "payload", payload_of(session, row))
    return EventStory(row, runs_of(session, [ident]))


def read_reconciliation(
    session: Session, ident: UUID
) -> tuple[ReconciliationRow, Sequence[GapRow]]:
    """Give a comparison with its first gaps in the order of time. Raises NotFound."""
    row = read(session, ReconciliationRow, ident)
    gaps = session.exec(
        select(GapRow)
        .where(GapRow.reconciliation_id == ident)
        .order_by(col(GapRow.time), col(GapRow.id))
        .limit(MOST_GAPS)
    ).all()
    return row, gaps


def read_source(session: Session, name: str) -> SourceRow:
    """Give a source. Raises NotFound."""
    row = sources.named(session, name)
    if row is None:
        raise NotFound(f"there is no source `{name}`")
    return row


def read_workflow(session: Session, name: str) -> tuple[WorkflowRow, WorkflowVersionRow]:
    """Give a workflow and its current version. Raises NotFound."""
    found = session.exec(
        select(WorkflowRow, WorkflowVersionRow)
        .join(
            WorkflowVersionRow,
            col(WorkflowVersionRow.id) == col(WorkflowRow.current_version_id),
        )
        .where(WorkflowRow.name == name)
    ).first()
    if found is None:
        raise NotFound(f"there is no workflow {name!r}")
    return found


def read_version(
    session: Session, name: str, number: int
) -> tuple[WorkflowRow, WorkflowVersionRow]:
    """Give a version of a workflow by its number. Raises NotFound."""
    row = named_workflow(session, name)
    version = session.exec(
        select(WorkflowVersionRow).where(
            WorkflowVersionRow.workflow_id == row.id, WorkflowVersionRow.number == number
        )
    ).first()
    if version is None:
        raise NotFound(f"the workflow {name} has no version {number}")
    return row, version


def named_workflow(session: Session, name: str) -> WorkflowRow:
    """Give a workflow by name. Raises NotFound."""
    row = session.exec(select(WorkflowRow).where(WorkflowRow.name == name)).first()
    if row is None:
        raise NotFound(f"there is no workflow {name!r}")
    return row


def runs_by_id(session: Session, ids: Sequence[UUID]) -> Sequence[RunRow]:
    """Give these runs, as far as they are still there."""
    return session.exec(
        select(RunRow).where(col(RunRow.id).in_(ids)).order_by(col(RunRow.id))
    ).all()


def runs_of(session: Session, events: Sequence[UUID]) -> Sequence[RunRow]:
    """Give the runs that these events started or joined, the first 100."""
    # Each by its index: of either one or the other, PostgreSQL would go through all runs.
    started = select(RunRow.id).where(col(RunRow.event_id).in_(events))
    joined = select(RunEventRow.run_id).where(col(RunEventRow.event_id).in_(events))
    ids = sorted({*session.exec(started), *session.exec(joined)})[:MOST_RUNS]
    return runs_by_id(session, ids)
