"""`workflow list`, and the group that all commands about workflows belong to."""

from __future__ import annotations

import click

from service.cli.client import ApiClient, remote
from service.cli.documents import workflow_graph, workflow_lint, workflow_schema
from service.cli.output import json_option, moment, print_json, print_table


@click.group("workflow")
def workflow_command() -> None:
    """Workflows: list and check them."""


@workflow_command.command("list", epilog="Example: hookwright workflow list")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=100, help="How many at most.")
@json_option
@remote
def workflow_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List workflows with their current versions."""
    rows = list(api.rows("/workflows", limit, {}))
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "version", "enabled", "mode", "changed", "description"],
        [
            [
                *(row[name] for name in ("name", "version", "enabled")),
                row.get("mode", ""),  # an older server does not give it
                moment(row["updated_at"]),
                row["description"],
            ]
            for row in rows
        ],
        empty="no workflows yet",
    )


for command in (workflow_lint, workflow_graph, workflow_schema):
    workflow_command.add_command(command)
