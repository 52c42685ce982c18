"""`stats`: how many deliveries, events and runs there were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from service.cli.client import ApiClient, remote
from service.cli.moments import MOMENT
from service.cli.output import console, json_option, print_json, print_table

MOST_KINDS = 20
"""Types of events that are shown, the most frequent first."""

Row = dict[str, Any]


@click.command("stats", epilog="Example: hookwright stats --per day --source github")
@click.option(
    "--per",
    type=click.Choice(["hour", "day"]),
    default="hour",
    show_default=True,
    help="By the hour for a day, or by the day for a month.",
)
@click.option(
    "--since",
    metavar="TIME",
    type=MOMENT,
    help="From the hour or day of this time on: 24h, 7d, a time.",
)
@click.option("--until", metavar="TIME", type=MOMENT, help="Up to this time.")
@click.option("--vendor", help="Deliveries and events of this vendor only.")
@click.option("--source", help="Deliveries and events of this source only.")
@click.option("--workflow", help="Runs of this workflow only.")
@json_option
@remote
def stats_command(
    api: ApiClient,
    *,
    as_json: bool,
    since: datetime | None,
    until: datetime | None,
    **asked: str | None,
) -> None:
    """Say how many deliveries, events and runs there were: together, and by the hour or day.

    By the hour for up to 14 days, by the day for up to 400; days are those of UTC.
    """
    times = {"since": since and since.isoformat(), "until": until and until.isoformat()}
    found = api.get("/stats", **asked, **times)
    if as_json:
        print_json(found)
        return
    per = found["per"]
    began, ended = _begin(per, found["since"]), _begin(per, found["until"])
    console().print(f"from {began} until {ended}\n", markup=False)
    _print("deliveries", ["source", "ingested", "malformed", "unconfirmed", "dead"], found)
    _print("runs", ["workflow", "begun", "succeeded", "failed", "cancelled", "skipped"], found)
    _print("events", ["type", "vendor", "source", "count"], found)
    busy = [row for row in found["moments"] if row["deliveries"] or row["events"] or _runs(row)]
    print_table(
        [per, "deliveries", "unread", "events", "runs begun", "runs failed"],
        [
            [
                _begin(per, row["begins"]),
                row["deliveries"],
                row["unread"],
                row["events"],
                row["runs_begun"],
                row["runs_failed"],
            ]
            for row in busy
        ],
        empty="nothing was counted in this time",
    )


def _begin(per: str, text: str) -> str:
    """Give when an hour or a day begins, always with its date; a day is one of UTC."""
    time = datetime.fromisoformat(text)
    if per == "day":
        return f"{time.astimezone(UTC):%Y-%m-%d}"
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _runs(row: Row) -> int:
    return int(row["runs_begun"]) + int(row["runs_failed"])


def _print(what: str, columns: list[str], found: Row) -> None:
    rows = found[what]
    if not rows:
        return
    console().print(f"[bold]{what}[/]")
    shown = [[row[column] for column in columns] for row in rows[:MOST_KINDS]]
    print_table(columns, shown, empty="")
    if len(rows) > MOST_KINDS:
        console().print(f"and {len(rows) - MOST_KINDS} more: --json", markup=False)
    console().print()
