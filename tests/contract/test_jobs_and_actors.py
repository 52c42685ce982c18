"""Every job has one actor, every actor one job, and a job survives its message."""

from __future__ import annotations

from uuid import uuid4

import pytest

from schemas.jobs import (
    JOBS,
    AdvanceRun,
    AdvanceRunInBulk,
    IngestDeliveries,
    IngestFew,
    IngestOneByOne,
    Job,
    PerformBulk,
    PerformPoll,
    ReadBackDelivery,
    Reconcile,
)
from service.queue import to_message
from workers.actors import ACTORS

EXAMPLES: list[Job] = [
    IngestDeliveries((uuid4(), uuid4())),
    IngestFew((uuid4(),)),
    IngestOneByOne((uuid4(),)),
    AdvanceRun(uuid4()),
    AdvanceRunInBulk(uuid4()),
    PerformPoll(uuid4()),
    ReadBackDelivery(uuid4()),
    Reconcile(uuid4()),
    PerformBulk(uuid4()),
]


def test_jobs_and_actors_are_equal() -> None:
    assert [actor.job for actor in ACTORS] == list(JOBS)
    assert {type(job) for job in EXAMPLES} == set(JOBS)


def test_names_and_queues_are_not_shared_between_jobs() -> None:
    assert len({job.actor for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", EXAMPLES, ids=lambda job: type(job).__name__)
def test_a_job_read_from_its_message_is_the_job_that_was_rung(job: Job) -> None:
    message = to_message(job)
    assert (message.actor_name, message.queue_name) == (job.actor, job.queue)
    assert type(job).from_ids(message.decode(message.encode()).kwargs) == job
