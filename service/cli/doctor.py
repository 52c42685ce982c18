"""`doctor`: what is wrong with this installation, and what to do now."""

from __future__ import annotations

import textwrap
from collections import Counter

import click
from rich.text import Text

from schemas.clock import utc_now
from service.cli.output import console, json_option, print_json, terminal_width
from service.doctor.examination import examine
from service.doctor.verdicts import Grade, Verdict, count
from service.settings import environment, load_usable_settings
from workers.main import HEARTBEAT_FILE

_SIGNS = {Grade.GOOD: ("✓", "green"), Grade.WARN: ("!", "yellow"), Grade.FAIL: ("✗", "red")}
_NAME_WIDTH = 16
_INDENT = 4
_WIDEST = 110


@click.command("doctor", epilog="Example: hookwright doctor --json")
@json_option
def doctor_command(*, as_json: bool) -> int:
    """Say what is wrong with this installation, and what to do now.

    Looks at the environment, the files, the database and Redis by itself, also when no server
    runs; run it where the server runs. Changes nothing. Gives 1 when something must be mended.
    """
    settings, faults = load_usable_settings()
    found: list[tuple[str, Verdict]] = []
    out = console()
    heartbeat_file = settings.data_dir / HEARTBEAT_FILE
    for part in examine(
        settings, environment(), utc_now, heartbeat_file=heartbeat_file, faults=faults
    ):
        if not as_json:
            out.print(Text(f"\n{part.title}", "bold"))
        for verdict in part.verdicts:
            found.append((part.title, verdict))
            if not as_json:
                _show(verdict)
    grades = Counter(verdict.grade for _, verdict in found)
    if as_json:
        print_json(
            {
                "good": grades[Grade.GOOD],
                "warn": grades[Grade.WARN],
                "fail": grades[Grade.FAIL],
                "checks": [
                    {
                        "part": title.lower(),
                        "name": verdict.name,
                        "grade": verdict.grade,
                        "says": verdict.says,
                        "to_do": verdict.to_do,
                    }
                    for title, verdict in found
                ],
            }
        )
    else:
        _sum_up(grades)
    return 1 if grades[Grade.FAIL] else 0


def _show(verdict: Verdict) -> None:
    sign, style = _SIGNS[verdict.grade]
    width = min(terminal_width() or _WIDEST, _WIDEST) - _INDENT - _NAME_WIDTH
    name, *further = _wrapped(verdict.says, width)
    is_good = verdict.grade is Grade.GOOD
    line = Text("  ").append(sign, style).append(f" {verdict.name:<{_NAME_WIDTH}}")
    console().print(line.append(name, "bright_black" if is_good else ""))
    margin = " " * (_INDENT + _NAME_WIDTH)
    for rest in further:
        console().print(Text(margin).append(rest, "bright_black" if is_good else ""))
    for number, rest in enumerate(_wrapped(verdict.to_do or "", width - 2)):
        console().print(Text(f"{margin}{'  ' if number else '→ '}").append(rest, "cyan"))


def _wrapped(text: str, width: int) -> list[str]:
    # Paths and addresses stay whole: they are copied.
    return textwrap.wrap(text, max(20, width), break_long_words=False, break_on_hyphens=False)


def _sum_up(grades: Counter[Grade]) -> None:
    line = Text("\n")
    if grades[Grade.FAIL]:
        line.append(f"{grades[Grade.FAIL]:,} must be mended", "bold red").append(", ")
    if grades[Grade.WARN]:
        line.append(f"{count(grades[Grade.WARN], 'warning')}", "bold yellow").append(", ")
    line.append(f"{grades[Grade.GOOD]:,} good", "green")
    console().print(line)
