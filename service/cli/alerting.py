"""`alert list`, `show`, `ack` and `resolve`, over the API."""

from __future__ import annotations

from typing import Any

import click

from schemas.states import AlertState
from service.cli.client import ApiClient, find_id, remote
from service.cli.output import console, json_option, moment, print_fields, print_json, state
from service.cli.showing import limit_option, list_rows, state_option
from service.errors import NotFound

note_option = click.option("--note", metavar="TEXT", help="What is kept beside it.")

Row = dict[str, Any]


@click.group("alert")
def alert_command() -> None:
    """Alerts: conditions with a life."""


@alert_command.command("list", epilog="Example: hookwright alert list --state open")
@state_option("--state", AlertState)
@click.option("--severity", help="Only of this severity.")
@limit_option
@json_option
@remote
def alert_list(api: ApiClient, *, limit: int, as_json: bool, **filters: str | None) -> None:
    """List alerts, newest first."""
    list_rows(
        api,
        "/alerts",
        limit,
        ["id", "state", "severity", "title", "opened", "resolved", "key"],
        lambda row: [
            row["id"],
            state(row["state"]),
            state(row["severity"]),
            row["title"],
            moment(row["opened_at"]),
            moment(row["resolved_at"]),
            row["key"],
        ],
        as_json=as_json,
        **filters,
    )


def _find(api: ApiClient, text: str) -> str:
    """Give the id of an alert by its key, its id, or the beginning of one. Raises NotFound."""
    rows = list(api.rows("/alerts", 1, {"key": text.replace("*", "")})) if text else []
    if rows:
        return str(rows[0]["id"])
    try:
        return find_id(api, "alert", text)
    except NotFound as error:
        raise NotFound(
            f"there is no alert `{text}`", hint="`hookwright alert list` shows ids and keys"
        ) from error


@alert_command.command(
    "show",
    short_help="Show an alert with its details.",
    epilog="Example: hookwright alert show credits:vibeview",
)
@click.argument("alert", metavar="ALERT")
@json_option
@remote
def alert_show(api: ApiClient, *, alert: str, as_json: bool) -> None:
    """Show an alert with its details. ALERT is its key, its id, or the beginning of one."""
    found = api.get(f"/alerts/{_find(api, alert)}")
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["id"],
            "key": found["key"],
            "title": found["title"],
            "state": state(found["state"]),
            "severity": state(found["severity"]),
            "opened": moment(found["opened_at"]),
            "changed": moment(found["changed_at"]),
            "resolved": moment(found["resolved_at"]),
            "run": found["run_id"],
            "event": found["event_id"],
        }
    )
    if found["details"]:
        console().print("\n[bold]details[/]")
        print_json(found["details"])


@alert_command.command(
    "ack",
    short_help="Take an open alert on.",
    epilog='Example: hookwright alert ack credits:vibeview --note "on it"',
)
@click.argument("alert", metavar="ALERT")
@note_option
@json_option
@remote
def alert_ack(api: ApiClient, *, alert: str, note: str | None, as_json: bool) -> None:
    """Say that you take an open alert on; `alert.acknowledged` tells workflows of it.

    Who has taken it on already keeps it; a note is kept beside theirs. ALERT is its key, its id, or
    the beginning of one.
    """
    _told(api.post(f"/alerts/{_find(api, alert)}/ack", {"note": note}), as_json=as_json)


@alert_command.command(
    "resolve",
    short_help="Say that an alert is over.",
    epilog="Example: hookwright alert resolve credits:vibeview",
)
@click.argument("alert", metavar="ALERT")
@note_option
@json_option
@remote
def alert_resolve(api: ApiClient, *, alert: str, note: str | None, as_json: bool) -> None:
    """Say that an alert is over; `alert.resolved` tells workflows of it.

    What opened it opens a new one should it come again. ALERT is its key, its id, or the beginning
    of one.
    """
    _told(api.post(f"/alerts/{_find(api, alert)}/resolve", {"note": note}), as_json=as_json)


def _told(found: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        holder = found["details"].get("acknowledged_by")
        by = f" by {holder}" if holder and found["state"] == AlertState.ACKNOWLEDGED else ""
        click.echo(f"{found['title']}: {found['state']}{by}")
