"""Polls: events and position together, nothing repeated, a fault only puts it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.configured_tables import PollRow
from schemas.events import EventDraft
from schemas.jobs import PerformPoll
from schemas.run_tables import RunRow
from schemas.tables import EventRow
from service.errors import RateLimited, Unreachable
from service.polling import perform_poll
from service.runtime import Runtime
from service.vendors.base import CallContext, Options, Poll, PollAnswer
from tests.integration.engine.installation import Installation
from workers.scheduler import Scheduler


class Ledger:
    """A vendor's list, asked for what is newer than the position."""

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.faults: list[Exception] = []
        self.at_once = 1000
        self.earlier: Any = None

    def ask(
        self, context: CallContext, _options: Options, position: Mapping[str, Any] | None
    ) -> PollAnswer:
        self.earlier = context.earlier
        if self.faults:
            raise self.faults.pop(0)
        last = 0 if position is None else position["last"]
        left = [entry for entry in self.entries if entry > last]
        new = left[: self.at_once]
        drafts = [EventDraft(type="go", vendor_type="entry", key=f"e{entry}") for entry in new]
        return PollAnswer(drafts, {"last": max([last, *new])}, more=len(left) > len(new))


@pytest.fixture
def ledger(installation: Installation) -> Ledger:
    ledger = Ledger()
    poll = Poll(name="entries", summary="entries", options=Options, ask=ledger.ask)
    vendor = replace(installation.runtime.vendors["robot"], polls=(poll,))
    installation.runtime.vendors = {"robot": vendor}
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    return ledger


@pytest.fixture
def poll_id(installation: Installation) -> UUID:
    row = PollRow(
        name="entries",
        connection="robot",
        poll="entries",
        every_seconds=60,
        due_at=installation.now,
        updated_at=installation.now,
    )
    poll_id = row.id
    installation.store(row)
    return poll_id


def stored(installation: Installation) -> PollRow:
    (row,) = installation.rows(PollRow)
    return row


def test_each_entry_becomes_one_event_and_starts_its_run(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    for entries in ([1, 2], [1, 2, 3], [1, 2, 3]):
        ledger.entries = entries
        perform_poll(installation.runtime, poll_id)
        installation.now += timedelta(minutes=1)
    assert len(installation.rows(EventRow)) == 3
    assert len(installation.rows(RunRow)) == 3
    row = stored(installation)
    assert row.position == {"last": 3}
    assert row.due_at == row.asked_at + timedelta(seconds=60)


def test_an_answer_read_twice_because_of_a_crash_repeats_nothing(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    ledger.entries = [1, 2]
    perform_poll(installation.runtime, poll_id)
    row = stored(installation)
    row.position = None
    installation.store(row)
    perform_poll(installation.runtime, poll_id)
    assert len(installation.rows(EventRow)) == 2


@pytest.mark.parametrize(
    ("fault", "pause", "failures"),
    [
        (Unreachable(), timedelta(seconds=60), 1),
        (RateLimited(retry_after=timedelta(minutes=10)), timedelta(minutes=10), 0),
        (RuntimeError("a bug in vendor code"), timedelta(seconds=60), 1),
    ],
    ids=["unreachable", "limited", "bug"],
)
def test_a_fault_puts_the_poll_off_and_keeps_its_position(
    installation: Installation,
    ledger: Ledger,
    poll_id: UUID,
    fault: Exception,
    pause: timedelta,
    failures: int,
) -> None:
    ledger.entries = [1]
    perform_poll(installation.runtime, poll_id)
    ledger.faults = [fault]
    perform_poll(installation.runtime, poll_id)
    row = stored(installation)
    assert (row.failures, row.position) == (failures, {"last": 1})
    assert row.due_at == installation.now + pause
    assert row.error
    perform_poll(installation.runtime, poll_id)
    assert (stored(installation).failures, stored(installation).error) == (0, None)


def test_a_long_list_is_read_on_at_once(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    ledger.entries = [1, 2, 3, 4, 5]
    ledger.at_once = 2
    for expected in (2, 4):
        perform_poll(installation.runtime, poll_id)
        assert len(installation.rows(EventRow)) == expected
        assert stored(installation).due_at == installation.now
        assert installation.bell.rung[-1] == PerformPoll(poll_id)
    perform_poll(installation.runtime, poll_id)
    assert len(installation.rows(EventRow)) == 5
    assert stored(installation).due_at == installation.now + timedelta(seconds=60)


def test_a_limit_in_the_middle_of_a_list_neither_loses_nor_repeats(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    ledger.entries = [1, 2, 3]
    ledger.at_once = 2
    perform_poll(installation.runtime, poll_id)
    ledger.faults = [RateLimited(retry_after=timedelta(seconds=7))]
    perform_poll(installation.runtime, poll_id)
    assert stored(installation).due_at == installation.now + timedelta(seconds=7)
    perform_poll(installation.runtime, poll_id)
    assert sorted(row.dedupe_key for row in installation.rows(EventRow)) == [
        f"poll:entries:e{number}" for number in (1, 2, 3)
    ]


def test_a_poll_knows_what_its_connection_did_before(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    installation.workflow("{name: o, on: [{event: act}], steps: [{id: do, uses: robot.once}]}")
    (run_id,) = installation.ingest(installation.deliver({"type": "act"}))
    installation.advance(run_id)
    perform_poll(installation.runtime, poll_id)
    assert list(ledger.earlier("robot.once")) == [{"id": 1}]
    assert list(ledger.earlier("robot.natural")) == []


def test_a_poll_is_asked_by_one_worker_at_a_time(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    other = installation.another_worker()
    other.vendors = installation.runtime.vendors
    asked: list[Runtime] = []
    ask = ledger.ask

    def ask_while_another_tries(*given: Any) -> PollAnswer:
        asked.append(installation.runtime)
        if len(asked) == 1:
            perform_poll(other, poll_id)
        return ask(*given)

    ledger_poll = installation.runtime.vendors["robot"].polls[0]
    vendor = replace(
        installation.runtime.vendors["robot"],
        polls=(replace(ledger_poll, ask=ask_while_another_tries),),
    )
    installation.runtime.vendors = other.vendors = {"robot": vendor}
    perform_poll(installation.runtime, poll_id)
    assert len(asked) == 1


def test_a_position_with_odd_texts_is_stored(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    def ask(*_given: Any) -> PollAnswer:
        return PollAnswer([], {"cursor": "cut\ud83d\x00"})

    poll = replace(installation.runtime.vendors["robot"].polls[0], ask=ask)
    vendor = replace(installation.runtime.vendors["robot"], polls=(poll,))
    installation.runtime.vendors = {"robot": vendor}
    perform_poll(installation.runtime, poll_id)
    assert stored(installation).position == {"cursor": "cut\ufffd\ufffd"}


def test_a_worker_that_lives_keeps_its_poll_however_long_it_asks(
    installation: Installation, ledger: Ledger, poll_id: UUID
) -> None:
    other = installation.another_worker()
    other.vendors = installation.runtime.vendors
    ask = ledger.ask
    asked: list[int] = []

    def slow(*given: Any) -> PollAnswer:
        asked.append(1)
        for _ in range(4):
            installation.now += timedelta(seconds=50)
            Scheduler(installation.runtime).beat()
            perform_poll(other, poll_id)
        return ask(*given)

    ledger.entries = [1]
    poll = replace(installation.runtime.vendors["robot"].polls[0], ask=slow)
    vendor = replace(installation.runtime.vendors["robot"], polls=(poll,))
    installation.runtime.vendors = other.vendors = {"robot": vendor}
    perform_poll(installation.runtime, poll_id)
    assert asked == [1]
    assert len(installation.rows(EventRow)) == 1
