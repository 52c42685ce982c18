"""`delivery list` and `show`, over the API."""

from __future__ import annotations

from typing import Any

import click

from schemas.states import DeliveryState
from service.cli.client import ApiClient, find_one, remote
from service.cli.marks import to_do_delivery, why_delivery
from service.cli.moments import since_option, until_option
from service.cli.output import (
    console,
    json_option,
    moment,
    print_fields,
    print_json,
    state,
)
from service.cli.showing import limit_option, list_rows, newest_id, print_runs, state_option

Row = dict[str, Any]


@click.group("delivery")
def delivery_command() -> None:
    """Deliveries: requests as they came."""


@delivery_command.command("list", epilog="Example: hookwright delivery list --source vibeview")
@click.option("--source", help="Only of this source.")
@click.option("--vendor", help="Only of this vendor.")
@state_option("--state", DeliveryState)
@click.option(
    "--q",
    metavar="TEXT",
    help="Only with exactly this delivery key; where there is none, only with this in it.",
)
@since_option
@until_option
@limit_option
@json_option
@remote
def delivery_list(api: ApiClient, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    list_rows(
        api,
        "/deliveries",
        limit,
        ["id", "source", "state", "received", "bytes", "why", "key"],
        lambda row: [
            row["id"],
            row["source"],
            state(row["state"]),
            moment(row["received_at"]),
            row["body_bytes"],
            why_delivery(row),
            row["delivery_key"],
        ],
        as_json=as_json,
        **filters,
    )


@delivery_command.command(
    "show",
    short_help="Show what came, and what became of it.",
    epilog="Example: hookwright delivery show 0197c9bb-…",
)
@click.argument("delivery_id", metavar="[ID]", required=False)
@json_option
@remote
def delivery_show(api: ApiClient, *, delivery_id: str | None, as_json: bool) -> None:
    """Show a delivery: what came, and what became of it.

    Without an ID, the newest delivery. The beginning of an ID is enough when it fits one alone.
    """
    if delivery_id is None:
        delivery_id = newest_id(api, "delivery", "/deliveries")
    found = find_one(api, "delivery", delivery_id)
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["id"],
            "source": f"{found['source']} ({found['vendor']})",
            "received": moment(found["received_at"]),
            "verdict": found["verdict"]
            if found["rejection_id"] is None
            else f"{found['verdict']} later: it was refused at first, as rejection "
            f"{found['rejection_id']}",
            "state": state(found["state"]),
            **_why(found),
            "key": found["delivery_key"],
            **({"replayed": _times(found["replays"])} if found.get("replays") else {}),
        }
    )
    out = console()
    out.print("\n[bold]events[/]")
    for event in found["events"]:
        out.print(f"  {event['type']}  {event['subject'] or ''}  {event['id']}")
    out.print("\n[bold]runs[/]")
    print_runs(found["runs"])
    out.print("\n[bold]headers[/]")
    for name, value in found["headers"]:
        out.print(f"  {name}: {value}", markup=False)
    out.print(f"\n[bold]body[/] ({found['body_bytes']} bytes, {found['body']['encoding']})")
    out.print(found["body"]["content"], markup=False)


def _why(delivery: Row) -> dict[str, object]:
    """Give why a delivery gave no events, and what to do now."""
    told = {
        "error": delivery["error"],
        "fault": delivery.get("fault"),
        "to do": to_do_delivery(delivery),
    }
    return {name: value for name, value in told.items() if value}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
