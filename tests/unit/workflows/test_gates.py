"""Gates: their names, when gathering ends, and the moments that a throttle gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.document import Document
from service.workflows.expressions import ExpressionError
from service.workflows.gates import (
    NAME_LENGTH,
    Gate,
    gate_name,
    gates_of,
    gathered_at,
    kind_of_gate,
    next_start,
)
from service.workflows.scope import start_scope

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def document(**changes: Any) -> Document:
    plain = {"name": "x", "on": [{"event": "go"}], "steps": [{"id": "a", "uses": "b.c"}]}
    return Document.model_validate(plain | changes)


def name(value: object, **changes: Any) -> str:
    scope = start_scope({"facts": {"key": value}}, {"more": 1}, {"given": 2})
    found = document(concurrency={"key": "event.facts.key"}, **changes)
    return gate_name(found, Gate.CONCURRENCY, scope)


def test_gates_are_passed_in_one_order() -> None:
    found = document(throttle={"limit": 1, "per": "1h"}, concurrency={}, debounce="30s")
    assert gates_of(found) == (Gate.GATHER, Gate.CONCURRENCY, Gate.THROTTLE)
    assert gates_of(document(coalesce={"within": "30s"})) == (Gate.GATHER,)
    assert gates_of(document()) == ()


def test_a_name_tells_gate_workflow_and_key() -> None:
    assert name("a") == 'concurrency:x:"a"'
    assert kind_of_gate(name("a")) is Gate.CONCURRENCY


def test_keys_of_different_values_are_different() -> None:
    values: list[object] = [1, "1", None, "null", True, [1], {"a": 1}, "", "x" * 1000, "x" * 1001]
    names = [name(value) for value in values]
    assert len(set(names)) == len(values)
    assert max(len(found) for found in names) <= NAME_LENGTH


def test_a_key_reads_vars_and_inputs() -> None:
    found = document(throttle={"limit": 1, "per": "1h", "key": "${{ vars.more + inputs.given }}"})
    scope = start_scope({}, {"more": 1}, {"given": 2})
    assert gate_name(found, Gate.THROTTLE, scope) == "throttle:x:3"


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        gate_name(
            document(concurrency={"key": "event.facts.key"}),
            Gate.CONCURRENCY,
            start_scope({"facts": {}}, {}, {}),
        )


def test_gathering_ends() -> None:
    newest = NOW + 20 * SECOND
    coalesced = document(coalesce={"within": "30s"})
    assert gathered_at(coalesced, opened=NOW, newest=newest) == NOW + 30 * SECOND
    quiet = document(debounce="30s")
    assert gathered_at(quiet, opened=NOW, newest=newest) == newest + 30 * SECOND
    bounded = document(debounce={"quiet": "30s", "at_most": "45s"})
    assert gathered_at(bounded, opened=NOW, newest=newest) == NOW + 45 * SECOND


@given(
    limit=st.integers(1, 5),
    arrivals=st.lists(st.integers(0, 400), min_size=1, max_size=40).map(sorted),
)
def test_no_span_sees_more_starts_than_the_limit_and_no_moment_is_wasted(
    limit: int, arrivals: list[int]
) -> None:
    starts: list[datetime] = []
    for seconds in arrivals:
        now = NOW + seconds * SECOND
        # Those that wait are first: who arrives begins after all that came before.
        ahead = sum(start > now for start in starts)
        begun = [start for start in starts if start <= now]
        moment = next_start(begun, limit=limit, per=MINUTE, ahead=ahead, now=now)
        assert moment >= now
        starts.append(moment)
    for first, after in zip(starts, starts[limit:], strict=False):
        assert after - first >= MINUTE
    for number, (seconds, start) in enumerate(zip(arrivals, starts, strict=True)):
        free = number < limit or starts[number - limit] + MINUTE <= NOW + seconds * SECOND
        assert (start == NOW + seconds * SECOND) is free


def test_who_comes_later_counts_those_ahead() -> None:
    moments = [
        next_start([NOW], limit=2, per=MINUTE, ahead=ahead, now=NOW + SECOND) for ahead in range(4)
    ]
    assert [moment - NOW for moment in moments] == [
        SECOND,
        MINUTE,
        MINUTE + SECOND,
        2 * MINUTE,
    ]
