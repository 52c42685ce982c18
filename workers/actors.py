"""The actors: each hands its job's ids to one use case."""

from __future__ import annotations

from datetime import timedelta

from schemas.jobs import (
    AdvanceRun,
    IngestDeliveries,
    PerformPoll,
    ReadBackDelivery,
    Reconcile,
)
from service.errors import Unavailable
from service.ingest import ingest_deliveries
from service.polling import perform_poll
from service.read_back import read_back_delivery
from service.reconcile import reconcile
from service.runs import advance_run
from service.runtime import Runtime
from workers.declare import Declared


def _ingest(runtime: Runtime, job: IngestDeliveries) -> None:
    ingest_deliveries(runtime, job.delivery_ids)


def _advance(runtime: Runtime, job: AdvanceRun) -> None:
    advance_run(runtime, job.run_id)


def _poll(runtime: Runtime, job: PerformPoll) -> None:
    perform_poll(runtime, job.poll_id)


def _read_back(runtime: Runtime, job: ReadBackDelivery) -> None:
    read_back_delivery(runtime, job.delivery_id)


def _reconcile(runtime: Runtime, job: Reconcile) -> None:
    reconcile(runtime, job.reconciliation_id)


ACTORS: tuple[Declared, ...] = (
    Declared(
        job=IngestDeliveries,
        perform=_ingest,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=2),
        expected=(Unavailable,),
    ),
    Declared(
        job=AdvanceRun,
        perform=_advance,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=30),
        expected=(Unavailable,),
    ),
    Declared(
        job=PerformPoll,
        perform=_poll,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=10),
        expected=(Unavailable,),
    ),
    Declared(
        job=ReadBackDelivery,
        perform=_read_back,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=5),
        expected=(Unavailable,),
    ),
    Declared(
        job=Reconcile,
        perform=_reconcile,
        retries=0,
        first_pause=timedelta(seconds=1),
        longest_pause=timedelta(seconds=5),
        time_limit=timedelta(minutes=15),
        expected=(Unavailable,),
    ),
)
