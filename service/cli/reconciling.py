"""`reconcile`: compare what a vendor has on record with what was stored."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.config import parse_duration
from service.cli.client import ApiClient, remote
from service.cli.output import console, json_option, moment, print_json, print_table, state

LOOK_EVERY_S = 0.5
PATIENCE_S = 1800.0
MOST_SHOWN = 20
GAP_STYLES = {"filled": "green", "asked": "yellow", "found": "yellow", "open": "red"}

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
@click.option("--no-wait", is_flag=True, help="Only begin; `reconcile --last` shows how it went.")
@click.option("--last", is_flag=True, help="Only list the newest 20 comparisons; begin none.")
@json_option
@remote
def reconcile_command(
    api: ApiClient,
    *,
    source: str | None,
    since: str | None,
    no_wait: bool,
    last: bool,
    as_json: bool,
) -> int:
    """Find what a vendor sent and we never got, and have it after all.

    The vendor is asked to send it again; what it cannot send again is read from its API, and those
    events are marked as reconciled. Nothing is done twice. What was missing is named. Gives 1 when
    something stays missing.
    """
    if last:
        if since or no_wait:
            message = "--last begins nothing: leave out --since and --no-wait"
            raise click.UsageError(message)
        _show_last(api, source, as_json=as_json)
        return 0
    begun = api.post("/reconciliations", {"source": source, "since": since})
    ids = [row["id"] for row in begun["data"]]
    rows = begun["data"] if no_wait else _follow(api, ids, quiet=as_json)
    if as_json:
        print_json({"data": rows, "passed_over": begun["passed_over"]})
    else:
        _tell(rows, begun["passed_over"])
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


_COUNTED = {
    "compared": "checked",
    "missing": "missing",
    "asked again": "asked",
    "here now": "filled",
}


def _table(rows: list[Row], *, dated: bool, empty: str) -> None:
    print_table(
        [*(["began"] if dated else []), "source", "state", *_COUNTED, "still missing"],
        [
            [
                *([moment(row["created_at"])] if dated else []),
                row["source"],
                state(row["state"]),
                *(row[name] for name in _COUNTED.values()),
                _left(row),
            ]
            for row in rows
        ],
        empty=empty,
    )


def _tell(rows: list[Row], passed_over: dict[str, str]) -> None:
    _table(rows, dated=False, empty="no source can be compared with a record of its vendor")
    _tell_gaps(rows)
    if passed_over:
        many = len(passed_over)
        line = (
            f"\n{many} source{'s keep' if many > 1 else ' keeps'} no record with their vendor or "
            f"{'have' if many > 1 else 'has'} no connection: {', '.join(sorted(passed_over))}"
        )
        console().print(line, markup=False, style="bright_black")


def _tell_gaps(rows: list[Row]) -> None:
    """Name what was missing, the first 20 of each comparison, and why one could not be ended."""
    out = console()
    for row in rows:
        if row["error"]:
            out.print(f"\n{row['source']}: {row['error']}", markup=False)
        gaps = row.get("gaps", ())
        if gaps:
            out.print(f"\n[bold]Was missing at {row['source']}[/]")
        for gap in gaps[:MOST_SHOWN]:
            line = Text(f"  {moment(gap['time'])}  {gap['vendor_type']}  {gap['reference']}  ")
            line.append(gap["state"], GAP_STYLES.get(gap["state"], ""))
            if gap["error"]:
                line.append(f": {gap['error']}")
            out.print(line)
        if row["missing"] > MOST_SHOWN and gaps:
            out.print(f"  and {row['missing'] - MOST_SHOWN} more; --json has the first 200")


def _show_last(api: ApiClient, source: str | None, *, as_json: bool) -> None:
    """Print past comparisons, newest first, and what was missing in each source's newest."""
    rows = list(api.rows("/reconciliations", MOST_SHOWN, {"source": source}))
    if as_json:
        print_json(rows)
        return
    _table(rows, dated=True, empty="nothing was compared yet")
    newest = {row["source"]: row for row in reversed(rows)}
    _tell_gaps(
        [
            api.get(f"/reconciliations/{row['id']}") if row["missing"] else row
            for row in newest.values()
        ]
    )
