"""`workflow list`, and the group that all commands about workflows belong to."""

from __future__ import annotations

import click

from service.cli.client import ApiClient, remote
from service.cli.documents import workflow_graph, workflow_lint, workflow_schema
from service.cli.output import json_option, moment, print_json, print_table
from service.cli.showing import limit_of, take_rows


@click.group("workflow")
def workflow_command() -> None:
    """Workflows: list and check them."""


@workflow_command.command("list", epilog="Example: hookwright workflow list")
@limit_of(100)
@json_option
@remote
def workflow_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List workflows with their current versions."""
    rows = take_rows(api, "/workflows", limit, {}, as_json=as_json)
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
