"""The actors: each hands its job's ids to one use case."""

from __future__ import annotations

from datetime import timedelta

from schemas.jobs import (
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestFew,
    IngestOneByOne,
    PerformBulk,
    PerformPoll,
    ReadBackDelivery,
    Reconcile,
)
from service.arriving import ingest_and_begin
from service.bulk import perform_bulk
from service.errors import Unavailable
from service.ingest import ingest_one_by_one
from service.polling import perform_poll
from service.read_back import read_back_delivery
from service.reconcile import reconcile
from service.runs import advance_run
from service.runtime import Runtime
from workers.declare import Declared


def _ingest(runtime: Runtime, job: IngestDeliveries) -> None:
    ingest_and_begin(runtime, job.delivery_ids)


def _ingest_one_by_one(runtime: Runtime, job: IngestOneByOne) -> None:
    ingest_one_by_one(runtime, job.delivery_ids)


def _advance(runtime: Runtime, job: AdvanceRun) -> None:
    advance_run(runtime, job.run_id)


def _poll(runtime: Runtime, job: PerformPoll) -> None:
    perform_poll(runtime, job.poll_id)


def _read_back(runtime: Runtime, job: ReadBackDelivery) -> None:
    read_back_delivery(runtime, job.delivery_id)


def _reconcile(runtime: Runtime, job: Reconcile) -> None:
    reconcile(runtime, job.reconciliation_id)


def _bulk(runtime: Runtime, job: PerformBulk) -> None:
    perform_bulk(runtime, job.bulk_job_id)


SOMEBODY_WAITS = 0
IN_BULK = 10
"""All that comes in masses has one priority, so that no kind of it can hold up another."""

ACTORS: tuple[Declared, ...] = (
    Declared(
        job=IngestDeliveries,
        perform=_ingest,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=30),
        expected=(Unavailable,),
    ),
    Declared(
        job=IngestFew,
        perform=_ingest,
        priority=SOMEBODY_WAITS,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=30),
        expected=(Unavailable,),
    ),
    Declared(
        job=IngestOneByOne,
        perform=_ingest_one_by_one,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=2),
        expected=(Unavailable,),
    ),
    Declared(
        job=AdvanceRun,
        perform=_advance,
        priority=SOMEBODY_WAITS,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=30),
        expected=(Unavailable,),
    ),
    Declared(
        job=AdvanceRunInBulk,
        perform=_advance,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=30),
        expected=(Unavailable,),
    ),
    Declared(
        job=PerformPoll,
        perform=_poll,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=10),
        expected=(Unavailable,),
    ),
    Declared(
        job=ReadBackDelivery,
        perform=_read_back,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=5),
        expected=(Unavailable,),
    ),
    Declared(
        job=Reconcile,
        perform=_reconcile,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=15),
        expected=(Unavailable,),
    ),
    Declared(
        job=PerformBulk,
        perform=_bulk,
        priority=IN_BULK,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=5),
        expected=(Unavailable,),
    ),
)
