"""Answers that no vendor should give: what is asked of them ends all the same, with our errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas.events import Json
from service.http_connect import connect
from service.vendors import BY_NAME
from service.vendors.base import CallContext, Recorded, Window

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
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
