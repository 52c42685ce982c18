"""What failed over the API: seen, replayed, retried in bulk, and alerts taken on and resolved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from schemas.evidence_tables import AuditEventRow
from schemas.tables import AlertRow, DeliveryRow, EventRow
from service.tokens import Role
from service.unit_of_work import reading
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_alert,
    make_delivery,
    make_event,
    make_run,
    make_source,
    make_workflow,
)
from tests.integration.api.test_conventions import is_problem


@pytest.fixture
def operator(face: Installation) -> Installation:
    face.client.headers["Authorization"] = f"Bearer {face.token_of(Role.OPERATOR)}"
    return face


def post(installation: Installation, path: str, body: dict[str, Any], **headers: str) -> Any:
    return installation.client.post(path, json=body, headers=headers)


def test_what_failed_is_counted(face: Installation) -> None:
    workflow, version = make_workflow()
    version.document = {"name": "heal", "steps": [{"dance": "a waltz"}]}
    event = make_event()
    face.save(
        workflow,
        version,
        event,
        make_delivery("a", state="dead", error="it broke", fault="flt_0a1b2c3d4e"),
        make_delivery("b", state="malformed"),
        make_delivery("c", state="ingested"),
        make_run(event, version, status="failed"),
        make_alert(),
    )
    found = face.get("/failures")
    assert {name for name, many in found.items() if many} == {
        "dead_deliveries",
        "malformed_deliveries",
        "failed_runs",
        "open_alerts",
        "unusable_workflows",
    }
    (row,) = face.get("/deliveries", state="dead")["data"]
    assert (row["error"], row["fault"], row["replays"]) == ("it broke", "flt_0a1b2c3d4e", 0)


def test_a_dead_delivery_is_replayed_and_says_by_whom(operator: Installation) -> None:
    source = make_source("generic", vendor="generic", options={"scheme": "none"})
    dead = make_delivery(
        "dead",
        source_id=source.id,
        source="generic",
        vendor="generic",
        state="dead",
        error="it broke",
        body=b'{"type": "build.failed"}',
    )
    operator.save(source, dead)
    path = f"/deliveries/{dead.id}/replay"
    dry = post(operator, path, {"dry_run": True}).json()
    assert (dry["dry_run"], dry["delivery"]["state"], dry["first"]) == (True, "dead", [])
    done = post(operator, path, {})
    assert done.status_code == 200, done.text
    told = done.json()
    assert (told["delivery"]["state"], told["delivery"]["replays"]) == ("ingested", 1)
    assert (told["events"], told["stored"], told["runs"]) == (1, 1, [])
    with reading(operator.database) as session:
        assert len(session.exec(select(EventRow)).all()) == 1
    is_problem(post(operator, path, {"only": "nothing"}), 404)
    is_problem(post(operator, path, {"onyl": "x"}), 422)


def test_work_in_bulk_is_counted_asked_for_read_and_cancelled(operator: Installation) -> None:
    operator.save(*(make_delivery(str(number), state="dead") for number in range(3)))
    operator.now[0] += timedelta(seconds=1)
    body = {"filter": {"state": "dead", "source": "vibeview"}, "per_second": 5}
    dry = post(operator, "/deliveries/replay", body | {"dry_run": True})
    assert (dry.status_code, dry.json()["total"]) == (200, 3)
    begun = post(operator, "/deliveries/replay", body, **{"Idempotency-Key": "k"})
    assert begun.status_code == 202, begun.text
    job = begun.json()
    assert (job["state"], job["total"], job["by"]) == ("pending", 3, "test")
    again = post(operator, "/deliveries/replay", body, **{"Idempotency-Key": "k"})
    assert again.json()["id"] == job["id"]
    assert [row["id"] for row in operator.get("/bulk-jobs", state="pending")["data"]] == [job["id"]]
    ended = post(operator, f"/bulk-jobs/{job['id']}/cancel", {}).json()
    assert (ended["state"], ended["done"]) == ("cancelled", 0)
    assert operator.get(f"/bulk-jobs/{job['id']}")["ended_at"] is not None

    retries = post(operator, "/runs/retry", {"filter": {"status": ["failed"]}}).json()
    assert (retries["kind"], retries["total"]) == ("retry_runs", 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/deliveries/replay", {}),
        ("/deliveries/replay", {"filter": {}}),
        ("/deliveries/replay", {"filter": {"state": "received"}}),
        ("/deliveries/replay", {"filter": {"state": "ingested"}}),
        ("/deliveries/replay", {"filter": {"state": "dead"}, "per_second": 0}),
        ("/deliveries/replay", {"filter": {"state": "dead"}, "per_second": 1000}),
        ("/runs/retry", {"filter": {"workflow": "heal"}}),
        ("/runs/retry", {"filter": {"status": "succeeded"}}),
    ],
)
def test_a_filter_that_is_too_wide_is_refused(
    operator: Installation, path: str, body: dict[str, Any]
) -> None:
    is_problem(post(operator, path, body), 422)
    assert operator.get("/bulk-jobs")["data"] == []


def test_a_viewer_may_look_and_change_nothing(face: Installation) -> None:
    alert, dead = make_alert(), make_delivery(state="dead")
    face.save(alert, dead)
    for path, body in (
        (f"/deliveries/{dead.id}/replay", {}),
        ("/deliveries/replay", {"filter": {"state": "dead"}}),
        ("/runs/retry", {"filter": {"status": "failed"}}),
        (f"/alerts/{alert.id}/ack", {}),
        (f"/alerts/{alert.id}/resolve", {}),
    ):
        is_problem(post(face, path, body), 403)
    with reading(face.database) as session:
        assert session.get_one(DeliveryRow, dead.id).state == "dead"
        assert session.get_one(AlertRow, alert.id).state == "open"


def test_an_alert_is_taken_on_and_resolved_with_a_note(operator: Installation) -> None:
    alert = make_alert()
    operator.save(alert)
    taken = post(operator, f"/alerts/{alert.id}/ack", {"note": "on it"}).json()
    assert (taken["state"], taken["details"]["acknowledged_by"]) == ("acknowledged", "test")
    assert taken["details"]["notes"] == [{"by": "test", "note": "on it"}]
    over = post(operator, f"/alerts/{alert.id}/resolve", {}).json()
    assert (over["state"], over["details"]["resolved_by"]) == ("resolved", "test")
    assert over["resolved_at"] == NOW.isoformat().replace("+00:00", "Z")
    again = post(operator, f"/alerts/{alert.id}/resolve", {})
    assert again.json()["changes"] == over["changes"]
    is_problem(post(operator, f"/alerts/{alert.id}/ack", {}), 409)
    types = [row["type"] for row in operator.get("/events", type="alert.*")["data"]]
    assert types == ["alert.resolved", "alert.acknowledged"]
    with reading(operator.database) as session:
        rows = session.exec(select(AuditEventRow).order_by(col(AuditEventRow.id))).all()
        assert [row.action for row in rows] == ["alert.ack", "alert.resolve"]


def test_a_call_without_a_body_means_the_usual(operator: Installation) -> None:
    alert = make_alert()
    delivery = make_delivery(vendor="vibeview", state="dead", body=b"{}")
    operator.save(make_source(), alert, delivery)
    paths = {
        f"/alerts/{alert.id}/ack": 200,
        f"/alerts/{alert.id}/resolve": 200,
        f"/deliveries/{delivery.id}/replay": 200,
        "/rejections/reverify": 200,
        "/deliveries/replay": 422,
    }
    assert {path: operator.client.post(path).status_code for path in paths} == paths
