"""An idle worker is woken by what is put into its queue, whatever Redis does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from dramatiq.errors import BrokerConnectionError
from structlog.testing import capture_logs

from schemas.ids import new_id
from schemas.jobs import AdvanceRun
from service.queue import DramatiqQueue, make_broker
from service.redis_broker import QuietRedisBroker
from tests.servers import RedisServer, wait_until

PATIENCE_S = 60.0
"""What a consumer waits that is not woken: longer than a test takes."""
AT_ONCE_S = 10.0


@contextmanager
def idle_worker(url: str) -> Iterator[tuple[QuietRedisBroker, list[str]]]:
    """A worker that has nothing to do; gives its broker, and a list of what it fetches."""
    broker = make_broker(url)
    assert isinstance(broker, QuietRedisBroker)
    consumer = broker.consume("runs", prefetch=1, timeout=int(PATIENCE_S * 1000))
    fetched: list[str] = []
    ends = threading.Event()

    def work() -> None:
        while not ends.is_set():
            try:
                message = next(consumer)
            except BrokerConnectionError:
                continue
            if message is not None:
                fetched.append(message.kwargs["run_id"])
                consumer.ack(message)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(lambda: broker.listens, what="it listens")
        yield broker, fetched
    finally:
        ends.set()
        consumer.close()
        thread.join(PATIENCE_S)
        broker.client.close()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_idle_worker_is_woken_at_once(redis_server: RedisServer, *, is_restarted: bool) -> None:
    with idle_worker(redis_server.url) as (broker, fetched):
        if is_restarted:
            redis_server.stop()
            wait_until(lambda: not broker.listens, what="it hears nothing any more")
            redis_server.start()
            wait_until(lambda: broker.listens, what="it listens again")
        queue = DramatiqQueue(make_broker(redis_server.url))
        jobs = [AdvanceRun(new_id()) for _ in range(3)]
        began = time.monotonic()
        queue.ring(jobs)
        wait_until(lambda: len(fetched) == len(jobs), PATIENCE_S)
        assert time.monotonic() - began < AT_ONCE_S
        assert fetched == [str(job.run_id) for job in jobs]


def test_queues_that_nobody_has_are_not_remembered(redis_server: RedisServer) -> None:
    with idle_worker(redis_server.url) as (broker, fetched):
        ears = broker._ears
        known = set(ears._rung)
        for number in range(10):
            broker.wake([f"nobody-{number}"])
        DramatiqQueue(make_broker(redis_server.url)).ring([AdvanceRun(new_id())])
        wait_until(lambda: fetched, AT_ONCE_S)
        assert set(ears._rung) == known


def test_where_waking_is_forbidden_everything_is_rung_for_and_it_is_told_once(
    redis_server: RedisServer,
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command(
            "ACL", "SETUSER", "quiet", "on", ">secret", "~*", "+@all", "resetchannels"
        )
    queue = DramatiqQueue(make_broker(redis_server.url.replace("//", "//quiet:secret@")))
    with capture_logs() as logged:
        for _ in range(3):
            queue.ring([AdvanceRun(new_id())])
    assert queue.broker.length(AdvanceRun.queue) == 3
    assert queue.room(AdvanceRun) > 0
    assert [line["event"] for line in logged] == ["queue_wake_failed"]
