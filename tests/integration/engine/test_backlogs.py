"""A backlog of one source or workflow holds nobody else up, and does not fill the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import pytest
from dramatiq.worker import Worker
from sqlalchemy import insert

from schemas.clock import utc_now
from schemas.configured_tables import SourceRow, WorkflowVersionRow
from schemas.ids import new_id
from schemas.jobs import (
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestFew,
    Job,
)
from schemas.run_tables import RunRow
from schemas.tables import DeliveryRow, EventRow
from schemas.workflow import RunStatus
from service.queue import MOST_WAITING, AnyBroker, DramatiqQueue, make_broker
from service.runs import advance_run
from tests.integration.engine.installation import Installation
from workers.main import setup
from workers.scheduler import Scheduler
from workers.sweeps import JOB_SIZE

BACKLOG = 10_000
SOON_S = 30.0
"""It takes some 5 s, on a machine that is busy with other things more."""
WORKFLOWS = """
name: {name}
on: [{{event: {name}}}]
steps: [{{id: read, uses: robot.read}}]
"""


class ShortQueue:
    """A queue that is as long as it is made, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.rung: list[Job] = []
        self.is_full = False

    def ring(self, jobs: Sequence[Job]) -> None:
        self.rung.extend(jobs)

    def room(self, job: type[Job]) -> int:
        return 0 if self.is_full else MOST_WAITING[job]

    def ping(self) -> None:
        """Always there."""

    def take(self) -> list[Job]:
        rung, self.rung = self.rung, []
        return rung


@pytest.fixture
def broker(request: pytest.FixtureRequest, installation: Installation) -> Iterator[AnyBroker]:
    """The queue that goes with the database: in the process with SQLite, else Redis."""
    if installation.database.is_sqlite:
        broker = make_broker(None)
    else:
        namespace = request.getfixturevalue("redis_namespace")
        broker = make_broker(request.getfixturevalue("redis_url"), namespace=namespace)
    yield broker
    broker.close()


@pytest.fixture
def working(installation: Installation, broker: AnyBroker) -> Iterator[Installation]:
    """An installation whose threads really work, by the clock."""
    runtime = installation.runtime
    installation.now = utc_now()
    runtime.clock, runtime.queue = utc_now, DramatiqQueue(broker)
    setup(broker, runtime)
    worker = Worker(broker, worker_threads=4, worker_timeout=100)
    scheduler = Scheduler(runtime)
    worker.start()
    scheduler.start()
    yield installation
    runtime.stopping.set()
    scheduler.stop_ringing()
    worker.stop(timeout=10_000)
    scheduler.stop()


@pytest.fixture
def queue(installation: Installation) -> ShortQueue:
    queue = ShortQueue()
    installation.runtime.queue = queue
    return queue


def add_source(installation: Installation, name: str) -> UUID:
    source_id = new_id()
    installation.store(
        SourceRow(id=source_id, name=name, vendor="robot", secrets=b"", updated_at=installation.now)
    )
    return source_id


def deliveries(
    installation: Installation, source_id: UUID, count: int, body: bytes = b'{"events": []}'
) -> list[UUID]:
    """Store deliveries that have waited past their time."""
    rows = [
        {
            "id": new_id(),
            "source_id": source_id,
            "source": "robot",
            "vendor": "robot",
            "delivery_key": str(number),
            "received_at": installation.now,
            "headers": [],
            "body": body,
            "state": "received",
            "due_at": installation.now,
            "failures": 0,
        }
        for number in range(count)
    ]
    with installation.database.engine.begin() as connection:
        for start in range(0, count, 1000):
            connection.execute(insert(DeliveryRow), rows[start : start + 1000])
    return [row["id"] for row in rows]  # type: ignore[misc]  # what insert takes is not typed


def runs(
    installation: Installation, workflow: str, count: int, status: str = RunStatus.PENDING
) -> list[UUID]:
    """Store runs that want to be carried on."""
    (version,) = (
        row for row in installation.rows(WorkflowVersionRow) if row.document["name"] == workflow
    )
    now = installation.now
    event_ids = [new_id() for _ in range(count)]
    events = [
        {
            "id": event_id,
            "dedupe_key": str(event_id),
            "type": workflow,
            "vendor": "robot",
            "vendor_type": workflow,
            "time": now,
            "received_at": now,
            "facts": {},
            "correlation_id": event_id,
            "origin": "webhook",
            "depth": 0,
        }
        for event_id in event_ids
    ]
    rows = [
        {
            "id": new_id(),
            "event_id": event_id,
            "workflow_version_id": version.id,
            "workflow": workflow,
            "replay": 0,
            "status": status,
            "shadow": False,
            "cancel_requested": False,
            "correlation_id": event_id,
            "created_at": now,
            "due_at": now,
            "failures": 0,
        }
        for event_id in event_ids
    ]
    with installation.database.engine.begin() as connection:
        for start in range(0, count, 500):
            connection.execute(insert(EventRow), events[start : start + 500])
            connection.execute(insert(RunRow), rows[start : start + 500])
    return [row["id"] for row in rows]


def delivery_ids(jobs: Sequence[Job]) -> list[UUID]:
    return [one for job in jobs if isinstance(job, IngestDeliveries) for one in job.delivery_ids]


def test_the_few_deliveries_of_a_quiet_source_go_before_a_backlog_that_fills_the_queue(
    installation: Installation, queue: ShortQueue
) -> None:
    deliveries(installation, installation.source_id, BACKLOG)
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    first = queue.take()
    assert [type(job) for job in first] == [IngestDeliveries] * MOST_WAITING[IngestDeliveries]
    queue.is_full = True
    scheduler.ring_due()
    assert queue.take() == []
    quiet = deliveries(installation, add_source(installation, "quiet"), 3)
    scheduler.ring_due()
    assert queue.take() == [IngestFew(tuple(quiet))]
    # The rest of the backlog comes as the queue gets shorter, each delivery once.
    queue.is_full = False
    scheduler.ring_due()
    second = queue.take()
    rung = delivery_ids(first + second)
    assert len(rung) == len(set(rung)) == 2 * MOST_WAITING[IngestDeliveries] * JOB_SIZE


def test_sources_with_a_backlog_each_have_a_share(
    installation: Installation, queue: ShortQueue
) -> None:
    first = set(deliveries(installation, installation.source_id, BACKLOG))
    second = set(deliveries(installation, add_source(installation, "second"), 5000))
    Scheduler(installation.runtime).ring_due()
    rung = set(delivery_ids(queue.take()))
    half = MOST_WAITING[IngestDeliveries] * JOB_SIZE // 2
    assert (len(first & rung), len(second & rung)) == (half, half)


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.WAITING])
def test_the_few_runs_of_a_quiet_workflow_go_before_a_backlog(
    installation: Installation, queue: ShortQueue, status: RunStatus
) -> None:
    for name in ("noisy", "quiet"):
        installation.workflow(WORKFLOWS.format(name=name))
    runs(installation, "noisy", 3000, status)
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    share = MOST_WAITING[AdvanceRunInBulk] // 4
    assert [type(job) for job in queue.take()] == [AdvanceRunInBulk] * share
    queue.is_full = True
    (quiet,) = runs(installation, "quiet", 1, status)
    scheduler.ring_due()
    assert queue.take() == [AdvanceRun(quiet)]


def test_the_branches_of_a_large_loop_are_rung_for_in_bulk(
    installation: Installation,
) -> None:
    installation.workflow(
        """
        name: many
        on: [{event: many}]
        steps:
          - id: each
            for_each: event.facts.items
            as: item
            max_parallel: 100
            steps: [{id: read, uses: robot.read}]
        """
    )
    delivery_id = installation.deliver({"type": "many", "facts": {"items": list(range(300))}})
    (run_id,) = installation.ingest(delivery_id)
    installation.bell.rung.clear()
    advance_run(installation.runtime, run_id)
    assert {type(job) for job in installation.bell.rung} == {AdvanceRunInBulk}
    assert len(installation.bell.rung) == 100


def test_a_long_queue_takes_no_more_of_the_many_and_all_that_somebody_waits_for() -> None:
    broker = make_broker(None)
    queue = DramatiqQueue(broker)
    most = MOST_WAITING[AdvanceRunInBulk]
    queue.ring([AdvanceRunInBulk(new_id()) for _ in range(2 * most)])
    assert broker.queues[AdvanceRunInBulk.queue].qsize() == most
    assert queue.room(AdvanceRunInBulk) == 0
    some = 2 * MOST_WAITING[AdvanceRun]
    queue.ring([AdvanceRun(new_id()) for _ in range(some)])
    assert broker.queues[AdvanceRun.queue].qsize() == some
    assert queue.room(IngestDeliveries) == MOST_WAITING[IngestDeliveries]
    broker.close()


def test_a_quiet_source_is_served_within_seconds_beside_a_backlog(
    working: Installation, wait_until: Callable[..., object]
) -> None:
    for name in ("noisy", "quiet"):
        working.workflow(WORKFLOWS.format(name=name))
    quiet_source = add_source(working, "quiet")
    deliveries(working, working.source_id, BACKLOG, b'{"events": [{"type": "noisy"}]}')
    noisy, quiet = RunRow.workflow == "noisy", RunRow.workflow == "quiet"
    wait_until(lambda: working.rows(RunRow, noisy), SOON_S, what="the backlog is worked on")
    deliveries(working, quiet_source, 1, b'{"events": [{"type": "quiet"}]}')
    wait_until(
        lambda: working.rows(RunRow, quiet, RunRow.status == "succeeded"),
        SOON_S,
        what="the quiet source's run has ended",
    )
    assert len(working.rows(DeliveryRow, DeliveryRow.state == "received")) > BACKLOG / 4
