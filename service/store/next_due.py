"""When anything is due next: one question for every kind of row that waits.

An installation with nothing to do asks it every second, instead of going through the kinds. The
statement is put together once, and each of its parts is one look into an index.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, literal, select
from sqlmodel import Session, col

from schemas.configured_tables import PollRow, ScheduleRow, SourceRow
from schemas.reconciliation_tables import ReconciliationRow
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from schemas.upkeep_tables import BulkJobRow, MarkRow
from service.store import leased
from service.store.sweeping import NEW, UNDER_WAY


class Ahead(NamedTuple):
    """What lies ahead: whether a delivery waits, the mark of the workflows, and the next due time.

    Of a row that somebody holds, or that needs nothing just now, the time counts as well.
    """

    waits: bool
    mark: int
    due_at: datetime | None

    def is_quiet(self, now: datetime, mark: int | None) -> bool:
        """Say whether nothing is due now, and no workflow has changed since this mark."""
        is_due = self.due_at is not None and self.due_at <= now
        return not self.waits and not is_due and self.mark == mark


def look_ahead(session: Session, mark_name: str) -> Ahead:
    """Ask when anything is due next; `mark_name` is the mark of the workflows."""
    waits, mark, *times = session.execute(_QUESTION, {"mark": mark_name}).one()
    return Ahead(
        waits=waits is not None,
        mark=mark or 0,
        due_at=min((time for time in times if time is not None), default=None),
    )


def _first(column: Any, *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    found = select(column).where(column.is_not(None), *where)
    return found.order_by(column).limit(1).scalar_subquery()


_RECEIVED = col(DeliveryRow.state) == DeliveryState.RECEIVED.value
_QUESTION = select(
    select(literal(1)).select_from(DeliveryRow).where(_RECEIVED).limit(1).scalar_subquery(),
    select(col(MarkRow.number)).where(col(MarkRow.name) == bindparam("mark")).scalar_subquery(),
    *(_first(col(RunRow.due_at), col(RunRow.status) == status) for status in (*NEW, *UNDER_WAY)),
    _first(col(PollRow.due_at), leased.waits(PollRow)),
    _first(col(ReconciliationRow.due_at), leased.waits(ReconciliationRow)),
    _first(col(BulkJobRow.due_at), leased.waits(BulkJobRow)),
    _first(col(ScheduleRow.due_at)),
    _first(col(SourceRow.reconcile_due_at), col(SourceRow.enabled).is_(True)),
)
