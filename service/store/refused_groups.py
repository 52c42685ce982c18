"""Refused requests of configured sources, put together by source and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from schemas.configured_tables import SourceRow
from schemas.tables import RejectionRow


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """Requests that were refused for one reason at one source, and have not been accepted since.

    `count` is how many came, `detail` what is known of the newest of them.
    """

    source: str
    reason: str
    count: int
    newest: datetime
    detail: str


def refused_groups(session: Session, *, since: datetime, limit: int) -> Sequence[RefusedGroup]:
    """Give the groups that something was added to since a time, the newest first."""
    newest = func.max(col(RejectionRow.received_at))
    groups = session.execute(
        select(
            col(RejectionRow.source),
            col(RejectionRow.reason),
            func.sum(col(RejectionRow.count)),
            newest,
        )
        .where(
            col(RejectionRow.received_at) >= since,
            col(RejectionRow.delivery_id).is_(None),
            # Whoever invents names shall not fill the page.
            col(RejectionRow.source).in_(select(SourceRow.name)),
        )
        .group_by(col(RejectionRow.source), col(RejectionRow.reason))
        .order_by(newest.desc())
        .limit(limit)
    ).all()
    return [
        RefusedGroup(source, reason, int(count), at, _detail(session, source, reason, at))
        for source, reason, count, at in groups
    ]


def _detail(session: Session, source: str, reason: str, at: datetime) -> str:
    row = session.exec(
        select(RejectionRow.diagnosis, RejectionRow.detail)
        .where(
            RejectionRow.source == source,
            RejectionRow.reason == reason,
            RejectionRow.received_at == at,
        )
        .limit(1)
    ).first()
    if row is None:
        return ""
    diagnosis, detail = row
    return diagnosis or detail
