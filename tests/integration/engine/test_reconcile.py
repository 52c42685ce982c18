"""Comparing a vendor's record with what was stored, and closing the gaps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.configured_tables import ConnectionRow, SourceRow
from schemas.events import EventDraft
from schemas.jobs import Reconcile
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.run_tables import RunRow
from schemas.states import GapState, ReconciliationState
from schemas.tables import DeliveryRow, EventRow
from service.errors import Conflict, RateLimited, Refused, Unreachable
from service.reconcile import reconcile
from service.reconcile_request import ask_for_sources, ask_to_reconcile
from service.unit_of_work import unit_of_work
from service.vendors.base import (
    CallContext,
    Delivery,
    Options,
    Record,
    Recorded,
    RecordPage,
    Window,
)
from tests.integration.engine.installation import START, Installation
from workers.scheduler import Scheduler


class RecordOptions(Options):
    """Options of the scripted record."""

    hook: str = ""


@dataclass
class Entry:
    """Something that happened at the vendor."""

    key: str
    at: datetime
    type: str = "go"


class Robot:
    """A vendor that remembers what happened, and can send it again."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.entries: list[Entry] = []
        self.per_page = 3
        self.tells_events = False
        self.sends_again = True
        self.arrives = True
        self.faults: list[Exception] = []
        self.resent: list[str] = []
        self.options: list[RecordOptions] = []

    def happen(self, number: int, *, withheld: Sequence[int] = ()) -> None:
        """Let so many things happen; all are delivered but those withheld."""
        for index in range(number):
            entry = Entry(f"e{index}", self.installation.now - timedelta(minutes=number - index))
            self.entries.append(entry)
            if index not in withheld:
                self.deliver(entry)

    def deliver(self, entry: Entry) -> None:
        row = DeliveryRow(
            source_id=self.installation.source_id,
            source="robot",
            vendor="robot",
            delivery_key=entry.key,
            received_at=self.installation.now,
            headers=[["x-hook", "7"]],
            body=json.dumps({"events": [{"type": "go", "fact": entry.key}]}).encode(),
            due_at=self.installation.now + timedelta(seconds=5),
        )
        id_ = row.id
        self.installation.store(row)
        self.installation.ingest(id_)

    def read(
        self,
        _context: CallContext,
        options: RecordOptions,
        window: Window,
        position: Mapping[str, Any] | None,
    ) -> RecordPage:
        self._fail()
        self.options.append(options)
        start = 0 if position is None else position["at"]
        found = [one for one in self.entries if window.since <= one.at < window.until]
        page = found[start : start + self.per_page]
        end = start + len(page)
        return RecordPage(
            [self.recorded(one) for one in page], {"at": end} if end < len(found) else None
        )

    def recorded(self, entry: Entry) -> Recorded:
        return Recorded(
            reference=f"ref-{entry.key}",
            time=entry.at,
            vendor_type=entry.type,
            delivery_keys=() if self.tells_events else (entry.key,),
            events=(self.draft(entry.key),) if self.tells_events else (),
            detail={"key": entry.key},
        )

    def draft(self, key: str) -> EventDraft:
        return EventDraft(type="go", vendor_type="go", fact=key)

    def redeliver(self, _context: CallContext, _options: RecordOptions, entry: Recorded) -> None:
        self._fail()
        if not self.sends_again:
            raise Refused("too old to be sent again")
        self.resent.append(entry.detail["key"])
        if self.arrives:
            self.deliver(next(one for one in self.entries if one.key == entry.detail["key"]))

    def restore(
        self, _context: CallContext, _options: RecordOptions, entry: Recorded
    ) -> list[EventDraft]:
        self._fail()
        if entry.detail["key"] == "e-forgotten":
            raise Refused("no longer known")
        return [self.draft(entry.detail["key"])]

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def record(self, **more: Any) -> Record:
        return Record(
            name="sent",
            summary="what was sent",
            options=RecordOptions,
            read=self.read,
            redeliver=self.redeliver,
            restore=self.restore,
            **more,
        )


def keep(installation: Installation, *records: Record) -> None:
    vendor = replace(installation.runtime.vendors["robot"], records=records)
    installation.runtime.vendors = {"robot": vendor}


@pytest.fixture
def robot(installation: Installation) -> Robot:
    robot = Robot(installation)
    keep(installation, robot.record())
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    return robot


def source(installation: Installation) -> SourceRow:
    (row,) = installation.rows(SourceRow)
    return row


def begin(installation: Installation, since: timedelta = timedelta(hours=24)) -> UUID:
    with unit_of_work(installation.database, installation.bell) as work:
        row = work.session.get(SourceRow, installation.source_id)
        assert row is not None
        found = ask_to_reconcile(
            work,
            installation.runtime.vendors,
            row,
            since=since,
            now=installation.now,
        )
        return found.id


def compare(installation: Installation, **more: Any) -> ReconciliationRow:
    """Ask for a comparison and carry it on to its end, moving the clock to each due time."""
    id_ = begin(installation, **more)
    return carry_on(installation, id_)


def carry_on(installation: Installation, id_: UUID) -> ReconciliationRow:
    for _ in range(100):
        reconcile(installation.runtime, id_)
        (row,) = installation.rows(ReconciliationRow, ReconciliationRow.id == id_)
        if row.ended_at is not None:
            return row
        installation.now = max(installation.now, row.due_at)
    message = f"it did not end: {row}"
    raise AssertionError(message)


def facts(installation: Installation) -> list[str]:
    return sorted(row.dedupe_key.rpartition(":")[2] for row in installation.rows(EventRow))


def figures(row: ReconciliationRow) -> tuple[int, int, int, int, int]:
    return row.checked, row.missing, row.asked, row.filled, row.unfilled


def gaps(installation: Installation) -> dict[str, str]:
    return {row.reference: row.state for row in installation.rows(GapRow)}


def test_what_was_lost_is_sent_again_and_nothing_is_doubled(
    installation: Installation, robot: Robot
) -> None:
    robot.happen(10, withheld=(2, 7))
    row = compare(installation)
    assert row.state == ReconciliationState.SUCCEEDED
    assert figures(row) == (10, 2, 2, 2, 0)
    assert robot.resent == ["e2", "e7"]
    assert facts(installation) == sorted(f"e{number}" for number in range(10))
    assert len(installation.rows(RunRow)) == 10
    assert gaps(installation) == {"ref-e2": GapState.FILLED, "ref-e7": GapState.FILLED}
    again = compare(installation)
    assert figures(again) == (10, 0, 0, 0, 0)
    assert robot.resent == ["e2", "e7"]


def test_what_cannot_be_sent_again_is_read_from_the_api_and_marked(
    installation: Installation, robot: Robot
) -> None:
    robot.sends_again = False
    robot.happen(4, withheld=(1,))
    row = compare(installation)
    assert figures(row) == (4, 1, 0, 1, 0)
    (event,) = installation.rows(EventRow, EventRow.origin == "reconciled")
    assert (event.source, event.delivery_id) == ("robot", None)
    assert len(installation.rows(RunRow)) == 4


def test_a_delivery_that_comes_after_all_gives_no_second_event(
    installation: Installation, robot: Robot
) -> None:
    robot.sends_again = False
    robot.happen(2, withheld=(0,))
    compare(installation)
    robot.deliver(robot.entries[0])
    assert facts(installation) == ["e0", "e1"]
    assert len(installation.rows(RunRow)) == 2


def test_what_was_sent_again_in_vain_is_read_from_the_api(
    installation: Installation, robot: Robot
) -> None:
    robot.arrives = False
    robot.happen(3, withheld=(1,))
    row = compare(installation)
    assert figures(row) == (3, 1, 1, 1, 0)
    assert facts(installation) == ["e0", "e1", "e2"]
    assert gaps(installation) == {"ref-e1": GapState.FILLED}


def test_a_record_that_tells_events_fills_gaps_by_itself(
    installation: Installation, robot: Robot
) -> None:
    robot.tells_events = True
    robot.happen(8, withheld=(0, 5))
    row = compare(installation)
    assert figures(row) == (8, 2, 0, 2, 0)
    assert robot.resent == []
    assert facts(installation) == sorted(f"e{number}" for number in range(8))
    assert figures(compare(installation)) == (8, 0, 0, 0, 0)


def test_what_is_to_be_had_in_no_way_is_told(installation: Installation, robot: Robot) -> None:
    robot.sends_again = False
    robot.entries.append(Entry("e-forgotten", installation.now - timedelta(minutes=1)))
    row = compare(installation)
    assert figures(row) == (1, 1, 0, 0, 1)
    (gap,) = installation.rows(GapRow)
    assert (gap.state, gap.error) == (GapState.OPEN, "no longer known")


def test_an_id_that_is_only_in_a_header_is_found(installation: Installation, robot: Robot) -> None:
    def identities(delivery: Delivery, _options: Options) -> list[str]:
        return [f"sent-{item['fact']}" for item in delivery.json()["events"]]

    recorded = robot.recorded
    robot.recorded = lambda entry: replace(  # type: ignore[method-assign]  # the record names other ids
        recorded(entry), delivery_keys=(f"sent-{entry.key}",)
    )
    keep(installation, robot.record(identities=identities))
    robot.happen(5, withheld=(3,))
    row = compare(installation)
    assert figures(row) == (5, 1, 1, 1, 0)
    assert robot.resent == ["e3"]


def test_only_the_window_is_compared(installation: Installation, robot: Robot) -> None:
    robot.happen(5, withheld=range(5))
    row = compare(installation, since=timedelta(minutes=2, seconds=30))
    assert figures(row) == (2, 2, 2, 2, 0)


@pytest.mark.parametrize("fault", [Unreachable("away"), RateLimited()])
def test_a_fault_in_the_middle_only_makes_it_go_on_later(
    installation: Installation, robot: Robot, fault: Exception
) -> None:
    robot.happen(8, withheld=(1, 4, 6))
    id_ = begin(installation)
    for _ in range(4):
        robot.faults = [fault]
        reconcile(installation.runtime, id_)
        robot.faults = []
        installation.now += timedelta(minutes=5)
    row = carry_on(installation, id_)
    assert row.state == ReconciliationState.SUCCEEDED
    assert facts(installation) == sorted(f"e{number}" for number in range(8))
    assert sorted(robot.resent) == ["e1", "e4", "e6"]


def test_a_limit_while_asking_repeats_no_redelivery(
    installation: Installation, robot: Robot
) -> None:
    robot.per_page = 10
    robot.happen(6, withheld=(0, 1, 2, 3))
    redeliver = robot.redeliver

    def limited_after_two(*given: Any) -> None:
        if len(robot.resent) == 2 and not robot.faults:
            robot.faults = [RateLimited(retry_after=timedelta(seconds=30))]
        redeliver(*given)

    keep(installation, replace(robot.record(), redeliver=limited_after_two))
    id_ = begin(installation)
    reconcile(installation.runtime, id_)
    assert len(robot.resent) == 2
    robot.resent.append("the limit is over")
    row = carry_on(installation, id_)
    assert robot.resent.count("e0") == robot.resent.count("e3") == 1
    assert (row.missing, row.filled) == (4, 4)
    assert facts(installation) == [f"e{number}" for number in range(6)]


def test_a_vendor_that_stays_away_is_given_up_with_the_reason(
    installation: Installation, robot: Robot
) -> None:
    robot.faults = [Unreachable("the vendor is away")] * 20
    row = compare(installation)
    assert row.state == ReconciliationState.FAILED
    assert "the vendor is away" in (row.error or "")


def test_one_record_that_is_refused_does_not_stop_the_other(
    installation: Installation, robot: Robot
) -> None:
    def refuse(*_given: Any) -> RecordPage:
        raise Refused("no such permission", hint="add the scope hooks:read")

    keep(
        installation,
        replace(robot.record(), name="secret", read=refuse),
        robot.record(),
    )
    robot.happen(3, withheld=(1,))
    row = compare(installation)
    assert row.state == ReconciliationState.FAILED
    assert row.error == "secret: no such permission (add the scope hooks:read)"
    assert facts(installation) == ["e0", "e1", "e2"]


def test_a_bug_in_vendor_code_ends_with_its_reason(
    installation: Installation, robot: Robot
) -> None:
    robot.faults = [RuntimeError("a bug")]
    row = compare(installation)
    assert row.state == ReconciliationState.FAILED
    assert "RuntimeError" in (row.error or "")


def test_options_are_learned_from_deliveries_and_configured_ones_go_before(
    installation: Installation, robot: Robot
) -> None:
    def learn(deliveries: Sequence[Delivery]) -> Mapping[str, Any]:
        return {"hook": deliveries[0].headers.first("x-hook")} if deliveries else {}

    keep(installation, robot.record(learn=learn))
    robot.happen(1)
    compare(installation)
    row = source(installation)
    row.reconcile = {"records": {"sent": {"hook": "9"}}}
    installation.store(row)
    compare(installation)
    assert [options.hook for options in robot.options] == ["7", "9"]


def test_two_workers_do_not_compare_at_the_same_time(
    installation: Installation, robot: Robot
) -> None:
    other = installation.another_worker()
    other.vendors = installation.runtime.vendors
    robot.happen(1)
    id_ = begin(installation)
    read = robot.read
    read_by: list[str] = []

    def read_while_another_tries(*given: Any) -> RecordPage:
        if not read_by:
            read_by.append("other")
            reconcile(other, id_)
        read_by.append("first")
        return read(*given)

    keep(installation, replace(robot.record(), read=read_while_another_tries))
    other.vendors = installation.runtime.vendors
    carry_on(installation, id_)
    assert read_by == ["other", "first"]


def test_asking_twice_gives_the_one_that_is_under_way(
    installation: Installation, robot: Robot
) -> None:
    assert begin(installation) == begin(installation)
    assert len(installation.rows(ReconciliationRow)) == 1


@pytest.mark.parametrize("wanting", ["record", "connection"])
def test_a_source_that_cannot_be_compared_is_refused_in_words(
    installation: Installation, robot: Robot, wanting: str
) -> None:
    if wanting == "record":
        keep(installation)
    else:
        box = installation.rows(ConnectionRow)[0].credentials
        installation.store(
            ConnectionRow(name="second", vendor="robot", credentials=box, updated_at=START)
        )
    with pytest.raises(Conflict, match=wanting):
        begin(installation)


def test_a_schedule_begins_a_comparison_and_names_the_next(
    installation: Installation, robot: Robot
) -> None:
    row = source(installation)
    row.reconcile = {"every": 3600.0, "since": 7200.0, "records": {}}
    row.reconcile_due_at = installation.now
    installation.store(row)
    scheduler = Scheduler(installation.runtime)
    scheduler.ring_due()
    (begun,) = installation.rows(ReconciliationRow)
    assert begun.by == "schedule"
    assert Reconcile(begun.id) in installation.bell.rung
    assert source(installation).reconcile_due_at == installation.now + timedelta(hours=1)
    scheduler.ring_due()
    assert len(installation.rows(ReconciliationRow)) == 1


def test_a_lost_bell_is_rung_again(installation: Installation, robot: Robot) -> None:
    id_ = begin(installation)
    installation.bell.rung.clear()
    Scheduler(installation.runtime).ring_due()
    assert installation.bell.rung == [Reconcile(id_)]


def test_a_fact_is_one_event_whichever_way_it_comes(
    installation: Installation, robot: Robot
) -> None:
    """A webhook, the same webhook under another id, and the record."""
    robot.tells_events = True
    entry = Entry("e0", installation.now - timedelta(minutes=1))
    robot.entries.append(entry)
    robot.deliver(entry)
    robot.deliver(Entry("e0-again", entry.at))
    installation.ingest(installation.deliver({"type": "go", "fact": "e0"}))
    compare(installation)
    assert facts(installation) == ["e0", "e0-again"]


def test_long_facts_that_differ_stay_apart(installation: Installation, robot: Robot) -> None:
    long = "x" * 500
    installation.ingest(
        installation.deliver({"type": "go", "fact": f"{long}1"}, {"type": "go", "fact": f"{long}2"})
    )
    assert len(installation.rows(EventRow)) == 2


def test_a_fact_that_came_before_its_source_was_tied_does_not_come_again(
    installation: Installation, robot: Robot
) -> None:
    robot.tells_events = True
    robot.happen(3)
    row = source(installation)
    row.connection = "robot"
    installation.store(row)
    robot.deliver(Entry("e1-by-another-id", installation.now))
    assert figures(compare(installation)) == (3, 0, 0, 0, 0)
    assert facts(installation) == ["e0", "e1", "e1-by-another-id", "e2"]


def test_a_vendors_odd_texts_are_stored(installation: Installation, robot: Robot) -> None:
    robot.tells_events = True
    robot.entries.append(Entry("cut\ud83d\x00", installation.now - timedelta(minutes=1)))
    robot.per_page = 1
    robot.entries.append(Entry("whole", installation.now - timedelta(minutes=1)))
    assert compare(installation).state == ReconciliationState.SUCCEEDED
    assert len(installation.rows(EventRow)) == 2


def test_a_schedule_neither_changes_nor_doubles_what_a_person_asked_for(
    installation: Installation, robot: Robot
) -> None:
    robot.happen(3, withheld=(0,))
    id_ = begin(installation, since=timedelta(hours=36))
    row = source(installation)
    row.reconcile = {"every": 3600.0, "since": 60.0, "records": {}}
    row.reconcile_due_at = installation.now
    installation.store(row)
    Scheduler(installation.runtime).ring_due()
    (asked,) = installation.rows(ReconciliationRow)
    assert (asked.id, asked.since) == (id_, installation.now - timedelta(hours=36))
    assert figures(carry_on(installation, id_)) == (3, 1, 1, 1, 0)


def test_who_asks_for_more_than_is_under_way_gets_a_comparison_of_his_own(
    installation: Installation, robot: Robot
) -> None:
    short = begin(installation, since=timedelta(minutes=2))
    long = begin(installation, since=timedelta(hours=36))
    assert short != long
    assert begin(installation, since=timedelta(hours=1)) == long
    installation.now += timedelta(minutes=5)
    assert begin(installation, since=timedelta(hours=1)) not in {short, long}


def test_what_may_have_been_removed_here_is_not_missed(
    installation: Installation, robot: Robot
) -> None:
    id_ = begin(installation, since=timedelta(days=60))
    (asked,) = installation.rows(ReconciliationRow, ReconciliationRow.id == id_)
    assert asked.since == installation.now - timedelta(days=27)


def test_a_source_with_an_impossible_schedule_stops_no_timer_of_others(
    installation: Installation, robot: Robot
) -> None:
    row = source(installation)
    row.reconcile = {"every": 3600.0, "since": 9e12, "records": {}}
    row.reconcile_due_at = installation.now
    installation.store(row)
    id_ = begin(installation)
    installation.bell.rung.clear()
    Scheduler(installation.runtime).ring_due()
    assert Reconcile(id_) in installation.bell.rung
    assert source(installation).reconcile_due_at > installation.now


def test_pages_that_lead_in_a_circle_end_with_the_reason(
    installation: Installation, robot: Robot
) -> None:
    def circle(*given: Any) -> RecordPage:
        position = given[3]
        return RecordPage([], {"at": "b" if position == {"at": "a"} else "a"})

    keep(installation, replace(robot.record(), read=circle))
    row = compare(installation)
    assert row.state == ReconciliationState.FAILED
    assert "circle" in (row.error or "")


def test_an_impossible_schedule_is_said_to_who_asks(
    installation: Installation, robot: Robot
) -> None:
    row = source(installation)
    row.reconcile = {"every": 3600.0, "since": 9e6, "records": {}}
    installation.store(row)
    with pytest.raises(Conflict, match="`since` must be at most 90 days"):
        ask_for_sources(
            installation.database,
            installation.bell,
            installation.runtime.vendors,
            lambda: installation.now,
            source="robot",
            since=None,
        )
