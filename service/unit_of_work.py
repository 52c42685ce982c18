"""One transaction of one use case: committed once, and only then are the bells rung."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session

from schemas.jobs import AdvanceRunInBulk, Job
from service.db import Database, is_outage
from service.errors import Unavailable
from service.queue import Queue


class UnitOfWork:
    """A session and the jobs that leave after its commit. No network while it is open.

    `holds_others`: it has locked gates, or runs that wait. These are locked in one order, so who
    may need more of them ends this transaction first.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.jobs: list[Job] = []
        self.holds_others = False

    def ring(self, job: Job) -> None:
        """Ask for this job once the transaction is committed."""
        self.jobs.append(job)

    def take_new_runs(self) -> list[UUID]:
        """Give the new runs that would be rung for; the caller carries them on himself."""
        taken = [job.run_id for job in self.jobs if isinstance(job, AdvanceRunInBulk)]
        self.jobs = [job for job in self.jobs if not isinstance(job, AdvanceRunInBulk)]
        return taken


@contextmanager
def unit_of_work(database: Database, queue: Queue) -> Iterator[UnitOfWork]:
    """Open a transaction; commit at the end of the block, roll back when it raises.

    Raises Unavailable when the database is away; `perhaps_done` says that it was lost in the
    commit, so that nobody knows whether the transaction took place.
    """
    committing = False
    try:
        with database.turn_to_write(), database.session() as session:
            work = UnitOfWork(session)
            yield work
            committing = True
            session.commit()
    except (DBAPIError, PoolTimeoutError) as error:
        if is_outage(error):
            raise Unavailable("the database is not available", perhaps_done=committing) from error
        raise
    if work.jobs:
        queue.ring(work.jobs)


@contextmanager
def reading(database: Database) -> Iterator[Session]:
    """Open a transaction that only reads. Raises Unavailable when the database is away."""
    try:
        with database.session(read_only=True) as session:
            yield session
    except (DBAPIError, PoolTimeoutError) as error:
        if is_outage(error):
            raise Unavailable("the database is not available") from error
        raise
