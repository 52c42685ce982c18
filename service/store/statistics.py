"""What was counted as it came: reading it, and adding up what transactions have left beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, cast, delete, func, or_, text
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from schemas.reading_tables import StatisticRow, TallyRow
from schemas.statistics import Per

BEGUN = "begun"
"""What a run is counted as when it begins."""
ADDED_AT_ONCE = 5_000
KINDS = ("counted", "source", "vendor", "type", "workflow", "state")
"""What tells kinds apart."""
_GROUP = ", ".join(KINDS)
_ADD_UP = text(
    f"""
    WITH taken AS (
        DELETE FROM tallies WHERE id IN (
            SELECT id FROM tallies ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
        ) RETURNING *
    )
    INSERT INTO statistics (span, begins, {_GROUP}, count)
    SELECT spans.span, spans.beginning, {_GROUP}, sum(count)
    FROM taken CROSS JOIN LATERAL (
        VALUES ('hour', begins), ('day', date_trunc('day', begins, 'UTC'))
    ) AS spans (span, beginning)
    GROUP BY spans.span, spans.beginning, {_GROUP}
    ORDER BY spans.span, spans.beginning, {_GROUP}
    ON CONFLICT (span, begins, {_GROUP})
    DO UPDATE SET count = statistics.count + excluded.count
    """  # noqa: S608  # constants
)


@dataclass(frozen=True, slots=True)
class Counted:
    """How much there was of a kind from a moment on.

    What a kind does not have is empty, and so is what was not to be told apart.
    """

    begins: datetime
    counted: str = ""
    source: str = ""
    vendor: str = ""
    type: str = ""
    workflow: str = ""
    state: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Only:
    """What statistics are narrowed to; None: to nothing.

    `vendor` and `source` narrow events and deliveries, `workflow` narrows runs.
    """

    counted: str | None = None
    vendor: str | None = None
    source: str | None = None
    workflow: str | None = None


MOMENTS = ("begins", "counted", "state")
"""What tells hours and days apart."""
_ALL = Only()


def beginning_of(per: Per, moment: datetime) -> datetime:
    """Give when the hour or day began that a moment is in, in UTC."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if per == "hour" else hour.replace(hour=0)


def counted_between(
    session: Session,
    per: Per,
    since: datetime,
    until: datetime,
    *,
    by: tuple[str, ...],
    only: Only = _ALL,
) -> Iterator[Counted]:
    """Give what was counted in these hours or days, told apart by some columns.

    In no order, and perhaps in several parts.
    """
    for table in (StatisticRow, TallyRow):
        columns = tuple(col(getattr(table, name)) for name in by)
        found = (
            sa_select(*columns, cast(func.sum(col(table.count)), BigInteger))
            .where(col(table.begins) >= since, col(table.begins) < until, *_is(table, only))
            .group_by(*columns)
        )
        if table is StatisticRow:
            found = found.where(col(StatisticRow.span) == per)
        for row in session.execute(found):
            *values, count = tuple(row)
            one = Counted(**{"begins": since, **dict(zip(by, values, strict=True)), "count": count})
            is_of_one = table is StatisticRow
            yield one if is_of_one else replace(one, begins=beginning_of(per, one.begins))


def _is(table: type[StatisticRow | TallyRow], only: Only) -> Iterator[ColumnElement[bool]]:
    if only.counted is not None:
        yield col(table.counted) == only.counted
    is_of_runs = col(table.counted) == "runs"
    if only.workflow is not None:
        yield or_(~is_of_runs, col(table.workflow) == only.workflow)
    if only.vendor is not None:
        yield or_(is_of_runs, col(table.vendor) == only.vendor)
    if only.source is not None:
        yield or_(is_of_runs, col(table.source) == only.source)


def has_tallies(session: Session, least: int = 1) -> bool:
    """Say whether so many transactions have left what they counted."""
    found = session.exec(select(TallyRow.id).limit(least)).all()
    return len(found) >= least


def add_up(session: Session) -> None:
    """Add what some transactions have left to the hours and days (PostgreSQL)."""
    session.execute(_ADD_UP, {"limit": ADDED_AT_ONCE})


def has_older(session: Session, per: Per, before: datetime) -> bool:
    """Say whether there are hours or days from before a moment."""
    older = select(StatisticRow.count).where(
        StatisticRow.span == per, col(StatisticRow.begins) < before
    )
    return session.exec(older.limit(1)).first() is not None


def forget(session: Session, per: Per, before: datetime) -> None:
    """Remove the oldest day of the hours or days from before a moment."""
    of = (col(StatisticRow.span) == per, col(StatisticRow.begins) < before)
    first = session.execute(sa_select(func.min(StatisticRow.begins)).where(*of)).scalar()
    if first is not None:
        session.execute(
            delete(StatisticRow).where(*of, col(StatisticRow.begins) < first + timedelta(days=1)),
            execution_options={"synchronize_session": False},
        )
