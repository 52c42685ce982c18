"""The three meanings of reset, Retry-After, the bucket and the breaker."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rate_limit import asked_wait, calls_left

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


def test_of_several_policies_the_one_that_leaves_least_counts() -> None:
    headers = {"ratelimit": '"burst";r=0;t=5, "daily";r=900;t=80000'}
    assert calls_left(headers) == 0
    assert asked_wait(headers, NOW) == 5
