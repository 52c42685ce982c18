"""How many calls one credential may make, in one process."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.call_rates import (
    CALL_LEASE_S,
    MARGIN_S,
    Limiter,
    LocalSlots,
    RateKeeper,
    rates_with,
)
from service.errors import RateLimited
from service.vendors.base import Rate
from tests.unit.http.scripted import FakeTime


def attempt(limiter: Limiter, method: str = "GET", path: str = "/a") -> float | None:
    """Make a call that takes no time: None when it was let through, else when to come back."""
    try:
        with limiter.call(method, path):
            return None
    except RateLimited as error:
        return (error.retry_after or timedelta()).total_seconds()


def test_so_many_calls_within_a_window_and_then_none() -> None:
    time = FakeTime()
    limiter = time.limiter(3)
    assert [attempt(limiter) for _ in range(3)] == [None, None, None]
    assert attempt(limiter) == pytest.approx(60 + MARGIN_S)
    time.seconds += 60 + MARGIN_S
    assert attempt(limiter) is None


def test_a_crowd_that_is_sent_away_does_not_come_back_at_once() -> None:
    limiter = FakeTime().limiter(60)
    for _ in range(60):
        attempt(limiter)
    waits = [attempt(limiter) for _ in range(4)]
    assert waits == [pytest.approx(60 + MARGIN_S + number) for number in range(4)]


def test_a_call_under_way_keeps_its_slot_however_long_it_takes() -> None:
    time = FakeTime()
    limiter = time.limiter(1, seconds=1.0, max_wait_s=0)
    with limiter.call("GET", "/slow"):
        time.seconds += 30
        assert attempt(limiter) == pytest.approx(1.0 + MARGIN_S)
    time.seconds += 0.9
    assert attempt(limiter) is not None
    time.seconds += 0.2 + MARGIN_S
    assert attempt(limiter) is None


def test_the_slot_of_a_call_that_never_ended_is_free_after_its_lease() -> None:
    time = FakeTime()
    slots = LocalSlots(lambda: time.seconds)
    rate = Rate(1, 60)
    assert slots.take("died", [rate]) == 0
    time.seconds += 60 + CALL_LEASE_S - 1
    assert slots.take("next", [rate]) > 0
    time.seconds += 1
    assert slots.take("next", [rate]) == 0


def test_a_rate_counts_only_the_calls_it_covers() -> None:
    time = FakeTime()
    rates = (
        Rate(100, 60),
        Rate(1, 60, "writes", covers=lambda method, path: method == "POST" and path == "/heavy"),
    )
    limiter = Limiter(
        rates,
        (LocalSlots(lambda: time.seconds),),
        max_wait_s=0,
        monotonic=lambda: time.seconds,
        sleep=time.sleep,
    )
    assert attempt(limiter, "POST", "/heavy") is None
    assert attempt(limiter, "POST", "/heavy") is not None
    assert attempt(limiter, "GET", "/heavy") is None
    assert attempt(limiter, "POST", "/light") is None


def test_a_hold_is_never_shortened_and_stops_everything() -> None:
    time = FakeTime()
    limiter = time.limiter(100)
    limiter.hold(10)
    limiter.hold(1)
    assert attempt(limiter) == 10
    time.seconds += 10
    assert attempt(limiter) is None


class Full:
    """Shared slots of which none is free."""

    def take(self, _slot: str, _rates: Sequence[Rate]) -> float:
        return 5.0

    def done(self, _slot: str, _rates: Sequence[Rate]) -> None:
        """Nothing was taken."""

    drop = done

    def hold(self, _seconds: float) -> None:
        """Nobody is let through anyway."""


def test_what_others_use_up_costs_no_slot_of_ours() -> None:
    time = FakeTime()
    own = LocalSlots(lambda: time.seconds)
    limiter = Limiter((Rate(1, 60),), (own, Full()), max_wait_s=0, monotonic=lambda: time.seconds)
    assert attempt(limiter) == 5.0
    assert own.take("x", (Rate(1, 60),)) == 0


@pytest.mark.parametrize("rate", [Rate(0, 60), Rate(-1, 60), Rate(1, 0)])
def test_a_rate_without_calls_is_refused(rate: Rate) -> None:
    with pytest.raises(ValueError, match="rate"):
        Limiter((rate,), ())


@pytest.mark.parametrize(
    ("per_minute", "first"),
    [(None, Rate(10, 1.0)), (90, Rate(90, 60.0)), (7.9, Rate(7, 60.0)), (0.5, Rate(1, 120.0))],
)
def test_a_configured_rate_replaces_the_first(per_minute: float | None, first: Rate) -> None:
    other = Rate(500, 3600.0, "writes")
    assert rates_with((Rate(10, 1.0), other), per_minute) == (first, other)


@given(
    pauses=st.lists(st.floats(min_value=0, max_value=30), max_size=60),
    durations=st.lists(st.floats(min_value=0, max_value=15), min_size=60, max_size=60),
    calls=st.integers(min_value=1, max_value=10),
)
def test_whenever_calls_arrive_no_window_ever_holds_more(
    pauses: list[float], durations: list[float], calls: int
) -> None:
    time = FakeTime()
    limiter = time.limiter(calls, seconds=10.0, max_wait_s=3)
    earliest: list[float] = []
    latest: list[float] = []
    for pause, duration in zip(pauses, durations, strict=False):
        time.seconds += pause
        try:
            with limiter.call("GET", "/a"):
                earliest.append(time.seconds)
                time.seconds += duration
                latest.append(time.seconds)
        except RateLimited:
            continue
    # The call may have arrived at any moment between its sending and its answer.
    for arrived in (earliest, latest):
        for start in arrived:
            assert sum(start <= other <= start + 10 for other in arrived) <= calls
    for number in range(len(earliest) - calls):
        assert earliest[number + calls] > latest[number] + 10


def test_threads_share_the_slots_of_a_credential() -> None:
    keeper = RateKeeper()
    taken: list[int] = []

    def take() -> None:
        limiter = Limiter((Rate(50, 60),), keeper.slots("k"), max_wait_s=0)
        taken.extend(1 for _ in range(20) if attempt(limiter) is None)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 50
    assert keeper.slots("k") is keeper.slots("k")
    assert keeper.slots("k") is not keeper.slots("other")
