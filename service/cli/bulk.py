"""`bulk list|show|cancel`, and following work in bulk at a terminal."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.text import Text

from schemas.bulk import BulkKind, BulkState
from service.cli.client import ApiClient, find_id, find_one, remote
from service.cli.output import (
    STATE_STYLES,
    console,
    duration,
    json_option,
    moment,
    print_fields,
    print_json,
    print_table,
    reason_with_fault,
    state,
)
from service.cli.progress import bar
from service.cli.showing import limit_option, list_rows, state_option

LOOK_EVERY_S = 0.5
KINDS = {"replay_deliveries": "replay deliveries", "retry_runs": "retry runs"}

Row = dict[str, Any]


@click.group("bulk")
def bulk_command() -> None:
    """Work in bulk: replays of many deliveries, retries of many runs."""


@bulk_command.command("list", epilog="Example: hookwright bulk list --state running")
@state_option("--state", BulkState)
@limit_option
@json_option
@remote
def bulk_list(api: ApiClient, *, limit: int, as_json: bool, state: str | None) -> None:
    """List work in bulk, newest first."""
    list_rows(
        api,
        "/bulk-jobs",
        limit,
        ["id", "what", "state", "asked", "by", "done", "skipped", "failed", "of"],
        _cells,
        as_json=as_json,
        state=state,
    )


def _cells(row: Row) -> list[object]:
    return [
        row["id"],
        _what(row),
        _state(row),
        moment(row["created_at"]),
        row["by"],
        f"{row['done']} begun again" if _is_retry(row) else row["done"],
        row["skipped"],
        row["failed"],
        row["total"],
    ]


@bulk_command.command(
    "show",
    short_help="Show how far it has come, and what could not be done.",
    epilog="Example: hookwright bulk show 0197c9bb --follow",
)
@click.argument("bulk_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Wait for its end; 1 unless everything was done.")
@json_option
@remote
def bulk_show(api: ApiClient, *, bulk_id: str, follow: bool, as_json: bool) -> int:
    """Show how far work in bulk has come. The beginning of an ID is enough."""
    found = find_one(api, "bulk", bulk_id)
    if follow:
        found = follow_bulk(api, found, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        print_bulk(found)
    return 1 if follow and found["state"] != "succeeded" else 0


@bulk_command.command(
    "cancel",
    short_help="End it before its next row.",
    epilog="Example: hookwright bulk cancel 0197c9bb",
)
@click.argument("bulk_id", metavar="ID")
@json_option
@remote
def bulk_cancel(api: ApiClient, *, bulk_id: str, as_json: bool) -> None:
    """End work in bulk before its next row; what was done stays done."""
    found = api.post(f"/bulk-jobs/{find_id(api, 'bulk', bulk_id)}/cancel")
    if as_json:
        print_json(found)
    else:
        tried = f"{_seen(found)} of {found['total']} were tried"
        each = {_done_word(found): found["done"], "skipped": found["skipped"]}
        each["failed"] = found["failed"]
        told = ", ".join(f"{count} {word}" for word, count in each.items() if count)
        click.echo(f"cancelled; {tried}{told and f': {told}'}")


def follow_bulk(api: ApiClient, job: Row, *, quiet: bool) -> Row:
    """Give a job once it has ended, with a bar at a terminal. Interrupting it stops only that."""
    try:
        with bar(_what(job), "", shown=not quiet) as move:
            while job["ended_at"] is None:
                move(_seen(job), int(job["total"]))
                time.sleep(LOOK_EVERY_S)
                job = api.get(f"/bulk-jobs/{job['id']}")
    except KeyboardInterrupt:
        click.echo(f"it goes on: hookwright bulk show {job['id']} --follow", err=True)
        raise
    return job


def _what(job: Row) -> str:
    return KINDS.get(job["kind"], str(job["kind"]))


def _is_retry(job: Row) -> bool:
    return bool(job["kind"] == BulkKind.RETRY_RUNS)


def _done_word(job: Row) -> str:
    # A run that was retried has only begun again: how it ends is told by the run.
    return "begun again" if _is_retry(job) else "done"


def _state(job: Row) -> Text:
    if _is_retry(job) and job["state"] == BulkState.SUCCEEDED:
        return Text("begun again", style=STATE_STYLES["succeeded"])
    return state(job["state"])


def _seen(job: Row) -> int:
    return int(job["done"]) + int(job["skipped"]) + int(job["failed"])


def print_bulk(job: Row) -> None:
    """Print how far a job has come, and what could not be done."""
    left = job["total"] - _seen(job)
    print_fields(
        {
            "id": job["id"],
            "what": _what(job),
            "which": Text(", ".join(_which(job))),
            "state": _state(job),
            "asked": f"{moment(job['created_at'])} by {job['by']}",
            _done_word(job): f"{job['done']} of {job['total']}",
            "skipped": f"{job['skipped']}" if job["skipped"] else "-",
            "failed": job["failed"] or "-",
            "rate": f"{job['per_second']:g} a second at most"
            + (f"; some {duration(left / job['per_second'])} left" if _is_going(job) else ""),
            "ended": moment(job["ended_at"]),
        }
    )
    failures = job["first_failures"]
    if not failures:
        return
    console().print("\n[bold]could not be done[/]")
    print_table(
        ["id", "reason"],
        [[one["id"], reason_with_fault(one["reason"], one["fault"])] for one in failures],
        empty="",
    )
    if job["failed"] > len(failures):
        console().print(f"and {job['failed'] - len(failures)} more", markup=False)


def _which(job: Row) -> list[str]:
    asked = dict(job["question"])
    wanted = {**asked.pop("filter"), **asked}
    return [
        name if value is True else f"{name} {_plain(name, value)}"
        for name, value in wanted.items()
        if value not in (None, False)
    ]


def _plain(name: str, value: object) -> object:
    if name in {"since", "until"}:
        return moment(str(value))
    return "/".join(str(one) for one in value) if isinstance(value, list) else value


def _is_going(job: Row) -> bool:
    return job["ended_at"] is None
