"""What the sweeper rings for: every kind of row that waits for its time, or for a lost bell.

Each kind is found by reading alone, so that an idle installation writes nothing. What is found is
put off and rung for, as far as its queue has room; the rest waits and is found again. A kind whose
statements fail does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.configured_tables import PollRow
from schemas.jobs import (
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestFew,
    IngestOneByOne,
    Job,
    PerformBulk,
    PerformPoll,
    Reconcile,
)
from schemas.reconciliation_tables import ReconciliationRow
from schemas.upkeep_tables import BulkJobRow
from service.db import Session
from service.losses import SUSPECT_AFTER_RINGS
from service.queue import MOST_WAITING
from service.store import leased, sweeping
from service.store.sweeping import Due

RING_AGAIN = timedelta(seconds=10)
"""How soon a row is rung for again when nobody came: the bound on a lost bell."""
JOB_SIZE = 100
ONE_BY_ONE_SIZE = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """When is swept: rows are due that are so `by` this time, and are put off `until` that one.

    `lost`: also what is held by a worker that has said nothing for too long.
    """

    by: datetime
    until: datetime
    lost: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """A kind of row that waits.

    `find` gives rows that are due, of those who have many no more than a limit. `put_off` takes
    some, gives them time, and gives the jobs for those that were still due: `few` is rung for
    whatever else there is, of the many what the queue of `job` has room for, `size` rows each.
    `most` of the many are rung for at once.
    """

    name: str
    job: type[Job]
    find: Callable[[Session, Moment, int], Due]
    put_off: Callable[[Session, Sequence[UUID], Moment, bool], Sequence[Job]]
    most: int
    size: int = 1


def _due_deliveries(session: Session, moment: Moment, limit: int) -> Due:
    return sweeping.due_deliveries(session, by=moment.by, limit=limit)


def _put_off_deliveries(
    session: Session,
    ids: Sequence[UUID],
    moment: Moment,
    few: bool,  # noqa: FBT001  # Sweep's
) -> Sequence[Job]:
    rung = sweeping.put_off_deliveries(session, ids, by=moment.by, until=moment.until)
    suspects = [one.id for one in rung if one.rings > SUSPECT_AFTER_RINGS]
    rest = [one.id for one in rung if one.rings <= SUSPECT_AFTER_RINGS]
    job = IngestFew if few else IngestDeliveries
    return [
        *(job(tuple(part)) for part in _parts(rest, JOB_SIZE)),
        *(IngestOneByOne(tuple(part)) for part in _parts(suspects, ONE_BY_ONE_SIZE)),
    ]


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _sweep_of_runs(name: str, statuses: Sequence[str]) -> Sweep:
    def find(session: Session, moment: Moment, limit: int) -> Due:
        return sweeping.due_runs(session, statuses, by=moment.by, limit=limit, lost=moment.lost)

    def put_off(
        session: Session,
        ids: Sequence[UUID],
        moment: Moment,
        few: bool,  # noqa: FBT001  # Sweep's
    ) -> Sequence[Job]:
        rung = sweeping.put_off_runs(session, ids, statuses, by=moment.by, until=moment.until)
        job = AdvanceRun if few else AdvanceRunInBulk
        return [job(one.id) for one in rung]

    # New runs and those under way share one queue, and it has room for half of what it takes.
    return Sweep(name, AdvanceRunInBulk, find, put_off, MOST_WAITING[AdvanceRunInBulk] // 4)


def _sweep_of_leased(
    name: str, model: type[leased.Row], job: Callable[[UUID], Job], kind: type[Job]
) -> Sweep:
    def find(session: Session, moment: Moment, limit: int) -> Due:
        return Due((), leased.due(session, model, by=moment.by, limit=limit))

    def put_off(
        session: Session,
        ids: Sequence[UUID],
        moment: Moment,
        _few: bool,  # noqa: FBT001  # Sweep's
    ) -> Sequence[Job]:
        found = leased.put_off(session, model, ids, by=moment.by, until=moment.until)
        return [job(row_id) for row_id in found]

    return Sweep(name, kind, find, put_off, MOST_WAITING[kind])


SWEEPS: tuple[Sweep, ...] = (
    Sweep(
        "deliveries",
        IngestDeliveries,
        _due_deliveries,
        _put_off_deliveries,
        MOST_WAITING[IngestDeliveries] * JOB_SIZE,
        JOB_SIZE,
    ),
    _sweep_of_runs("runs under way", sweeping.UNDER_WAY),
    _sweep_of_runs("new runs", sweeping.NEW),
    _sweep_of_leased("polls", PollRow, PerformPoll, PerformPoll),
    _sweep_of_leased("reconciliations", ReconciliationRow, Reconcile, Reconcile),
    _sweep_of_leased("work in bulk", BulkJobRow, PerformBulk, PerformBulk),
)
"""Every kind of row that waits for a job; one more is a line here."""
