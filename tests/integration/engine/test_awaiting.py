"""`wait_for`: which event ends a wait, that none is missed, and what waiting costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as listening

from schemas.events import EventDraft, Origin
from schemas.ids import first_id, made_at, new_id
from schemas.run_tables import AwaitedRow, RunRow, StepRow, WaitRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus, StepStatus
from service import awaiting
from service.db import Database
from service.doubts import cancel_run
from service.ingest import make_event
from service.routing import store_and_route
from service.runs import advance_run
from service.store import awaited as store
from service.unit_of_work import unit_of_work
from tests.integration.engine.installation import START, Installation

DAY = timedelta(hours=24)


def waiting_workflow(wait_for: str, *, name: str = "waits", more: str = "") -> str:
    return f"""
name: {name}
on: [{{event: go}}]
{more}
steps:
  - id: made
    uses: robot.read
  - id: closed
    wait_for: {{{wait_for}}}
outputs: {{got: "${{{{ steps.closed.event.subject }}}}"}}
"""


def same_number(*, more: str = "") -> str:
    condition = "event.facts.number == run.event.facts.number"
    return waiting_workflow(f'event: closed, if: "{condition}", timeout: 24h', more=more)


def begin(installation: Installation, **event: Any) -> UUID:
    """Start a run and carry it on until it waits."""
    run_id = installation.start(**event)
    advance_run(installation.runtime, run_id)
    return run_id


def arrive(installation: Installation, **event: Any) -> list[UUID]:
    """Let an event arrive; gives the runs that are rung for."""
    return installation.ingest(installation.deliver({"type": "closed", **event}))


def test_the_awaited_event_ends_the_wait_and_is_its_output(installation: Installation) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 7})
    assert installation.run(run_id).status == RunStatus.WAITING
    (wait,) = installation.rows(WaitRow)
    assert (wait.kind, wait.step, wait.due_at) == ("event", "closed", START + DAY)
    assert arrive(installation, facts={"number": 8}, subject="other") == []
    assert arrive(installation, facts={"number": 7}, subject="mine") == [run_id]
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    output = installation.step(run_id, "closed").output
    assert output["timed_out"] is False
    assert (output["event"]["subject"], output["event"]["type"]) == ("mine", "closed")
    assert installation.run(run_id).output == {"got": "mine"}
    assert (installation.rows(AwaitedRow), installation.rows(WaitRow)) == ([], [])


def test_an_event_that_came_since_the_run_began_counts_and_an_older_one_does_not(
    installation: Installation,
) -> None:
    installation.workflow(waiting_workflow("event: closed, timeout: 1h"))
    arrive(installation, subject="older")
    installation.now += timedelta(seconds=1)
    run_id = installation.start()
    installation.now += timedelta(seconds=1)
    arrive(installation, subject="in between")
    installation.now += timedelta(seconds=1)
    assert installation.advance(run_id).output == {"got": "in between"}
    assert installation.rows(AwaitedRow) == []


def test_an_event_that_was_stored_before_the_run_but_received_after_its_own_counts(
    installation: Installation,
) -> None:
    """The delivery that started the run was ingested late."""
    installation.workflow(waiting_workflow("event: closed, timeout: 1h"))
    late = installation.deliver({"type": "go"})
    installation.now += timedelta(seconds=5)
    arrive(installation, subject="overtook")
    (run_id,) = installation.ingest(late)
    assert installation.advance(run_id).output == {"got": "overtook"}


def test_of_several_events_the_one_that_was_received_first_is_taken(
    installation: Installation,
) -> None:
    installation.workflow(waiting_workflow("event: closed, timeout: 1h"))
    run_id = installation.start()
    first = installation.deliver({"type": "closed", "subject": "first"})
    installation.now += timedelta(seconds=1)
    second = installation.deliver({"type": "closed", "subject": "second"})
    installation.ingest(second)
    installation.ingest(first)
    assert installation.advance(run_id).output == {"got": "first"}


def test_the_runs_own_event_never_counts(installation: Installation) -> None:
    installation.workflow(waiting_workflow("event: go, timeout: 1h"))
    run_id = begin(installation, subject="its own")
    assert installation.run(run_id).status == RunStatus.WAITING
    (other, woken) = sorted(
        installation.ingest(installation.deliver({"type": "go", "subject": "the next"})),
        key=lambda ident: ident == run_id,
    )
    assert (other != run_id, woken) == (True, run_id)
    assert installation.advance(run_id).output == {"got": "the next"}


@pytest.mark.parametrize(
    ("wait_for", "passed_over", "taken"),
    [
        ("event: 'clo*d'", {"type": "clone"}, {"type": "closed"}),
        ("event: closed, vendor: robot", {"type": "other"}, {"type": "closed"}),
        ("event: closed, source: robot", {"type": "other"}, {"type": "closed"}),
        (
            'event: closed, if: "event.facts.number in [1, 2]"',
            {"type": "closed", "facts": {"number": 3}},
            {"type": "closed", "facts": {"number": 2.0}},
        ),
        (
            "event: closed, if: event.facts.number > 2",
            {"type": "closed", "facts": {"number": 2}},
            {"type": "closed", "facts": {"number": 3}},
        ),
    ],
)
def test_only_an_event_that_fits_ends_the_wait(
    installation: Installation, wait_for: str, passed_over: Any, taken: Any
) -> None:
    installation.workflow(waiting_workflow(f"{wait_for}, timeout: 1h"))
    run_id = begin(installation)
    installation.ingest(installation.deliver(passed_over | {"subject": "no"}))
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.WAITING
    assert installation.ingest(installation.deliver(taken | {"subject": "yes"})) == [run_id]
    assert installation.advance(run_id).output == {"got": "yes"}


@pytest.mark.parametrize("filter_", ["vendor: github", "source: elsewhere"])
def test_an_event_of_another_vendor_or_source_wakes_the_run_in_vain(
    installation: Installation, filter_: str
) -> None:
    text = waiting_workflow(f"event: closed, {filter_}, timeout: 1h, on_timeout: continue")
    installation.workflow(text.partition("outputs:")[0])
    run_id = begin(installation)
    arrive(installation)
    run = installation.advance(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "closed").output == {"event": None, "timed_out": True}
    assert installation.rows(AwaitedRow) == []


def test_a_wait_that_runs_out_fails_its_step_and_leaves_nothing(
    installation: Installation,
) -> None:
    installation.workflow(same_number())
    run = installation.advance(begin(installation, facts={"number": 1}))
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "wait_timeout")
    assert installation.now == START + DAY
    assert (installation.rows(AwaitedRow), installation.rows(WaitRow)) == ([], [])


def test_what_comes_after_the_deadline_comes_too_late_though_nobody_looked_before(
    installation: Installation,
) -> None:
    installation.workflow(waiting_workflow("event: closed, timeout: 1h"))
    in_time, too_late = begin(installation), begin(installation)
    installation.now = START + timedelta(minutes=59)
    delayed = installation.deliver({"type": "closed", "subject": "in time"})
    installation.now = START + timedelta(hours=2)
    advance_run(installation.runtime, too_late)
    arrive(installation, subject="too late")
    installation.ingest(delayed)
    assert installation.advance(in_time).output == {"got": "in time"}
    assert installation.run(too_late).error["code"] == "wait_timeout"


def test_an_event_for_which_the_condition_fails_does_not_fit_and_is_told_of(
    installation: Installation,
) -> None:
    installation.workflow(
        waiting_workflow('event: closed, if: "event.facts.name.size() > 3", timeout: 1h')
    )
    run_id = begin(installation)
    arrive(installation, facts={"name": 5}, subject="wrong")
    advance_run(installation.runtime, run_id)
    step = installation.step(run_id, "closed")
    assert step.status == StepStatus.WAITING
    assert "its condition cannot be evaluated for event" in step.reason
    arrive(installation, facts={"name": "long enough"}, subject="right")
    assert installation.advance(run_id).output == {"got": "right"}


def test_the_awaited_event_may_have_a_large_payload(installation: Installation) -> None:
    installation.workflow(
        waiting_workflow("event: closed, if: \"event.payload.mark == 'x'\", timeout: 1h")
    )
    run_id = begin(installation)
    arrive(installation, mark="y", text="z" * 100_000)
    arrive(installation, mark="x", text="z" * 100_000, subject="large")
    assert installation.advance(run_id).output == {"got": "large"}


def test_the_event_that_the_run_itself_emitted_counts(installation: Installation) -> None:
    installation.workflow("""
name: talks_to_itself
on: [{event: go}]
steps:
  - emit: {type: own.asked, subject: "${{ run.id }}"}
  - {id: asked, wait_for: {event: own.asked, if: event.subject == run.id, timeout: 1h}}
""")
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "asked").output["event"]["origin"] == "own"


def test_every_item_of_a_loop_waits_for_its_own_event(installation: Installation) -> None:
    installation.workflow("""
name: loops
on: [{event: go}]
steps:
  - id: each
    for_each: event.facts.numbers
    as: number
    collect: ${{ steps.closed.event.subject }}
    steps:
      - id: closed
        wait_for: {event: closed, if: event.facts.number == number, timeout: 1h}
""")
    run_id = installation.start(facts={"numbers": [1, 2, 3]})
    advance_run(installation.runtime, run_id)
    branches = {row.item: row.id for row in installation.rows(RunRow, RunRow.root_id == run_id)}
    for branch in branches.values():
        advance_run(installation.runtime, branch)
    for number in (3, 1, 2):
        woken = arrive(installation, facts={"number": number}, subject=f"s{number}")
        assert woken == [branches[number]]
        advance_run(installation.runtime, branches[number])
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "each").output["results"] == ["s1", "s2", "s3"]


def test_a_step_after_a_failure_waits_with_the_error_in_scope(installation: Installation) -> None:
    installation.workflow("""
name: rescued
on: [{event: go}]
steps:
  - {id: never, wait_for: {event: never, timeout: 1s}}
on_failure:
  - {id: told, wait_for: {event: closed, if: event.subject == error.code, timeout: 1h}}
""")
    run_id = begin(installation)
    installation.now += timedelta(seconds=1)
    advance_run(installation.runtime, run_id)
    assert arrive(installation, subject="wait_timeout") == [run_id]
    assert installation.advance(run_id).status == RunStatus.FAILED
    assert installation.step(run_id, "told").status == StepStatus.SUCCEEDED


def test_a_cancelled_wait_leaves_nothing(installation: Installation) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 1})
    cancel_run(
        installation.database,
        installation.bell,
        run_id=run_id,
        who="ann",
        now=installation.now,
    )
    assert installation.advance(run_id).status == RunStatus.CANCELLED
    assert (installation.rows(AwaitedRow), installation.rows(WaitRow)) == ([], [])


def test_a_run_that_hookwright_cannot_carry_on_leaves_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 1})
    monkeypatch.setattr(installation.runtime.versions, "open", None)
    for _ in range(4):
        with pytest.raises(TypeError):
            advance_run(installation.runtime, run_id)
        installation.now += timedelta(minutes=5)
    monkeypatch.undo()
    arrive(installation, facts={"number": 1}, subject="still found")
    assert installation.advance(run_id).output == {"got": "still found"}
    assert installation.rows(AwaitedRow) == []


def test_a_worker_that_dies_while_it_looks_leaves_the_wait_as_it_was(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 1})
    arrive(installation, facts={"number": 1}, subject="it")

    class Killed(BaseException):
        """Stands for a SIGKILL: nothing after it runs."""

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(awaiting, "event_answer", die)
        with pytest.raises(Killed):
            advance_run(installation.another_worker(), run_id)
    assert installation.step(run_id, "closed").answer is None
    assert installation.advance(run_id).output == {"got": "it"}


def test_a_delivery_that_is_ingested_twice_is_one_event(installation: Installation) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 1})
    delivery = installation.deliver({"type": "closed", "facts": {"number": 1}, "fact": "f"})
    again = installation.deliver({"type": "closed", "facts": {"number": 1}, "fact": "f"})
    assert installation.ingest(delivery) == [run_id]
    assert installation.ingest(delivery, again) == []
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.rows(EventRow, EventRow.type == "closed")) == 1


# --- nothing is missed ----------------------------------------------------------------------------


def test_a_run_looks_after_20_seconds_and_3_minutes_and_then_at_its_deadline(
    installation: Installation,
) -> None:
    installation.workflow(same_number())
    run_id = begin(installation, facts={"number": 1})
    due = []
    while installation.run(run_id).status == RunStatus.WAITING:
        installation.now = installation.run(run_id).due_at
        due.append(installation.now - START)
        advance_run(installation.runtime, run_id)
    assert due == [timedelta(seconds=20), timedelta(minutes=3), DAY]


@pytest.mark.parametrize("look", [timedelta(seconds=20), timedelta(minutes=3)])
def test_an_event_whose_transaction_was_open_when_the_wait_began_is_found(
    postgres_url: str, look: timedelta
) -> None:
    """Neither sees the other: the event wakes nobody, and the run looks once more by itself."""
    database = Database(postgres_url)
    installation = Installation(database)
    installation.workflow(same_number())
    run_id = installation.start(facts={"number": 1})
    delivery = installation.deliver({"type": "closed", "facts": {"number": 1}, "subject": "unseen"})
    rung = len(installation.bell.rung)
    with unit_of_work(database, installation.bell) as open_work:
        draft = EventDraft(
            type="closed", vendor_type="closed", subject="unseen", facts={"number": 1}
        )
        event = make_event(
            draft,
            vendor="robot",
            source="robot",
            account="a",
            dedupe_key="k",
            received_at=installation.now,
            origin=Origin.WEBHOOK,
            delivery_id=delivery,
        )
        store_and_route(installation.runtime, open_work, [event])
        advance_run(installation.another_worker(), run_id)
        waits = installation.run(run_id)
        assert (waits.status, waits.due_at) == (RunStatus.WAITING, START + awaiting.LOOK_AGAIN[0])
        if look == awaiting.LOOK_AGAIN[1]:
            installation.now = START + awaiting.LOOK_AGAIN[0]
            advance_run(installation.another_worker(), run_id)
            assert installation.run(run_id).due_at == START + look
    assert installation.bell.rung[rung:] == []
    installation.now = START + look
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).output == {"got": "unseen"}
    database.dispose()


def test_an_event_that_gets_its_id_before_others_and_is_committed_after_them_is_found(
    installation: Installation,
) -> None:
    """The cursor goes back a little with every look."""
    installation.workflow(waiting_workflow('event: closed, if: event.subject == "it", timeout: 1h'))
    run_id = begin(installation)
    early = new_id()
    arrive(installation, subject="another")
    advance_run(installation.runtime, run_id)
    store_event(installation, early, subject="it")
    wake(installation, run_id)
    assert installation.advance(run_id).output == {"got": "it"}


# --- what it costs --------------------------------------------------------------------------------


def test_a_wait_that_is_woken_often_does_not_read_everything_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(waiting_workflow('event: closed, if: event.subject == "it", timeout: 1h'))
    run_id = begin(installation)
    (wait,) = installation.rows(WaitRow)
    # All that came in the first five minutes, and then three minutes have gone by.
    for second in range(300):
        store_event(installation, first_id(made_at(wait.id) + timedelta(seconds=second)))
    wait.looks, wait.looked_until = 2, made_at(wait.id) + timedelta(seconds=280)
    installation.store(wait)
    read: list[int] = []
    reading = store.read_events

    def count(session: Any, ids: Any) -> Any:
        read.append(len(ids))
        return reading(session, ids)

    monkeypatch.setattr(awaiting.store, "read_events", count)
    wake(installation, run_id)
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.WAITING
    assert sum(read) == 19
    assert max(read) <= awaiting.TOGETHER


def test_a_long_look_is_made_in_several_transactions(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "PAGE", 10)
    monkeypatch.setattr(awaiting, "MOST_PAGES", 2)
    installation.workflow(waiting_workflow('event: closed, if: event.subject == "it", timeout: 1h'))
    run_id = installation.start()
    began = made_at(run_id)
    for number in range(100):
        store_event(
            installation,
            first_id(began + timedelta(milliseconds=number)),
            subject="it" if number == 95 else str(number),
        )
    turns = 0
    while installation.run(run_id).status != RunStatus.SUCCEEDED:
        advance_run(installation.runtime, run_id)
        run = installation.run(run_id)
        assert run.due_at is None or run.due_at <= installation.now
        turns += 1
        assert turns <= 6
    assert turns == 5
    assert installation.rows(AwaitedRow) == []


MANY = 1000


def test_one_event_among_many_waiting_runs_wakes_one_and_asks_little(
    installation: Installation,
) -> None:
    installation.workflow(same_number())
    first = begin(installation, facts={"number": 0})
    others = many_waiting(installation, first)
    wanted = others[432]
    with statements(installation.database) as made:
        woken = arrive(installation, facts={"number": 432 + 1})
    assert woken == [wanted]
    with statements(installation.database) as unrelated:
        assert installation.ingest(installation.deliver({"type": "unrelated"})) == []
    # The types, the fields of this type, the runs of this value, their locks, their time.
    assert len(made) - len(unrelated) == 4
    assert [run.id for run in due_runs(installation)] == [wanted]


def many_waiting(installation: Installation, first: UUID) -> list[UUID]:
    """Give runs that wait as this one does, each for a number of its own, by number less 1."""
    run, step = installation.run(first), installation.step(first, "closed")
    (wait,) = installation.rows(WaitRow)
    (row,) = installation.rows(AwaitedRow)
    value = row.value.removesuffix("0.0")
    ids = [new_id() for _ in range(MANY - 1)]
    numbered = list(enumerate(ids, 1))
    installation.store(
        *(
            RunRow(**run.model_dump(exclude={"id", "replay"}), id=ident, replay=number)
            for number, ident in numbered
        )
    )
    installation.store(
        *(StepRow(**step.model_dump(exclude={"id", "run_id"}), run_id=ident) for ident in ids),
        *(WaitRow(**wait.model_dump(exclude={"id", "run_id"}), run_id=ident) for ident in ids),
        *(
            AwaitedRow(
                run_id=ident,
                step="closed",
                type=row.type,
                field=row.field,
                value=f"{value}{float(number)!r}",
            )
            for number, ident in numbered
        ),
    )
    return ids


def due_runs(installation: Installation) -> list[RunRow]:
    rows: list[RunRow] = installation.rows(
        RunRow, RunRow.status == RunStatus.WAITING, RunRow.due_at <= installation.now
    )
    return rows


def store_event(installation: Installation, ident: UUID, *, subject: str = "no") -> None:
    """Store an event as an ingest does, with an id of its own."""
    draft = EventDraft(type="closed", vendor_type="closed", subject=subject)
    event = make_event(
        draft,
        vendor="robot",
        source="robot",
        account="a",
        dedupe_key=str(ident),
        received_at=installation.now,
        origin=Origin.WEBHOOK,
    )
    event.id = ident
    installation.store(event)


def wake(installation: Installation, run_id: UUID) -> None:
    with unit_of_work(installation.database, installation.bell) as work:
        store.wake_in_order(work.session, [run_id], now=installation.now)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Count what is asked of the database."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        made.append(statement)

    listening.listen(database.engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        listening.remove(database.engine, "before_cursor_execute", note)
