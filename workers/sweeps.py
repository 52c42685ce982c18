"""What the sweeper rings for: every kind of row that waits for its time, or for a lost bell.

Each kind is found by reading alone, so that an idle installation writes nothing. What is found is
put off and rung for, as far as its queue has room; the rest waits and is found again. A kind whose
statements fail does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from schemas.jobs import (
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestOneByOne,
    Job,
    PerformBulk,
    PerformPoll,
    Reconcile,
)
from schemas.tables import PollRow, ReconciliationRow
from schemas.upkeep_tables import BulkJobRow
from service.db import Session
from service.losses import SUSPECT_AFTER_RINGS
from service.queue import MOST_WAITING
from service.store import leased, sweeping

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

    `find` gives at most so many of those that are due. `put_off` takes them, gives them some time,
    and gives the jobs for those that were still due. A queue has room for `job`s, each of which
    takes `size` rows.
    """

    name: str
    job: type[Job]
    find: Callable[[Session, Moment, int], Sequence[UUID]]
    put_off: Callable[[Session, Sequence[UUID], Moment], Sequence[Job]]
    size: int = 1

    @property
    def most(self) -> int:
        """How many rows its queue takes at most."""
        return MOST_WAITING[self.job] * self.size


def _due_deliveries(session: Session, moment: Moment, limit: int) -> Sequence[UUID]:
    return sweeping.due_deliveries(session, by=moment.by, limit=limit)


def _put_off_deliveries(session: Session, ids: Sequence[UUID], moment: Moment) -> Sequence[Job]:
    rung = sweeping.put_off_deliveries(session, ids, by=moment.by, until=moment.until)
    alone = [one.id for one in rung if one.rings > SUSPECT_AFTER_RINGS]
    rest = [one.id for one in rung if one.rings <= SUSPECT_AFTER_RINGS]
    return [
        *(IngestDeliveries(tuple(part)) for part in _parts(rest, JOB_SIZE)),
        *(IngestOneByOne(tuple(part)) for part in _parts(alone, ONE_BY_ONE_SIZE)),
    ]


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _due_runs(
    statuses: Sequence[str], session: Session, moment: Moment, limit: int
) -> Sequence[UUID]:
    return sweeping.due_runs(session, statuses, by=moment.by, limit=limit, lost=moment.lost)


def _put_off_runs(
    statuses: Sequence[str],
    job: type[AdvanceRun],
    session: Session,
    ids: Sequence[UUID],
    moment: Moment,
) -> Sequence[Job]:
    rung = sweeping.put_off_runs(session, ids, statuses, by=moment.by, until=moment.until)
    return [job(one.id) for one in rung]


def _sweep_of_runs(name: str, statuses: Sequence[str], job: type[AdvanceRun]) -> Sweep:
    find, put_off = partial(_due_runs, statuses), partial(_put_off_runs, statuses, job)
    return Sweep(name, job, find, put_off)


def _sweep_of_leased(
    name: str, model: type[leased.Row], job: Callable[[UUID], Job], kind: type[Job]
) -> Sweep:
    def find(session: Session, moment: Moment, limit: int) -> Sequence[UUID]:
        return leased.due(session, model, by=moment.by, limit=limit)

    def put_off(session: Session, ids: Sequence[UUID], moment: Moment) -> Sequence[Job]:
        found = leased.put_off(session, model, ids, by=moment.by, until=moment.until)
        return [job(row_id) for row_id in found]

    return Sweep(name, kind, find, put_off)


SWEEPS: tuple[Sweep, ...] = (
    Sweep("deliveries", IngestDeliveries, _due_deliveries, _put_off_deliveries, JOB_SIZE),
    _sweep_of_runs("runs under way", sweeping.UNDER_WAY, AdvanceRun),
    _sweep_of_runs("new runs", sweeping.NEW, AdvanceRunInBulk),
    _sweep_of_leased("polls", PollRow, PerformPoll, PerformPoll),
    _sweep_of_leased("reconciliations", ReconciliationRow, Reconcile, Reconcile),
    _sweep_of_leased("work in bulk", BulkJobRow, PerformBulk, PerformBulk),
)
"""Every kind of row that waits for a job; one more is a line here."""
