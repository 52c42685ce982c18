"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

STATE_STYLES = {
    "succeeded": "green",
    "ingested": "green",
    "resolved": "green",
    "made": "green",
    "ok": "green",
    "created": "green",
    "running": "cyan",
    "waiting": "cyan",
    "pending": "cyan",
    "received": "cyan",
    "updated": "yellow",
    "acknowledged": "yellow",
    "warning": "yellow",
    "left": "yellow",
    "in_doubt": "magenta",
    "shadowed": "magenta",
    "skipped": "bright_black",
    "unchanged": "bright_black",
    "failed": "red",
    "open": "red",
    "critical": "red",
    "malformed": "red",
    "dead": "red",
    "removed": "red",
    "cancelled": "red",
}
GAP = 2
"""Columns of a terminal between two columns of a table."""
LEAST_WIDTH = 8

# What is shortened or left out first where a table does not fit.
_GIVE_WAY = (
    "key",
    "details",
    "bytes",
    "asks",
    "description",
    "from file",
    "remote",
    "origin",
    "subject",
    "why",
    "took",
    "vendor",
    "polls",
    "title",
    "reconciles",
    "workflow",
    "type",
)
_SHORTENED = frozenset(
    {
        "why",
        "details",
        "key",
        "asks",
        "description",
        "reconciles",
        "polls",
        "subject",
        "title",
        "workflow",
        "type",
    }
)
_SECONDS_A_MINUTE = 60
_SECONDS_AN_HOUR = 3600
_SECONDS_A_DAY = 86400

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def console() -> Console:
    """Give the console of standard output; without a terminal lines are not cut at 80."""
    found = Console(highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, width=200)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_line(value: object) -> None:
    """Print a value as JSON on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":")))


def shown_command() -> str:
    """Give what people type for `hookwright`: its path where the name alone is not found."""
    path = Path(sys.executable).with_name("hookwright")
    if shutil.which("hookwright") is not None or not path.exists():
        return "hookwright"
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def terminal_width() -> int | None:
    """Give the columns of the terminal; None where there is none, and nothing is to be cut."""
    found = console()
    return found.width if found.is_terminal else None


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns, or the sentence for when there are none.

    At a terminal that is too narrow, what matters least is shortened, then left out. Ids never are.
    """
    if not rows:
        console().print(Text(empty, style="bright_black"))
        return
    cells = [[_cell(value) for value in row] for row in rows]
    widths = {
        name: max(cell_len(name), *(row[at].cell_len for row in cells))
        for at, name in enumerate(columns)
    }
    shown = _fit(widths, terminal_width())
    console().print(_line({name: Text(name, "bold") for name in columns}, shown))
    console().print(Text("─" * (sum(shown.values()) + GAP * (len(shown) - 1)), "bright_black"))
    for row in cells:
        console().print(_line(dict(zip(columns, row, strict=True)), shown))


def _fit(widths: Mapping[str, int], room: int | None) -> dict[str, int]:
    """Give the columns that are shown with their widths."""
    shown = dict(widths)
    for name in _GIVE_WAY if room is not None else ():
        over = sum(shown.values()) + GAP * (len(shown) - 1) - (room or 0)
        if over <= 0:
            break
        if name not in shown:
            continue
        if name in _SHORTENED and shown[name] - over >= LEAST_WIDTH:
            shown[name] -= over
        else:
            del shown[name]
    return shown


def _line(cells: Mapping[str, Text], shown: Mapping[str, int]) -> Text:
    line = Text()
    for name, width in shown.items():
        cell = cells[name].copy()
        cell.truncate(width, overflow="ellipsis", pad=True)
        line.append_text(cell).append(" " * GAP)
    line.rstrip()
    return line


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        console().print(Text().append(f"{name:<{width}}  ", "bold").append_text(_cell(value)))


def state(text: str) -> Text:
    """Give a state's name in its colour."""
    return Text(text, style=STATE_STYLES.get(text, ""))


def moment(text: str | None) -> str:
    """Give a time of the API as local clock time, with the date when it is not today's."""
    if text is None:
        return "-"
    local = datetime.fromisoformat(text).astimezone()
    same_day = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Give a time span in the two units that matter."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < _SECONDS_A_MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _SECONDS_AN_HOUR:
        return f"{whole // 60} min {whole % 60} s"
    if whole < _SECONDS_A_DAY:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def between(start: str | None, end: str | None) -> float | None:
    """Give the seconds between two times of the API."""
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def reason_with_fault(reason: str | None, fault: str | None) -> str | None:
    """Give why something failed, with what its traceback is found by."""
    return reason if fault is None else f"{reason} (fault={fault})"


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("-", style="bright_black")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(str(value))
