"""Work in bulk: its rows, and what its filters find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, update
from sqlmodel import Session, col, select

from schemas.bulk import BulkQuestion, DeliveryFilter, RunFilter
from schemas.ids import first_id
from schemas.run_tables import RunRow
from schemas.tables import DeliveryRow
from schemas.upkeep_tables import BulkJobRow
from service.paging import Page
from service.store.insert import insert_new
from service.store.listing import between, contains, equal, page_of

SLACK = timedelta(minutes=5)
"""How far clocks of several machines may be apart."""

Filter = DeliveryFilter | RunFilter


def store_once(session: Session, row: BulkJobRow, *, forgotten: datetime) -> BulkJobRow:
    """Store a job and give it, or the one that was asked for with the same key before.

    Keys of jobs from before `forgotten` are known no more.
    """
    session.execute(
        update(BulkJobRow)
        .where(col(BulkJobRow.key) == row.key, col(BulkJobRow.created_at) < forgotten)
        .values(key=None)
        .execution_options(synchronize_session=False)
    )
    if insert_new(session, BulkJobRow, [row], unique=["key"]):
        return session.get_one(BulkJobRow, row.id)
    return session.exec(select(BulkJobRow).where(BulkJobRow.key == row.key)).one()


def locked(session: Session, job_id: UUID) -> BulkJobRow | None:
    """Give a job, locked."""
    return session.exec(select(BulkJobRow).where(BulkJobRow.id == job_id).with_for_update()).first()


def list_jobs(session: Session, question: BulkQuestion) -> Page[BulkJobRow]:
    """Give jobs, newest first."""
    statement = select(BulkJobRow).where(
        *equal(BulkJobRow.kind, question.kind),
        *equal(BulkJobRow.state, question.state),
        *between(BulkJobRow.created_at, question),
    )
    return page_of(session, statement, BulkJobRow, question)


def count(session: Session, wanted: Filter) -> int:
    """Give how many rows a filter finds now."""
    model = DeliveryRow if isinstance(wanted, DeliveryFilter) else RunRow
    return session.exec(select(func.count()).select_from(model).where(*_conditions(wanted))).one()


def next_ids(session: Session, wanted: Filter, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Give the ids that a filter finds after this one, in their order."""
    ident = DeliveryRow.id if isinstance(wanted, DeliveryFilter) else RunRow.id
    conditions = _conditions(wanted)
    if after is None and wanted.since is not None:
        # A row's id is made when it comes, or later: what is older need not be looked through.
        conditions.append(col(ident) >= first_id(wanted.since - SLACK))
    if after is not None:
        conditions.append(col(ident) > after)
    return session.exec(select(ident).where(*conditions).order_by(col(ident)).limit(limit)).all()


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    if isinstance(wanted, DeliveryFilter):
        return [
            col(DeliveryRow.state).in_(wanted.state),
            *equal(DeliveryRow.source, wanted.source),
            *equal(DeliveryRow.vendor, wanted.vendor),
            *contains(wanted.q, DeliveryRow.delivery_key),
            *between(DeliveryRow.received_at, wanted),
        ]
    return [
        col(RunRow.parent_id).is_(None),
        col(RunRow.status).in_(wanted.status),
        *equal(RunRow.workflow, wanted.workflow),
        *between(RunRow.created_at, wanted),
    ]
