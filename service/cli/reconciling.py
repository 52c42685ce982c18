"""`reconcile`: compare what a vendor has on record with what was stored."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from schemas.config import parse_duration
from service.cli.client import ApiClient, remote
from service.cli.output import console, json_option, moment, print_json, print_table, state

LOOK_EVERY_S = 0.5
PATIENCE_S = 1800.0
MOST_SHOWN = 20

Row = dict[str, Any]


def _duration(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    try:
        parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command("reconcile", epilog="Example: hookwright reconcile --source github --since 24h")
@click.option("--source", metavar="NAME", help="Only this source (default: all that can be).")
@click.option(
    "--since",
    metavar="DURATION",
    callback=_duration,
    help="How far back, such as 24h or 7d (default: as the source is configured, else 24h).",
)
@click.option("--no-wait", is_flag=True, help="Only begin; `reconcile` again shows how it went.")
@json_option
@remote
def reconcile_command(
    api: ApiClient, *, source: str | None, since: str | None, no_wait: bool, as_json: bool
) -> int:
    """Find what a vendor sent and we never got, and have it after all.

    The vendor is asked to send it again; what it cannot send again is read from its API, and those
    events are marked as reconciled. Nothing is done twice. Gives 1 when something stays missing.
    """
    begun = api.post("/reconciliations", {"source": source, "since": since})
    ids = [row["id"] for row in begun["data"]]
    rows = begun["data"] if no_wait else _follow(api, ids, quiet=as_json)
    if as_json:
        print_json({"data": rows, "passed_over": begun["passed_over"]})
    else:
        _tell(rows, begun["passed_over"], waited=not no_wait)
    return 0 if no_wait or all(_is_good(row) for row in rows) else 1


def _follow(api: ApiClient, ids: list[str], *, quiet: bool) -> list[Row]:
    """Give the comparisons once they have ended."""
    rows = {ident: api.get(f"/reconciliations/{ident}") for ident in ids}
    end = time.monotonic() + PATIENCE_S
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console(),
        disable=quiet or not console().is_terminal,
        transient=True,
    ) as progress:
        tasks = {
            ident: progress.add_task(_progress(row), total=None) for ident, row in rows.items()
        }
        while any(row["ended_at"] is None for row in rows.values()) and time.monotonic() < end:
            time.sleep(LOOK_EVERY_S)
            for ident, row in rows.items():
                if row["ended_at"] is None:
                    rows[ident] = api.get(f"/reconciliations/{ident}")
                    progress.update(tasks[ident], description=_progress(rows[ident]))
    return list(rows.values())


def _progress(row: Row) -> str:
    return f"{row['source']}: {row['checked']} compared, {row['missing']} missing"


def _left(row: Row) -> int:
    return int(row["missing"]) - int(row["filled"])


def _is_good(row: Row) -> bool:
    return row["state"] == "succeeded" and _left(row) == 0


def _tell(rows: list[Row], passed_over: dict[str, str], *, waited: bool) -> None:
    print_table(
        ["source", "state", "compared", "missing", "asked again", "here now", "still missing"],
        [
            [
                row["source"],
                state(row["state"]),
                row["checked"],
                row["missing"],
                row["asked"],
                row["filled"],
                _left(row),
            ]
            for row in rows
        ],
        empty="no source can be compared with a record of its vendor",
    )
    out = console()
    for row in rows:
        if row["error"]:
            out.print(f"\n{row['source']}: {row['error']}", markup=False)
        open_gaps = [gap for gap in row.get("gaps", ()) if gap["state"] != "filled"]
        for gap in open_gaps[:MOST_SHOWN] if waited else ():
            why = gap["error"] or "was asked for and has not come yet"
            line = f"  {moment(gap['time'])}  {gap['vendor_type']}  {gap['reference']}: {why}"
            out.print(line, markup=False)
    for name, reason in sorted(passed_over.items()):
        out.print(f"not compared: {name}: {reason}", markup=False, style="bright_black")
