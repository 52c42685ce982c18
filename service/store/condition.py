"""How the work goes: what waits and since when, who leads, what is refused. Read, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from schemas.configured_tables import PollRow, SourceRow
from schemas.ids import first_id
from schemas.reconciliation_tables import ReconciliationRow
from schemas.run_tables import RunRow
from schemas.states import DeliveryState, ReconciliationState
from schemas.tables import DeliveryRow, RejectionRow
from schemas.upkeep_tables import LeaseRow, TokenRow
from schemas.workflow import RunStatus


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many rows wait, and since when the first of them does (None: there is none)."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A source that accepted nothing, with how many it refused and a reason."""

    source: str
    count: int
    reason: str


def lease(session: Session, name: str) -> LeaseRow | None:
    """Give who holds a lease, or held it last."""
    return session.get(LeaseRow, name)


def waiting_deliveries(session: Session) -> Waiting:
    """Give the deliveries that were stored and not read yet."""
    return Waiting(
        *session.exec(
            select(func.count(), func.min(DeliveryRow.received_at)).where(
                DeliveryRow.state == DeliveryState.RECEIVED
            )
        ).one()
    )


def waiting_runs(session: Session) -> Waiting:
    """Give the runs that could begin and have not."""
    return Waiting(
        *session.exec(
            select(func.count(), func.min(RunRow.created_at)).where(
                RunRow.status == RunStatus.PENDING
            )
        ).one()
    )


def failing_polls(session: Session, *, least: int) -> Sequence[PollRow]:
    """Give the enabled polls that failed so often in a row."""
    return session.exec(
        select(PollRow)
        .where(col(PollRow.enabled).is_(True), PollRow.failures >= least)
        .order_by(PollRow.name)
    ).all()


def refusing_sources(session: Session, *, since: datetime, least: int) -> list[Refused]:
    """Give the enabled sources that refused so many requests since then and accepted none."""
    refused = session.exec(
        select(RejectionRow.source, func.sum(RejectionRow.count), func.max(RejectionRow.reason))
        .join(SourceRow, col(SourceRow.name) == col(RejectionRow.source))
        .where(RejectionRow.received_at >= since, col(SourceRow.enabled).is_(True))
        .group_by(col(RejectionRow.source))
    ).all()
    found = [Refused(*row) for row in refused if row[1] >= least]
    accepted = select(DeliveryRow.id).where(col(DeliveryRow.id) >= first_id(since))
    return [
        one
        for one in found
        if session.exec(accepted.where(DeliveryRow.source == one.source).limit(1)).first() is None
    ]


def failed_reconciliations(session: Session, *, since: datetime) -> Sequence[ReconciliationRow]:
    """Give each source's newest comparison since then, where that has failed."""
    rows = session.exec(
        select(ReconciliationRow)
        .where(ReconciliationRow.created_at >= since)
        .order_by(col(ReconciliationRow.id))
    ).all()
    newest = {row.source: row for row in rows if row.ended_at is not None}
    return [row for row in newest.values() if row.state == ReconciliationState.FAILED]


def ending_tokens(session: Session, *, now: datetime, within: timedelta) -> Sequence[TokenRow]:
    """Give the tokens in force that end within this time."""
    return session.exec(
        select(TokenRow)
        .where(
            col(TokenRow.revoked_at).is_(None),
            col(TokenRow.expires_at) > now,
            col(TokenRow.expires_at) <= now + within,
        )
        .order_by(col(TokenRow.expires_at))
    ).all()


def first_delivery_behind(session: Session, id_: UUID) -> UUID | None:
    """Give the first delivery that was made after an id."""
    return session.exec(
        select(DeliveryRow.id).where(col(DeliveryRow.id) > id_).order_by(col(DeliveryRow.id))
    ).first()
