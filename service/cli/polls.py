"""`poll list`: what vendors are asked again and again, and which of it fails."""

from __future__ import annotations

import click

from service.cli.client import ApiClient, remote
from service.cli.output import (
    console,
    duration,
    json_option,
    moment,
    print_json,
    print_table,
    state,
)
from service.cli.showing import limit_option, take_rows


@click.group("poll")
def poll_command() -> None:
    """Polls: what vendors are asked again and again."""


@poll_command.command("list", epilog="Example: hookwright poll list")
@limit_option
@json_option
@remote
def poll_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List polls: when each is asked next, and what the vendor answered when it failed."""
    rows = take_rows(api, "/polls", limit, {}, as_json=as_json)
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "connection", "poll", "every", "due", "failures"],
        [
            [
                row["name"],
                row["connection"],
                row["poll"],
                duration(row["every_seconds"]),
                moment(row["due_at"]) if row["enabled"] else "off",
                row["failures"],
            ]
            for row in rows
        ],
        empty="no polls yet: add one under `polls:` in hookwright.yaml",
    )
    for row in rows:
        if row["error"]:
            line = state("failed" if row["failures"] else "waiting")
            line.append(f"  {row['name']}: ", "bold").append(row["error"], "default")
            console().print(line)
