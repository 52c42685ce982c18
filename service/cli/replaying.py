"""`delivery replay`: one, or many, are read anew, over the API."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import uuid4

import click

from service.cli.bulk_asking import (
    as_filter,
    confirm,
    in_bulk,
    no_wait_option,
    rate_option,
    yes_option,
)
from service.cli.client import ApiClient, find_id, remote
from service.cli.moments import since_option, until_option
from service.cli.output import json_option, print_json, reason_with_fault
from service.cli.rejections import delivery_command

__all__ = ["delivery_command"]

STATES = ("dead", "malformed", "unconfirmed", "ingested")
Row = dict[str, Any]


@delivery_command.command(
    "replay",
    short_help="Read one, or many, anew and act upon it.",
    epilog="Example: hookwright delivery replay --state dead --source vibeview --since 7d",
)
@click.argument("delivery_id", metavar="[ID]", required=False)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Without an ID: all in this state (may be given several times).",
)
@click.option("--source", metavar="NAME", help="Only of this source.")
@click.option("--vendor", metavar="NAME", help="Only of this vendor.")
@since_option
@until_option
@rate_option
@click.option("--only", metavar="WORKFLOW", help="Start anew only this workflow.")
@click.option("--shadow", is_flag=True, help="Only record what would be changed outside.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@yes_option
@no_wait_option
@json_option
@remote
def delivery_replay(
    api: ApiClient,
    *,
    delivery_id: str | None,
    states: tuple[str, ...],
    source: str | None,
    vendor: str | None,
    since: datetime | None,
    until: datetime | None,
    rate: float,
    only: str | None,
    shadow: bool,
    dry_run: bool,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Read deliveries anew, with today's code and options, and act upon them.

    One that gave no events gives them now, and they start their runs. One that was read before
    starts what its events match today once more, and what these runs change outside is changed once
    more; they are marked as replays. With an ID (its beginning is enough) that one; else all that
    are in a state, in the background. Gives 1 when something could not be read.
    """
    how: Row = {"only": only, "shadow": shadow}
    wanted = {"source": source, "vendor": vendor, "since": since, "until": until}
    if delivery_id is not None:
        if states or any(wanted.values()):
            message = "give either an ID or a filter"
            raise click.UsageError(message)
        found = find_id(api, "delivery", delivery_id)
        return _replay_one(api, found, how, dry_run=dry_run, yes=yes, as_json=as_json)
    if not states:
        message = "give an ID, or say which: --state dead"
        raise click.UsageError(message)
    asked = {"filter": as_filter(wanted) | {"state": list(states)}, "per_second": rate, **how}
    question = ""
    if "ingested" in states and not shadow:
        question = "What their workflows do outside is done again. "
    return in_bulk(
        api,
        "/deliveries/replay",
        asked,
        things=("delivery", "deliveries"),
        question=question,
        dry_run=dry_run,
        yes=yes,
        wait=not no_wait,
        as_json=as_json,
    )


def _replay_one(
    api: ApiClient, found: str, how: Row, *, dry_run: bool, yes: bool, as_json: bool
) -> int:
    path = f"/deliveries/{found}/replay"
    if dry_run or not yes:
        foreseen = api.post(path, how | {"dry_run": True})
        if dry_run:
            if as_json:
                print_json(foreseen)
            else:
                click.echo(_foretold(foreseen))
            return 0
        if foreseen["again"] and not how["shadow"]:
            confirm(
                f"This will run {_named(foreseen['again'])} again; "
                "what they do outside is done again. Go on?"
            )
    done = api.post(path, how, key=str(uuid4()))
    delivery = done["delivery"]
    if as_json:
        print_json(done)
    elif delivery["error"] and delivery["state"] != "received":
        why = reason_with_fault(delivery["error"], delivery["fault"])
        click.echo(f"it is still {delivery['state']}: {why}", err=True)
    elif delivery["state"] == "received":
        click.echo(f"it is read by a worker; `hookwright delivery show {found}` says what came")
    else:
        _tell_one(done)
    return 0 if delivery["state"] in {"ingested", "received"} else 1


def _tell_one(done: Row) -> None:
    events = f"{done['events']} event{'' if done['events'] == 1 else 's'}"
    click.echo(f"read: {events}, {done['stored']} of them new")
    for run in done["runs"]:
        mark = f"replay {run['replay']}" if run["replay"] else "its first run"
        click.echo(f"  {run['workflow']}  {mark}  hookwright run show {run['id']}")
    if not done["runs"]:
        click.echo("  they start no workflow")


def _foretold(foreseen: Row) -> str:
    again, first = foreseen["again"], foreseen["first"]
    said = [
        *([f"run {_named(again)} again"] if again else []),
        *([f"run {_named(first)} for the first time"] if first else []),
    ]
    return f"it would {' and '.join(said)}" if said else "it would start no workflow"


def _named(names: list[str]) -> str:
    counted = Counter(names)
    told = ", ".join(
        name if many == 1 else f"{name} {many} times" for name, many in counted.items()
    )
    return f"{len(counted)} workflow{'' if len(counted) == 1 else 's'} ({told})"
