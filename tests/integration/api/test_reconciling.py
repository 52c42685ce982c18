"""Comparisons with vendors' records over the API: begun, listed, read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from schemas.configured_tables import ConnectionRow
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.states import GapState, ReconciliationState
from service.tokens import Role
from tests.integration.api.conftest import NOW, Installation, make_source
from tests.integration.api.test_conventions import is_problem


@pytest.fixture
def connected(api: Installation) -> Installation:
    """An installation whose GitHub source has a connection; Slack keeps no record."""
    api.save(
        make_source("github", vendor="github"),
        make_source("slack", vendor="slack"),
        make_source("checkly", vendor="checkly"),
        ConnectionRow(name="github", vendor="github", credentials=b"sealed", updated_at=NOW),
    )
    return api


def post(installation: Installation, body: dict[str, Any], role: Role = Role.OPERATOR) -> Any:
    return installation.client.post(
        "/reconciliations",
        json=body,
        headers={"Authorization": f"Bearer {installation.token_of(role)}"},
    )


def test_every_source_that_can_be_is_compared_and_the_others_are_named(
    connected: Installation,
) -> None:
    answer = post(connected, {})
    assert answer.status_code == 202
    body = answer.json()
    assert [row["source"] for row in body["data"]] == ["github"]
    assert body["data"][0]["state"] == "pending"
    assert "no record" in body["passed_over"]["slack"]
    assert "no connection" in body["passed_over"]["checkly"]
    listed = connected.get("/reconciliations")["data"]
    assert [row["id"] for row in listed] == [body["data"][0]["id"]]


def test_one_that_is_under_way_is_given_instead_of_a_second(connected: Installation) -> None:
    first = post(connected, {"source": "github", "since": "7d"}).json()["data"][0]
    again = post(connected, {"source": "github"}).json()["data"][0]
    assert first["id"] == again["id"]
    assert first["since"] == "2026-11-14T12:00:00Z"
    assert len(connected.get("/reconciliations")["data"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source": "nobody"}, 404),
        ({"source": "slack"}, 409),
        ({"source": "checkly"}, 409),
        ({"since": "soon"}, 422),
        ({"since": "91d"}, 422),
        ({"since": "-1h"}, 422),
        ({"sauce": "github"}, 422),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(
    connected: Installation, body: dict[str, Any], status: int
) -> None:
    answer = post(connected, body)
    is_problem(answer, status)
    assert connected.get("/reconciliations")["data"] == []


def test_a_viewer_may_look_and_not_begin(connected: Installation) -> None:
    answer: httpx.Response = post(connected, {}, Role.VIEWER)
    is_problem(answer, 403)


def test_a_comparison_is_read_with_its_gaps(api: Installation) -> None:
    row = ReconciliationRow(
        source_id=UUID(int=1),
        source="github",
        vendor="github",
        by="schedule",
        since=NOW,
        until=NOW,
        state=ReconciliationState.SUCCEEDED,
        checked=9,
        missing=1,
        asked=1,
        filled=1,
        created_at=NOW,
        ended_at=NOW,
    )
    gap = GapRow(
        source_id=UUID(int=1),
        source="github",
        record="hook_deliveries",
        reference="guid-1",
        vendor_type="push",
        time=NOW,
        state=GapState.FILLED,
        asked=1,
        reconciliation_id=row.id,
        found_at=NOW,
        changed_at=NOW,
    )
    api.save(row, gap)
    found = api.get(f"/reconciliations/{row.id}")
    assert (found["checked"], found["missing"], found["filled"]) == (9, 1, 1)
    (shown,) = found["gaps"]
    assert (shown["reference"], shown["state"], shown["record"]) == (
        "guid-1",
        "filled",
        "hook_deliveries",
    )
    assert "entry" not in shown
    assert api.get("/reconciliations", state="failed")["data"] == []
    assert len(api.get("/reconciliations", source="github", state="succeeded")["data"]) == 1
    is_problem(api.client.get(f"/reconciliations/{UUID(int=7)}"), 404)
