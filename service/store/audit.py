"""Who did what: the list, and all of it a portion at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from schemas.auditing import AuditFilter
from schemas.evidence_tables import AuditEventRow
from service.paging import Page
from service.store.keyset import newest_ids
from service.store.listed import AUDIT_EVENTS, wanted_audit_events
from service.store.listing import page_through


def list_audit_events(session: Session, question: AuditFilter) -> Page[AuditEventRow]:
    """Give audit events, newest first."""
    wanted = wanted_audit_events(session, question)
    return page_through(session, AuditEventRow, AUDIT_EVENTS, wanted, question)


def before(
    session: Session, question: AuditFilter, last: UUID | None, limit: int
) -> Sequence[AuditEventRow]:
    """Give the next audit events behind one of a list, newest first."""
    wanted = replace(wanted_audit_events(session, question), before=last)
    ids = newest_ids(session, AUDIT_EVENTS, wanted, limit)
    ident = col(AuditEventRow.id)
    return session.exec(select(AuditEventRow).where(ident.in_(ids)).order_by(ident.desc())).all()


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
