"""What has failed and waits for somebody: cheap counts of rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, literal
from sqlmodel import Session, col, select

from schemas.configured_tables import PollRow
from schemas.ids import first_id
from schemas.reconciliation_tables import GapRow
from schemas.run_tables import RunRow
from schemas.states import AlertState, DeliveryState, EffectState, GapState
from schemas.tables import AlertRow, DeliveryRow, EffectRow
from schemas.workflow import RunStatus
from service.store.keyset_sql import SLACK

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Failures:
    """How much there is of each kind. `failed_runs`: those that began in the last 24 hours."""

    dead_deliveries: int
    malformed_deliveries: int
    unconfirmed_deliveries: int
    failed_runs: int
    effects_in_doubt: int
    open_gaps: int
    failing_polls: int
    open_alerts: int


def count_failures(session: Session, *, now: datetime) -> Failures:
    """Count what somebody should look at."""
    in_vain = (DeliveryState.DEAD, DeliveryState.MALFORMED, DeliveryState.UNCONFIRMED)
    found = session.exec(
        select(DeliveryRow.state, func.count())
        .where(col(DeliveryRow.state).in_(in_vain))
        .group_by(col(DeliveryRow.state))
    ).all()
    deliveries = dict(found)
    return Failures(
        dead_deliveries=deliveries.get(DeliveryState.DEAD.value, 0),
        malformed_deliveries=deliveries.get(DeliveryState.MALFORMED.value, 0),
        unconfirmed_deliveries=deliveries.get(DeliveryState.UNCONFIRMED.value, 0),
        failed_runs=_count(
            session,
            col(RunRow.status) == RunStatus.FAILED.value,
            col(RunRow.parent_id).is_(None),
            # What began lately has an id of lately.
            col(RunRow.id) >= first_id(now - LATELY - SLACK),
            col(RunRow.created_at) >= now - LATELY,
        ),
        effects_in_doubt=_count(session, _is(EffectRow.state, EffectState.IN_DOUBT)),
        open_gaps=_count(session, _is(GapRow.state, GapState.OPEN)),
        failing_polls=_count(session, col(PollRow.enabled).is_(True), col(PollRow.failures) > 0),
        open_alerts=_count(session, col(AlertRow.state) == AlertState.OPEN.value),
    )


def _is(column: str, state: str) -> ColumnElement[bool]:
    # Written out, so that both databases see that a partial index has all of these.
    return col(column) == literal(str(state), literal_execute=True)


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.exec(select(func.count()).where(*conditions)).one()
