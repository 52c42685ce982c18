"""Deliveries of vendors that sign nothing: the vendor's API has the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.configured_tables import ConnectionRow, SourceRow
from schemas.events import EventDraft
from schemas.jobs import ReadBackDelivery
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EventRow
from service.errors import Permanent, RateLimited, Refused, Transient, Unreachable
from service.read_back import GIVE_UP, MAY_BE_LATE, MOST_FAILURES, read_back_delivery
from service.replay import replay_delivery
from service.tokens import Caller, Role
from service.vendors.base import CallContext, Delivery, Options
from tests.integration.engine.installation import Installation


class Truth:
    """What the vendor's API says; the last answer is repeated."""

    def __init__(self) -> None:
        self.answers: list[Any] = [[told("go", "run:1:failed")]]
        self.asked: list[tuple[str, bytes]] = []

    def __call__(
        self, context: CallContext, delivery: Delivery, _options: Options
    ) -> list[EventDraft]:
        self.asked.append((context.connection, delivery.body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


def told(type_: str, fact: str) -> EventDraft:
    return EventDraft(type=type_, vendor_type="run", fact=fact, facts={"said_by": "api"})


@pytest.fixture
def truth(installation: Installation) -> Truth:
    truth = Truth()
    vendor = installation.runtime.vendors["robot"]
    assert vendor.incoming is not None
    incoming = replace(vendor.incoming, read_back=truth, needs_secret=False)
    installation.runtime.vendors = {"robot": replace(vendor, incoming=incoming)}
    (source,) = installation.rows(SourceRow)
    source.connection = "robot"
    installation.store(source)
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read}]}")
    return truth


def hint(installation: Installation) -> UUID:
    """Deliver a body that lies, and ingest it."""
    delivery_id = installation.deliver({"type": "lie"})
    installation.ingest(delivery_id)
    return delivery_id


def delivery(installation: Installation) -> DeliveryRow:
    (row,) = installation.rows(DeliveryRow)
    return row


def test_the_truth_is_what_the_api_says(installation: Installation, truth: Truth) -> None:
    delivery_id = hint(installation)
    assert installation.rows(EventRow) == []
    assert installation.bell.rung == [ReadBackDelivery(delivery_id)]
    read_back_delivery(installation.runtime, delivery_id)
    (event,) = installation.rows(EventRow)
    assert (event.type, event.delivery_id, event.source) == ("go", delivery_id, "robot")
    assert event.origin == "webhook"
    assert delivery(installation).state == DeliveryState.INGESTED
    assert len(installation.rows(RunRow)) == 1
    assert truth.asked[0][0] == "robot"


def test_a_lost_bell_is_rung_again(installation: Installation, truth: Truth) -> None:
    delivery_id = hint(installation)
    assert delivery(installation).due_at is not None
    installation.now += timedelta(minutes=2)
    installation.ingest(delivery_id)
    assert installation.bell.rung[-1] == ReadBackDelivery(delivery_id)


def test_twice_and_at_the_same_time_is_once(installation: Installation, truth: Truth) -> None:
    one, other = hint(installation), hint(installation)
    for delivery_id in (one, one, other):
        read_back_delivery(installation.runtime, delivery_id)
    assert len(installation.rows(EventRow)) == 1
    assert {row.state for row in installation.rows(DeliveryRow)} == {DeliveryState.INGESTED}


def test_what_the_vendor_does_not_know_starts_nothing(
    installation: Installation, truth: Truth
) -> None:
    truth.answers = [Refused("no such run", status=404)]
    delivery_id = hint(installation)
    read_back_delivery(installation.runtime, delivery_id)
    row = delivery(installation)
    assert row.state == DeliveryState.RECEIVED, "its API may be a little behind"
    installation.now += MAY_BE_LATE
    read_back_delivery(installation.runtime, delivery_id)
    row = delivery(installation)
    assert row.state == DeliveryState.UNCONFIRMED
    assert "no such run" in (row.error or "")
    assert row.due_at is None
    assert installation.rows(EventRow) == []


@pytest.mark.parametrize(
    ("fault", "pause", "failures"),
    [
        (Unreachable("away"), timedelta(seconds=5), 1),
        (Refused("wrong token", status=401), timedelta(seconds=5), 1),
        (RateLimited(retry_after=timedelta(seconds=40)), timedelta(seconds=40), 0),
    ],
    ids=["away", "refused", "limited"],
)
def test_a_vendor_that_cannot_tell_now_is_asked_later(
    installation: Installation, truth: Truth, fault: Exception, pause: timedelta, failures: int
) -> None:
    truth.answers = [fault, [told("go", "run:1:failed")]]
    delivery_id = hint(installation)
    read_back_delivery(installation.runtime, delivery_id)
    row = delivery(installation)
    assert (row.state, row.failures) == (DeliveryState.RECEIVED, failures)
    assert row.due_at == installation.now + pause
    read_back_delivery(installation.runtime, delivery_id)
    assert [event.type for event in installation.rows(EventRow)] == ["go"]


@pytest.mark.parametrize("fault", [Unreachable("away"), Refused("wrong token", status=403)])
def test_after_an_hour_a_delivery_is_taken_at_its_word(
    installation: Installation, truth: Truth, fault: Exception
) -> None:
    truth.answers = [fault]
    delivery_id = hint(installation)
    installation.now += GIVE_UP
    read_back_delivery(installation.runtime, delivery_id)
    assert [event.type for event in installation.rows(EventRow)] == ["lie"]
    assert delivery(installation).state == DeliveryState.INGESTED


def test_what_its_api_lists_a_little_later_is_taken(
    installation: Installation, truth: Truth
) -> None:
    truth.answers = [Refused("no such run", status=404), [told("go", "run:1:failed")]]
    delivery_id = hint(installation)
    for _ in range(2):
        read_back_delivery(installation.runtime, delivery_id)
    assert [event.type for event in installation.rows(EventRow)] == ["go"]


def test_a_bug_in_vendor_code_loses_nothing(installation: Installation, truth: Truth) -> None:
    truth.answers = [RuntimeError("a bug")]
    delivery_id = hint(installation)
    read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.RECEIVED
    installation.now += GIVE_UP
    read_back_delivery(installation.runtime, delivery_id)
    assert [event.type for event in installation.rows(EventRow)] == ["lie"]


def test_nobody_gets_past_the_vendor_by_naming_nothing(
    installation: Installation, truth: Truth
) -> None:
    truth.answers = [ValueError("no id")]
    read_back_delivery(installation.runtime, hint(installation))
    assert installation.rows(EventRow) == []
    row = delivery(installation)
    assert row.state == DeliveryState.UNCONFIRMED
    assert "no id" in (row.error or "")


def test_without_a_connection_there_is_nobody_to_ask(
    installation: Installation, truth: Truth
) -> None:
    (source,) = installation.rows(SourceRow)
    source.connection = None
    installation.store(source)
    hint(installation)
    assert [event.type for event in installation.rows(EventRow)] == ["lie"]
    assert truth.asked == []


def test_a_connection_that_was_removed_is_waited_for(
    installation: Installation, truth: Truth
) -> None:
    (connection,) = installation.rows(ConnectionRow)
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.delete(session.merge(connection))
        session.commit()
    delivery_id = hint(installation)
    read_back_delivery(installation.runtime, delivery_id)
    assert "cannot be asked" in (delivery(installation).error or "")
    installation.now += GIVE_UP
    read_back_delivery(installation.runtime, delivery_id)
    assert [event.type for event in installation.rows(EventRow)] == ["lie"]


def test_a_vendor_that_has_nothing_final_to_tell_is_not_overruled(
    installation: Installation, truth: Truth
) -> None:
    truth.answers = [Transient("the run is still running")]
    delivery_id = hint(installation)
    installation.now += GIVE_UP
    read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.RECEIVED
    installation.now += timedelta(hours=24)
    read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.UNCONFIRMED
    assert installation.rows(EventRow) == []


def test_an_id_that_is_none_proves_nothing(installation: Installation, truth: Truth) -> None:
    truth.answers = [Permanent("'..' cannot be part of an address")]
    read_back_delivery(installation.runtime, hint(installation))
    assert delivery(installation).state == DeliveryState.UNCONFIRMED


def test_a_replay_asks_the_vendor_again_and_never_takes_a_delivery_at_its_word(
    installation: Installation, truth: Truth
) -> None:
    truth.answers = [Refused("no such run", status=404)]
    delivery_id = hint(installation)
    installation.now += GIVE_UP
    read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.UNCONFIRMED

    truth.answers = [Unreachable("away")]
    assert replay(installation, delivery_id) == DeliveryState.RECEIVED
    for _ in range(MOST_FAILURES + 1):
        read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.UNCONFIRMED
    assert installation.rows(EventRow) == []

    truth.answers = [[told("go", "run:1:failed")]]
    replay(installation, delivery_id)
    assert installation.bell.rung[-1] == ReadBackDelivery(delivery_id)
    read_back_delivery(installation.runtime, delivery_id)
    assert delivery(installation).state == DeliveryState.INGESTED
    # What it spoke of is known now: its runs begin anew, and nobody is asked.
    asked = len(truth.asked)
    assert replay(installation, delivery_id) == DeliveryState.INGESTED
    assert len(truth.asked) == asked
    assert sorted(run.replay for run in installation.rows(RunRow)) == [0, 1]


def replay(installation: Installation, delivery_id: UUID) -> str:
    caller = Caller("ann", Role.OPERATOR, None)
    return replay_delivery(installation.runtime, delivery_id, caller=caller).state
