"""Runs of CheckView that carry no time: those of the first scan are no news, on whatever page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from schemas.events import Json
from service.http_connect import connect
from service.vendors.base import CallContext, PollAnswer
from service.vendors.checkview import VENDOR

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def run(name: str, *, minutes_ago: int | None = None) -> Json:
    at = None if minutes_ago is None else (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": name, "status": "failed", "created_at": at}


def ask(pages: dict[str, tuple[list[Json], str | None]], position: Any) -> PollAnswer:
    """Ask of a vendor that has these pages, by cursor; the first has none."""

    def answer(request: httpx.Request) -> httpx.Response:
        rows, following = pages[request.url.params.get("cursor", "")]
        headers = {} if following is None else {"x-next-cursor": following}
        content = httpx.ByteStream(json.dumps({"data": rows}).encode())
        return httpx.Response(200, headers=headers, stream=content)

    assert VENDOR.outgoing is not None
    credentials = VENDOR.outgoing.credentials.model_validate({"api_token": "t"})
    options = VENDOR.outgoing.options.model_validate({})
    http = connect(
        VENDOR,
        base_url="https://vendor.test",
        credentials=credentials,
        options=options,
        transport=httpx.MockTransport(answer),
    )
    context = CallContext(
        http=http, credentials=credentials, options=options, connection="c", now=NOW
    )
    poll = VENDOR.polls[0]
    return poll.ask(context, poll.options.model_validate({}), position)


def told(pages: dict[str, tuple[list[Json], str | None]], position: Any) -> tuple[list[Any], Any]:
    subjects: list[Any] = []
    while True:
        answer = ask(pages, position)
        subjects += [event.fact.split(":")[1] for event in answer.events]
        position = json.loads(json.dumps(answer.position))
        if not answer.more:
            return subjects, position


def test_undated_runs_of_the_first_scan_are_old_on_every_page() -> None:
    first = [run("old-1"), run("new-1", minutes_ago=5)]
    second = [run("old-2"), run("new-2", minutes_ago=6)]
    third = [run("old-3"), run("before", minutes_ago=600)]
    pages: dict[str, tuple[list[Json], str | None]] = {
        "": (first, "p2"),
        "p2": (second, "p3"),
        "p3": (third, None),
    }
    subjects, position = told(pages, None)
    assert subjects == ["new-1", "new-2"]
    pages[""] = ([run("later"), *first], "p2")
    assert told(pages, position)[0] == ["later"]


def test_undated_runs_are_old_though_the_cursor_of_the_first_scan_was_lost() -> None:
    pages: dict[str, tuple[list[Json], str | None]] = {
        "": ([run("old-1"), run("new-1", minutes_ago=5)], None),
    }
    begun = {"first": True, "restarted": True}
    assert told(pages, begun)[0] == ["new-1"]
