"""The three meanings of reset, Retry-After, the bucket and the breaker."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RateLimited
from service.rate_limit import TokenBucket, asked_wait, calls_left
from tests.unit.http.scripted import FakeTime

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-4"}, 0),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 02 Nov 2026 12:00:00 GMT"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset": "5"}, 5),
        ({"retry-after": "3", "x-ratelimit-reset": "5"}, 3),
        ({"x-ratelimit-reset": str(EPOCH + 40)}, 40),
        ({"ratelimit-reset": str(EPOCH + 40)}, 40),
        ({"ratelimit-reset": str((EPOCH + 40) * 1000)}, 40),
        ({"ratelimit-reset": "40"}, 40),
        ({"ratelimit-reset": str(EPOCH - 40)}, 0),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
    ],
)
def test_waiting_times(headers: dict[str, str], wait: float | None) -> None:
    assert asked_wait(headers, NOW) == wait


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_header_whatever_breaks_the_reading(after: str, reset: str, combined: str) -> None:
    headers = {"retry-after": after, "x-ratelimit-reset": reset, "ratelimit": combined}
    wait = asked_wait(headers, NOW)
    assert wait is None or 0 <= wait <= 3600
    calls_left({"x-ratelimit-remaining": reset, "ratelimit": combined})


def test_calls_left() -> None:
    assert calls_left({"x-ratelimit-remaining": "3"}) == 3
    assert calls_left({"ratelimit": '"default";r=50;t=30'}) == 50
    assert calls_left({"ratelimit-remaining": "many"}) is None


def test_a_bucket_gives_its_burst_then_its_rate_then_refuses() -> None:
    time = FakeTime()
    bucket = TokenBucket(per_minute=60, burst=2, max_wait_s=2, monotonic=lambda: time.seconds)
    assert [bucket.reserve() for _ in range(4)] == [0, 0, 1, 2]
    with pytest.raises(RateLimited) as caught:
        bucket.reserve()
    assert caught.value.retry_after == timedelta(seconds=3)
    time.seconds += 3
    assert bucket.reserve() == 0


def test_a_crowd_that_is_sent_away_does_not_come_back_at_once() -> None:
    time = FakeTime()
    bucket = TokenBucket(per_minute=60, burst=1, max_wait_s=0, monotonic=lambda: time.seconds)
    assert bucket.reserve() == 0
    waits = []
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            bucket.reserve()
        assert caught.value.retry_after is not None
        waits.append(caught.value.retry_after.total_seconds())
    assert waits == [1, 2, 3, 4, 5]
    time.seconds += 1
    assert bucket.reserve() == 0


def test_a_long_pause_saves_up_no_more_than_the_burst() -> None:
    time = FakeTime()
    bucket = TokenBucket(per_minute=60, burst=3, max_wait_s=2, monotonic=lambda: time.seconds)
    time.seconds += 1000
    assert [bucket.reserve() for _ in range(5)] == [0, 0, 0, 1, 2]


def test_a_hold_is_never_shortened() -> None:
    time = FakeTime()
    bucket = TokenBucket(per_minute=60, burst=5, max_wait_s=2, monotonic=lambda: time.seconds)
    bucket.hold(10)
    bucket.hold(1)
    with pytest.raises(RateLimited):
        bucket.reserve()
    time.seconds += 9
    assert bucket.reserve() == 1


@pytest.mark.parametrize(("per_minute", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_without_rate_is_refused(per_minute: float, burst: int) -> None:
    with pytest.raises(ValueError, match="per_minute"):
        TokenBucket(per_minute=per_minute, burst=burst)


@given(
    st.lists(st.floats(min_value=0, max_value=30), max_size=60),
    st.integers(min_value=1, max_value=10),
)
def test_no_pattern_of_calls_gets_more_than_burst_plus_rate(
    pauses: list[float], burst: int
) -> None:
    time = FakeTime()
    bucket = TokenBucket(per_minute=60, burst=burst, max_wait_s=2, monotonic=lambda: time.seconds)
    starts: list[float] = []
    for pause in pauses:
        time.seconds += pause
        try:
            starts.append(time.seconds + bucket.reserve())
        except RateLimited:
            continue
    for index, start in enumerate(starts):
        within = sum(1 for other in starts[index:] if other <= start + 10)
        assert within <= burst + 10 + 1


def test_threads_share_one_bucket() -> None:
    bucket = TokenBucket(per_minute=60, burst=50, max_wait_s=0, monotonic=lambda: 0.0)
    taken: list[int] = []

    def take() -> None:
        for _ in range(20):
            try:
                bucket.reserve()
            except RateLimited:
                continue
            taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 50
