"""`tail`: what happens, as it happens, by asking the API again and again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click
from rich.text import Text

from service.cli.client import PAGE, ApiClient, remote
from service.cli.marks import by_whom, why_run
from service.cli.output import console, json_option, moment, print_line, state
from service.errors import Unreachable, VendorBroken

ASK_EVERY_S = 1.0
REMEMBERED = 5_000
"""Rows that are not told again. Ids rise with time, but a row may be committed after a younger
one: the newest page is therefore compared row by row, not by a position."""


@click.command("tail", epilog="Example: hookwright tail events --json | jq .type")
@click.argument(
    "what",
    type=click.Choice(["deliveries", "events", "runs", "alerts"]),
    default="runs",
)
@click.option("--last", metavar="N", type=click.IntRange(0, PAGE), default=5, help="Begin with N.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="End after N lines.")
@json_option
@remote
def tail_command(api: ApiClient, *, what: str, last: int, limit: int | None, as_json: bool) -> None:
    """Follow deliveries, events, runs or alerts; runs and alerts are told again as they change.

    With --json one JSON object a line; events are CloudEvents 1.0 whose data holds the facts and
    the payload, the sender's own body.
    """
    for row in islice(follow(api, what, last=last), limit):
        if as_json:
            print_line(_whole_event(api, row) if what == "events" else row)
        else:
            console().print(_LINES[what](row))


def follow(
    api: ApiClient, what: str, *, last: int, sleep: Callable[[float], None] = time.sleep
) -> Iterator[dict[str, Any]]:
    """Give rows, oldest first, for ever: those there are (`last` of them), then the new ones."""
    known: OrderedDict[str, None] = OrderedDict()
    first = list(api.rows(f"/{what}", PAGE, {}))
    known.update((_version(row), None) for row in first)
    yield from reversed(first[:last])
    while True:
        sleep(ASK_EVERY_S)
        try:
            fresh = _unknown(api, what, known)
        except (Unreachable, VendorBroken) as error:
            # It is perhaps being restarted; what happens meanwhile is told when it is back.
            click.echo(f"asking again: {error.message}", err=True)
            continue
        yield from reversed(fresh)
        known.update((_version(row), None) for row in fresh)
        while len(known) > REMEMBERED:
            known.popitem(last=False)


def _whole_event(api: ApiClient, row: dict[str, Any]) -> dict[str, Any]:
    # Lists leave the sender's own body out; who takes events from us wants it.
    return cloud_event(row, api.get(f"/events/{row['id']}")["payload"])


def cloud_event(row: dict[str, Any], payload: object) -> dict[str, Any]:
    """Give an event as a CloudEvents 1.0 JSON object (contract §7).

    `data` holds the `facts` that were read and the `payload`, the sender's own body.
    """
    cloud = {
        "specversion": "1.0",
        "id": row["id"],
        "source": f"/{row['vendor']}/{row['source'] or 'poll'}",
        "type": row["type"],
        "subject": row["subject"],
        "time": row["time"],
        "datacontenttype": "application/json",
        "vendortype": row["vendor_type"],
        "correlationid": row["correlation_id"],
        "causedby": row["caused_by"],
        "data": {"facts": row["facts"], "payload": payload},
    }
    # An attribute without a value must be absent (CloudEvents 1.0.2, JSON format §2.2).
    return {name: value for name, value in cloud.items() if value is not None}


def _unknown(api: ApiClient, what: str, known: OrderedDict[str, None]) -> list[dict[str, Any]]:
    fresh: list[dict[str, Any]] = []
    for at, row in enumerate(api.rows(f"/{what}", REMEMBERED, {})):
        if _version(row) not in known:
            fresh.append(row)
        elif at >= PAGE - 1:
            break
    return fresh


def _version(row: dict[str, Any]) -> str:
    # A row that changed is news: runs and deliveries by their state, alerts by their changes.
    return f"{row['id']}:{row.get('status') or row.get('state')}:{row.get('changes')}"


def _delivery(row: dict[str, Any]) -> Text:
    line = Text(f"{moment(row['received_at'])}  ").append_text(state(row["state"]))
    return line.append(f"  {row['source']}  {row['body_bytes']} B  {row['id']}")


def _event(row: dict[str, Any]) -> Text:
    line = Text(f"{moment(row['received_at'])}  ").append(row["type"], style="bold")
    return line.append(f"  {row['vendor']}  {row['subject'] or '-'}  {row['id']}")


def _run(row: dict[str, Any]) -> Text:
    at = row["ended_at"] or row["started_at"] or row["created_at"]
    line = Text(f"{moment(at)}  ").append_text(state(row["status"]))
    line.append(f"  {row['workflow']}", style="bold").append(f"  {row['id']}")
    if mark := by_whom(row):
        line.append(f"  {mark}", style="yellow")
    if row["error"]:
        # Of a run that failed people want to know what went wrong, not why it was begun.
        return line.append(f"  {why_run(row)}", style="red")
    return line.append(f"  {row['reason']}" if row["reason"] else "", style="bright_black")


def _alert(row: dict[str, Any]) -> Text:
    line = Text(f"{moment(row['changed_at'])}  ").append_text(state(row["state"]))
    line.append("  ").append_text(state(row["severity"]))
    return line.append(f"  {row['title']}", style="bold").append(f"  {row['key']}")


_LINES: dict[str, Callable[[dict[str, Any]], Text]] = {
    "deliveries": _delivery,
    "events": _event,
    "runs": _run,
    "alerts": _alert,
}
