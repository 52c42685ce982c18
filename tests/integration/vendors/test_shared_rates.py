"""One credential used by several processes: their rate is kept together, in Redis."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

import pytest
import redis

from service.call_rates import LocalSlots
from service.shared_rates import ALONE_SHARE, SharedSlots, shared_slots
from service.vendors.base import Rate
from tests.servers import RedisServer

RATE = Rate(5, 60.0)


def take_all(slots: SharedSlots | LocalSlots, rates: Sequence[Rate], most: int = 100) -> int:
    """Take slots until none is free; gives how many there were."""
    for number in range(most):
        if slots.take(f"slot-{number}", rates) > 0:
            return number
    return most


@pytest.fixture
def key(redis_namespace: str) -> str:
    return redis_namespace


def test_two_processes_share_the_slots_of_one_credential(redis_url: str, key: str) -> None:
    one, other = shared_slots(redis_url)(key), shared_slots(redis_url)(key)
    assert [one.take(f"a{n}", [RATE]) for n in range(3)] == [0, 0, 0]
    assert [other.take(f"b{n}", [RATE]) for n in range(2)] == [0, 0]
    assert 0 < one.take("a9", [RATE]) <= 60.1
    other.drop("b0", [RATE])
    assert one.take("a9", [RATE]) == 0


def test_credentials_do_not_share(redis_url: str, key: str) -> None:
    make = shared_slots(redis_url)
    assert make(f"{key}-one").take("a", [Rate(1, 60.0)]) == 0
    assert make(f"{key}-other").take("a", [Rate(1, 60.0)]) == 0


def test_all_rates_are_taken_or_none(redis_url: str, key: str) -> None:
    slots = shared_slots(redis_url)(key)
    narrow = Rate(1, 60.0, "narrow")
    assert slots.take("a", [RATE, narrow]) == 0
    assert slots.take("b", [RATE, narrow]) > 0
    assert [slots.take(f"c{n}", [RATE]) for n in range(4)] == [0] * 4
    assert slots.take("d", [RATE]) > 0


def test_a_slot_is_free_one_window_after_its_call_was_answered(redis_url: str, key: str) -> None:
    slots = shared_slots(redis_url)(key)
    rate = Rate(1, 0.2)
    assert slots.take("a", [rate]) == 0
    assert slots.take("b", [rate]) == pytest.approx(0.3, abs=0.01)
    slots.done("a", [rate])
    answered = time.monotonic()
    while slots.take("b", [rate]) > 0:
        assert time.monotonic() < answered + 5
    assert time.monotonic() >= answered + 0.2


def test_what_one_process_is_told_holds_the_others(redis_url: str, key: str) -> None:
    one, other = shared_slots(redis_url)(key), shared_slots(redis_url)(key)
    one.hold(30)
    one.hold(1)
    assert 29 < other.take("b", [RATE]) <= 30


def test_a_dropped_or_unknown_slot_is_not_brought_back(redis_url: str, key: str) -> None:
    slots = shared_slots(redis_url)(key)
    slots.take("a", [Rate(1, 60.0)])
    slots.drop("a", [Rate(1, 60.0)])
    slots.done("a", [Rate(1, 60.0)])
    assert slots.take("b", [Rate(1, 60.0)]) == 0


def test_without_redis_a_process_keeps_to_its_part_of_the_rate(redis_server: RedisServer) -> None:
    slots = shared_slots(redis_server.url)("k")
    rate = Rate(40, 60.0)
    redis_server.stop()
    assert take_all(slots, [rate]) == 40 // ALONE_SHARE
    slots.done("slot-0", [rate])
    slots.hold(5)


def test_what_redis_forgets_costs_nothing_but_slots(redis_url: str, key: str) -> None:
    client = redis.Redis.from_url(redis_url)
    slots = SharedSlots(client, key)
    assert take_all(slots, [RATE]) == 5
    for name in client.scan_iter(f"{key}*"):
        client.delete(name)
    slots.done("slot-0", [RATE])
    client.script_flush()
    assert take_all(slots, [RATE]) == 5


_PROCESS = """
import sys, time
from service.call_rates import Limiter, RateKeeper
from service.errors import RateLimited
from service.shared_rates import shared_slots
from service.vendors.base import Rate

url, key, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
limiter = Limiter((Rate(30, 1.0),), RateKeeper(shared_slots(url)).slots(key), max_wait_s=30)
for _ in range(wanted):
    with limiter.call("GET", "/a"):
        sent = time.time()
    print(sent, flush=True)
"""


def test_two_real_processes_together_keep_to_the_rate(redis_url: str, key: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, redis_url, key, "60"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    sent = sorted(
        float(line) for process in processes for line in process.communicate(timeout=60)[0].split()
    )
    assert [process.returncode for process in processes] == [0, 0]
    assert len(sent) == 120
    assert all(later - sooner > 1.0 for sooner, later in zip(sent, sent[30:], strict=False))
