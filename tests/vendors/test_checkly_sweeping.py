"""Reading a list again and again: whatever happens, nothing is lost and nothing is doubled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import EventDraft
from service.errors import Refused, VendorBroken
from service.vendors.base import PollAnswer
from service.vendors.checkly.sweeping import IDLE_REACH, KEPT_LONGER, Reach, Sighting, sweep
from tests.vendors.deliveries import NOW

REACH = Reach(
    overlap=timedelta(seconds=300), look_back=timedelta(seconds=300), give_up=timedelta(hours=6)
)
RUNNING = "running"


@dataclass
class Vendor:
    """A list of things with pages by cursor; `broken_in` counts the pages until one breaks."""

    newest_first: bool = True
    page_size: int = 3
    things: dict[str, tuple[Any, str]] = field(default_factory=dict)
    broken_in: int | None = None
    asked: list[Any] = field(default_factory=list)

    def read(self, since: Any, place: str | None) -> tuple[Sequence[Sighting], str | None]:
        if self.broken_in is not None:
            self.broken_in -= 1
            if self.broken_in < 0:
                self.broken_in = None
                raise VendorBroken
        self.asked.append(since)
        found = sorted(
            (name for name, (at, _) in self.things.items() if at >= since),
            key=lambda name: (self.things[name][0], name),
            reverse=self.newest_first,
        )
        first = 0
        if place is not None:
            if place not in found:
                raise Refused(status=400)
            first = found.index(place) + 1
        shown = found[first : first + self.page_size]
        more = first + self.page_size < len(found)
        return [self.sighting(name) for name in shown], shown[-1] if more and shown else None

    def sighting(self, name: str) -> Sighting:
        at, state = self.things[name]
        draft = EventDraft(type="x.y", vendor_type=state, subject=name, time=at, key=name)
        return Sighting(name, state, at, lambda: draft, has_ended=state != RUNNING)


@dataclass
class Reader:
    """Asks as the product does, and keeps what was told."""

    vendor: Vendor
    now: Any = NOW
    position: Any = None
    told: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ask(self) -> PollAnswer:
        answer = sweep(self.position, now=self.now, reach=REACH, read=self.vendor.read)
        self.position = json.loads(json.dumps(dict(answer.position)))
        self.told.update((str(event.subject), event.vendor_type) for event in answer.events)
        return answer

    def sweep(self) -> None:
        while self.ask().more:
            pass

    def sweep_until_it_breaks(self) -> None:
        while True:
            self.sweep()


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_whatever_happens_meanwhile_nothing_is_lost_and_nothing_doubled(data: Any) -> None:
    vendor = Vendor(data.draw(st.booleans()), data.draw(st.integers(1, 4)))
    reader = Reader(vendor)
    for number in range(data.draw(st.integers(1, 40))):
        step = data.draw(st.sampled_from(["add", "add", "end", "wait", "ask", "sweep", "break"]))
        if step == "add":
            late = timedelta(seconds=data.draw(st.integers(0, 290)))
            state = data.draw(st.sampled_from(["failed", RUNNING]))
            vendor.things[f"t{number}"] = (reader.now - late, state)
        elif step == "end":
            running = sorted(name for name, (_, state) in vendor.things.items() if state == RUNNING)
            if running:
                name = data.draw(st.sampled_from(running))
                vendor.things[name] = (vendor.things[name][0], "passed")
        elif step == "wait":
            # Between two sweeps at most as long as something is waited for.
            reader.sweep()
            reader.now += timedelta(seconds=data.draw(st.integers(1, 1200)))
            reader.sweep()
        elif step == "ask":
            reader.ask()
        elif step == "sweep":
            reader.sweep()
        else:
            vendor.broken_in = data.draw(st.integers(0, 2))
            with pytest.raises(VendorBroken):
                reader.sweep_until_it_breaks()
    reader.sweep()
    reader.sweep()
    assert all(times == 1 for times in reader.told.values()), reader.told
    last = {(name, state) for name, (_, state) in vendor.things.items()}
    assert last <= set(reader.told)


def test_an_old_list_is_not_read_for_ever_and_what_was_told_is_forgotten_at_last() -> None:
    vendor = Vendor(things={"old": (NOW - timedelta(seconds=10), "failed")})
    reader = Reader(vendor)
    reader.sweep()
    reader.now += IDLE_REACH * 3
    reader.sweep()
    reader.sweep()
    assert vendor.asked[-1] == reader.now - IDLE_REACH
    assert reader.position["told"] == {}
    assert reader.told.total() == 1
    assert timedelta(0) < KEPT_LONGER < IDLE_REACH


def test_the_first_question_reaches_back_as_far_as_it_is_told() -> None:
    vendor = Vendor()
    Reader(vendor).sweep()
    assert vendor.asked == [NOW - REACH.look_back]


def test_what_is_told_at_once_comes_oldest_first() -> None:
    things = {f"t{number}": (NOW - timedelta(seconds=number), "failed") for number in range(5)}
    vendor = Vendor(page_size=9, things=things)
    answer = sweep(None, now=NOW, reach=REACH, read=vendor.read)
    assert [event.subject for event in answer.events] == ["t4", "t3", "t2", "t1", "t0"]


def test_a_place_that_is_refused_once_begins_the_sweep_again_and_twice_is_a_fault() -> None:
    things = {f"t{number}": (NOW - timedelta(seconds=number), "failed") for number in range(9)}
    vendor = Vendor(page_size=2, things=things)
    reader = Reader(vendor)
    assert reader.ask().more
    reader.position["place"] = "gone"
    assert reader.ask().more
    reader.position["place"] = "gone"
    with pytest.raises(Refused):
        reader.ask()
    reader.position["place"] = None
    reader.sweep()
    assert reader.told == Counter({(name, "failed"): 1 for name in things})


def test_a_refusal_that_is_no_matter_of_the_place_is_one() -> None:
    def refuse(_since: Any, _place: str | None) -> Any:
        raise Refused(status=401)

    with pytest.raises(Refused):
        sweep({"place": "t1"}, now=NOW, reach=REACH, read=refuse)
