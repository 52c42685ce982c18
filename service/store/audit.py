"""Who did what: the list, and all of it a portion at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from schemas.auditing import AuditFilter
from schemas.evidence_tables import AuditEventRow
from service.paging import Page
from service.store.listing import between, equal, like, page_of


def list_audit_events(session: Session, question: AuditFilter) -> Page[AuditEventRow]:
    """Give audit events, newest first."""
    return page_of(session, _matching(question), AuditEventRow, question)


def before(
    session: Session, question: AuditFilter, last: UUID | None, limit: int
) -> Sequence[AuditEventRow]:
    """Give the next audit events behind one of a list, newest first."""
    statement = _matching(question)
    if last is not None:
        statement = statement.where(AuditEventRow.id < last)
    return session.exec(statement.order_by(col(AuditEventRow.id).desc()).limit(limit)).all()


def done_to(
    session: Session, subject: str, action: str, since: datetime
) -> Sequence[AuditEventRow]:
    """Give how often something was done to one thing lately, newest first."""
    return session.exec(
        select(AuditEventRow)
        .where(
            AuditEventRow.subject == subject,
            AuditEventRow.action == action,
            col(AuditEventRow.at) >= since,
        )
        .order_by(col(AuditEventRow.id).desc())
    ).all()


def _matching(question: AuditFilter) -> SelectOfScalar[AuditEventRow]:
    return select(AuditEventRow).where(
        *equal(AuditEventRow.by, question.by),
        *like(AuditEventRow.action, question.action),
        *equal(AuditEventRow.subject, question.subject),
        *between(AuditEventRow.at, question),
    )
