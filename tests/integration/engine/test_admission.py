"""`concurrency` and `throttle`: how runs of one key wait for one another, skip and replace."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlmodel import col

from schemas.jobs import AdvanceRun
from schemas.run_tables import GateRow, RunRow, TurnRow, WaitRow
from schemas.tables import EffectRow
from schemas.workflow import RunStatus, WaitKind
from service.db import Database
from service.doubts import cancel_run
from service.errors import Conflict, Refused
from service.ingest import ingest_deliveries
from service.retrying import retry_run
from service.runs import LEASE, MOST_FAILURES, advance_run
from service.starting import RING_AGAIN
from service.tokens import Caller, Role
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.integration.engine.workers import at_once
from workers.scheduler import Scheduler


class KilledError(BaseException):
    """Stands for a SIGKILL: nothing after it runs."""


def workflow(gates: str, *, more: str = "") -> str:
    return f"""
name: alone
on: [{{event: go}}]
{gates}
steps:
  - {{id: first, uses: robot.once, with: {{name: "${{{{ event.subject }}}}"}}}}
  - {{id: pause, sleep: 1h}}
{more}
"""


QUEUE = workflow("concurrency: {key: event.facts.key}")
ONE = "{name: alone, on: [{event: go}], %s, steps: [{id: only, uses: robot.once}]}"


def start(installation: Installation, subject: str, key: str = "k") -> UUID:
    return installation.start(subject=subject, facts={"key": key})


def wait_of(installation: Installation, run_id: UUID) -> WaitRow:
    wait: WaitRow
    (wait,) = installation.rows(WaitRow, WaitRow.run_id == run_id)
    return wait


def performed(installation: Installation) -> list[str]:
    rows = installation.rows(EffectRow)
    return [row.params["name"] for row in sorted(rows, key=lambda row: row.id)]


def rung(installation: Installation) -> list[UUID]:
    return [job.run_id for job in installation.bell.rung if isinstance(job, AdvanceRun)]


# --- queue ------------------------------------------------------------------------------------


def test_runs_of_one_key_are_under_way_one_after_another_in_the_order_of_arrival(
    installation: Installation,
) -> None:
    installation.workflow(QUEUE)
    runs = [start(installation, subject) for subject in "abc"]
    # Whoever is looked at first: who came first begins.
    for run_id in reversed(runs):
        advance_run(installation.runtime, run_id)
    assert performed(installation) == ["a"]
    for run_id in runs[1:]:
        waiting = installation.run(run_id)
        assert (waiting.status, waiting.due_at, waiting.started_at) == ("waiting", None, None)
        assert wait_of(installation, run_id).kind == WaitKind.QUEUE
    for number, run_id in enumerate(runs):
        installation.bell.rung.clear()
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED
        assert runs[number + 1 : number + 2] == [
            found for found in rung(installation) if found != run_id
        ]
    assert performed(installation) == ["a", "b", "c"]
    assert installation.rows(TurnRow) == installation.rows(WaitRow) == []


def test_runs_of_other_keys_do_not_wait(installation: Installation) -> None:
    installation.workflow(QUEUE)
    for subject in "ab":
        advance_run(installation.runtime, start(installation, subject, key=subject))
    assert performed(installation) == ["a", "b"]


def test_without_a_key_there_is_one_queue_for_the_workflow(installation: Installation) -> None:
    installation.workflow(workflow("concurrency: {}"))
    for subject in "ab":
        advance_run(installation.runtime, start(installation, subject, key=subject))
    assert performed(installation) == ["a"]


def test_as_many_as_the_limit_are_under_way(installation: Installation) -> None:
    installation.workflow(workflow("concurrency: {limit: 2}"))
    runs = [start(installation, subject) for subject in "abcd"]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    assert performed(installation) == ["a", "b"]
    installation.bell.rung.clear()
    installation.advance(runs[1])
    assert runs[2] in rung(installation)
    advance_run(installation.runtime, runs[3])
    assert performed(installation) == ["a", "b"]
    advance_run(installation.runtime, runs[2])
    assert performed(installation) == ["a", "b", "c"]


def test_a_run_that_fails_or_is_cancelled_lets_the_next_one_begin(
    installation: Installation,
) -> None:
    installation.workflow(QUEUE)
    runs = [start(installation, subject) for subject in "abcd"]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    now = installation.now
    # One that waits, then the one that is under way.
    for run_id in (runs[1], runs[0]):
        cancel_run(installation.database, installation.bell, run_id=run_id, who="me", now=now)
        assert installation.advance(run_id).status == RunStatus.CANCELLED
    assert installation.run(runs[1]).started_at is None
    installation.script.answers = [Refused("no such thing", status=404), Done(Made(value=1))]
    assert installation.run(runs[2]).due_at == now
    assert installation.advance(runs[2]).status == RunStatus.FAILED
    assert installation.run(runs[3]).due_at == now
    assert installation.advance(runs[3]).status == RunStatus.SUCCEEDED


def test_a_poisoned_run_leaves_its_place(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A call that changes something would be in doubt, and keep its place until it is settled.
    installation.workflow(QUEUE.replace("robot.once", "robot.read"))
    poisoned, after = start(installation, "a"), start(installation, "b")
    advance_run(installation.runtime, after)
    monkeypatch.setattr(installation.runtime, "jitter", lambda: 1 / 0)
    for _ in range(MOST_FAILURES):
        with pytest.raises(ZeroDivisionError):
            advance_run(installation.runtime, poisoned)
        installation.now = installation.run(poisoned).due_at or installation.now
    monkeypatch.undo()
    assert installation.run(poisoned).status == RunStatus.FAILED
    assert after in rung(installation)
    assert installation.advance(after).status == RunStatus.SUCCEEDED


def test_a_run_that_is_poisoned_before_it_begins_does_not_block_the_others(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(QUEUE)
    poisoned, after = start(installation, "a"), start(installation, "b")
    advance_run(installation.runtime, after)
    faulty = installation.another_worker()
    for _ in range(MOST_FAILURES):
        asked: list[int] = []

        def clock(asked: list[int] = asked) -> datetime:
            asked.append(1)
            if len(asked) == 2:
                raise ZeroDivisionError
            return installation.now

        monkeypatch.setattr(faulty, "clock", clock)
        with pytest.raises(ZeroDivisionError):
            advance_run(faulty, poisoned)
        installation.now = installation.run(poisoned).due_at or installation.now
    assert installation.run(poisoned).status == RunStatus.FAILED
    assert installation.advance(after).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize("asked_before", [1, 2])
def test_a_worker_that_dies_at_the_gate_is_taken_over(
    installation: Installation, asked_before: int
) -> None:
    installation.workflow(QUEUE)
    run_id, after = start(installation, "a"), start(installation, "b")
    dying = installation.another_worker()
    asked = 0

    def clock() -> datetime:
        nonlocal asked
        asked += 1
        if asked > asked_before:
            raise KilledError
        return installation.now

    dying.clock = clock
    with pytest.raises(KilledError):
        advance_run(dying, run_id)
    advance_run(installation.runtime, after)
    assert performed(installation) == []
    installation.now += LEASE + timedelta(seconds=1)
    installation.bell.rung.clear()
    Scheduler(installation.runtime).ring_due()
    assert rung(installation) == [run_id]
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.advance(after).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize("when_busy", ["queue", "skip"])
def test_a_run_that_is_retried_waits_for_its_turn_again(
    installation: Installation, when_busy: str
) -> None:
    installation.workflow(workflow(f"concurrency: {{when_busy: {when_busy}}}"))
    installation.script.answers = [Refused("no", status=404), Done(Made(value=1))]
    failed = start(installation, "a")
    assert installation.advance(failed).status == RunStatus.FAILED
    busy = start(installation, "b")
    advance_run(installation.runtime, busy)
    retry_run(
        installation.database,
        installation.bell,
        run_id=failed,
        caller=Caller("me", Role.OPERATOR, None),
        now=installation.now,
    )
    advance_run(installation.runtime, failed)
    assert wait_of(installation, failed).kind == WaitKind.QUEUE
    installation.bell.rung.clear()
    installation.advance(busy)
    assert failed in rung(installation)
    assert installation.advance(failed).status == RunStatus.SUCCEEDED


def test_waiting_costs_the_scheduler_nothing(installation: Installation) -> None:
    installation.workflow(QUEUE)
    runs = [start(installation, str(number)) for number in range(10)]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    installation.now += timedelta(minutes=30)
    installation.bell.rung.clear()
    assert Scheduler(installation.runtime).ring_due() == 0
    assert rung(installation) == []


# --- skip -------------------------------------------------------------------------------------


def test_skip_ends_a_run_with_the_name_of_the_one_under_way(installation: Installation) -> None:
    installation.workflow(workflow("concurrency: {key: event.facts.key, when_busy: skip}"))
    busy = start(installation, "a")
    advance_run(installation.runtime, busy)
    skipped = installation.advance(start(installation, "b"))
    assert (skipped.status, skipped.reason) == ("skipped", f"run {busy} of its key is under way")
    assert (skipped.started_at, skipped.lease_owner) == (None, None)
    installation.advance(busy)
    assert installation.advance(start(installation, "c")).status == RunStatus.SUCCEEDED
    assert performed(installation) == ["a", "c"]


def test_a_key_that_cannot_be_evaluated_is_the_reason(installation: Installation) -> None:
    installation.workflow(QUEUE)
    assert installation.ingest(installation.deliver({"type": "go"})) == []
    (run,) = installation.rows(RunRow)
    assert run.status == RunStatus.SKIPPED
    assert run.reason.startswith("the key of its `concurrency` cannot be evaluated: ")


def test_a_later_key_that_cannot_be_evaluated_ends_the_run_and_lets_others_begin(
    installation: Installation,
) -> None:
    installation.workflow(
        workflow("concurrency: {}\nthrottle: {limit: 9, per: 1m, key: event.facts.pace}")
    )
    wrong, after = start(installation, "a"), start(installation, "b")
    advance_run(installation.runtime, after)
    ended = installation.advance(wrong)
    assert ended.status == RunStatus.SKIPPED
    assert str(ended.reason).startswith("the key of its `throttle` cannot be evaluated: ")
    assert after in rung(installation)


# --- replace ----------------------------------------------------------------------------------

REPLACE = workflow(
    "concurrency: {key: event.facts.key, when_busy: replace}",
    more='on_cancel: [{id: tidy, uses: robot.once, with: {name: "tidy ${{ event.subject }}"}}]',
)


def test_replace_cancels_who_is_under_way_and_skips_who_waits(installation: Installation) -> None:
    installation.workflow(REPLACE)
    first, second, third = (start(installation, subject) for subject in "abc")
    advance_run(installation.runtime, first)
    advance_run(installation.runtime, second)
    assert installation.run(first).cancel_requested
    assert wait_of(installation, second).due_at == installation.now + RING_AGAIN
    advance_run(installation.runtime, third)
    skipped = installation.run(second)
    assert skipped.status == RunStatus.SKIPPED
    assert skipped.reason == f"run {third} of its key came before it had begun, and replaces it"
    assert installation.run(third).status == RunStatus.WAITING
    assert installation.run(third).due_at is None
    assert installation.advance(first).status == RunStatus.CANCELLED
    assert installation.run(third).due_at == installation.now
    assert installation.advance(third).status == RunStatus.SUCCEEDED
    assert performed(installation) == ["a", "tidy a", "c"]


def test_a_worker_that_dies_before_it_asked_whom_it_replaces_is_asked_again(
    installation: Installation,
) -> None:
    installation.workflow(REPLACE)
    first, second = start(installation, "a"), start(installation, "b")
    advance_run(installation.runtime, first)
    dying = installation.another_worker()
    asked = 0

    def clock() -> datetime:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise KilledError
        return installation.now

    dying.clock = clock
    with pytest.raises(KilledError):
        advance_run(dying, second)
    assert not installation.run(first).cancel_requested
    assert installation.run(second).status == RunStatus.WAITING
    installation.now += RING_AGAIN
    Scheduler(installation.runtime).ring_due()
    assert rung(installation)[-1] == second
    advance_run(installation.runtime, second)
    assert installation.run(first).cancel_requested


def test_replace_takes_only_as_many_places_as_it_needs(installation: Installation) -> None:
    installation.workflow(workflow("concurrency: {when_busy: replace, limit: 2}"))
    runs = [start(installation, subject) for subject in "abc"]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    asked = [installation.run(run_id).cancel_requested for run_id in runs]
    assert asked == [True, False, False]


def test_who_replaces_a_run_that_waited_for_its_moment_takes_the_moment_over(
    installation: Installation,
) -> None:
    installation.workflow(ONE % "concurrency: {when_busy: replace}, throttle: {limit: 1, per: 1h}")
    installation.advance(start(installation, "a"))
    began = installation.now
    runs = [start(installation, "b") for _ in range(5)]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
        installation.now += timedelta(minutes=10)
    latest = runs[-1]
    (waiting,) = installation.rows(RunRow, RunRow.status == "waiting")
    assert (waiting.id, waiting.due_at) == (latest, began + timedelta(hours=1))
    assert installation.advance(latest).status == RunStatus.SUCCEEDED
    assert installation.now == began + timedelta(hours=1)
    assert len(installation.rows(RunRow, RunRow.status == "skipped")) == 4


# --- throttle ---------------------------------------------------------------------------------


def test_others_reserve_the_next_free_moments(installation: Installation) -> None:
    installation.workflow(ONE % "throttle: {limit: 2, per: 1h}")
    began = installation.now
    runs = [start(installation, subject) for subject in "abcde"]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    found = [installation.run(run_id).due_at for run_id in runs]
    moments = [None if due_at is None else due_at - began for due_at in found]
    hour = timedelta(hours=1)
    assert moments == [None, None, hour, hour, 2 * hour]
    assert wait_of(installation, runs[2]).kind == WaitKind.THROTTLE
    for run_id in runs[2:]:
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert starts(installation) == [timedelta(), timedelta(), hour, hour, 2 * hour]


def test_no_span_sees_more_than_the_limit_after_a_downtime(installation: Installation) -> None:
    installation.workflow(ONE % "throttle: {limit: 2, per: 1h}")
    runs = [start(installation, str(number)) for number in range(8)]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    # All moments have passed when somebody works again.
    installation.now += timedelta(hours=7)
    while waiting := installation.rows(RunRow, col(RunRow.due_at).is_not(None)):
        due_at = min(run.due_at for run in waiting)
        installation.now = max(installation.now, due_at)
        for run in waiting:
            advance_run(installation.runtime, run.id)
    moments = starts(installation)
    assert len(moments) == 8
    for first, third in zip(moments, moments[2:], strict=False):
        assert third - first >= timedelta(hours=1)


def test_a_moment_that_becomes_free_is_taken_by_the_next(installation: Installation) -> None:
    installation.workflow(ONE % "throttle: {limit: 1, per: 1h}")
    runs = [start(installation, subject) for subject in "abc"]
    for run_id in runs:
        advance_run(installation.runtime, run_id)
    cancel_run(
        installation.database, installation.bell, run_id=runs[1], who="me", now=installation.now
    )
    assert installation.advance(runs[1]).status == RunStatus.CANCELLED
    assert installation.advance(runs[2]).status == RunStatus.SUCCEEDED
    assert starts(installation) == [timedelta(), timedelta(hours=1)]


def test_when_over_skip_ends_the_run(installation: Installation) -> None:
    installation.workflow(
        ONE % "throttle: {limit: 1, per: 1h, when_over: skip, key: event.subject}"
    )
    assert installation.advance(start(installation, "a")).status == RunStatus.SUCCEEDED
    skipped = installation.advance(start(installation, "a"))
    assert (skipped.status, skipped.reason) == ("skipped", "1 run of its key may begin within 1h")
    assert installation.advance(start(installation, "b")).status == RunStatus.SUCCEEDED
    installation.now += timedelta(hours=1)
    assert installation.advance(start(installation, "a")).status == RunStatus.SUCCEEDED


def test_gates_that_say_nothing_any_more_are_removed(installation: Installation) -> None:
    installation.workflow(ONE % "throttle: {limit: 1, per: 3h}, concurrency: {}")
    installation.advance(start(installation, "a"))
    assert len(installation.rows(GateRow)) == 2
    installation.now += timedelta(hours=2)
    Scheduler(installation.runtime).ring_due()
    (throttle,) = installation.rows(GateRow)
    assert throttle.name.startswith("throttle:")
    installation.now += timedelta(hours=2)
    Scheduler(installation.runtime).ring_due()
    assert installation.rows(GateRow) == []


# --- many at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("when_busy", ["queue", "skip", "replace"])
def test_never_more_than_one_of_a_key_is_under_way_whoever_works(
    database: Database, when_busy: str
) -> None:
    installation = Installation(database)
    installation.workflow(ONE % f"concurrency: {{key: event.facts.key, when_busy: {when_busy}}}")
    counting = threading.Lock()
    under_way = most = 0

    def call() -> Done:
        nonlocal under_way, most
        with counting:
            under_way += 1
            most = max(most, under_way)
        # Whoever else may perform a call does so meanwhile.
        installation.rows(RunRow)
        with counting:
            under_way -= 1
        return Done(Made(value=1))

    installation.script.answers = [call]
    deliveries = [installation.deliver({"type": "go", "facts": {"key": "x"}}) for _ in range(12)]

    def arrive(part: int) -> None:
        for id_ in deliveries[part::3]:
            ingest_deliveries(installation.another_worker(), [id_])

    at_once(
        [
            *(partial(arrive, part) for part in range(3)),
            *(partial(carry_on, installation, expected=12) for _ in range(3)),
        ]
    )
    assert most == 1
    statuses = [run.status for run in installation.rows(RunRow)]
    assert len(statuses) == 12
    assert set(statuses) <= {"succeeded", "skipped", "cancelled"}
    assert "succeeded" in statuses
    if when_busy == "queue":
        assert set(statuses) == {"succeeded"}
    assert installation.rows(TurnRow) == installation.rows(WaitRow) == []


CROSSING = """
name: %(name)s
on: [{event: go}, {event: "%(hears)s"}]
coalesce: {within: 5ms}
concurrency: {when_busy: %(when_busy)s}
throttle: {limit: 1000, per: 1ms}
steps:
  - emit: {type: "%(tells)s", facts: {}}
  - emit: {type: "%(hears)s", facts: {}}
on_cancel: [{emit: {type: "%(tells)s", facts: {}}}]
"""


class Crowd:
    """Many that do different things with the runs of one installation at the same time."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.done = threading.Event()

    def open_runs(self) -> list[RunRow]:
        return self.installation.rows(RunRow, col(RunRow.ended_at).is_(None))

    def arrive(self, deliveries: list[UUID]) -> None:
        for id_ in deliveries:
            self.installation.now += timedelta(milliseconds=2)
            ingest_deliveries(self.installation.another_worker(), [id_])

    def work(self) -> None:
        runtime = self.installation.another_worker()
        while runs := self.open_runs():
            self.installation.now += timedelta(milliseconds=2)
            for run in runs:
                if run.due_at is not None:
                    advance_run(runtime, run.id)

    def cancel(self) -> None:
        installation = self.installation
        while not self.done.is_set():
            for run in self.open_runs()[::3]:
                with contextlib.suppress(Conflict):
                    cancel_run(
                        installation.database,
                        installation.bell,
                        run_id=run.id,
                        who="me",
                        now=installation.now,
                    )

    def tick(self) -> None:
        scheduler = Scheduler(self.installation.runtime)
        while not self.done.is_set():
            scheduler.ring_due()
            scheduler.beat()


def test_arriving_beginning_ending_and_cancelling_at_once_never_lock_one_another_out(
    database: Database,
) -> None:
    """A deadlock would end a worker's transaction with an error, which is raised here."""
    installation = Installation(database)
    ping = {"name": "ping", "hears": "made.pong", "tells": "made.ping"}
    pong = {"name": "pong", "hears": "made.ping", "tells": "made.pong"}
    installation.workflow(CROSSING % {**ping, "when_busy": "replace"})
    installation.workflow(CROSSING % {**pong, "when_busy": "queue"})
    deliveries = [installation.deliver({"type": "go"}) for _ in range(12)]
    crowd = Crowd(installation)
    crowd.arrive(deliveries[:6])
    helpers = [threading.Thread(target=task) for task in (crowd.cancel, crowd.tick)]
    for helper in helpers:
        helper.start()
    try:
        at_once([partial(crowd.arrive, deliveries[6:]), crowd.work, crowd.work, crowd.work])
    finally:
        crowd.done.set()
        for helper in helpers:
            helper.join()
    at_once([crowd.work, crowd.work])
    assert installation.rows(TurnRow) == installation.rows(WaitRow) == []
    statuses = {run.status for run in installation.rows(RunRow)}
    assert statuses <= {"succeeded", "skipped", "cancelled"}


def starts(installation: Installation) -> list[timedelta]:
    runs = installation.rows(RunRow, col(RunRow.started_at).is_not(None))
    first = min(run.started_at for run in runs)
    return sorted(run.started_at - first for run in runs)


def carry_on(installation: Installation, *, expected: int) -> None:
    """Carry runs on as a worker that hears every bell, until as many have ended."""
    runtime = installation.another_worker()
    while True:
        runs = installation.rows(RunRow)
        if len(runs) == expected and all(run.ended_at for run in runs):
            return
        for run in runs:
            if run.ended_at is None and run.due_at is not None:
                advance_run(runtime, run.id)
