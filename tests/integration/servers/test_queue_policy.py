"""A Redis that may forget what was rung for is told of, and hinders nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from structlog.testing import capture_logs

from schemas.clock import utc_now
from service.db import Database
from service.doctor.queue import look_at_queue
from service.doctor.verdicts import Grade
from service.errors import Unavailable
from service.queue import DramatiqQueue, make_broker
from service.queue_policy import QueueFacts, ask_queue, warn_of_eviction
from service.web.health import Parts, look
from tests.servers import RedisServer


@pytest.fixture
def evicting(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory", "24mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield client


def test_a_redis_that_evicts_is_said_in_the_log(
    redis_server: RedisServer, evicting: redis.Redis, sqlite_database: Database
) -> None:
    queue = DramatiqQueue(make_broker(redis_server.url))
    with capture_logs() as logged:
        warn_of_eviction(queue, clock=utc_now)
    (said,) = logged
    assert (said["event"], said["policy"], said["log_level"]) == (
        "queue_evicts",
        "allkeys-lru",
        "warning",
    )
    assert "maxmemory-policy noeviction" in said["to_do"]
    facts = ask_queue(queue, clock=utc_now)
    assert facts is not None
    assert facts.evicts_queue
    assert facts.most_bytes == 24 * 1024 * 1024
    assert abs(facts.clock_ahead) < timedelta(seconds=1)

    verdicts = {one.name: one for one in look_at_queue(queue, utc_now, shared_database=True)}
    assert verdicts["eviction"].grade is Grade.FAIL
    assert "allkeys-lru: Redis drops what was rung for above 24 MiB" in verdicts["eviction"].says
    assert look(Parts(sqlite_database, queue, utc_now))["queue"] == "may evict"

    evicting.config_set("maxmemory-policy", "noeviction")
    with capture_logs() as logged:
        warn_of_eviction(queue, clock=utc_now)
    assert logged == []

    redis_server.stop()
    with capture_logs() as logged:
        warn_of_eviction(queue, clock=utc_now)
    assert logged == []
    with pytest.raises(Unavailable):
        ask_queue(queue, clock=utc_now)
    queue.broker.close()


def test_a_queue_in_the_process_forgets_nothing() -> None:
    assert ask_queue(DramatiqQueue(make_broker(None)), clock=utc_now) is None


@pytest.mark.parametrize(
    ("policy", "evicts", "evicts_queue"),
    [
        (None, False, False),
        ("noeviction", False, False),
        ("volatile-ttl", True, False),
        ("allkeys-random", True, True),
    ],
)
def test_which_policies_forget(policy: str | None, *, evicts: bool, evicts_queue: bool) -> None:
    facts = QueueFacts("redis 7", policy, 1, None, 0, timedelta())
    assert (facts.evicts, facts.evicts_queue) == (evicts, evicts_queue)
