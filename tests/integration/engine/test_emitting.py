"""Events of our own: what `emit` emits, `run.failed`, and the changes of alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.document import Emit, EmitStep
from schemas.events import EventDraft, Origin
from schemas.run_tables import RunRow
from schemas.tables import AlertRow, EventRow
from schemas.workflow import RunStatus, StepStatus
from service import alerts, emitting
from service.catalogue import build_catalogue
from service.errors import Conflict, NotFound, Refused, TimedOut
from service.ingest import make_event
from service.own_events import VENDOR
from service.routing import announcer, store_and_route
from service.runs import LEASE, advance_run
from service.starting import MOST_DEPTH
from service.unit_of_work import unit_of_work
from service.vendors import BY_NAME
from service.vendors.base import Delivery, Headers
from service.workflows.decisions import Failed
from service.workflows.document import parse_document
from service.workflows.own_steps import emitted
from tests.integration.engine.installation import START, Installation
from tests.integration.engine.workers import Killed, go_on_with_all

EMITS = """
name: emits
on: [{event: go}]
steps:
  - id: said
    emit: {type: deploy.done, subject: "${{ event.subject }}", facts: {n: "${{ 1 + 1 }}"}}
"""
HEARS = """
name: hears
on: [{event: deploy.*}]
steps: [{id: heard, uses: robot.read}]
"""


def runs_of(installation: Installation, workflow: str) -> list[RunRow]:
    rows: list[RunRow] = installation.rows(RunRow, RunRow.workflow == workflow)
    return sorted(rows, key=lambda run: run.id)


def own_events(installation: Installation, type_: str) -> list[EventRow]:
    rows: list[EventRow] = installation.rows(EventRow, EventRow.type == type_)
    return sorted(rows, key=lambda event: event.id)


# --- emit -----------------------------------------------------------------------------------------


def test_an_emitted_event_starts_what_it_matches_and_says_where_it_comes_from(
    installation: Installation,
) -> None:
    installation.workflow(EMITS)
    installation.workflow(HEARS)
    run_id = installation.start(subject="prod")
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    (event,) = own_events(installation, "deploy.done")
    assert (event.vendor, event.origin, event.subject) == ("hookwright", "own", "prod")
    assert (event.facts, event.caused_by, event.depth) == ({"n": 2}, run_id, 1)
    run = installation.run(run_id)
    assert event.correlation_id == run.correlation_id
    assert installation.step(run_id, "said").output == {"event_id": str(event.id)}
    (heard,) = runs_of(installation, "hears")
    assert (heard.event_id, heard.depth) == (event.id, 1)
    assert heard.correlation_id == run.correlation_id
    assert installation.advance(heard.id).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("emit", "code", "told"),
    [
        ("type: check.failed, facts: {check_id: {a: 1}}", "invalid_facts", "check_id"),
        ("type: check.failed, facts: {nonsense: x}", "invalid_facts", "nonsense"),
    ],
)
def test_what_cannot_be_emitted_fails_the_step(
    installation: Installation, emit: str, code: str, told: str
) -> None:
    installation.workflow(
        f"name: emits\non: [{{event: go}}]\nsteps:\n  - {{id: said, emit: {{{emit}}}}}\n"
    )
    run = installation.advance(installation.start())
    assert run.status == RunStatus.FAILED
    assert run.error["code"] == code
    assert told in run.error["message"]


def test_the_facts_of_a_family_get_its_form(installation: Installation) -> None:
    installation.workflow(
        EMITS.replace("deploy.done", "check.failed").replace("{n: ", "{response_time_ms: ")
    )
    run_id = installation.start(subject="s")
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    (event,) = own_events(installation, "check.failed")
    assert (event.facts["response_time_ms"], event.facts["tags"]) == (2, [])


def test_a_subject_that_is_no_text_is_written_as_json(installation: Installation) -> None:
    installation.workflow(EMITS.replace("event.subject", "event.facts.flag"))
    installation.advance(installation.start(facts={"flag": True}))
    assert own_events(installation, "deploy.done")[0].subject == "true"


def test_an_event_is_emitted_once_though_its_worker_is_killed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event, what it starts and the step's end are one transaction: all of them, or none."""
    installation.workflow(EMITS)
    installation.workflow(HEARS)
    run_id = installation.start()
    route = store_and_route

    def die(*arguments: Any) -> Any:
        route(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(emitting, "store_and_route", die)
        with pytest.raises(Killed):
            advance_run(installation.another_worker(), run_id)
    assert own_events(installation, "deploy.done") == []
    assert runs_of(installation, "hears") == []
    installation.now += LEASE + timedelta(seconds=1)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(own_events(installation, "deploy.done")) == 1
    assert len(runs_of(installation, "hears")) == 1


def test_a_worker_that_is_killed_after_it_emitted_does_not_emit_again(
    installation: Installation,
) -> None:
    installation.workflow(EMITS + "  - {id: last, uses: robot.read}\n")
    run_id = installation.start()
    answers = installation.script.answers

    def die() -> Any:
        raise Killed

    installation.script.answers = [die]
    with pytest.raises(Killed):
        advance_run(installation.another_worker(), run_id)
    installation.script.answers = answers
    installation.now += LEASE + timedelta(seconds=1)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(own_events(installation, "deploy.done")) == 1


def test_every_item_of_a_loop_emits_an_event_of_its_own(installation: Installation) -> None:
    installation.workflow("""
name: loops
on: [{event: go}]
steps:
  - for_each: "[1, 2, 3]"
    as: number
    steps:
      - emit: {type: deploy.done, subject: "${{ number }}"}
""")
    run_id = installation.start()
    go_on_with_all(installation)
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    events = own_events(installation, "deploy.done")
    assert sorted(str(event.subject) for event in events) == ["1", "2", "3"]
    assert {event.caused_by for event in events} == {run_id}


def test_in_shadow_mode_nothing_is_emitted(installation: Installation) -> None:
    installation.workflow(EMITS.replace("name: emits", "name: emits\nmode: shadow"))
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "said").output == {"event_id": None}
    assert own_events(installation, "deploy.done") == []


def test_a_chain_of_events_ends_with_a_run_that_says_why(installation: Installation) -> None:
    installation.workflow("""
name: chain
on: [{event: go}, {event: deploy.done}]
steps:
  - emit: {type: deploy.done}
""")
    installation.start()
    go_on_with_all(installation)
    runs = runs_of(installation, "chain")
    assert [run.depth for run in runs] == list(range(MOST_DEPTH + 2))
    assert {run.status for run in runs[:-1]} == {RunStatus.SUCCEEDED}
    last = runs[-1]
    assert last.status == RunStatus.SKIPPED
    assert last.reason == f"{MOST_DEPTH} runs stand before it in its chain: it would never end"
    assert len({run.correlation_id for run in runs}) == 1


# --- run.failed -----------------------------------------------------------------------------------

FAILS = """
name: fails
on: [{event: go}]
steps: [{id: only, uses: robot.once}]
"""


def test_a_failed_run_is_an_event_and_its_failure_is_told_once(
    installation: Installation,
) -> None:
    installation.settings = installation.settings.model_copy(
        update={"public_url": "https://hooks.example/"}
    )
    installation.runtime = installation.another_worker()
    installation.workflow(FAILS)
    installation.workflow(
        FAILS.replace("name: fails", "name: reports").replace("event: go", "event: run.failed")
    )
    installation.script.answers = [Refused("no such thing", status=404)]
    run_id = installation.start()
    go_on_with_all(installation)
    (event,) = own_events(installation, "run.failed")
    assert event.facts == {
        "run_id": str(run_id),
        "workflow": "fails",
        "step": "only",
        "code": "refused",
        "message": "no such thing",
        "url": f"https://hooks.example/runs/{run_id}",
    }
    assert (event.subject, event.origin, event.caused_by) == (str(run_id), "own", run_id)
    # What was started by it failed too, and nothing tells of that.
    (report,) = runs_of(installation, "reports")
    assert report.status == RunStatus.FAILED


def test_a_failed_item_is_no_failed_run(installation: Installation) -> None:
    installation.workflow("""
name: loops
on: [{event: go}]
steps:
  - id: each
    for_each: "[1, 2]"
    on_error: continue
    steps: [{id: only, uses: robot.once}]
""")
    installation.script.answers = [Refused("no", status=400)]
    run_id = installation.start()
    go_on_with_all(installation)
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert own_events(installation, "run.failed") == []


def test_a_failed_shadow_run_tells_nobody(installation: Installation) -> None:
    installation.workflow(
        FAILS.replace("name: fails", "name: fails\nmode: shadow").replace(
            "uses: robot.once", "wait_for: {event: never, timeout: 1s}"
        )
    )
    assert installation.advance(installation.start()).status == RunStatus.FAILED
    assert own_events(installation, "run.failed") == []


def test_a_workflow_may_ask_for_events_of_hookwright_alone() -> None:
    text = "name: own\non: [{event: run.failed, vendor: hookwright}]\nsteps: [{sleep: 1s}]\n"
    document = parse_document(text, filename="own.yaml", catalogue=build_catalogue())
    assert document.event_triggers[0].vendor == VENDOR


# --- alerts ---------------------------------------------------------------------------------------

ALARM = """
name: alarm
on: [{event: go}, {event: over}]
steps:
  - id: opened
    uses: alert.open
    if: event.type == "go"
    with: {key: k, title: Low, severity: "${{ event.subject }}", details: {a: 1}}
  - {id: resolved, uses: alert.resolve, if: 'event.type == "over"', with: {key: k}}
"""
TELLS = """
name: tells
on: [{event: alert.*}]
steps: [{id: told, uses: robot.read}]
"""


def test_an_alert_that_opens_gets_worse_and_is_resolved_starts_workflows(
    installation: Installation,
) -> None:
    installation.workflow(ALARM)
    installation.workflow(TELLS)
    runs = [installation.start(subject=level) for level in ("info", "info", "warning", "info")]
    runs += installation.ingest(installation.deliver({"type": "over"}, {"type": "over"}))
    go_on_with_all(installation)
    assert {installation.run(run_id).status for run_id in runs} == {RunStatus.SUCCEEDED}
    (alert,) = installation.rows(AlertRow)
    told = [
        (event.type, event.facts["severity"], event.facts["state"])
        for event in sorted(
            installation.rows(EventRow, EventRow.vendor == "hookwright"), key=lambda row: row.id
        )
    ]
    assert told == [
        ("alert.opened", "info", "open"),
        ("alert.opened", "warning", "open"),
        ("alert.resolved", "info", "resolved"),
    ]
    (first, *_) = own_events(installation, "alert.opened")
    assert first.facts == {
        "alert_id": str(alert.id),
        "key": "k",
        "title": "Low",
        "severity": "info",
        "state": "open",
        "details": {"a": 1},
        "run_id": str(runs[0]),
    }
    assert (first.subject, first.caused_by, first.depth) == ("k", runs[0], 1)
    assert len(runs_of(installation, "tells")) == 3


def test_an_alert_that_is_acknowledged_is_an_event_once(installation: Installation) -> None:
    installation.workflow(ALARM)
    run_id = installation.start(subject="info")
    installation.advance(run_id)
    (alert,) = installation.rows(AlertRow)
    for changed in (True, False):
        assert acknowledge(installation, alert.id).changed is changed
    (event,) = own_events(installation, "alert.acknowledged")
    assert (event.facts["state"], event.facts["details"]["acknowledged_by"]) == (
        "acknowledged",
        "ann",
    )
    assert (event.caused_by, event.depth) == (None, 0)
    (over,) = installation.ingest(installation.deliver({"type": "over"}))
    installation.advance(over)
    with pytest.raises(Conflict):
        acknowledge(installation, alert.id)
    with pytest.raises(NotFound):
        acknowledge(installation, run_id)


def acknowledge(installation: Installation, alert_id: UUID) -> alerts.AlertOutputs:
    with unit_of_work(installation.database, installation.bell) as work:
        return alerts.acknowledge_alert(
            work,
            alert_id,
            who="ann",
            now=installation.now,
            announce=announcer(installation.runtime),
        )


def test_a_step_in_doubt_opens_an_alert_that_is_an_event(installation: Installation) -> None:
    installation.workflow(FAILS)
    installation.workflow(TELLS)
    installation.script.answers = [TimedOut(perhaps_done=True)]
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    (event,) = own_events(installation, "alert.opened")
    assert event.facts["key"] == f"in-doubt:{run_id}:only"
    assert len(runs_of(installation, "tells")) == 1


def test_an_alert_and_its_event_are_made_together_or_not_at_all(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(ALARM)
    run_id = installation.start(subject="info")

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(alerts, "AlertOutputs", die)
        with pytest.raises(Killed):
            advance_run(installation.another_worker(), run_id)
    assert installation.rows(AlertRow) == []
    assert own_events(installation, "alert.opened") == []
    installation.now += LEASE + timedelta(seconds=1)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(own_events(installation, "alert.opened")) == 1


# --- what nobody else can make -------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["run.failed", "alert.opened", "workflow.called"])
def test_a_step_cannot_emit_events_that_only_hookwright_makes(type_: str) -> None:
    """Refused when it is saved, and whatever came into the database otherwise fails."""
    step = EmitStep(id="said", emit=Emit(type=type_))
    outcome = emitted(step, {"facts": {}})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("reserved_type", False)


@pytest.mark.parametrize(
    "type_", ["run.failed", "alert.resolved", "workflow.started", "workflow.called", "schedule.due"]
)
def test_a_sender_cannot_make_events_of_ours(installation: Installation, type_: str) -> None:
    installation.workflow(EMITS.replace("event: go", f"event: '{type_.partition('.')[0]}.*'"))
    assert installation.ingest(installation.deliver({"type": type_})) == []
    (event,) = installation.rows(EventRow)
    assert (event.type, event.origin) == (f"robot.{type_}", "webhook")


@pytest.mark.parametrize("vendor", ["cloudevents", "generic"])
def test_vendors_that_let_senders_name_their_types_cannot_forge_ours(
    installation: Installation, vendor: str
) -> None:
    installation.workflow(EMITS.replace("event: go", "event: run.failed"))
    incoming = BY_NAME[vendor].incoming
    assert incoming is not None
    body, options = FORGED[vendor]
    delivery = Delivery(
        "source",
        Headers([("content-type", "application/cloudevents+json")]),
        body,
        START,
    )
    drafts = incoming.normalise(delivery, incoming.options.model_validate(options))
    assert [draft.type for draft in drafts] == ["run.failed"]
    with unit_of_work(installation.database, installation.bell) as work:
        events = [made(draft, vendor) for draft in drafts]
        store_and_route(installation.runtime, work, events)
    assert [event.type for event in installation.rows(EventRow)] == [f"{vendor}.run.failed"]
    assert installation.rows(RunRow) == []


FORGED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "cloudevents": (
        b'{"specversion": "1.0", "id": "1", "source": "/s", "type": "run.failed", "data": {}}',
        {},
    ),
    "generic": (b'{"type": "x"}', {"events": {"x": "run.failed"}}),
}


def made(draft: EventDraft, vendor: str) -> EventRow:
    return make_event(
        draft,
        vendor=vendor,
        source="source",
        account="a",
        dedupe_key="k",
        received_at=START,
        origin=Origin.WEBHOOK,
    )
