"""Who did what: noted in the transaction of the change, listed, and given as CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from schemas.evidence_tables import AuditEventRow
from schemas.ids import new_id
from service import audit_export
from service.tokens import Role
from tests.integration.api.conftest import NOW, Installation
from tests.integration.api.test_conventions import is_problem
from tests.integration.api.test_deciding import TOOK_EFFECT, make_doubt, post
from tests.integration.engine.installation import Installation as Engine

HAND = """
name: hand
on: [{manual: {inputs: {name: {type: text, default: secret}}}}]
steps: [{id: ask, approval: {text: "Go on?"}}]
"""

NOTED: dict[str, str | None] = {
    "PUT /workflows/{name}": "workflow.create, workflow.update",
    "POST /workflows/{name}/runs": "workflow.start",
    "POST /workflows/{name}/enable": "workflow.enable",
    "POST /workflows/{name}/disable": "workflow.disable",
    "POST /runs/{run_id}/cancel": "run.cancel",
    "POST /runs/{run_id}/retry": "run.retry",
    "POST /runs/{run_id}/steps/{step}/settle": "run.settle",
    "POST /runs/{run_id}/steps/{step}/look-up": "run.look_up",
    "POST /runs/{run_id}/steps/{step}/decision": "run.approve, run.reject",
    "POST /reconciliations": "source.reconcile",
    "POST /deliveries/{delivery_id}/replay": "delivery.replay",
    "POST /deliveries/replay": "bulk_job.create",
    "POST /runs/retry": "bulk_job.create",
    "POST /bulk-jobs/{bulk_job_id}/cancel": "bulk_job.cancel",
    "POST /alerts/{alert_id}/ack": "alert.ack",
    "POST /alerts/{alert_id}/resolve": "alert.resolve",
    "POST /rejections/reverify": "rejection.reverify",
    # These change nothing.
    "POST /workflows/test": None,
    "POST /workflows/{name}/backtest": None,
    "POST /connections/{name}/test": None,
    "POST /rejections/{rejection_id}/identify": None,
    "POST /deliveries/{delivery_id}/identify": None,
}
"""Every call of the API that may change something, and what is noted of it."""


def noted(installation: Installation) -> list[AuditEventRow]:
    with installation.database.session(read_only=True) as session:
        return list(session.exec(select(AuditEventRow).order_by(AuditEventRow.id)))  # type: ignore[arg-type]


def ask(
    installation: Installation, path: str, role: Role = Role.OPERATOR, **params: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {installation.token_of(role)}"}
    return installation.client.get(path, params=params, headers=headers)


def test_every_call_that_may_change_something_is_decided_on(face: Installation) -> None:
    paths = face.client.get("openapi.json").json()["paths"]
    writing = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, calls in paths.items()
        for method in calls
        if path.startswith("/api/v1") and method not in {"get", "head", "options"}
    }
    assert writing - NOTED.keys() == set()


def test_what_people_do_is_noted_with_who_and_whence(api: Installation) -> None:
    run = make_doubt(api)
    admin = {"Authorization": f"Bearer {api.token_of(Role.ADMIN)}"}
    document = {"document": HAND}
    assert api.client.put("/workflows/hand", json=document, headers=admin).status_code == 201
    assert api.client.put("/workflows/hand", json=document, headers=admin).status_code == 200
    for word in ("disable", "disable", "enable"):
        assert post(api, f"/workflows/hand/{word}").status_code == 200
    started = post(api, "/workflows/hand/runs", {"inputs": {"name": "hush"}}).json()["id"]
    assert post(api, f"/runs/{run.id}/steps/heal/settle", TOOK_EFFECT).status_code == 200
    assert post(api, f"/runs/{run.id}/cancel").status_code == 202
    assert post(api, f"/runs/{run.id}/steps/heal/settle", TOOK_EFFECT).status_code == 409
    rows = noted(api)
    assert [(row.action, row.subject) for row in rows] == [
        ("workflow.create", "hand"),
        ("workflow.disable", "hand"),
        ("workflow.enable", "hand"),
        ("workflow.start", "hand"),
        ("run.settle", str(run.id)),
        ("run.cancel", str(run.id)),
    ], "what changed nothing and what was refused is not noted"
    assert {(row.by, row.remote) for row in rows} == {("test", "127.0.0.1")}
    assert [row.role for row in rows] == ["admin", *["operator"] * 5]
    assert rows[3].details["run_id"] == started
    assert rows[4].details == {"workflow": "heal", "step": "heal", "took_effect": True}
    assert all(row.request_id for row in rows)
    assert "hush" not in str([row.details for row in rows])


def test_a_decision_is_noted(api: Installation) -> None:
    engine = Engine(api.database)
    engine.now = api.now[0]
    engine.workflow("name: asks\non: [{event: go}]\nsteps: [{id: ask, approval: {text: Now?}}]")
    run_id = engine.start(subject="#7")
    engine.carry_on_rung()
    answer = post(api, f"/runs/{run_id}/steps/ask/decision", {"decision": "reject"})
    assert answer.status_code == 200, answer.text
    (row,) = noted(api)
    assert (row.action, row.subject, row.details["step"]) == ("run.reject", str(run_id), "ask")
    assert row.request_id == answer.headers["x-request-id"]


def make_rows(installation: Installation, count: int = 5, **more: Any) -> list[AuditEventRow]:
    rows = [
        AuditEventRow(
            id=new_id(),
            at=NOW + timedelta(minutes=number),
            **{
                "by": "ann",
                "role": "operator",
                "action": ("run.cancel", "workflow.enable")[number % 2],
                "subject": f"s{number}",
                **more,
            },
        )
        for number in range(count)
    ]
    installation.save(*rows)
    return rows


def test_events_are_listed_newest_first_and_narrowed(api: Installation) -> None:
    make_rows(api)

    def subjects(**params: Any) -> list[str]:
        answer = ask(api, "/audit-events", **params)
        assert answer.status_code == 200, answer.text
        return [row["subject"] for row in answer.json()["data"]]

    assert subjects() == ["s4", "s3", "s2", "s1", "s0"]
    assert subjects(action="run.*") == ["s4", "s2", "s0"]
    assert subjects(action="workflow.enable", subject="s3") == ["s3"]
    assert subjects(by="bob") == []
    since, until = ((NOW + timedelta(minutes=number)).isoformat() for number in (1, 3))
    assert subjects(since=since, until=until) == ["s2", "s1"]
    assert subjects(limit=2) == ["s4", "s3"]


@pytest.mark.parametrize("path", ["/audit-events", "/audit-events.csv"])
def test_viewers_do_not_see_who_did_what(face: Installation, path: str) -> None:
    is_problem(ask(face, path, Role.VIEWER), 403)


def test_events_are_given_as_csv(api: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "AT_ONCE", 2)
    make_rows(api, 5, by="=HYPERLINK(1)", details={"a": 'x,"y"\n'})
    make_rows(api, 1, by="@bob", action="token.create", request_id="-1")
    answer = ask(api, "/audit-events.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["subject"] for row in rows] == ["s0", "s4", "s3", "s2", "s1", "s0"]
    assert {row["by"] for row in rows} == {"'=HYPERLINK(1)", "'@bob"}
    assert rows[1]["details"] == '{"a": "x,\\"y\\"\\n"}'
    assert (rows[0]["request_id"], rows[1]["request_id"]) == ("'-1", "")
    monkeypatch.setattr(audit_export, "MOST_ROWS", 3)
    assert len(ask(api, "/audit-events.csv", action="run.*").text.splitlines()) == 4
    monkeypatch.setattr(audit_export, "MOST_ROWS", 2)
    assert len(ask(api, "/audit-events.csv").text.splitlines()) == 3
