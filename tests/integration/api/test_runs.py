"""Decisions, retries and branches of runs, as the API shows them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col

from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow
from service.errors import Permanent
from service.store.runs import ACTIVE
from service.tokens import Role
from service.vendors.base import Done
from tests.integration.api.conftest import Installation as Served
from tests.integration.api.test_conventions import is_problem
from tests.integration.api.test_deciding import post
from tests.integration.engine.installation import Installation, Made

ASKS = """
name: asks
on: [{event: go}]
steps:
  - id: each
    for_each: range(30)
    max_parallel: 25
    as: number
    steps:
      - {id: note, uses: robot.once, with: {name: "n ${{ number }}"}}
      - {id: ask, approval: {text: "Stop ${{ number }}?", timeout: 4h}, if: "number == 0"}
"""
STEPS = """
name: steps
on: [{event: go}]
steps:
  - {id: ask, approval: {text: "Go on?"}}
  - {id: other, call: called}
  - {id: merged, wait_for: {event: pull_request.closed, timeout: 24h}}
outputs: {subject: "${{ steps.merged.event.subject }}"}
"""
CALLED = """
name: called
on: [{manual: {}}]
steps: [{id: only, uses: robot.once}]
"""


@pytest.fixture
def engine(api: Served) -> Installation:
    """Workers on the served database."""
    found = Installation(api.database)
    found.now = api.now[0]
    return found


def started(engine: Installation, *texts: str) -> UUID:
    for text in texts:
        engine.workflow(text)
    run_id = engine.start(subject="#7")
    engine.carry_on_rung()
    return run_id


def go_on(engine: Installation) -> None:
    """Carry on what the API has rung for: its bell is not that of these workers."""
    active = engine.rows(RunRow, col(RunRow.status).in_(ACTIVE))
    engine.bell.rung += [AdvanceRun(row.id) for row in active]
    engine.carry_on_rung()


def decide(api: Served, run_id: UUID, step: str, decision: str = "approve", **more: Any) -> Any:
    body = {"decision": decision, **more}
    return post(api, f"/runs/{run_id}/steps/{step}/decision", body)


def test_a_step_is_approved_and_the_run_goes_on(api: Served, engine: Installation) -> None:
    run_id = started(engine, CALLED, STEPS)
    told = api.get(f"/runs/{run_id}")
    wait = told["wait"]
    assert (wait["kind"], wait["words"]) == ("approval", "waits for a decision")
    assert (wait["question"], wait["run_id"], wait["path"]) == ("Go on?", str(run_id), None)
    answer = decide(api, run_id, "ask", note="all good")
    assert answer.status_code == 200, answer.text
    assert answer.json()["steps"][0]["answer"]["by"] == "test"
    go_on(engine)
    told = api.get(f"/runs/{run_id}")
    assert told["steps"][0]["output"]["note"] == "all good"
    (called,) = told["calls"]
    assert (called["workflow"], called["step"], called["status"]) == (
        "called",
        "other",
        "succeeded",
    )
    assert api.get(f"/runs/{called['id']}")["called_by"]["id"] == str(run_id)
    assert told["wait"]["words"] == "waits for pull_request.closed"
    problem = decide(api, run_id, "ask", "reject")
    is_problem(problem, 409)
    assert "approved by test" in problem.json()["detail"]
    engine.ingest(engine.deliver({"type": "pull_request.closed", "subject": "#8"}))
    go_on(engine)
    assert api.get(f"/runs/{run_id}")["output"] == {"subject": "#8"}


@pytest.mark.parametrize(
    "body", [{}, {"decision": "maybe"}, {"decision": "approve", "by": "me"}], ids=str
)
def test_a_decision_of_another_form_is_refused(
    api: Served, engine: Installation, body: dict[str, Any]
) -> None:
    run_id = started(engine, CALLED, STEPS)
    is_problem(post(api, f"/runs/{run_id}/steps/ask/decision", body), 422)
    assert api.get(f"/runs/{run_id}")["wait"]["kind"] == "approval"


def test_a_viewer_neither_decides_nor_retries(api: Served, engine: Installation) -> None:
    run_id = started(engine, CALLED, STEPS)
    body = {"decision": "approve"}
    for path, sent in ((f"/runs/{run_id}/steps/ask/decision", body), (f"/runs/{run_id}/retry", {})):
        is_problem(post(api, path, sent, Role.VIEWER), 403)


def test_a_run_shows_how_far_its_branches_are_and_which_wait(
    api: Served, engine: Installation
) -> None:
    run_id = started(engine, ASKS)
    told = api.get(f"/runs/{run_id}")
    assert told["wait"]["words"] == "29 of 30 done, 1 under way"
    (spread,) = told["spreads"]
    assert (spread["total"], spread["succeeded"], spread["under_way"]) == (30, 29, 1)
    (branch,) = told["branches"]
    assert (branch["path"], branch["item"], branch["status"]) == ("each[0]", 0, "waiting")
    assert branch["wait"]["question"] == "Stop 0?"
    whole = api.get(f"/runs/{branch['id']}")
    assert (whole["path"], whole["root_id"]) == ("each[0]", str(run_id))
    assert whole["parent"]["id"] == str(run_id)
    assert whole["event_id"] == told["event_id"]
    (waiting,) = api.get("/runs", waiting_for="approval")["data"]
    assert waiting["id"] == str(run_id)
    assert [(one["path"], one["step"]) for one in waiting["waits"]] == [("each[0]", "ask")]
    assert api.get("/runs", waiting_for="person")["data"] == []
    assert decide(api, run_id, "each[0].ask").status_code == 200
    go_on(engine)
    assert api.get(f"/runs/{run_id}")["status"] == "succeeded"


def test_branches_are_listed_a_page_at_a_time(api: Served, engine: Installation) -> None:
    run_id = started(engine, ASKS)
    first = api.get(f"/runs/{run_id}/branches", limit=20)
    second = api.get(f"/runs/{run_id}/branches", limit=20, cursor=first["next_cursor"])
    paths = [row["path"] for row in (*first["data"], *second["data"])]
    assert sorted(paths) == sorted(f"each[{number}]" for number in range(30))
    assert second["has_more"] is False
    waiting = api.get(f"/runs/{run_id}/branches", status="waiting", step="each")
    assert [row["wait"]["kind"] for row in waiting["data"]] == ["approval"]
    is_problem(api.client.get(f"/runs/{UUID(int=9)}/branches"), 404)
    cursor = {"cursor": first["next_cursor"]}
    is_problem(api.client.get(f"/runs/{waiting['data'][0]['id']}/branches", params=cursor), 422)


def test_a_failed_run_is_retried(api: Served, engine: Installation) -> None:
    engine.script.answers = [Permanent("no"), Done(Made(value=1))]
    run_id = started(engine, "name: x\non: [{event: go}]\nsteps: [{id: only, uses: robot.once}]\n")
    assert api.get(f"/runs/{run_id}")["status"] == "failed"
    answer = post(api, f"/runs/{run_id}/retry")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["status"], answer.json()["retries"]) == ("pending", 1)
    is_problem(post(api, f"/runs/{run_id}/retry"), 409)
    go_on(engine)
    assert api.get(f"/runs/{run_id}")["status"] == "succeeded"
    is_problem(post(api, f"/runs/{run_id}/retry"), 409)


def test_a_branch_is_neither_cancelled_nor_retried(api: Served, engine: Installation) -> None:
    started(engine, ASKS)
    branch = engine.rows(RunRow, col(RunRow.parent_id).is_not(None))[0]
    for what in ("cancel", "retry"):
        problem = post(api, f"/runs/{branch.id}/{what}")
        is_problem(problem, 409)
        assert str(branch.root_id) in problem.json()["hint"]
