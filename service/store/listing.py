"""Lists for the API and the commands: newest first, by filters, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import defer
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from schemas.api import Question
from schemas.api_alerts import AlertQuestion
from schemas.api_deliveries import DeliverySearch, RejectionQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import RunQuestion
from schemas.configured_tables import (
    ConnectionRow,
    PollRow,
    SourceRow,
    WorkflowRow,
    WorkflowVersionRow,
)
from schemas.reconciliation_tables import ReconciliationRow
from schemas.reconciling import ReconciliationQuestion
from schemas.run_tables import RunRow
from schemas.tables import AlertRow, DeliveryRow, EventRow, RejectionRow
from service.paging import Page, read_cursor, write_cursor
from service.store import keys as keyed
from service.store.keys import has_key_of
from service.store.keyset import newest_ids, newest_of_portion
from service.store.keyset_sql import Keyset, Wanted
from service.store.listed import (
    ALERTS,
    DELIVERIES,
    ESCAPE,
    EVENTS,
    RUNS,
    literal,
    wanted_alerts,
    wanted_deliveries,
    wanted_events,
    wanted_runs,
)
from service.store.searching import search_ids

Row = TypeVar("Row", bound=SQLModel)


class Timed(Protocol):
    """What may be narrowed by time."""

    @property
    def since(self) -> datetime | None:
        """Nothing before this."""

    @property
    def until(self) -> datetime | None:
        """Nothing from this on."""


KEYS_AT_ONCE = 1_000
"""Deliveries whose keys are looked through for one page."""
FEWEST_KEYS_AT_ONCE = 100
MOST_FOR_KEYS = 10_000
"""So many deliveries are gathered at most for those: as many of each combination of values."""


def list_deliveries(session: Session, question: DeliverySearch) -> Page[DeliveryRow]:
    """Give deliveries, without their bodies."""
    wanted = wanted_deliveries(session, question)
    light = _without(DeliveryRow.body, DeliveryRow.headers)
    if question.q:
        return _with_key(session, question, question.q, wanted, light)
    return page_through(session, DeliveryRow, DELIVERIES, wanted, question, light)


def body_sizes(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Give the sizes of these deliveries' bodies, in bytes."""
    statement = select(DeliveryRow.id, func.length(DeliveryRow.body)).where(
        col(DeliveryRow.id).in_(ids)
    )
    return dict(session.exec(statement).all())


def list_events(session: Session, question: EventQuestion) -> Page[EventRow]:
    """Give events, without the vendors' own bodies."""
    wanted = wanted_events(session, question)
    light = _without(EventRow.payload)
    if question.words is None:
        return page_through(session, EventRow, EVENTS, wanted, question, light)
    asked = _asked(EventRow, question)
    wanted = replace(wanted, before=_before(question, asked))
    ids = search_ids(session, question, wanted, question.limit + 1)
    return _page(session, EventRow, ids, question, asked, light)


def list_runs(session: Session, question: RunQuestion) -> Page[RunRow]:
    """Give runs, without their branches. What a branch waits for, its run waits for."""
    return page_through(session, RunRow, RUNS, wanted_runs(session, question), question)


def list_alerts(session: Session, question: AlertQuestion) -> Page[AlertRow]:
    """Give alerts."""
    return page_through(session, AlertRow, ALERTS, wanted_alerts(question), question)


def list_rejections(session: Session, question: RejectionQuestion) -> Page[RejectionRow]:
    """Give refused requests, without their bodies."""
    # An index has all that is asked for here: few refused requests are looked at themselves.
    asked = _asked(RejectionRow, question)
    statement = select(RejectionRow.id).where(
        *sent_to(question.source),
        *equal(RejectionRow.reason, question.reason),
        *equal(RejectionRow.cause, question.cause),
        *between(RejectionRow.received_at, question),
        *_behind(RejectionRow.id, _before(question, asked)),
    )
    newest = statement.order_by(col(RejectionRow.id).desc()).limit(question.limit + 1)
    light = _without(RejectionRow.body, RejectionRow.headers, RejectionRow.sealed)
    return _page(session, RejectionRow, session.exec(newest).all(), question, asked, light)


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


def page_through(
    session: Session,
    model: type[Row],
    keyset: Keyset,
    wanted: Wanted,
    question: Question,
    options: Sequence[ExecutableOption] = (),
) -> Page[Row]:
    """Give the page of a large list that a question asks for."""
    asked = _asked(model, question)
    wanted = replace(wanted, before=_before(question, asked))
    ids = newest_ids(session, keyset, wanted, question.limit + 1)
    return _page(session, model, ids, question, asked, options)


def page_of(
    session: Session,
    statement: SelectOfScalar[Row],
    model: type[Row],
    question: Question,
    *,
    of: str = "",
) -> Page[Row]:
    """Give the page of a list that a question asks for. `of`: whose list it is, if it has one.

    For lists that stay small, or whose conditions an index fits as they are.
    """
    # Ids are UUIDv7: their order is the order of arrival, and they are indexed.
    ident: Any = col(model.id)  # type: ignore[attr-defined]  # every listed table has one
    asked = _asked(model, question, of)
    statement = statement.where(*_behind(ident, _before(question, asked)))
    rows = session.exec(statement.order_by(ident.desc()).limit(question.limit + 1)).all()
    ids: list[UUID] = [row.id for row in rows]  # type: ignore[attr-defined]
    return Page(rows[: question.limit], _next(ids, question, asked))


def _page(
    session: Session,
    model: type[Row],
    ids: Sequence[UUID],
    question: Question,
    asked: Mapping[str, object],
    options: Sequence[ExecutableOption],
) -> Page[Row]:
    """Give the rows with the first of these ids, of which there is one more where more follow."""
    shown = ids[: question.limit]
    ident: Any = col(model.id)  # type: ignore[attr-defined]  # every listed table has one
    found = session.exec(select(model).where(ident.in_(shown)).options(*options)).all()
    rows: dict[UUID, Row] = {row.id: row for row in found}  # type: ignore[attr-defined]
    return Page([rows[id_] for id_ in shown if id_ in rows], _next(ids, question, asked))


def _next(ids: Sequence[UUID], question: Question, asked: Mapping[str, object]) -> str | None:
    more = len(ids) > question.limit
    return write_cursor(ids[question.limit - 1], asked) if more else None


def _asked(model: type[SQLModel], question: Question, of: str = "") -> dict[str, object]:
    whose = {"of": of} if of else {}
    return {"list": model.__tablename__, **whose, **question.filters()}


def _before(question: Question, asked: Mapping[str, object]) -> UUID | None:
    return None if question.cursor is None else read_cursor(question.cursor, asked)


def _behind(ident: Any, before: UUID | None) -> list[ColumnElement[bool]]:
    return [] if before is None else [col(ident) < before]


def _with_key(
    session: Session,
    question: DeliverySearch,
    key: str,
    wanted: Wanted,
    options: Sequence[ExecutableOption],
) -> Page[DeliveryRow]:
    """Give the delivery with this key, whichever source it has; else those with a part of it.

    Keys are looked through a portion of deliveries at a time, so that a page takes a moment however
    many there are: it may hold few, or none, and be followed by more.
    """
    asked = _asked(DeliveryRow, question)
    wanted = replace(wanted, before=_before(question, asked))
    keys = [(source, key) for source in session.exec(select(SourceRow.id))]
    # By the key alone: SQLite would go through all of a state instead, which has an index as well.
    having_it = select(DeliveryRow).where(has_key_of(session, keyed.DELIVERIES, keys))
    whole = [row.id for row in session.exec(having_it.options(*options)) if _fits(row, question)]
    if whole:
        behind = [id_ for id_ in whole if wanted.before is None or id_ < wanted.before]
        ids = sorted(behind, reverse=True)
        return _page(session, DeliveryRow, ids, question, asked, options)
    having = Wanted(
        conditions=("lower(delivery_key) LIKE :q ESCAPE :escape",),
        values={"q": f"%{literal(key.lower())}%", "escape": ESCAPE},
    )
    size = min(KEYS_AT_ONCE, MOST_FOR_KEYS // max(1, len(wanted.among or ())))
    size = max(size, FEWEST_KEYS_AT_ONCE)
    ids, last = newest_of_portion(session, DELIVERIES, wanted, having, size)
    page = _page(session, DeliveryRow, ids, question, asked, options)
    if page.next_cursor is None and last is not None:
        return Page(page.rows, write_cursor(last, asked))
    return page


def _fits(row: DeliveryRow, question: DeliverySearch) -> bool:
    """Say whether a delivery is what is asked for, but for its key."""
    return (
        question.source in {None, row.source}
        and question.vendor in {None, row.vendor}
        and question.state in {None, row.state}
        and (question.since is None or row.received_at >= question.since)
        and (question.until is None or row.received_at < question.until)
    )


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


def between(column: datetime, question: Timed) -> list[ColumnElement[bool]]:
    """Give the conditions that a column lies in the time that was asked for."""
    conditions: list[ColumnElement[bool]] = []
    if question.since is not None:
        conditions.append(col(column) >= question.since)
    if question.until is not None:
        conditions.append(col(column) < question.until)
    return conditions


def contains(wanted: str | None, *columns: str | None) -> list[ColumnElement[bool]]:
    """Give the condition that one of the columns has this text; none without a text."""
    if not wanted:
        return []
    pattern = f"%{literal(wanted)}%"
    return [or_(*(col(column).ilike(pattern, escape=ESCAPE) for column in columns))]
