"""The broker in the process: what failed is remembered by rows, not by the broker."""

from __future__ import annotations

import dramatiq
from dramatiq.worker import Worker

from service.queue import make_broker

FAILURES = 20


def test_jobs_that_failed_do_not_pile_up_in_memory() -> None:
    broker = make_broker(None)

    def fail() -> None:
        raise ValueError

    actor = dramatiq.actor(
        actor_name="fail", queue_name="runs", broker=broker, max_retries=0, throws=(ValueError,)
    )(fail)
    worker = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        for _ in range(FAILURES):
            actor.send()
        broker.join("runs", fail_fast=False, timeout=10_000)
        assert list(broker.dead_letters) == []
    finally:
        worker.stop()
        broker.close()
