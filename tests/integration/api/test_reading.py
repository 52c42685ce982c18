"""The lists and single things of the management API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.configured_tables import ConnectionRow, PollRow
from schemas.ids import first_id, new_id
from schemas.tables import DeliveryRow
from service.queue import UnheardQueue
from service.store.keys import DELIVERIES, store_once
from service.unit_of_work import unit_of_work
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_alert,
    make_delivery,
    make_event,
    make_rejection,
    make_run,
    make_source,
    make_story,
    make_workflow,
)


def names(page: dict[str, Any], field: str) -> list[Any]:
    return [row[field] for row in page["data"]]


def in_order(number: int) -> DeliveryRow:
    # Two ids of one millisecond are in no order.
    return make_delivery(f"key-{number}", id=UUID(int=number << 80))


def test_an_empty_list_is_a_page_without_rows(api: Installation) -> None:
    for kind in ("deliveries", "events", "runs", "alerts", "rejections", "sources", "connections"):
        assert api.get(f"/{kind}") == {"data": [], "has_more": False, "next_cursor": None}


def test_pages_follow_one_another_while_rows_arrive(api: Installation) -> None:
    api.save(*(in_order(number) for number in range(5)))
    first = api.get("/deliveries", limit=2)
    assert names(first, "delivery_key") == ["key-4", "key-3"]
    assert first["has_more"] is True
    api.save(in_order(5))
    second = api.get("/deliveries", limit=2, cursor=first["next_cursor"])
    third = api.get("/deliveries", limit=2, cursor=second["next_cursor"])
    assert names(second, "delivery_key") == ["key-2", "key-1"]
    assert names(third, "delivery_key") == ["key-0"]
    assert (third["has_more"], third["next_cursor"]) == (False, None)


def test_a_full_last_page_has_no_more(api: Installation) -> None:
    api.save(make_delivery("one"), make_delivery("two"))
    page = api.get("/deliveries", limit=2)
    assert (len(page["data"]), page["has_more"]) == (2, False)


@pytest.mark.parametrize(
    "filters",
    [
        {"source": "github"},
        {"vendor": "github"},
        {"state": "malformed"},
        {"q": "WANTED_%"},
        {"since": (NOW + timedelta(hours=1)).isoformat()},
        {"until": (NOW - timedelta(hours=1)).isoformat()},
    ],
)
def test_deliveries_are_filtered(api: Installation, filters: dict[str, str]) -> None:
    at = NOW + timedelta(hours=2) if "since" in filters else NOW - timedelta(hours=2)
    wanted = {
        "source": "github",
        "vendor": "github",
        "state": "malformed",
        "received_at": at,
        "id": first_id(at),
    }
    api.save(make_source("github", vendor="github"), make_source())
    api.save(make_delivery("other"), make_delivery("is-wanted_%-here", **wanted))
    assert names(api.get("/deliveries", **filters), "delivery_key") == ["is-wanted_%-here"]
    assert len(api.get("/deliveries", verdict="verified")["data"]) == 2


def test_a_whole_key_is_given_alone_where_one_fits(api: Installation) -> None:
    late = NOW + timedelta(hours=2)
    source = new_id()
    api.save(make_source(id=source), make_source("github", vendor="github"))
    other = {"source": "github", "vendor": "github", "state": "malformed", "received_at": late}
    with unit_of_work(api.database, UnheardQueue()) as work:
        stored = [
            make_delivery("n29", id=first_id(NOW), source_id=source),
            make_delivery("xN290", id=first_id(late), source_id=source, **other),
        ]
        store_once(work.session, DELIVERIES, stored)
    its = {"source": "vibeview", "vendor": "vibeview", "state": "received"}
    times = {"since": NOW.isoformat(), "until": late.isoformat()}
    for filters in ({}, its, times):
        assert names(api.get("/deliveries", q="n29", **filters), "delivery_key") == ["n29"]
    for filters in (
        {"source": "github"},
        {"vendor": "github"},
        {"state": "malformed"},
        {"since": late.isoformat()},
    ):
        assert names(api.get("/deliveries", q="n29", **filters), "delivery_key") == ["xN290"]
    assert api.get("/deliveries", q="n29", until=NOW.isoformat())["data"] == []


def test_what_was_accepted_later_is_found_by_when_it_came(api: Installation) -> None:
    late = make_delivery("late", rejection_id=new_id())
    api.save(make_delivery("usual", id=first_id(NOW)), late)
    soon = (NOW + timedelta(minutes=1)).isoformat()
    for asked in ({"until": soon}, {"since": NOW.isoformat(), "source": "vibeview"}):
        assert names(api.get("/deliveries", **asked), "delivery_key") == ["late", "usual"]
    assert names(api.get("/deliveries", until=NOW.isoformat()), "delivery_key") == []


def test_a_delivery_is_read_with_what_came_of_it(api: Installation) -> None:
    rows = make_story()
    api.save(*rows)
    delivery, event, run = rows[0], rows[1], rows[4]
    found = api.get(f"/deliveries/{delivery.id}")
    assert found["verdict"] == "verified"
    assert found["body"] == {"encoding": "text", "content": '{"event": "run.failed"}'}
    assert found["body_bytes"] == len(delivery.body)
    assert found["headers"] == [
        ["content-type", "application/json"],
        ["x-vibeview-signature", "[redacted]"],
    ]
    assert [item["id"] for item in found["events"]] == [str(event.id)]
    assert [item["id"] for item in found["runs"]] == [str(run.id)]


def test_a_body_that_is_no_text_is_given_as_base64(api: Installation) -> None:
    delivery = make_delivery(body=b"\xff\x00")
    api.save(delivery)
    found = api.get(f"/deliveries/{delivery.id}")
    assert found["body"] == {"encoding": "base64", "content": "/wA="}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"type": "test_run.*"}, 1),
        ({"type": "test.run*"}, 0),
        ({"type": "credits.low"}, 1),
        ({"type": "*"}, 2),
        ({"vendor": "vibeview", "subject": "run_1"}, 1),
        ({"q": "BILLING"}, 1),
        ({"q": "runX1"}, 0),
        ({"search": "run_1"}, 2),
        ({"search": "failed RUN/1"}, 1),
        ({"search": "fail*", "vendor": "vibeview"}, 1),
        ({"search": "fail"}, 0),
        ({"search": "%"}, 0),
    ],
)
def test_events_are_filtered(api: Installation, filters: dict[str, str], found: int) -> None:
    api.save(
        make_event("a"),
        make_event("b", type="credits.low", vendor_type="billing", subject=None),
    )
    assert len(api.get("/events", **filters)["data"]) == found


def test_an_event_is_read_in_the_shape_of_the_contract(api: Installation) -> None:
    rows = make_story()
    api.save(*rows)
    event, run = rows[1], rows[4]
    found = api.get(f"/events/{event.id}")
    runs = found.pop("runs")
    assert found == {
        "id": str(event.id),
        "type": "test_run.failed",
        "vendor": "vibeview",
        "vendor_type": "run.failed",
        "source": "vibeview",
        "delivery_id": str(event.delivery_id),
        "origin": "webhook",
        "subject": "run_1",
        "time": "2026-11-21T12:00:00Z",
        "received_at": "2026-11-21T12:00:00Z",
        "facts": {"run_id": "run_1"},
        "payload": {"event": "run.failed"},
        "correlation_id": str(UUID(int=2)),
        "caused_by": None,
    }
    assert [item["id"] for item in runs] == [str(run.id)]
    assert "payload" not in api.get("/events")["data"][0]


def test_a_run_is_read_with_steps_attempts_wait_and_effects(api: Installation) -> None:
    rows = make_story()
    api.save(*rows)
    run = rows[4]
    found = api.get(f"/runs/{run.id}")
    assert (found["version"], found["description"]) == (3, "Heals.")
    assert [step["step"] for step in found["steps"]] == ["heal", "healed"]
    heal = found["steps"][0]
    assert heal["output"] == {"batch_id": "b1"}
    assert [item["status"] for item in heal["attempts"]] == ["failed", "succeeded"]
    assert heal["attempts"][0]["error"]["code"] == "timed_out"
    assert found["wait"]["kind"] == "poll"
    assert [effect["state"] for effect in found["effects"]] == ["made"]
    assert found["event"]["type"] == "test_run.failed"


def test_runs_are_filtered(api: Installation) -> None:
    workflow, version = make_workflow()
    one, two = make_event("a"), make_event("b")
    api.save(
        workflow,
        version,
        one,
        two,
        make_run(one, version),
        make_run(two, version, status="failed", workflow="other"),
    )
    assert names(api.get("/runs", status="failed"), "workflow") == ["other"]
    assert names(api.get("/runs", workflow="heal"), "status") == ["waiting"]
    assert names(api.get("/runs", event=str(two.id)), "workflow") == ["other"]


def test_alerts_and_rejections_are_listed_and_read(api: Installation) -> None:
    alert = make_alert()
    rejection = make_rejection()
    api.save(alert, make_alert("other", state="resolved"), rejection)
    assert names(api.get("/alerts", state="open"), "key") == ["credits:vibeview"]
    assert names(api.get("/alerts", key="credits:*"), "key") == ["credits:vibeview"]
    assert api.get(f"/alerts/{alert.id}")["details"] == {"remaining_micro": 4}
    assert names(api.get("/rejections", reason="signature_mismatch"), "source") == ["vibeview"]
    found = api.get(f"/rejections/{rejection.id}")
    assert found["headers"] == [["authorization", "[redacted]"]]
    assert found["body"]["encoding"] == "base64"


def test_what_is_configured_is_shown_without_secrets(api: Installation) -> None:
    api.save(
        make_source(),
        ConnectionRow(name="github", vendor="github", credentials=b"sealed", updated_at=NOW),
        PollRow(
            name="credits",
            connection="vibeview",
            poll="credit_balance",
            every_seconds=300,
            due_at=NOW,
            updated_at=NOW,
        ),
        *make_workflow(),
    )
    (source,) = api.get("/sources")["data"]
    assert source["url"] == "https://hooks.example/hooks/vibeview"
    assert source.pop("has_path_token") is True
    assert source["from_file"] is True
    (connection,) = api.get("/connections")["data"]
    (poll,) = api.get("/polls")["data"]
    (workflow,) = api.get("/workflows")["data"]
    assert (poll["every_seconds"], workflow["version"]) == (300, 3)
    shown = f"{source}{connection}{poll}{workflow}"
    for secret in ("secret", "token", "credentials", "sealed"):
        assert secret not in shown
    assert api.get("/workflows/heal")["source_text"] == "name: heal\n"
