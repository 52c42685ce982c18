"""People decide on a run through the API: settling a step in doubt, and cancelling."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from schemas.run_tables import AttemptRow, RunRow, StepRow, WaitRow
from schemas.tables import EffectRow
from service.tokens import Role
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_alert,
    make_event,
    make_run,
    make_workflow,
)
from tests.integration.api.test_conventions import is_problem

TOOK_EFFECT: dict[str, Any] = {"took_effect": True, "output": {"batch_id": "b1"}}


def make_doubt(installation: Installation, action: str = "checksum.auto_heal") -> RunRow:
    """Store a run that waits for a person on its step `heal`."""
    event = make_event()
    workflow, version = make_workflow()
    run = make_run(event, version)
    step = StepRow(
        run_id=run.id,
        step="heal",
        position=0,
        action=action,
        status="in_doubt",
        attempts=1,
        error={"code": "in_doubt", "message": "the answer never came"},
        started_at=NOW,
        attempted_at=NOW,
    )
    effect = EffectRow(
        key="checksum:checksum.auto_heal:1",
        run_id=run.id,
        step="heal",
        action=action,
        connection="checksum",
        state="in_doubt",
        calls=1,
        error="the answer never came",
        intended_at=NOW,
    )
    attempt = AttemptRow(
        step_id=step.id, run_id=run.id, number=1, status="in_doubt", started_at=NOW, ended_at=NOW
    )
    wait = WaitRow(run_id=run.id, step="heal", kind="person", since=NOW)
    alert = make_alert(f"in-doubt:{run.id}:heal", run_id=run.id)
    installation.save(event, workflow, version, run, step, attempt, wait, effect, alert)
    return run


def post(
    installation: Installation, path: str, body: object = None, role: Role = Role.OPERATOR
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {installation.token_of(role)}"}
    return installation.client.post(path, json=body, headers=headers)


def test_a_step_that_took_effect_is_settled_with_its_output(api: Installation) -> None:
    run = make_doubt(api)
    answer = post(api, f"/runs/{run.id}/steps/heal/settle", TOOK_EFFECT)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["wait"]) == ("pending", None)
    (step,) = told["steps"]
    assert (step["status"], step["error"]) == ("succeeded", None)
    assert step["output"]["batch_id"] == "b1"
    assert set(step["output"].values()) == {"b1", None}
    (effect,) = told["effects"]
    assert effect["state"] == "made"
    assert told == api.get(f"/runs/{run.id}")
    (alert,) = api.get("/alerts")["data"]
    assert (alert["state"], alert["details"]["settled_by"]) == ("resolved", "test")


def test_a_step_that_was_not_made_is_to_be_tried_again(api: Installation) -> None:
    run = make_doubt(api)
    answer = post(api, f"/runs/{run.id}/steps/heal/settle", {"took_effect": False})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["steps"][0]["status"] == "pending"
    assert told["effects"][0]["state"] == "not_made"


def test_settling_again_is_a_conflict(api: Installation) -> None:
    run = make_doubt(api)
    path = f"/runs/{run.id}/steps/heal/settle"
    assert post(api, path, TOOK_EFFECT).status_code == 200
    problem = is_problem(post(api, path, TOOK_EFFECT), 409)
    assert problem["type"] == "urn:hookwright:problem:conflict"
    assert "succeeded" in problem["detail"]


def test_a_run_is_cancelled_as_often_as_one_likes(api: Installation) -> None:
    run = make_doubt(api)
    for _ in range(2):
        answer = post(api, f"/runs/{run.id}/cancel")
        assert answer.status_code == 202, answer.text
        assert answer.json()["id"] == str(run.id)
    (alert,) = api.get("/alerts")["data"]
    assert (alert["state"], alert["details"]["cancelled_by"]) == ("open", "test")


def test_a_run_that_has_ended_cannot_be_cancelled(face: Installation) -> None:
    event = make_event()
    workflow, version = make_workflow()
    run = make_run(event, version, status="succeeded", ended_at=NOW)
    face.save(event, workflow, version, run)
    is_problem(post(face, f"/runs/{run.id}/cancel"), 409)


def test_a_viewer_decides_nothing(face: Installation) -> None:
    run = make_doubt(face)
    for path, body in (
        (f"/runs/{run.id}/steps/heal/settle", TOOK_EFFECT),
        (f"/runs/{run.id}/cancel", None),
    ):
        is_problem(post(face, path, body, Role.VIEWER), 403)
        is_problem(face.client.post(path, json=body, headers={"Authorization": ""}), 401)
    assert face.get(f"/runs/{run.id}")["steps"][0]["status"] == "in_doubt"
    assert face.get("/alerts")["data"][0]["state"] == "open"


@pytest.mark.parametrize(
    ("step", "body", "status"),
    [
        ("heal", {}, 422),
        ("heal", {"took_effect": "yes"}, 422),
        ("heal", {"took_effect": True, "outputs": {}}, 422),
        ("heal", {"took_effect": True, "output": [1]}, 422),
        ("heal", {"took_effect": True, "output": {"nothing": 1}}, 422),
        ("heal", {"took_effect": False, "output": {"batch_id": "b1"}}, 422),
        ("other", {"took_effect": True}, 404),
        ("a%00b", {"took_effect": True}, 422),
    ],
)
def test_what_cannot_be_settled_is_a_problem(
    face: Installation, step: str, body: dict[str, Any], status: int
) -> None:
    run = make_doubt(face)
    is_problem(post(face, f"/runs/{run.id}/steps/{step}/settle", body), status)
    assert face.get(f"/runs/{run.id}")["steps"][0]["status"] == "in_doubt"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"took_effect": tru', 422),
        (b"[" * 60_000, 400),
        (b'{"took_effect": true, "output": "' + b"x" * 70_000 + b'"}', 413),
    ],
    ids=["cut", "deep", "large"],
)
def test_a_body_that_cannot_be_read_is_a_problem(
    face: Installation, content: bytes, status: int
) -> None:
    run = make_doubt(face)
    headers = {
        "Authorization": f"Bearer {face.token_of(Role.OPERATOR)}",
        "Content-Type": "application/json",
    }
    path = f"/runs/{run.id}/steps/heal/settle"
    is_problem(face.client.post(path, content=content, headers=headers), status)


def test_a_body_of_unknown_length_is_bounded_before_anybody_is_known(face: Installation) -> None:
    run = make_doubt(face)
    pieces = (b"x" * 10_000 for _ in range(100))
    answer = face.client.post(
        f"/runs/{run.id}/cancel", content=pieces, headers={"Authorization": ""}
    )
    is_problem(answer, 413)


def test_an_idempotency_key_may_be_sent(face: Installation) -> None:
    run = make_doubt(face)
    headers = {
        "Authorization": f"Bearer {face.token_of(Role.OPERATOR)}",
        "Idempotency-Key": "k1",
    }
    path = f"/runs/{run.id}/steps/heal/settle"
    answer = face.client.post(path, json=TOOK_EFFECT, headers=headers)
    assert answer.status_code == 200, answer.text


def test_the_description_tells_what_can_be_decided(face: Installation) -> None:
    paths = face.client.get("/openapi.json").json()["paths"]
    settle = paths["/api/v1/runs/{run_id}/steps/{step}/settle"]["post"]
    cancel = paths["/api/v1/runs/{run_id}/cancel"]["post"]
    assert "Settlement" in str(settle["requestBody"])
    for described, done in ((settle, "200"), (cancel, "202")):
        assert {done, "401", "403", "404", "409", "413"} <= described["responses"].keys()
        assert "application/problem+json" in described["responses"]["409"]["content"]
        assert "Idempotency-Key" in [given["name"] for given in described["parameters"]]
