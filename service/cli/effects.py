"""`effect`: the ledger of what was changed outside, over the API."""

from __future__ import annotations

from typing import Any

import click

from schemas.states import EffectState
from service.cli.client import ApiClient, find_id, find_one, remote
from service.cli.output import console, json_option, moment, print_fields, print_json, state
from service.cli.showing import limit_option, list_rows, state_option


@click.group("effect")
def effect_command() -> None:
    """Effects: what was changed outside, and what is in doubt."""


@effect_command.command("list", epilog="Example: hookwright effect list --state in_doubt")
@state_option("--state", EffectState)
@click.option("--action", help="Only of this action; takes *, as slack.*")
@click.option("--connection", help="Only over this connection.")
@click.option("--run", metavar="ID", help="Only of this run (its beginning is enough), or branch.")
@limit_option
@json_option
@remote
def effect_list(api: ApiClient, *, limit: int, as_json: bool, **filters: str | None) -> None:
    """List what was changed outside, newest first."""
    if run := filters.get("run"):
        filters["run"] = find_id(api, "run", run)
    list_rows(
        api,
        "/effects",
        limit,
        ["id", "state", "action", "workflow", "step", "target", "intended"],
        lambda row: [
            row["id"],
            state(row["state"]),
            row["action"],
            row["workflow"],
            row["path"],
            row["target"],
            moment(row["intended_at"]),
        ],
        as_json=as_json,
        **filters,
    )


@effect_command.command("show", epilog="Example: hookwright effect show 0197c9bb")
@click.argument("effect_id", metavar="EFFECT")
@json_option
@remote
def effect_show(api: ApiClient, *, effect_id: str, as_json: bool) -> None:
    """Show one effect: what was asked for, and what is known of it.

    The beginning of EFFECT is enough.
    """
    found = find_one(api, "effect", effect_id)
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["id"],
            "state": state(found["state"]),
            "action": found["action"],
            "connection": found["connection"],
            "target": found["target"],
            "workflow": found["workflow"],
            "run": found["run_id"],
            "step": found["path"],
            "key": found["key"],
            "calls": found["calls"],
            "intended": moment(found["intended_at"]),
            "made": moment(found["made_at"]),
            "error": found["error"],
        }
    )
    out = console()
    out.print("\n[bold]asked for[/]")
    print_json(found["params"])
    if found["reference"]:
        out.print("\n[bold]found again by[/]")
        print_json(found["reference"])
    _tell_what_to_do(found)


def _tell_what_to_do(found: dict[str, Any]) -> None:
    if found["state"] != EffectState.IN_DOUBT or found["run_id"] is None:
        return
    settle = f"hookwright run settle {found['run_id']} '{found['path']}'"
    click.echo(
        "\nNobody can tell whether it was made. Look at the other side, then:\n"
        f"  {settle} --took-effect\n"
        f"  {settle} --not-made"
    )
