"""Backtests: what a document would have done with the events that came, beside what was done."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.run_tables import RunRow
from schemas.tables import EffectRow, EventRow
from service.backtest import Candidate, backtest
from service.backtest_report import Report
from service.db import Database
from service.runs import advance_run
from service.store import history
from service.vendors.base import Done
from service.workflows.document import merge_vars, parse_document
from tests.integration.engine.installation import START, Installation, Made

PRESENT = """
name: tell
on: [{event: go}]
if: event.facts.number > 1
vars: {greeting: hello}
steps:
  - {id: found, uses: robot.read}
  - id: said
    uses: robot.once
    with: {name: "${{ vars.greeting }} ${{ event.subject }} ${{ steps.found.value }}"}
"""


def play(
    installation: Installation,
    text: str,
    *,
    present: str | None = None,
    since_present: timedelta = timedelta(0),
    **more: Any,
) -> dict[str, Any]:
    def candidate(text: str) -> Candidate:
        document = parse_document(text, filename="x.yaml", catalogue=None)
        return Candidate(document, merge_vars(document, {}))

    current = None
    if present is not None:
        found = candidate(present)
        current = Candidate(found.document, found.vars, START + since_present)
    with installation.database.session(read_only=True) as session:
        report = backtest(
            session,
            candidate(text),
            current,
            since=START - timedelta(days=1),
            until=START + timedelta(days=1),
            actions=installation.runtime.actions,
            workflows={},
            **more,
        )
    assert isinstance(report, Report)
    return report.as_json()


def deliver(installation: Installation, *numbers: int, advance: bool = True) -> None:
    for number in numbers:
        event = {"type": "go", "subject": f"s{number}", "facts": {"number": number}}
        installation.ingest(installation.deliver(event))
    if advance:
        installation.carry_on()


def test_the_same_document_does_the_same_and_nothing_is_called_or_stored(
    installation: Installation,
) -> None:
    installation.workflow(PRESENT)
    installation.script.answers = [Done(Made(value=7))]
    deliver(installation, 1, 2, 3)
    calls, effects = len(installation.script.calls), len(installation.rows(EffectRow))
    report = play(installation, PRESENT, present=PRESENT)
    assert report["compared"] == {"same": 2}
    assert report["runs"] == {"new": 2, "present": 2}
    assert report["effects"] == {"new": {"robot.once": 2}, "present": {"robot.once": 2}}
    assert report["examples"] == []
    assert report["runs_with_guesses"] == 0
    assert (len(installation.script.calls), len(installation.rows(EffectRow))) == (calls, effects)


def test_what_would_be_sent_otherwise_is_named_by_parameter(installation: Installation) -> None:
    installation.workflow(PRESENT)
    installation.script.answers = [Done(Made(value=7))]
    deliver(installation, 2)
    report = play(installation, PRESENT.replace("hello", "good day"), present=PRESENT)
    assert report["compared"] == {"different": 1}
    (example,) = report["examples"]
    assert example["differences"] == [
        {"effect": "said", "parameter": "name", "present": "hello s2 7", "new": "good day s2 7"}
    ]
    assert example["subject"] == "s2"


def test_what_an_action_adds_by_itself_is_no_difference(installation: Installation) -> None:
    bare = PRESENT.split("    with:", maxsplit=1)[0]
    installation.workflow(bare)
    deliver(installation, 2)
    assert play(installation, bare, present=bare)["compared"] == {"same": 1}


def test_a_step_that_had_not_ended_is_no_difference(installation: Installation) -> None:
    slow = PRESENT + "  - {id: pause, sleep: 1h}\n"
    installation.workflow(slow)
    deliver(installation, 2, advance=False)
    advance_run(installation.runtime, installation.rows(RunRow)[0].id)
    assert installation.step(installation.rows(RunRow)[0].id, "pause").status == "waiting"
    report = play(installation, slow, present=slow)
    assert report["compared"] == {"same": 1}
    assert report["present_played"] == 0
    assert report["effects_played"] == {}


def test_events_that_start_it_now_and_events_that_do_not_any_more_are_told(
    installation: Installation,
) -> None:
    installation.workflow(PRESENT)
    deliver(installation, 1, 2, 3)
    report = play(installation, PRESENT.replace("number > 1", "number != 2"), present=PRESENT)
    assert report["compared"] == {"only_new": 1, "only_present": 1, "same": 1}
    kinds = {item["subject"]: item["kind"] for item in report["examples"]}
    assert kinds == {"s1": "only_new", "s2": "only_present"}


def test_a_step_more_is_a_difference_and_answers_with_what_it_once_answered(
    installation: Installation,
) -> None:
    installation.workflow(PRESENT)
    installation.script.answers = [Done(Made(value=7))]
    deliver(installation, 2)
    more = (
        PRESENT
        + """
  - {id: again, uses: robot.keyed, if: steps.said.value == 7, with: {name: more}}
"""
    )
    report = play(installation, more, present=PRESENT)
    (example,) = report["examples"]
    assert example["differences"] == [
        {"step": "again", "present": None, "new": "succeeded"},
        {
            "effect": "again",
            "present": None,
            "new": {"action": "robot.keyed", "params": {"name": "more"}},
        },
    ]
    # Nobody knows what the new action would answer.
    assert example["new"]["guessed"] == ["again"]


def test_before_its_time_the_present_version_is_played_too(installation: Installation) -> None:
    deliver(installation, 2, 3, advance=False)
    changed = PRESENT.replace("hello", "good day")
    report = play(installation, changed, present=PRESENT, since_present=timedelta(hours=1))
    assert report["runs"] == {"new": 2, "present": 2}
    assert report["present_played"] == 2
    assert report["effects"]["present"] == report["effects_played"] == {"robot.once": 2}
    assert report["compared"] == {"different": 2}
    later = play(installation, changed, present=PRESENT, since_present=-timedelta(hours=1))
    assert later["runs"] == {"new": 2, "present": 0}
    assert later["compared"] == {"only_new": 2}


def test_parameters_that_cannot_fit_are_found(installation: Installation) -> None:
    deliver(installation, 2, advance=False)
    wrong = PRESENT.replace(
        '"${{ vars.greeting }} ${{ event.subject }} ${{ steps.found.value }}"',
        '"${{ event.facts.number }}"',
    )
    wrong = wrong.replace("  - {id: found, uses: robot.read}\n", "")
    report = play(installation, wrong)
    assert report["ends"]["new"] == {"failed": 1}
    (message,) = report["errors"]
    assert message == "said: the step's parameters do not fit: name: must be a text"


def test_a_condition_that_cannot_be_evaluated_is_counted(installation: Installation) -> None:
    deliver(installation, 2, advance=False)
    report = play(installation, PRESENT.replace("facts.number", "facts.missing"))
    assert report["conditions_failed"] == 1
    assert "missing" in report["examples"][0]["error"]


def test_events_that_join_one_run_are_one_run(installation: Installation) -> None:
    for number in (2, 3, 4):
        deliver(installation, number, advance=False)
        installation.now += timedelta(seconds=20)
    installation.now += timedelta(minutes=5)
    deliver(installation, 5, advance=False)
    joined = PRESENT.replace("steps:", "coalesce: {within: 1m}\nsteps:").replace(
        "${{ event.subject }}", "${{ event.subject }} ${{ size(events) }}"
    )
    report = play(installation, joined)
    assert report["runs"]["new"] == 2
    counts = [item["events"] for item in report["examples"] if item["kind"] == "gathered"]
    assert counts == [3, 1]
    names = [item["new"]["effects"][0]["params"]["name"] for item in report["examples"]]
    assert names == ["hello s2 3 ", "hello s5 1 "]


def test_what_was_awaited_is_found_among_the_later_events(installation: Installation) -> None:
    deliver(installation, 2, advance=False)
    installation.now += timedelta(minutes=3)
    installation.ingest(installation.deliver({"type": "done", "subject": "s2"}))
    waits = """
name: waits
on: [{event: go}]
steps:
  - id: over
    wait_for: {event: done, if: event.subject == run.event.subject, timeout: 1h}
  - {id: said, uses: robot.once, with: {name: "${{ steps.over.event.type }}"}}
"""
    report = play(installation, waits)
    assert report["ends"]["new"] == {"succeeded": 1}
    assert report["examples"][0]["new"]["effects"][0]["params"] == {"name": "done"}


def test_memory_does_not_grow_with_the_number_of_events(
    installation: Installation,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    # Many small pages tell the same as a few large ones, and are played sooner.
    monkeypatch.setattr(history, "PAGE", 50)
    (template,) = _stored_event(installation)
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    monkeypatch.setattr(history, "read_events", _collecting(history.read_events))
    peaks = []
    for count in (200, 600):
        _store_copies(database, template, count)
        tracemalloc.start()
        report = play(installation, PRESENT, present=PRESENT, examples=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report["events"] >= count
    assert peaks[1] < peaks[0] * 1.3, peaks


def _collecting(read: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Let what lies in circles go behind each page, and not when it happens to be looked for."""

    def pages(*arguments: Any, **more: Any) -> Iterator[Any]:
        for page in read(*arguments, **more):
            yield page
            gc.collect()

    return pages


def _stored_event(installation: Installation) -> list[EventRow]:
    deliver(installation, 2, advance=False)
    rows: list[EventRow] = installation.rows(EventRow)
    return rows


def _store_copies(database: Database, template: EventRow, count: int) -> None:
    with database.turn_to_write(), database.session() as session:
        for number in range(count):
            values = template.model_dump(exclude={"id", "dedupe_key"})
            session.add(EventRow(**values, dedupe_key=f"copy:{count}:{number}"))
        session.commit()
    assert count > history.PAGE
