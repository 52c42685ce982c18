"""`workflow show` and `workflow versions`: documents as they are kept, over the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click
from rich.text import Text

from service.cli.client import ApiClient, find_workflow, remote
from service.cli.output import console, json_option, moment, print_json, print_table
from service.cli.showing import limit_of, take_rows

Row = dict[str, Any]

SHOWN = 10
"""Versions that are shown beside a document."""


@click.command(
    "show",
    short_help="Show one: its state, versions and document.",
    epilog="Example: hookwright workflow show heal-failed-run --version 2",
)
@click.argument("name")
@click.option(
    "--version",
    "number",
    metavar="N",
    type=click.IntRange(1, 2**31 - 1),
    help="An earlier version (default: the current one).",
)
@json_option
@remote
def workflow_show(api: ApiClient, *, name: str, number: int | None, as_json: bool) -> None:
    """Show a workflow: how it stands, its versions, and its document as it was written."""
    path = f"/workflows/{quote(name, safe='')}"
    workflow: Row = find_workflow(api, name)
    chosen = workflow["version"] if number is None else number
    version: Row = api.get(f"{path}/versions/{chosen}")
    versions = list(api.rows(f"{path}/versions", SHOWN, {}))
    if as_json:
        print_json({**workflow, **version, "versions": versions})
        return
    out = console()
    state = "enabled" if workflow["enabled"] else "disabled"
    origin = "from file" if workflow["from_file"] else "saved over the API"
    out.print(
        Text.assemble((name, "bold"), f"  {state}  {workflow['mode']}  {origin}"), soft_wrap=True
    )
    if workflow["description"]:
        out.print(Text(workflow["description"]), soft_wrap=True)
    out.print()
    _print_versions(versions)
    if len(versions) == SHOWN and versions[-1]["version"] > 1:
        out.print(f"… all: hookwright workflow versions {name}")
    for key, value in version["vars"].items():
        out.print(Text(f"vars.{key} = {value}"), soft_wrap=True)
    out.print()
    out.print(Text(f"version {chosen}", style="bold"))
    # As it was written, so that it can be kept as a file again.
    click.echo(version["source_text"].rstrip("\n"))


@click.command("versions", epilog="Example: hookwright workflow versions heal-failed-run")
@click.argument("name")
@limit_of(100)
@json_option
@remote
def workflow_versions(api: ApiClient, *, name: str, limit: int, as_json: bool) -> None:
    """List the versions of a workflow, newest first."""
    path = f"/workflows/{quote(name, safe='')}/versions"
    versions = take_rows(api, path, limit, {}, as_json=as_json)
    if as_json:
        print_json(versions)
    else:
        _print_versions(versions)


def _print_versions(versions: list[Row]) -> None:
    print_table(
        ["version", "since", ""],
        [
            [row["version"], moment(row["created_at"]), "current" if row["current"] else ""]
            for row in versions
        ],
        empty="no versions",
    )
