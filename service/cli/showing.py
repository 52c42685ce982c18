"""`run` and `event`: lists and single things, over the API; what all such commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import click
from rich.console import Console

from schemas.workflow import RunStatus, WaitKind
from service.cli.client import ApiClient, find_id, find_one, find_workflow, remote
from service.cli.marks import replay_mark, why_run
from service.cli.moments import since_option, until_option
from service.cli.output import (
    between,
    console,
    duration,
    json_option,
    moment,
    print_fields,
    print_json,
    print_table,
    state,
    terminal_width,
)
from service.cli.timeline import render_run, step_path
from service.errors import NotFound

Row = dict[str, Any]
Command = TypeVar("Command", bound=Callable[..., Any])

MOST_LINES = 40
"""Lines of a vendor's body that are shown where an event has no facts."""
LONGEST_LINE = 200
"""Characters of such a line."""

_ONLY_IF_ANY = frozenset({"why", "mark"})
_MORE = "there are more than these {}: --limit N"


def limit_of(default: int) -> Callable[[Command], Command]:
    """Give a list its `--limit`, whose help names the default."""
    return click.option(
        "--limit",
        metavar="N",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="How many at most.",
    )


limit_option = limit_of(20)


def state_option(name: str, states: type[StrEnum]) -> Callable[[Command], Command]:
    """Give a list the option that narrows it to one state."""
    return click.option(
        name,
        metavar="STATE",
        type=click.Choice([str(each) for each in states]),
        help=f"Only in this state: {', '.join(states)}.",
    )


def take_rows(
    api: ApiClient, path: str, limit: int, filters: Mapping[str, object], *, as_json: bool
) -> list[Row]:
    """Give up to `limit` rows of a list; below what is printed people are told of more."""
    asked = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in filters.items()
    }
    rows = list(api.rows(path, limit + 1, asked))
    if len(rows) > limit and not as_json and Console(stderr=True).is_terminal:
        context = click.get_current_context()
        context.call_on_close(lambda: click.echo(_MORE.format(limit), err=True))
    return rows[:limit]


def list_rows(
    api: ApiClient,
    path: str,
    limit: int,
    columns: Sequence[str],
    cells: Callable[[Row], Sequence[object]],
    *,
    as_json: bool,
    **filters: object,
) -> list[Row]:
    """Print what a list of the API holds, newest first: a table of `cells`, or the rows as JSON.

    Gives the rows. The columns `why` and `mark` are left out where none of them has anything
    there.
    """
    rows = take_rows(api, path, limit, filters, as_json=as_json)
    if as_json:
        print_json(rows)
        return rows
    table = [cells(row) for row in rows]
    # A column that says nothing of any of them only takes room.
    shown = [
        at
        for at, name in enumerate(columns)
        if name not in _ONLY_IF_ANY or any(row[at] for row in table)
    ]
    narrowed = any(value is not None for value in filters.values())
    print_table(
        [columns[at] for at in shown],
        [[row[at] for at in shown] for row in table],
        empty="nothing fits these options" if narrowed else "nothing yet",
    )
    return rows


def newest_id(api: ApiClient, kind: str, path: str, **filters: object) -> str:
    """Give the id of the newest thing of a kind. Raises NotFound when there is none."""
    rows = list(api.rows(path, 1, filters))
    if not rows:
        of = "".join(f" of {name} `{value}`" for name, value in filters.items() if value)
        raise NotFound(f"there is no {kind}{of} yet")
    return str(rows[0]["id"])


def print_runs(runs: Sequence[Row]) -> None:
    """Print the runs of an event or a delivery, one a line, in columns."""
    statuses = max((len(run["status"]) for run in runs), default=0)
    names = max((len(run["workflow"]) for run in runs), default=0)
    for run in runs:
        status = state(run["status"])
        status.pad_right(statuses - len(run["status"]))
        mark = replay_mark(run)
        line = f"  {run['workflow']:<{names}}  {run['id']}{mark and f'  {mark}'}"
        console().print("  ", status, line, sep="")


# --- runs ------------------------------------------------------------------------------------


@click.group("run")
def run_command() -> None:
    """Runs: executions of workflows."""


@run_command.command("list", epilog="Example: hookwright run list --waiting-for approval")
@click.option("--workflow", help="Only of this workflow.")
@state_option("--status", RunStatus)
@click.option("--event", metavar="ID", help="Only for this event.")
@click.option(
    "--waiting-for",
    metavar="WHAT",
    type=click.Choice([str(kind) for kind in WaitKind]),
    help="Only those that wait for this: approval (a decision), person (a doubt), event, call, …",
)
@since_option
@until_option
@limit_option
@json_option
@remote
def run_list(api: ApiClient, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List runs, newest first."""
    if event := filters.get("event"):
        filters["event"] = find_id(api, "event", event)
    if workflow := filters.get("workflow"):
        _check_workflow(api, workflow)
    if filters.get("waiting_for") and not as_json:
        _list_waiting(take_rows(api, "/runs", limit, filters, as_json=as_json))
        return
    list_rows(
        api,
        "/runs",
        limit,
        ["id", "workflow", "status", "began", "took", "mark", "why"],
        lambda row: [
            row["id"],
            row["workflow"],
            state(row["status"]),
            moment(row["created_at"]),
            None if (took := between(row["created_at"], row["ended_at"])) is None
            else duration(took),
            replay_mark(row),
            why_run(row),
        ],
        as_json=as_json,
        **filters,
    )  # fmt: skip


def _check_workflow(api: ApiClient, name: str) -> None:
    """Refuse the name of a workflow that neither is nor has runs. Raises NotFound."""
    if not list(api.rows("/runs", 1, {"workflow": name})):
        find_workflow(api, name)


def _list_waiting(rows: Sequence[Row]) -> None:
    """Print one line for every wait, with what it asks and how it is answered."""
    waits = [(row, wait) for row in rows for wait in row["waits"]]
    print_table(
        ["run", "step", "workflow", "since", "until", "asks"],
        [
            [
                row["id"],
                step_path(wait),
                row["workflow"],
                moment(wait["since"]),
                moment(wait["due_at"]),
                wait["question"],
            ]
            for row, wait in waits
        ],
        empty="nothing waits for that",
    )
    if any(wait["kind"] == WaitKind.APPROVAL for _, wait in waits):
        console().print("\nhookwright run approve RUN STEP [--reject] [--note TEXT]", markup=False)


@run_command.command(
    "show", short_help="Show a run as a timeline.", epilog="Example: hookwright run show 0197c9bb-…"
)
@click.argument("run_id", metavar="[ID]", required=False)
@click.option("--workflow", metavar="NAME", help="Without an ID: the newest run of this workflow.")
@json_option
@remote
def run_show(api: ApiClient, *, run_id: str | None, workflow: str | None, as_json: bool) -> None:
    """Show a run as a timeline: its event, steps, tries, waits and effects.

    Without an ID, the newest run. The beginning of an ID is enough when it fits one alone.
    """
    if run_id is not None and workflow is not None:
        message = "give either an ID or --workflow"
        raise click.UsageError(message)
    if workflow is not None:
        _check_workflow(api, workflow)
    if run_id is None:
        run_id = newest_id(api, "run", "/runs", workflow=workflow)
    found = find_one(api, "run", run_id)
    if as_json:
        print_json(found)
    else:
        console().print(render_run(found, width=terminal_width()))


# --- events ----------------------------------------------------------------------------------


@click.group("event")
def event_command() -> None:
    """Events: normalised facts."""


@event_command.command("list", epilog="Example: hookwright event list --type 'test_run.*'")
@click.option("--type", help="Only of this type; * stands for anything.")
@click.option("--vendor", help="Only of this vendor.")
@click.option("--source", help="Only of this source.")
@click.option("--subject", help="Only about this thing.")
@click.option(
    "--search",
    "--q",
    metavar="WORDS",
    help="Only with these words in type, vendor, source, subject or facts; WORD* begins so.",
)
@since_option
@until_option
@limit_option
@json_option
@remote
def event_list(api: ApiClient, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List events, newest first."""
    list_rows(
        api,
        "/events",
        limit,
        ["id", "type", "vendor", "origin", "subject", "received"],
        lambda row: [
            row["id"],
            row["type"],
            row["vendor"],
            row["origin"],
            row["subject"],
            moment(row["received_at"]),
        ],
        as_json=as_json,
        **filters,
    )


@event_command.command(
    "show",
    short_help="Show an event with its facts and its runs.",
    epilog="Example: hookwright event show 0197c9bb-…",
)
@click.argument("event_id", metavar="[ID]", required=False)
@json_option
@remote
def event_show(api: ApiClient, *, event_id: str | None, as_json: bool) -> None:
    """Show an event with its facts and its runs; where it has no facts, what was sent.

    Without an ID, the newest event. The beginning of an ID is enough when it fits one alone.
    """
    if event_id is None:
        event_id = newest_id(api, "event", "/events")
    found = find_one(api, "event", event_id)
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["id"],
            "type": found["type"],
            "vendor": f"{found['vendor']} ({found['vendor_type']})",
            "source": found["source"],
            "origin": found["origin"],
            "delivery": found["delivery_id"],
            "subject": found["subject"],
            "time": moment(found["time"]),
        }
    )
    out = console()
    out.print("\n[bold]runs[/]")
    print_runs(found["runs"])
    payload = found["payload"]
    if found["facts"] or payload is None:
        out.print("\n[bold]facts[/]")
        print_json(found["facts"])
    if payload is None:
        return
    if found["facts"]:
        out.print(f"\n[bold]payload[/]: {_counted(payload)}, see --json")
    else:
        out.print("\n[bold]payload[/]")
        _print_bounded(payload)


def _counted(payload: Any) -> str:
    count = len(payload) if isinstance(payload, dict | list) else 1
    return f"{count} value{'' if count == 1 else 's'}"


def _print_bounded(payload: Any) -> None:
    """Print a vendor's body as JSON, as far as somebody reads it at a terminal."""
    lines = json.dumps(payload, indent=2, ensure_ascii=False).splitlines()
    for line in lines[:MOST_LINES]:
        click.echo(line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…")
    left = len(lines) - MOST_LINES
    if left > 0:
        click.echo(f"… {left} more line{'' if left == 1 else 's'}, see --json")
