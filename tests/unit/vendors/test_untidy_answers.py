"""Answers that no vendor should give: what is asked of them ends all the same, with our errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas.events import Json
from service.errors import VendorBroken
from service.http import HttpAnswer
from service.http_connect import connect
from service.vendors import BY_NAME
from service.vendors.base import CallContext, Recorded, Window
from service.vendors.checkly.client import client_of
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checkview.client import CheckViewClient
from service.vendors.github.client import GitHubClient
from service.vendors.vibeview.client import VibeViewClient

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CHECKLY = {"api_key": "k", "account_id": "a"}
WINDOW = Window(NOW - timedelta(hours=1), NOW)


def context_of(
    vendor_name: str,
    body: Json,
    credentials: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> CallContext:
    """A connection whose every call is answered with this body."""
    content = json.dumps(body).encode()
    vendor = BY_NAME[vendor_name]
    assert vendor.outgoing is not None
    typed = vendor.outgoing.credentials.model_validate(credentials)
    chosen = vendor.outgoing.options.model_validate(options)
    http = connect(
        vendor,
        base_url="https://vendor.test",
        credentials=typed,
        options=chosen,
        transport=httpx.MockTransport(
            lambda _request: httpx.Response(200, headers=headers, stream=httpx.ByteStream(content))
        ),
    )
    return CallContext(http=http, credentials=typed, options=chosen, connection="c", now=NOW)


def test_a_record_of_github_whose_pages_lead_back_ends() -> None:
    """The link of a page names the very page; read on, it would be read for ever."""
    row = {
        "id": 1,
        "guid": "g-1",
        "delivered_at": NOW.isoformat(),
        "redelivery": False,
        "status": "OK",
        "status_code": 200,
        "event": "push",
    }
    link = '<https://vendor.test/hooks/1/deliveries?cursor=same>; rel="next"'
    context = context_of("github", [row], {"token": "t"}, {"link": link})
    record = BY_NAME["github"].records[0]
    options = record.options.model_validate({"repository": "acme/webapp", "hook_id": 1})
    first = record.read(context, options, WINDOW, None)
    assert first.next is not None
    assert record.read(context, options, WINDOW, first.next).next is None


@pytest.mark.parametrize("lasts", [1e300, -1e300, "9" * 300])
def test_a_log_in_of_checkrd_that_lasts_for_ages_is_used(lasts: Json) -> None:
    """A number of seconds beyond the calendar is no reason to fail."""
    body = {"access_token": "a.b.c", "expires_in": lasts}
    context = context_of("checkrd", body, {"refresh_token": "r"})
    assert context.http.request("GET", "/v1/agents/ag-1").status == 200


def test_which_words_of_checkview_say_that_an_audit_goes_on_is_an_option() -> None:
    audits = [{"id": "a-1", "status": "Crawling"}]
    action = next(one for one in BY_NAME["checkview"].actions if one.name == "checkview.ux_audit")
    params = action.params.model_validate({"ux_audit_id": "a-1"})
    usual = context_of("checkview", audits, {"api_token": "t"})
    told = context_of("checkview", audits, {"api_token": "t"}, unfinished_audits=["crawling"])
    ends = [
        action.perform(context, params).outputs.model_dump()["finished"]
        for context in (usual, told)
    ]
    assert ends == [True, False]


@pytest.mark.parametrize("body", ["queued", True, ["d-2"], None, {"id": "d-2"}])
def test_a_redelivery_that_vibeview_took_is_taken_whatever_it_says(body: Json) -> None:
    """The answer's form is not published; asking again would send the event again."""
    context = context_of("vibeview", body, {"api_token": "t"})
    record = BY_NAME["vibeview"].records[0]
    detail = {"webhook_id": "wh-1", "delivery_id": "d-1", "event_id": "evt_1"}
    assert record.redeliver is not None
    record.redeliver(
        context,
        record.options.model_validate({}),
        Recorded(reference="evt_1", time=NOW, vendor_type="run.failed", detail=detail),
    )


@pytest.mark.parametrize("levels", [250, 100_000])
def test_a_row_that_is_nested_too_deep_does_not_cost_the_others(levels: int) -> None:
    """What lies deeper than a database column is let hold is cut off, brackets in texts are not."""
    deep = f"{'[' * levels}1{']' * levels}"
    text = f'[{{"id": "a]\\"["}}, {{"id": "b", "more": {deep}, "last": 2}}, {{"id": "c"}}]'
    rows = HttpAnswer(200, {}, text.encode(), "GET /rows").items()
    assert rows[0] == {"id": 'a]"['}
    assert rows[2] == {"id": "c"}
    assert isinstance(rows[1], dict)
    assert (rows[1]["id"], rows[1]["last"]) == ("b", 2)
    with pytest.raises(VendorBroken, match="no JSON"):
        HttpAnswer(200, {}, text.encode()[:-1], "GET /rows").json()


@pytest.mark.parametrize("odd", [None, 7, "text", [1]])
def test_what_is_no_object_in_a_list_does_not_cost_the_rows(odd: Json) -> None:
    row = {"id": "r-1", "slug": "r-1", "state": "open", "body": "text", "name": "one", "number": 1}
    asked: list[tuple[str, dict[str, str], Callable[[CallContext], Iterable[object]]]] = [
        ("checkly", CHECKLY, lambda on: client_of(on).checks.statuses()),
        ("checkly", CHECKLY, lambda on: client_of(on).alerts.channels_page().rows),
        ("github", {"token": "t"}, lambda on: GitHubClient(on).issues("acme/webapp")),
        ("vibeview", {"api_token": "t"}, lambda on: VibeViewClient(on.http).webhooks.all()),
        ("checksum", {"api_key": "k"}, lambda on: ChecksumClient(on.http, on.options).bugs()),
        (
            "checkview",
            {"api_token": "t"},
            lambda on: CheckViewClient(on.http, on.options).test_runs(),
        ),
    ]
    for vendor, credentials, read in asked:
        context = context_of(vendor, [odd, row, odd], credentials)
        rows = list(read(context))
        assert len(rows) == 1, vendor


def test_a_list_in_which_nothing_is_an_object_is_another_form() -> None:
    answer = HttpAnswer(200, {}, b'["a", null]', "GET /rows")
    with pytest.raises(VendorBroken, match="objects"):
        answer.objects()
    assert HttpAnswer(200, {}, b"[null]", "GET /rows").objects() == []


def test_a_page_of_bugs_with_an_odd_row_is_not_taken_for_the_last() -> None:
    rows = [None, *({"id": f"b-{number}"} for number in range(49))]
    context = context_of("checksum", rows, {"api_key": "k"})
    page = ChecksumClient(context.http, context.options).bugs_page(offset=0)
    assert (len(page.read), page.is_last) == (49, False)


def test_a_page_of_vibeview_counts_the_odd_rows_as_places() -> None:
    context = context_of("vibeview", [{"id": "d-1"}, None, {"id": "d-2"}], {"api_token": "t"})
    page = VibeViewClient(context.http).webhooks.delivery_page("wh-1", offset=0, limit=50)
    assert ([row.id for row in page.rows], page.places) == (["d-1", "d-2"], 3)
