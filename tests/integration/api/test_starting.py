"""People start workflows by hand through the API, and switch them off and on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from schemas.configured_tables import WorkflowRow
from schemas.ids import new_id
from schemas.run_tables import RunEventRow, RunRow
from schemas.tables import EventRow
from service.tokens import Role
from service.workflows.document import parse_document
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_event,
    make_run,
    make_workflow,
)
from tests.integration.api.test_conventions import is_problem
from tests.integration.api.test_deciding import post

MANUAL = """
name: heal
on:
  - manual:
      inputs:
        suite: {type: text, default: smoke}
        times: {type: number, required: true, description: How often}
steps: [{id: pause, sleep: 1h}]
"""
BY_EVENT = """
name: heal
on: [{event: test_run.failed}]
if: "false"
steps: [{id: pause, sleep: 1h}]
"""


def save(installation: Installation, text: str, *, enabled: bool = True) -> UUID:
    """Store a workflow; gives its version's id."""
    document = parse_document(text, filename="heal.yaml", catalogue=None)
    workflow, version = make_workflow()
    workflow.enabled = enabled
    version.document = document.model_dump(mode="json")
    installation.save(workflow, version)
    return version.id


def rows(installation: Installation, model: Any) -> list[Any]:
    with installation.database.session(read_only=True) as session:
        return list(session.exec(select(model)).all())


def test_a_workflow_is_started_with_inputs(api: Installation) -> None:
    save(api, MANUAL)
    answer = post(api, "/workflows/heal/runs", {"inputs": {"times": 3}})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["workflow"], told["status"], told["reason"]) == (
        "heal",
        "pending",
        "started by test",
    )
    assert (told["event"]["type"], told["event"]["vendor"]) == ("workflow.started", "hookwright")
    assert told["event"]["facts"] == {
        "workflow": "heal",
        "inputs": {"suite": "smoke", "times": 3},
        "by": "test",
    }
    assert told == api.get(f"/runs/{told['id']}")


def test_the_same_key_gives_the_same_run(api: Installation) -> None:
    save(api, MANUAL)
    headers = {
        "Authorization": f"Bearer {api.token_of(Role.OPERATOR)}",
        "Idempotency-Key": "once",
    }
    body = {"inputs": {"times": 3}}
    answers = [
        api.client.post("/workflows/heal/runs", json=body, headers=headers) for _ in range(2)
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(rows(api, RunRow)) == len(rows(api, EventRow)) == 1
    other = post(api, "/workflows/heal/runs", body).json()
    assert other["id"] != answers[0].json()["id"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "needs the input `times`"),
        ({"times": "three"}, "must be a number"),
        ({"times": 1, "suit": "x"}, "takes no input `suit`"),
    ],
)
def test_wrong_inputs_are_refused(face: Installation, inputs: dict[str, Any], said: str) -> None:
    save(face, MANUAL)
    answer = post(face, "/workflows/heal/runs", {"inputs": inputs})
    is_problem(answer, 422)
    assert said in answer.json()["detail"]
    assert rows(face, RunRow) == []


def test_any_workflow_is_started_anew_for_a_stored_event(api: Installation) -> None:
    version_id = save(api, BY_EVENT)
    event = make_event()
    first = RunRow(
        event_id=event.id,
        workflow_version_id=version_id,
        workflow="heal",
        status="succeeded",
        correlation_id=event.correlation_id,
        created_at=NOW,
    )
    api.save(event, first)
    replays = []
    for _ in range(2):
        answer = post(api, "/workflows/heal/runs", {"event": str(event.id)})
        assert answer.status_code == 202, answer.text
        told = answer.json()
        assert told["event"]["id"] == str(event.id)
        assert told["reason"] == "started by test for this event"
        replays.append(next(row.replay for row in rows(api, RunRow) if str(row.id) == told["id"]))
    assert replays == [1, 2]


def test_what_cannot_be_started_is_said(face: Installation) -> None:
    save(face, BY_EVENT)
    event = make_event()
    face.save(event)
    known = str(event.id)
    for body, status, said in (
        ({}, 422, "has no `manual` trigger"),
        ({"event": str(new_id())}, 404, "there is no event"),
        ({"event": known, "inputs": {"a": 1}}, 422, "not both"),
    ):
        answer = post(face, "/workflows/heal/runs", body)
        is_problem(answer, status)
        assert said in answer.json()["detail"]
    is_problem(post(face, "/workflows/none/runs", {}), 404)
    is_problem(post(face, "/workflows/heal/runs", {"event": known}, Role.VIEWER), 403)


def test_a_disabled_workflow_starts_nothing(api: Installation) -> None:
    save(api, MANUAL)
    told = post(api, "/workflows/heal/disable").json()
    assert (told["name"], told["enabled"]) == ("heal", False)
    answer = post(api, "/workflows/heal/runs", {"inputs": {"times": 1}})
    is_problem(answer, 409)
    assert "disabled" in answer.json()["detail"]
    assert post(api, "/workflows/heal/disable").status_code == 200
    assert post(api, "/workflows/heal/enable").json()["enabled"] is True
    answer = post(api, "/workflows/heal/runs", {"inputs": {"times": 1}})
    assert answer.status_code == 202
    is_problem(post(api, "/workflows/none/enable"), 404)
    is_problem(post(api, "/workflows/heal/disable", role=Role.VIEWER), 403)
    (row,) = rows(api, WorkflowRow)
    assert row.enabled


def test_an_event_names_the_run_that_it_joined(api: Installation) -> None:
    first, joined = make_event("first"), make_event("joined")
    workflow, version = make_workflow()
    run = make_run(first, version)
    both = [RunEventRow(run_id=run.id, event_id=event.id) for event in (first, joined)]
    api.save(first, joined, workflow, version, run, *both)
    (told,) = api.get(f"/events/{joined.id}")["runs"]
    assert told["id"] == str(run.id)
