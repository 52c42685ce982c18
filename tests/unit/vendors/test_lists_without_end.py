"""Lists that lead back to what was read: a poll or a record comes to an end all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest

from schemas.events import EventDraft, Json
from service.errors import VendorBroken
from service.http_connect import connect
from service.vendors import BY_NAME
from service.vendors.base import CallContext, Record, Recorded, Window
from service.vendors.checkview.client import CheckViewClient
from service.vendors.checkview.options import CheckViewConnectionOptions
from service.vendors.github.hooks import HookClient, HookPlace

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(hours=1), NOW)
ENOUGH = 20
"""More questions than any list here has a right to."""

Answer = Callable[[Mapping[str, str]], tuple[Json, dict[str, str]]]
"""Given the parameters of a call, gives the body and the headers of its answer."""


class Vendor:
    """A connection to a vendor that answers every call as it is told to."""

    def __init__(self, name: str, credentials: Mapping[str, str], answer: Answer) -> None:
        self.answer = answer
        self.calls = 0
        vendor = BY_NAME[name]
        assert vendor.outgoing is not None
        self.vendor = vendor
        self.credentials = vendor.outgoing.credentials.model_validate(credentials)
        self.options = vendor.outgoing.options.model_validate({"per_minute": 6000})
        self.http = connect(
            vendor,
            base_url="https://vendor.test",
            credentials=self.credentials,
            options=self.options,
            transport=httpx.MockTransport(self._answer),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        body, headers = self.answer(dict(request.url.params))
        content = httpx.ByteStream(json.dumps(body).encode())
        return httpx.Response(200, headers=headers, stream=content)

    @property
    def context(self) -> CallContext:
        return CallContext(
            http=self.http,
            credentials=self.credentials,
            options=self.options,
            connection="c",
            now=NOW,
        )

    def sweep(
        self, name: str, position: Any = None, /, **options: Any
    ) -> tuple[list[EventDraft], Any]:
        """Ask a poll until there is no more; gives what it told and its position."""
        poll = next(poll for poll in self.vendor.polls if poll.name == name)
        typed = poll.options.model_validate(options)
        events: list[EventDraft] = []
        for _ in range(ENOUGH):
            answer = poll.ask(self.context, typed, position)
            events += answer.events
            position = json.loads(json.dumps(answer.position))
            if not answer.more:
                return events, position
        message = f"of {name} there was always more"
        raise AssertionError(message)

    def read(self, *, record: Record | None = None, **options: Any) -> list[Recorded]:
        """Read a record, the vendor's first when none is named, to its end."""
        record = record or self.vendor.records[0]
        typed = record.options.model_validate(options)
        entries: list[Recorded] = []
        position: Any = None
        for _ in range(ENOUGH):
            page = record.read(self.context, typed, WINDOW, position)
            entries += page.entries
            if page.next is None:
                return entries
            position = json.loads(json.dumps(page.next))
        message = f"of {record.name} there was always more"
        raise AssertionError(message)


# --- Checksum -----------------------------------------------------------------------------------


def bugs(first: int, last: int) -> list[Json]:
    return [{"id": f"bug-{number}", "status": "confirmed"} for number in range(first, last)]


def test_bugs_end_where_the_vendor_knows_no_offset() -> None:
    vendor = Vendor("checksum", {"api_key": "k"}, lambda _asked: ({"bugs": bugs(0, 50)}, {}))
    told, position = vendor.sweep("bugs", report_existing=True)
    assert [event.subject for event in told] == [f"bug-{number}" for number in range(50)]
    assert vendor.calls == 2
    vendor.answer = lambda _asked: ({"bugs": bugs(1, 51)}, {})
    told, position = vendor.sweep("bugs", position)
    assert [event.subject for event in told] == ["bug-50"]
    assert vendor.sweep("bugs", position)[0] == []


def test_bugs_end_where_the_list_begins_anew_behind_its_end() -> None:
    def answer(asked: Mapping[str, str]) -> tuple[Json, dict[str, str]]:
        first = int(asked["offset"]) % 100
        return {"bugs": bugs(first, first + 50)}, {}

    vendor = Vendor("checksum", {"api_key": "k"}, answer)
    told, _ = vendor.sweep("bugs", report_existing=True)
    assert len(told) == 100
    assert vendor.calls == 3


def test_bugs_that_are_asked_for_come_once_where_the_vendor_knows_no_offset() -> None:
    vendor = Vendor("checksum", {"api_key": "k"}, lambda _asked: ({"bugs": bugs(0, 50)}, {}))
    action = next(one for one in vendor.vendor.actions if one.name == "checksum.bugs")
    done = action.perform(vendor.context, action.params.model_validate({"limit": 500}))
    outputs = done.outputs.model_dump()
    assert (outputs["count"], outputs["more"], vendor.calls) == (50, False, 2)


# --- VibeView -----------------------------------------------------------------------------------


def entries(first: int, last: int) -> list[Json]:
    """A part of the ledger; the entry with the lowest number is the newest."""
    return [{"id": f"e-{number}", "entry_type": "prepaid_topup"} for number in range(first, last)]


def test_a_ledger_that_knows_no_offset_ends_and_tells_its_page() -> None:
    vendor = Vendor(
        "vibeview", {"api_token": "t"}, lambda _asked: ({"entries": entries(0, 100)}, {})
    )
    told, position = vendor.sweep("ledger", {"mark": "gone", "offset": 0})
    assert [event.subject for event in told] == [f"e-{number}" for number in range(99, -1, -1)]
    assert vendor.calls == 3
    assert vendor.sweep("ledger", position)[0] == []


def test_a_ledger_that_has_ended_by_its_total_ends() -> None:
    def answer(asked: Mapping[str, str]) -> tuple[Json, dict[str, str]]:
        first = int(asked["offset"]) % 200
        return {"total": 200, "entries": entries(first, first + 100)[: 200 - first]}, {}

    vendor = Vendor("vibeview", {"api_token": "t"}, answer)
    told, position = vendor.sweep("ledger", {"mark": "gone", "offset": 0})
    assert {event.subject for event in told} == {f"e-{number}" for number in range(200)}
    assert position["mark"] == "e-0"


def test_a_ledger_that_grew_by_a_page_while_it_was_read_loses_nothing() -> None:
    """The second page looks like the first, for a hundred entries were added above it."""
    added = 0

    def answer(asked: Mapping[str, str]) -> tuple[Json, dict[str, str]]:
        nonlocal added
        first = int(asked["offset"]) - added
        added = 100
        return {"entries": entries(first, min(first + 100, 150))}, {}

    vendor = Vendor("vibeview", {"api_token": "t"}, answer)
    told, _ = vendor.sweep("ledger", {"mark": "e-149", "offset": 0})
    subjects = [event.subject for event in told]
    assert subjects == [f"e-{number}" for number in range(148, -101, -1)]


def deliveries(first: int, last: int) -> list[Json]:
    return [
        {
            "id": f"d-{number}",
            "event_id": f"evt_{number}",
            "event_type": "run.failed",
            "created_at": (NOW - timedelta(minutes=1)).isoformat(),
        }
        for number in range(first, last)
    ]


def test_a_record_of_deliveries_that_knows_no_offset_ends() -> None:
    """A delivery that comes between the first two questions makes them look like two pages."""
    newest = 0

    def answer(_asked: Mapping[str, str]) -> tuple[Json, dict[str, str]]:
        nonlocal newest
        newest = max(newest - 1, -3)
        return deliveries(newest, 10), {}

    vendor = Vendor("vibeview", {"api_token": "t"}, answer)
    read = vendor.read(webhook_id="wh-1")
    assert {entry.reference for entry in read} == {f"evt_{number}" for number in range(-3, 10)}


# --- cursors that go round ----------------------------------------------------------------------


def going_round(page: Callable[[str], tuple[Json, dict[str, str]]]) -> Answer:
    """The first page leads to `a`, that one to `b`, and `b` to `a` again."""
    return lambda asked: page("b" if asked.get("cursor", asked.get("nextId")) == "a" else "a")


def checkview_page(following: str) -> tuple[Json, dict[str, str]]:
    runs = [
        {
            "id": f"run-{following}-{number}",
            "status": "failed",
            "created_at": (NOW - timedelta(minutes=number + 1)).isoformat(),
        }
        for number in range(3)
    ]
    return {"data": runs}, {"x-has-more": "true", "x-next-cursor": following}


def test_runs_of_checkview_end_where_cursors_go_round() -> None:
    vendor = Vendor("checkview", {"api_token": "t"}, going_round(checkview_page))
    told, position = vendor.sweep("test_runs")
    assert len(told) == len({event.fact for event in told}) == 6
    assert vendor.sweep("test_runs", position)[0] == []
    assert len({entry.reference for entry in vendor.read()}) == 6


def github_page(following: str) -> tuple[Json, dict[str, str]]:
    row = {
        "id": ord(following),
        "guid": f"g-{following}",
        "delivered_at": (NOW - timedelta(minutes=5)).isoformat(),
        "redelivery": False,
        "status": "OK",
        "status_code": 200,
        "event": "push",
    }
    return [row], {"link": f'<https://vendor.test/x?cursor={following}>; rel="next"'}


def test_deliveries_of_github_end_where_cursors_go_round() -> None:
    vendor = Vendor("github", {"token": "t"}, going_round(github_page))
    hook: dict[str, Any] = {"repository": "acme/webapp", "hook_id": 1}
    _, position = vendor.sweep("hook_deliveries", **hook)
    assert set(position) == {"until"}
    assert {entry.reference for entry in vendor.read(**hook)} == {"g-a", "g-b"}


def checkrd_page(following: str) -> tuple[Json, dict[str, str]]:
    return {"data": [], "has_more": True, "next_cursor": following}, {}


def test_the_history_of_checkrd_says_that_its_cursors_go_round() -> None:
    """Its reader would rather fail aloud than leave out what it cannot reach."""
    vendor = Vendor("checkrd", {"jwt": "a.b.c"}, going_round(checkrd_page))
    with pytest.raises(VendorBroken, match="leads back"):
        vendor.sweep("alert_history", look_back="1h")
    with pytest.raises(VendorBroken, match="leads back"):
        vendor.read()


# --- Checkly ------------------------------------------------------------------------------------


def checkly_page(following: str) -> tuple[Json, dict[str, str]]:
    session = {
        "id": f"s-{following}",
        "status": "PASSED",
        "createdAt": (NOW - timedelta(minutes=1)).isoformat(),
    }
    return {"entries": [session], "nextId": following}, {}


CHECKLY = {"api_key": "k", "account_id": "a"}


def test_sessions_of_checkly_end_where_cursors_go_round() -> None:
    vendor = Vendor("checkly", CHECKLY, going_round(checkly_page))
    told, position = vendor.sweep("test_sessions")
    assert {event.subject for event in told} == {"s-a", "s-b"}
    assert len(told) == 2
    assert position["place"] is None
    assert vendor.sweep("test_sessions", position)[0] == []
    record = next(one for one in vendor.vendor.records if one.name == "test_sessions")
    assert len({entry.reference for entry in vendor.read(record=record)}) == 2


def test_alerts_of_checkly_end_where_the_vendor_knows_no_pages() -> None:
    rows: list[Json] = [
        {"id": f"a-{number}", "alertType": "ALERT_FAILURE", "startedAt": NOW.isoformat()}
        for number in range(10)
    ]
    answer: tuple[Json, dict[str, str]] = {"data": rows}, {"content-range": "0-9/1000"}
    vendor = Vendor("checkly", CHECKLY, lambda _asked: answer)
    told, position = vendor.sweep("check_alerts")
    assert len(told) == len({event.key for event in told})
    assert vendor.sweep("check_alerts", position)[0] == []
    record = next(one for one in vendor.vendor.records if one.name == "check_alerts")
    assert len({entry.reference for entry in vendor.read(record=record)}) == len(told)


def test_lists_that_are_asked_for_end_where_cursors_go_round() -> None:
    checkview = Vendor("checkview", {"api_token": "t"}, going_round(checkview_page))
    options = CheckViewConnectionOptions.model_validate(checkview.options.model_dump())
    runs = CheckViewClient(checkview.http, options).test_runs()
    with pytest.raises(VendorBroken, match="circle"):
        list(islice(runs, 100))
    github = Vendor("github", {"token": "t"}, going_round(github_page))
    place = HookPlace("/repos/acme/webapp/hooks/1/deliveries")
    found = list(islice(HookClient(github.context).deliveries(place), 100))
    assert {row.guid for row in found} == {"g-a", "g-b"}
    assert len(found) < 10
