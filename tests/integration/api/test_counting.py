"""How many there are of something, and how many there were by the hour and by the day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from schemas.ids import first_id
from schemas.run_tables import RunRow
from schemas.tables import DeliveryRow
from service.queue import UnheardQueue
from service.store import counting, searching, statistics
from service.unit_of_work import unit_of_work
from tests.integration.api.conftest import (
    NOW,
    Installation,
    make_delivery,
    make_event,
    make_run,
    make_source,
    make_story,
    make_workflow,
)

HOUR = timedelta(hours=1)


def add_up(api: Installation) -> None:
    """What a chore does on PostgreSQL."""
    if not api.database.is_sqlite:
        with unit_of_work(api.database, UnheardQueue()) as work:
            statistics.add_up(work.session)


def made_now(number: int) -> UUID:
    return UUID(int=first_id(NOW).int + number)


def change(api: Installation, model: Any, ident: object, **values: object) -> None:
    with unit_of_work(api.database, UnheardQueue()) as work:
        row = work.session.get_one(model, ident)
        for name, value in values.items():
            setattr(row, name, value)


def test_what_happens_is_counted_once_by_its_hour(api: Installation) -> None:
    rows = make_story()
    api.save(*rows)
    delivery, run = rows[0], rows[4]
    change(api, DeliveryRow, delivery.id, state="malformed")
    change(api, DeliveryRow, delivery.id, failures=1)
    add_up(api)
    api.now[0] = NOW + HOUR
    change(api, RunRow, run.id, status="failed", ended_at=NOW + HOUR)
    change(api, RunRow, run.id, reason="why")
    seen = api.get("/stats")
    assert (seen["per"], len(seen["moments"])) == ("hour", 24)
    assert seen["deliveries"] == [
        {
            "source": "vibeview",
            "vendor": "vibeview",
            "ingested": 0,
            "malformed": 1,
            "unconfirmed": 0,
            "dead": 0,
        }
    ]
    assert seen["events"] == [
        {"type": "test_run.failed", "vendor": "vibeview", "source": "vibeview", "count": 1}
    ]
    (of_run,) = seen["runs"]
    assert (of_run["workflow"], of_run["begun"], of_run["failed"]) == ("heal", 1, 1)
    before, now = seen["moments"][-2:]
    assert (before["deliveries"], before["unread"], before["runs_begun"]) == (1, 1, 1)
    assert (now["deliveries"], now["runs_begun"], now["runs_failed"]) == (0, 0, 1)
    add_up(api)
    add_up(api)
    assert api.get("/stats") == seen
    (day,) = [one for one in api.get("/stats", per="day")["moments"] if one["events"]]
    assert (day["begins"], day["deliveries"]) == ("2026-11-21T00:00:00Z", 1)


def test_statistics_are_narrowed(api: Installation) -> None:
    api.save(*make_story(), make_event("other", vendor="github", source=None, type="x.y"))
    assert [one["type"] for one in api.get("/stats", vendor="github")["events"]] == ["x.y"]
    assert [one["count"] for one in api.get("/stats", source="vibeview")["events"]] == [1]
    assert api.get("/stats", workflow="other")["runs"] == []
    assert api.get("/stats", since=(NOW + HOUR).isoformat(), until=(NOW + 2 * HOUR).isoformat())[
        "events"
    ] == []  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"since": NOW.isoformat(), "until": NOW.isoformat()},
        {"since": (NOW - timedelta(days=20)).isoformat()},
        {"per": "week"},
    ],
)
def test_what_no_statistics_are_kept_of_is_refused(
    face: Installation, asked: dict[str, str]
) -> None:
    assert face.client.get("/stats", params=asked).status_code == 422


def test_few_are_counted_and_many_estimated(
    api: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, version = make_workflow()
    events = [make_event(f"key-{number}", id=made_now(number)) for number in range(6)]
    runs = [make_run(event, version, id=made_now(at)) for at, event in enumerate(events)]
    api.save(workflow, version, *events, make_event("rare", type="rare.one"), *runs)
    api.save(make_source())
    api.save(*(make_delivery(f"key-{number}", state="ingested") for number in range(2)))
    assert api.get("/events/count") == {"count": 7, "estimated": False}
    assert api.get("/deliveries/count", state="ingested") == {"count": 2, "estimated": False}
    assert api.get("/runs/count", status="failed") == {"count": 0, "estimated": False}
    assert api.get("/effects/count") == {"count": 0, "estimated": False}
    monkeypatch.setattr(counting, "COUNTED", 3)
    monkeypatch.setattr(counting, "SAMPLE", 2)
    # There cannot be many more.
    assert api.get("/events/count") == {"count": 7, "estimated": False}
    monkeypatch.setattr(counting, "SURELY_MORE", 5)
    assert api.get("/events/count") == {"count": 7, "estimated": True}
    assert api.get("/events/count", type="test_run.*") == {"count": 6, "estimated": True}
    assert api.get("/events/count", type="rare.one") == {"count": 1, "estimated": False}
    assert api.get("/runs/count", workflow="heal") == {"count": 6, "estimated": True}
    assert api.get("/events/count", search="rare") == {"count": 1, "estimated": False}
    # Of parts of days by the hour.
    for days, until in ((0, HOUR), (2, HOUR), (2, 36 * HOUR)):
        since = NOW - timedelta(days=days, minutes=30)
        times = {"since": since.isoformat(), "until": (NOW + until).isoformat()}
        assert api.get("/events/count", **times) == {"count": 7, "estimated": True}
    assert api.get("/events/count", since=(NOW + HOUR).isoformat())["count"] == 0
    for narrowed in ({"search": "vibeview"}, {"subject": "run_1"}):
        found = api.get("/events/count", **narrowed)
        assert (found["estimated"], 4 <= found["count"] <= 7) == (True, True)


def test_no_more_is_told_than_there_can_be_after_many_at_once(
    api: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = NOW - timedelta(days=30)
    api.now[0] = NOW + HOUR
    events = [make_event(f"key-{number}", id=made_now(number)) for number in range(12)]
    api.save(make_event("old", id=first_id(long_ago), received_at=long_ago), *events)
    old = make_delivery("old", id=first_id(long_ago), received_at=long_ago)
    api.save(make_source(), old)
    api.save(*(make_delivery(f"key-{number}", id=made_now(number)) for number in range(12)))
    asked = ({"search": "vibeview"}, {"search": "vibe*", "type": "test*"}, {"subject": "run_1"})
    monkeypatch.setattr(counting, "COUNTED", 3)
    for narrowed in asked:
        assert api.get("/events/count", **narrowed) == {"count": 13, "estimated": False}
    monkeypatch.setattr(counting, "SURELY_MORE", 4)
    monkeypatch.setattr(counting, "SAMPLE", 2)
    monkeypatch.setattr(searching, "WINDOW", 10)
    for narrowed in asked:
        found = api.get("/events/count", **narrowed)
        assert (found["estimated"], 4 <= found["count"] <= 13) == (True, True)
    # What PostgreSQL expects of a table that it never looked at is some hundreds.
    assert api.get("/deliveries/count", state="received")["count"] <= 1_000
    with unit_of_work(api.database, UnheardQueue()) as work:
        work.session.execute(text("DELETE FROM statistics"))
        work.session.execute(text("DELETE FROM tallies"))
    # Nobody counted what is there: that is no bound.
    assert 4 <= api.get("/events/count", subject="run_1")["count"] <= 1_000


def test_deliveries_are_not_counted_by_what_is_not_looked_for(face: Installation) -> None:
    answered = face.client.get("/deliveries/count", params={"source": "vibeview", "q": "key"})
    assert answered.status_code == 422
    assert [fault["pointer"] for fault in answered.json()["errors"]] == ["/query/q"]
    paths = face.client.get("/openapi.json").json()["paths"]
    (parameters,) = (
        {one["name"] for one in path["get"]["parameters"]}
        for name, path in paths.items()
        if name.endswith("/deliveries/count")
    )
    assert {"source", "state"} <= parameters
    assert "q" not in parameters


@pytest.mark.parametrize("signs", ["²²²*", "①②③*", "½½½* rare"])
def test_signs_that_are_no_words_everywhere_find_nothing_and_break_nothing(
    api: Installation, signs: str
) -> None:
    api.save(make_event("rare", type="other.one"))
    assert api.get("/events", search=signs)["data"] == []
    assert api.get("/events/count", search=signs) == {"count": 0, "estimated": False}


@pytest.mark.parametrize(
    ("subject", "search"),
    [
        (r"C:\temp\new", "temp"),
        (r"C:\temp\new", "new"),
        ("first\nsecond", "second"),
        ("na\u0069\u0308ve test", "test"),
    ],
)
def test_words_are_found_beside_backslashes_and_marks(
    api: Installation, subject: str, search: str
) -> None:
    api.save(make_event("one", subject=subject, facts={"path": subject}))
    assert len(api.get("/events", search=search)["data"]) == 1
    assert len(api.get("/events", search=search, subject=subject)["data"]) == 1


@pytest.mark.parametrize("path", ["/events", "/deliveries/count", "/runs", "/stats"])
def test_all_time_may_be_written_out(api: Installation, path: str) -> None:
    api.save(*make_story())
    whole = {"until": "9999-12-31T23:59:59-14:00"}
    if path != "/stats":
        whole["since"] = "0001-01-01T00:00:00+14:00"
    assert api.get(path, **whole) is not None
