"""Lists for the API and the commands: newest first, by filters, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import defer
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from schemas.api import (
    AlertQuestion,
    DeliveryQuestion,
    EventQuestion,
    Question,
    RejectionQuestion,
    RunQuestion,
)
from schemas.reconciling import ReconciliationQuestion
from schemas.run_tables import RunRow, WaitRow
from schemas.tables import (
    AlertRow,
    ConnectionRow,
    DeliveryRow,
    EventRow,
    PollRow,
    ReconciliationRow,
    RejectionRow,
    SourceRow,
    WorkflowRow,
    WorkflowVersionRow,
)
from schemas.workflow import WaitKind
from service.paging import Page, read_cursor, write_cursor

Row = TypeVar("Row", bound=SQLModel)


class Timed(Protocol):
    """What may be narrowed by time."""

    @property
    def since(self) -> datetime | None:
        """Nothing before this."""

    @property
    def until(self) -> datetime | None:
        """Nothing from this on."""


_ESCAPE = "\\"


def list_deliveries(session: Session, question: DeliveryQuestion) -> Page[DeliveryRow]:
    """Give deliveries, without their bodies."""
    statement = select(DeliveryRow).options(*_without(DeliveryRow.body, DeliveryRow.headers))
    statement = statement.where(
        *equal(DeliveryRow.source, question.source),
        *equal(DeliveryRow.vendor, question.vendor),
        *equal(DeliveryRow.state, question.state),
        *contains(question.q, DeliveryRow.delivery_key),
        *between(DeliveryRow.received_at, question),
    )
    return page_of(session, statement, DeliveryRow, question)


def body_sizes(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Give the sizes of these deliveries' bodies, in bytes."""
    statement = select(DeliveryRow.id, func.length(DeliveryRow.body)).where(
        col(DeliveryRow.id).in_(ids)
    )
    return dict(session.exec(statement).all())


def list_events(session: Session, question: EventQuestion) -> Page[EventRow]:
    """Give events, without the vendors' own bodies."""
    statement = select(EventRow).options(*_without(EventRow.payload))
    statement = statement.where(
        *like(EventRow.type, question.type),
        *equal(EventRow.vendor, question.vendor),
        *equal(EventRow.source, question.source),
        *equal(EventRow.subject, question.subject),
        *contains(question.q, EventRow.subject, EventRow.type, EventRow.vendor_type),
        *between(EventRow.received_at, question),
    )
    return page_of(session, statement, EventRow, question)


def list_runs(session: Session, question: RunQuestion) -> Page[RunRow]:
    """Give runs, without their branches. What a branch waits for, its run waits for."""
    statement = select(RunRow).where(
        col(RunRow.parent_id).is_(None),
        *equal(RunRow.workflow, question.workflow),
        *equal(RunRow.status, question.status),
        *equal(RunRow.event_id, question.event),
        *_waiting_for(question.waiting_for),
        *between(RunRow.created_at, question),
    )
    return page_of(session, statement, RunRow, question)


def list_alerts(session: Session, question: AlertQuestion) -> Page[AlertRow]:
    """Give alerts."""
    statement = select(AlertRow).where(
        *equal(AlertRow.state, question.state),
        *equal(AlertRow.severity, question.severity),
        *like(AlertRow.key, question.key),
        *between(AlertRow.opened_at, question),
    )
    return page_of(session, statement, AlertRow, question)


def list_rejections(session: Session, question: RejectionQuestion) -> Page[RejectionRow]:
    """Give refused requests, without their bodies."""
    statement = select(RejectionRow).options(
        *_without(RejectionRow.body, RejectionRow.headers, RejectionRow.sealed)
    )
    statement = statement.where(
        *sent_to(question.source),
        *equal(RejectionRow.reason, question.reason),
        *equal(RejectionRow.cause, question.cause),
        *between(RejectionRow.received_at, question),
    )
    return page_of(session, statement, RejectionRow, question)


def list_reconciliations(
    session: Session, question: ReconciliationQuestion
) -> Page[ReconciliationRow]:
    """Give comparisons with vendors' records."""
    statement = select(ReconciliationRow).where(
        *equal(ReconciliationRow.source, question.source),
        *equal(ReconciliationRow.state, question.state),
        *between(ReconciliationRow.created_at, question),
    )
    return page_of(session, statement, ReconciliationRow, question)


def every_source(session: Session, question: Question) -> Page[SourceRow]:
    """Give sources, newest first."""
    return page_of(session, select(SourceRow), SourceRow, question)


def every_connection(session: Session, question: Question) -> Page[ConnectionRow]:
    """Give connections, newest first."""
    return page_of(session, select(ConnectionRow), ConnectionRow, question)


def every_poll(session: Session, question: Question) -> Page[PollRow]:
    """Give polls, newest first."""
    return page_of(session, select(PollRow), PollRow, question)


def every_workflow(
    session: Session, question: Question
) -> tuple[Page[WorkflowRow], dict[UUID, WorkflowVersionRow]]:
    """Give workflows, newest first, and their current versions by the workflow's id."""
    page = page_of(session, select(WorkflowRow), WorkflowRow, question)
    ids = [row.current_version_id for row in page.rows]
    versions = session.exec(select(WorkflowVersionRow).where(col(WorkflowVersionRow.id).in_(ids)))
    return page, {version.workflow_id: version for version in versions}


def every_version(
    session: Session, workflow: WorkflowRow, question: Question
) -> Page[WorkflowVersionRow]:
    """Give the versions of a workflow, newest first, without their documents."""
    statement = (
        select(WorkflowVersionRow)
        .where(WorkflowVersionRow.workflow_id == workflow.id)
        .options(*_without(WorkflowVersionRow.document, WorkflowVersionRow.source_text))
    )
    return page_of(session, statement, WorkflowVersionRow, question, of=workflow.name)


def page_of(
    session: Session,
    statement: SelectOfScalar[Row],
    model: type[Row],
    question: Question,
    *,
    of: str = "",
) -> Page[Row]:
    """Give the page of a list that a question asks for. `of`: whose list it is, if it has one."""
    # Ids are UUIDv7: their order is the order of arrival, and they are indexed.
    ident: Any = col(model.id)  # type: ignore[attr-defined]  # every listed table has one
    asked = {"list": model.__tablename__, **({"of": of} if of else {}), **question.filters()}
    if question.cursor is not None:
        statement = statement.where(ident < read_cursor(question.cursor, asked))
    rows = session.exec(statement.order_by(ident.desc()).limit(question.limit + 1)).all()
    shown = rows[: question.limit]
    more = len(rows) > question.limit
    last: UUID | None = shown[-1].id if more else None  # type: ignore[attr-defined]
    return Page(shown, None if last is None else write_cursor(last, asked))


def _without(*columns: Any) -> list[ExecutableOption]:
    return [defer(column) for column in columns]


def equal(column: object, value: object | None) -> list[ColumnElement[bool]]:
    """Give the condition that a column has this value; none without a value."""
    return [] if value is None else [col(column) == value]


def sent_to(name: str | None) -> list[ColumnElement[bool]]:
    """Narrow refused requests to those that were sent to this name, whether a source's or not."""
    if name is None:
        return []
    return [or_(col(RejectionRow.source) == name, col(RejectionRow.address) == name)]


def _waiting_for(kind: WaitKind | None) -> list[ColumnElement[bool]]:
    if kind is None:
        return []
    waiting = (
        select(func.coalesce(RunRow.root_id, RunRow.id))
        .join(WaitRow, col(WaitRow.run_id) == col(RunRow.id))
        .where(WaitRow.kind == kind)
    )
    return [col(RunRow.id).in_(waiting)]


def between(column: datetime, question: Timed) -> list[ColumnElement[bool]]:
    """Give the conditions that a column lies in the time that was asked for."""
    conditions: list[ColumnElement[bool]] = []
    if question.since is not None:
        conditions.append(col(column) >= question.since)
    if question.until is not None:
        conditions.append(col(column) < question.until)
    return conditions


def like(column: str, pattern: str | None) -> list[ColumnElement[bool]]:
    """Give the condition that a column fits a pattern with `*`; none without a pattern."""
    if pattern is None:
        return []
    if "*" not in pattern:
        return [col(column) == pattern]
    return [col(column).like(_literal(pattern).replace("*", "%"), escape=_ESCAPE)]


def contains(wanted: str | None, *columns: str | None) -> list[ColumnElement[bool]]:
    """Give the condition that one of the columns has this text; none without a text."""
    if not wanted:
        return []
    pattern = f"%{_literal(wanted)}%"
    return [or_(*(col(column).ilike(pattern, escape=_ESCAPE) for column in columns))]


def _literal(text: str) -> str:
    for sign in (_ESCAPE, "%", "_"):
        text = text.replace(sign, _ESCAPE + sign)
    return text
