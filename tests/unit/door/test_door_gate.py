"""What one source may hold while others want to send as well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.door_gate import LONGEST_RETRY_S, Gate, Held, retry_when_away


class Sender:
    """A connection whose body is arriving."""

    def __init__(self, gate: Gate, source: str = "one") -> None:
        self.gate = gate
        self.held = gate.begin(f"/hooks/{source}")
        self.is_refused = False

    def send(self, size: int) -> bool:
        return self.gate.grow(self.held, size, self)

    def give_up_body(self) -> None:
        self.is_refused = True


def a_gate(**bounds: Any) -> Gate:
    return Gate(share_of=str, **bounds)


def test_one_source_may_hold_half_of_all_bytes() -> None:
    gate = a_gate(held_bytes=100)
    first, second = Sender(gate), Sender(gate)
    assert first.send(20)
    assert second.send(30)
    gate.complete(first.held)
    gate.complete(second.held)
    third = Sender(gate)
    assert not third.send(1)
    gate.let_go(third.held)
    gate.let_go(second.held)
    assert gate.held_bytes == 20
    assert Sender(gate).send(30)


def test_what_comes_whole_counts_as_what_came_in_parts() -> None:
    gate = a_gate(held_bytes=100)
    held = gate.begin_whole("one", 30)
    assert held is not None
    assert (gate.held_bytes, gate.under_way) == (30, 1)
    assert gate.begin_whole("one", 21) is None  # more than what is free then
    assert (gate.held_bytes, gate.under_way) == (30, 1)
    second = gate.begin_whole("one", 20)
    assert second is not None
    gate.complete(second)  # which it is already
    assert (gate.held_bytes, gate.under_way) == (50, 2)
    for one in (held, second, second):
        gate.let_go(one)
    assert (gate.held_bytes, gate.under_way) == (0, 0)


def test_the_next_source_finds_room_however_loud_the_others_are() -> None:
    gate = a_gate(held_bytes=1000)
    for source in ("one", "two", "three"):
        sender = Sender(gate, source)
        while sender.send(10):
            gate.complete(sender.held)
            sender = Sender(gate, source)
        gate.let_go(sender.held)
    assert 860 <= gate.held_bytes <= 880  # a half, a quarter, an eighth
    assert Sender(gate, "four").send(60)


def test_the_body_that_comes_for_longest_gives_way() -> None:
    gate = a_gate(held_bytes=100)
    slow, other, quick = (Sender(gate) for _ in range(3))
    assert slow.send(25)
    assert other.send(20)
    assert quick.send(10)
    assert slow.is_refused
    assert not other.is_refused
    assert gate.held_bytes == 30


def test_the_oldest_of_its_source_may_not_grow_on_when_there_is_no_room() -> None:
    gate = a_gate(held_bytes=100)
    slow, quick = Sender(gate), Sender(gate)
    assert slow.send(25)
    assert quick.send(20)
    assert not slow.send(10)
    assert not quick.is_refused


def test_a_body_that_is_alone_is_always_taken() -> None:
    gate = a_gate(held_bytes=100)
    sender = Sender(gate)
    assert sender.send(80)
    assert sender.send(80)
    gate.let_go(sender.held)
    assert gate.held_bytes == 0


def whole(gate: Gate, source: str) -> Held:
    held = gate.begin(f"/hooks/{source}")
    gate.complete(held)
    return held


def test_whole_requests_are_shared_in_the_same_way() -> None:
    gate = a_gate(under_way=100)
    loud = []
    while not gate.is_full("loud"):
        loud.append(whole(gate, "loud"))
    assert len(loud) == 51
    assert not gate.is_full("quiet")
    gate.let_go(loud[-1])
    # Whoever is not counted yet is told what he would be told afterwards.
    assert (gate.is_full("loud"), gate.is_full("loud", more=1)) == (False, True)
    for held in loud:
        gate.let_go(held)
        gate.let_go(held)  # twice is once
    assert gate.under_way == 0
    assert not gate.is_full("loud")


def test_a_slow_database_lets_fewer_in() -> None:
    gate = a_gate(allowed=lambda: 10)
    for _ in range(6):
        whole(gate, "loud")
    assert gate.is_full("loud")
    assert not gate.is_full("quiet")


def test_whoever_is_refused_is_given_a_later_place_each_time() -> None:
    async def scenario() -> list[float]:
        gate = a_gate()
        return [gate.place_in_line() for _ in range(600)]

    waits = asyncio.run(scenario())
    assert 1 <= waits[0] <= 3
    assert sum(waits[:10]) < sum(waits[100:110]) < sum(waits[250:260])
    assert max(waits) <= LONGEST_RETRY_S
    assert len({round(wait) for wait in waits[-100:]}) > 10  # not all at once


@pytest.mark.parametrize(("away", "least", "most"), [(0.0, 5, 10), (60.0, 15, 30), (1e6, 30, 60)])
def test_the_longer_the_database_is_away_the_later_one_comes_again(
    away: float, least: float, most: float
) -> None:
    assert all(least <= retry_when_away(away) <= most for _ in range(50))
