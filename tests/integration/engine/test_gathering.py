"""`coalesce` and `debounce`: events join a run that has not begun instead of starting one each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from schemas.run_tables import GateRow, RunEventRow, RunRow, TurnRow, WaitRow
from schemas.tables import EffectRow, EventRow
from schemas.workflow import RunStatus, WaitKind
from service import gathering
from service.db import Database
from service.doubts import cancel_run
from service.ingest import ingest_deliveries
from service.runs import LEASE, advance_run
from tests.integration.engine.installation import Installation
from tests.integration.engine.workers import at_once
from workers.scheduler import Scheduler

COALESCED = """
name: tell
on: [{event: visual.warned}]
coalesce: {key: event.facts.run_id, within: 30s}
steps:
  - id: told
    uses: robot.once
    with: {name: "${{ event.subject }} of ${{ events.size() }}: ${{ events.map(e, e.subject) }}"}
"""
DEBOUNCED = COALESCED.replace(
    "coalesce: {key: event.facts.run_id, within: 30s}",
    "debounce: {key: event.facts.run_id, quiet: 30s, at_most: 2m}",
)


def warning(subject: str, run_id: str = "r1") -> dict[str, object]:
    return {"type": "visual.warned", "subject": subject, "facts": {"run_id": run_id}}


def arrive(installation: Installation, *events: dict[str, object]) -> None:
    installation.ingest(installation.deliver(*events))


def only_run(installation: Installation) -> RunRow:
    run: RunRow
    (run,) = installation.rows(RunRow)
    return run


def told(installation: Installation) -> list[str]:
    rows = installation.rows(EffectRow)
    return [row.params["name"] for row in sorted(rows, key=lambda row: row.id)]


def test_thirty_warnings_of_one_delivery_become_one_run_that_sees_them_all(
    installation: Installation,
) -> None:
    installation.workflow(COALESCED)
    arrive(installation, *[warning(f"w{number:02}") for number in range(30)])
    run = only_run(installation)
    assert (run.status, run.due_at) == (
        RunStatus.WAITING,
        installation.now + timedelta(seconds=30),
    )
    (wait,) = installation.rows(WaitRow)
    assert (wait.kind, wait.step) == (WaitKind.GATHERING, "")
    assert installation.advance(run.id).status == RunStatus.SUCCEEDED
    names = ",".join(f'"w{number:02}"' for number in range(30))
    assert told(installation) == [f"w00 of 30: [{names}]"]
    assert installation.rows(TurnRow) == installation.rows(WaitRow) == []


def test_events_of_several_deliveries_join_until_the_window_closes(
    installation: Installation,
) -> None:
    installation.workflow(COALESCED)
    arrive(installation, warning("a"))
    installation.now += timedelta(seconds=20)
    arrive(installation, warning("b"), warning("other", "r2"))
    first, other = sorted(installation.rows(RunRow), key=lambda run: run.created_at)
    assert other.due_at - first.due_at == timedelta(seconds=20)
    installation.now += timedelta(seconds=10)
    installation.advance(first.id)
    assert told(installation) == ['a of 2: ["a","b"]']
    # The window has closed: what comes now opens another one.
    arrive(installation, warning("c"))
    assert len(installation.rows(RunRow)) == 3


def test_a_delivery_that_is_ingested_twice_joins_once(installation: Installation) -> None:
    installation.workflow(COALESCED)
    event = {**warning("a"), "fact": "the same"}
    for _ in range(2):
        arrive(installation, event)
    run = only_run(installation)
    assert len(installation.rows(RunEventRow)) == 1
    installation.advance(run.id)
    assert told(installation) == ['a of 1: ["a"]']


def test_a_worker_that_looks_too_early_lets_the_run_gather_on(installation: Installation) -> None:
    installation.workflow(COALESCED)
    arrive(installation, warning("a"))
    run = only_run(installation)
    advance_run(installation.runtime, run.id)
    again = installation.run(run.id)
    assert (again.status, again.due_at, again.lease_owner) == ("waiting", run.due_at, None)
    arrive(installation, warning("b"))
    installation.advance(run.id)
    assert told(installation) == ['a of 2: ["a","b"]']


def test_a_debounced_run_begins_with_the_newest_event_once_it_is_quiet(
    installation: Installation,
) -> None:
    installation.workflow(DEBOUNCED)
    for subject in ("a", "b", "c"):
        arrive(installation, warning(subject))
        installation.now += timedelta(seconds=20)
    run = only_run(installation)
    assert run.due_at == installation.now + timedelta(seconds=10)
    began = installation.now
    installation.advance(run.id)
    assert installation.now - began == timedelta(seconds=10)
    assert told(installation) == ['c of 3: ["a","b","c"]']
    (event,) = installation.rows(EventRow, EventRow.subject == "c")
    ended = installation.run(run.id)
    assert (ended.event_id, ended.correlation_id) == (event.id, event.correlation_id)


@pytest.mark.parametrize(("document", "own"), [(DEBOUNCED, "b"), (COALESCED, "a")])
def test_the_run_has_the_last_or_first_event_that_came_whichever_is_ingested_first(
    installation: Installation, document: str, own: str
) -> None:
    installation.workflow(document)
    first = installation.deliver(warning("a"))
    installation.now += timedelta(seconds=1)
    second = installation.deliver(warning("b"))
    installation.ingest(second)
    installation.ingest(first)
    installation.advance(only_run(installation).id)
    assert told(installation) == [f'{own} of 2: ["a","b"]']


def test_a_debounced_run_waits_no_longer_than_it_says(installation: Installation) -> None:
    installation.workflow(DEBOUNCED)
    began = installation.now
    for number in range(7):
        installation.now = began + timedelta(seconds=20 * number)
        arrive(installation, warning(f"w{number}"))
    assert {run.due_at for run in installation.rows(RunRow)} == {began + timedelta(minutes=2)}


@pytest.mark.parametrize("document", [COALESCED, DEBOUNCED])
def test_events_from_many_workers_at_once_are_all_seen_by_one_run(
    database: Database, document: str
) -> None:
    installation = Installation(database)
    installation.workflow(document)
    deliveries = [
        installation.deliver(*[warning(f"{sender}-{at}", f"r{at}") for at in range(3)])
        for sender in range(10)
    ]
    at_once(
        [partial(ingest_deliveries, installation.another_worker(), [id_]) for id_ in deliveries]
    )
    runs = installation.rows(RunRow)
    assert len(runs) == 3
    for run in runs:
        assert len(installation.rows(RunEventRow, RunEventRow.run_id == run.id)) == 10
    installation.now += timedelta(minutes=1)
    for run in runs:
        assert installation.advance(run.id).status == RunStatus.SUCCEEDED
    assert [text.partition(":")[0].rpartition(" ")[2] for text in told(installation)] == ["10"] * 3


def test_no_event_is_lost_or_seen_twice_when_runs_begin_while_events_come(
    database: Database,
) -> None:
    installation = Installation(database)
    installation.workflow(COALESCED.replace("30s", "1ms"))
    deliveries = [installation.deliver(warning(f"w{number}")) for number in range(40)]
    arrived = threading.Event()

    def deliver(ids: list[UUID]) -> None:
        runtime = installation.another_worker()
        for id_ in ids:
            installation.now += timedelta(milliseconds=1)
            ingest_deliveries(runtime, [id_])

    def work() -> None:
        runtime = installation.another_worker()
        while not arrived.is_set():
            for run in installation.rows(RunRow, RunRow.status == "waiting"):
                advance_run(runtime, run.id)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    at_once([partial(deliver, deliveries[part::4]) for part in range(4)])
    arrived.set()
    for worker in workers:
        worker.join()
    installation.now += timedelta(minutes=1)
    for run in installation.rows(RunRow):
        installation.advance(run.id)
    seen = [
        subject
        for text in told(installation)
        for subject in text.partition("[")[2].rstrip("]").replace('"', "").split(",")
    ]
    assert sorted(seen) == sorted(f"w{number}" for number in range(40))


def test_a_worker_that_dies_before_the_run_begins_loses_no_event(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(COALESCED)
    arrive(installation, warning("a"))
    run = only_run(installation)
    installation.now += timedelta(seconds=30)
    dying = installation.another_worker()

    class KilledError(BaseException):
        """Stands for a SIGKILL: nothing after it runs."""

    def die() -> None:
        monkeypatch.undo()
        raise KilledError

    # It has taken the run, and dies when it is about to close the gate.
    monkeypatch.setattr(dying, "clock", clock_that_dies(installation, die, after=1))
    with pytest.raises(KilledError):
        advance_run(dying, run.id)
    assert installation.run(run.id).lease_owner is not None
    arrive(installation, warning("b"))
    installation.now += LEASE + timedelta(seconds=1)
    installation.bell.rung.clear()
    Scheduler(installation.runtime).ring_due()
    assert [job.run_id for job in installation.bell.rung] == [run.id]  # type: ignore[union-attr]
    assert installation.advance(run.id).status == RunStatus.SUCCEEDED
    assert told(installation) == ['a of 2: ["a","b"]']


def test_an_event_does_not_join_a_run_that_shall_be_cancelled(installation: Installation) -> None:
    installation.workflow(COALESCED)
    arrive(installation, warning("a"))
    run = only_run(installation)
    cancel_run(
        installation.database, installation.bell, run_id=run.id, who="me", now=installation.now
    )
    arrive(installation, warning("b"))
    assert installation.advance(run.id).status == RunStatus.CANCELLED
    (other,) = installation.rows(RunRow, RunRow.id != run.id)
    installation.advance(other.id)
    assert told(installation) == ['b of 1: ["b"]']
    assert installation.rows(TurnRow) == []


def test_a_run_that_has_gathered_enough_begins_and_the_next_event_opens_another(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MOST_EVENTS", 4)
    installation.workflow(COALESCED)
    arrive(installation, *[warning(f"w{number}") for number in range(6)])
    full, rest = sorted(installation.rows(RunRow), key=lambda run: run.due_at)
    assert (full.due_at, rest.due_at) == (
        installation.now,
        installation.now + timedelta(seconds=30),
    )
    arrive(installation, warning("w6"))
    for run in (full, rest):
        installation.advance(run.id)
    assert [text.partition(":")[0] for text in told(installation)] == ["w0 of 4", "w4 of 3"]


def test_a_key_that_cannot_be_evaluated_is_stored_with_its_reason(
    installation: Installation,
) -> None:
    installation.workflow(COALESCED)
    arrive(installation, {"type": "visual.warned", "facts": {}})
    run = only_run(installation)
    assert (run.status, run.due_at) == (RunStatus.SKIPPED, None)
    assert str(run.reason).startswith("the key of its `gather` cannot be evaluated: ")
    assert installation.rows(GateRow) == []


def test_what_gathers_may_also_wait_for_its_turn(installation: Installation) -> None:
    installation.workflow(COALESCED.replace("steps:", "concurrency: {}\nsteps:"))
    arrive(installation, warning("a"), warning("b", "r2"))
    installation.now += timedelta(seconds=30)
    first, second = sorted(installation.rows(RunRow), key=lambda run: run.id)

    def meanwhile() -> object:
        advance_run(installation.another_worker(), second.id)
        return installation.script.answers[-1]

    done = installation.script.answers[0]
    installation.script.answers = [lambda: meanwhile() and done, done]
    assert installation.advance(first.id).status == RunStatus.SUCCEEDED
    (wait,) = installation.rows(WaitRow)
    assert (wait.run_id, wait.kind, wait.due_at) == (second.id, WaitKind.QUEUE, None)
    assert installation.advance(second.id).status == RunStatus.SUCCEEDED


def clock_that_dies(
    installation: Installation, die: Callable[[], None], *, after: int
) -> Callable[[], object]:
    asked = 0

    def clock() -> object:
        nonlocal asked
        asked += 1
        if asked > after:
            die()
        return installation.now

    return clock
