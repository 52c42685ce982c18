"""What always fails, or takes its worker down, is set aside with its reason and stops nobody else.

A worker that is lost is a thread that ends by SystemExit here: nothing catches it, its transaction
is undone, and nobody gives its lease back. tests/e2e kills real processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID

import pytest

from schemas.configured_tables import PollRow, SourceRow
from schemas.events import EventDraft
from schemas.jobs import IngestDeliveries, IngestFew, IngestOneByOne
from schemas.states import AlertState, DeliveryState, EffectState
from schemas.tables import AlertRow, DeliveryRow, EventRow
from service.losses import MOST_LOSSES
from service.polling import AFTER_LOSSES
from service.vendors.base import Poll
from tests.integration.engine.installation import Installation
from workers.actors import ACTORS
from workers.scheduler import Scheduler

STEP = timedelta(seconds=2)
"""A look of the timers now and then tells the same as every one of them."""
PERFORM = {actor.job: actor.perform for actor in ACTORS}
POISON = b'{"events": [{"type": "poison"}]}'


def lose_worker(*_: Any, **__: Any) -> NoReturn:
    raise SystemExit


def go_on(installation: Installation, is_over: Callable[[], bool], *, most: timedelta) -> int:
    """Let time pass and perform what is rung for, until it is over; gives the workers lost."""
    lost = 0
    began = installation.now
    scheduler = Scheduler(installation.runtime)
    while not is_over():
        assert installation.now < began + most, "it goes on and on"
        installation.now += STEP
        scheduler.ring_due()
        while installation.bell.rung:
            job = installation.bell.rung.pop(0)
            try:
                PERFORM[type(job)](installation.runtime, job)
            except SystemExit:
                lost += 1
    return lost


def with_normalise(installation: Installation, fail: Callable[..., NoReturn]) -> None:
    """Let the vendor's code fail like this for one body."""
    vendor = installation.runtime.vendors["robot"]
    assert vendor.incoming is not None
    normalise = vendor.incoming.normalise

    def poisoned(delivery: Any, options: Any) -> list[EventDraft]:
        return fail() if delivery.body == POISON else normalise(delivery, options)

    incoming = replace(vendor.incoming, normalise=poisoned)
    installation.runtime.vendors = {"robot": replace(vendor, incoming=incoming)}


def with_read_back(installation: Installation, ask: Callable[..., Any]) -> None:
    """Let the vendor be asked what its deliveries speak of."""
    vendor = installation.runtime.vendors["robot"]
    assert vendor.incoming is not None
    incoming = replace(vendor.incoming, read_back=ask, needs_secret=False)
    installation.runtime.vendors = {"robot": replace(vendor, incoming=incoming)}
    (source,) = installation.rows(SourceRow)
    source.connection = "robot"
    installation.store(source)


def row(installation: Installation, delivery_id: UUID) -> DeliveryRow:
    found: DeliveryRow
    (found,) = installation.rows(DeliveryRow, DeliveryRow.id == delivery_id)
    return found


@pytest.mark.parametrize("error", [MemoryError, RecursionError, AttributeError])
def test_a_delivery_that_cannot_be_read_dies_and_the_others_are_read(
    installation: Installation, error: type[Exception]
) -> None:
    def fail(*_: Any) -> NoReturn:
        raise error

    with_normalise(installation, fail)
    good = [installation.deliver({"type": "go"}) for _ in range(2)]
    bad = installation.deliver(body=POISON)
    PERFORM[IngestDeliveries](installation.runtime, IngestDeliveries((good[0], bad, good[1])))
    assert len(installation.rows(EventRow)) == 2
    go_on(installation, lambda: row(installation, bad).due_at is None, most=timedelta(minutes=5))
    assert row(installation, bad).state == DeliveryState.DEAD
    assert error.__name__ in (row(installation, bad).error or "")


def test_a_delivery_that_takes_its_worker_down_is_set_aside_and_the_others_are_read(
    installation: Installation,
) -> None:
    with_normalise(installation, lose_worker)
    good = [installation.deliver({"type": "go"}) for _ in range(4)]
    bad = installation.deliver(body=POISON)
    installation.bell.rung.append(IngestDeliveries((*good[:2], bad, *good[2:])))
    lost = go_on(
        installation, lambda: row(installation, bad).due_at is None, most=timedelta(minutes=5)
    )
    assert {row(installation, one).state for one in good} == {DeliveryState.INGESTED}
    dead = row(installation, bad)
    assert dead.state == DeliveryState.DEAD
    assert dead.error == f"its worker was lost {MOST_LOSSES} times in a row while it was read"
    # The first readings were together with the others, and nothing was written down before.
    assert lost <= MOST_LOSSES + 3


def test_a_delivery_whose_read_back_takes_its_worker_down_is_set_aside(
    installation: Installation,
) -> None:
    with_read_back(installation, lose_worker)
    bad = installation.deliver({"type": "go"})
    go_on(installation, lambda: row(installation, bad).due_at is None, most=timedelta(minutes=10))
    assert row(installation, bad).state == DeliveryState.DEAD
    assert "was lost" in (row(installation, bad).error or "")


def test_a_delivery_whose_vendor_could_not_be_asked_yet_is_no_suspect(
    installation: Installation,
) -> None:
    with_read_back(installation, lambda *_: [])
    installation.deliver({"type": "go"})
    scheduler = Scheduler(installation.runtime)
    for _ in range(5):
        installation.now += timedelta(seconds=10)
        scheduler.ring_due()
        (job,) = installation.bell.rung
        assert isinstance(job, IngestFew)
        PERFORM[IngestFew](installation.runtime, job)
        # So many others wait to be asked about that this ring is dropped.
        installation.bell.rung.clear()


def test_a_delivery_that_was_only_rung_for_often_is_read_like_any_other(
    installation: Installation,
) -> None:
    delivery_id = installation.deliver({"type": "go"})
    scheduler = Scheduler(installation.runtime)
    for _ in range(5):
        installation.bell.rung.clear()
        installation.now += timedelta(seconds=10)
        scheduler.ring_due()
    assert installation.bell.rung == [IngestOneByOne((delivery_id,))]
    go_on(installation, lambda: bool(installation.rows(EventRow)), most=timedelta(seconds=20))


def one_step(installation: Installation) -> UUID:
    installation.workflow(
        "{name: w, on: [{event: go}], steps: [{id: read, uses: robot.read, retry: {attempts: 50}}]}"
    )
    return installation.start()


class LosesWhoeverAsks(threading.Event):
    """Asked in the middle of a run's transaction, before anything is called."""

    def is_set(self) -> NoReturn:
        raise SystemExit


@pytest.mark.parametrize("place", ["in a call", "while it is planned"])
def test_a_run_that_takes_its_worker_down_fails_and_says_so(
    installation: Installation, place: str
) -> None:
    run_id = one_step(installation)
    if place == "in a call":
        installation.script.answers = [lose_worker]
    else:
        installation.runtime.stopping = LosesWhoeverAsks()
    lost = go_on(
        installation, lambda: installation.run(run_id).due_at is None, most=timedelta(minutes=30)
    )
    run = installation.run(run_id)
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["code"] == "worker_lost"
    assert run.error["message"] == f"its worker was lost {MOST_LOSSES} times in a row"
    assert lost <= MOST_LOSSES + 3


@pytest.mark.parametrize("attempts", [2, 50])
def test_a_call_that_took_its_workers_down_is_in_doubt_and_not_failed(
    installation: Installation, attempts: int
) -> None:
    installation.workflow(
        "{name: w, on: [{event: go}], on_failure: [{id: tidy, uses: robot.read}], steps: "
        f"[{{id: only, uses: robot.looked_up, retry: {{attempts: {attempts}}}}}]}}"
    )
    run_id = installation.start()
    installation.script.answers = installation.script.look_ups = [lose_worker]
    go_on(installation, lambda: installation.run(run_id).due_at is None, most=timedelta(minutes=30))
    assert installation.run(run_id).status == "waiting"
    assert installation.step(run_id, "only").status == "in_doubt"
    assert [row.status for row in installation.attempts(run_id) if row.ended_at is None] == []
    assert [row.state for row in installation.effects(run_id)] == [EffectState.IN_DOUBT]
    assert [row.state for row in installation.rows(AlertRow)] == [AlertState.OPEN]


def test_workers_that_were_lost_with_different_steps_do_not_add_up(
    installation: Installation,
) -> None:
    steps = ", ".join(f"{{id: s{number}, uses: robot.read}}" for number in range(MOST_LOSSES + 1))
    installation.workflow(f"{{name: w, on: [{{event: go}}], steps: [{steps}]}}")
    run_id = installation.start()
    good = installation.script.answers[0]
    installation.script.answers = [lose_worker, good] * (MOST_LOSSES + 1) + [good]
    lost = go_on(
        installation, lambda: installation.run(run_id).due_at is None, most=timedelta(minutes=30)
    )
    assert installation.run(run_id).status == "succeeded"
    assert lost == MOST_LOSSES + 1


def test_a_poll_that_takes_its_worker_down_rests_for_an_hour(installation: Installation) -> None:
    vendor = installation.runtime.vendors["robot"]
    poll = Poll(
        name="p",
        summary="p",
        options=vendor.incoming.options,  # type: ignore[union-attr]  # it receives
        ask=lose_worker,
    )
    installation.runtime.vendors = {"robot": replace(vendor, polls=(poll,))}
    installation.store(
        PollRow(
            name="p",
            connection="robot",
            poll="p",
            every_seconds=60,
            due_at=installation.now,
            updated_at=installation.now,
        )
    )

    def poll_row() -> PollRow:
        found: PollRow
        (found,) = installation.rows(PollRow)
        return found

    lost = go_on(installation, lambda: poll_row().error is not None, most=timedelta(minutes=5))
    assert lost == MOST_LOSSES
    assert poll_row().error == f"its worker was lost {MOST_LOSSES} times in a row while asking"
    assert poll_row().due_at >= installation.now + AFTER_LOSSES
