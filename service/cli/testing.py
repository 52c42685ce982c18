"""`workflow test`: test files beside workflows, run in virtual time, and what differs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.text import Text

from service.cli.output import (
    STATE_STYLES,
    console,
    duration,
    json_option,
    print_json,
    terminal_width,
)
from service.cli.timeline import SIGNS
from service.workflow_tests import SUFFIX, FileReport, find_files, run_file
from service.workflows.findings import Finding
from service.workflows.test_comparing import Difference, span
from service.workflows.test_running import Ran
from service.workflows.test_timeline import Moment, case_as_json, timeline

EXIT_WRONG = 2
"""Files that cannot be run: their findings are shown."""
_FAINT = "bright_black"
_SIGNS = {**SIGNS, "event": "◆", "lost": "↯"}
_STYLES = {**STATE_STYLES, "event": "blue", "lost": "yellow"}
_LONGEST_NAME = 48
_LONGEST_LINE = 160
_LEAST_ROOM = 30
_BESIDE = 10
"""Columns of a line of the timeline that hold neither its time, its name nor what is told."""


@click.command(
    "test",
    short_help="Run the tests beside workflows, in virtual time.",
    epilog="Example: hookwright workflow test workflows/",
)
@click.argument("paths", metavar="[FILE|FOLDER]…", nargs=-1, type=click.Path(path_type=Path))
@click.option("-k", "pattern", metavar="TEXT", help="Only cases whose names hold this text.")
@json_option
def workflow_test(*, paths: tuple[Path, ...], pattern: str | None, as_json: bool) -> int:
    """Run the tests beside workflows, in virtual time: nothing is called, nothing is kept.

    A test file is named after its workflow: heal.test.yaml tests heal.yaml. Without a path, all
    below this folder are run. Ends with 0 when all pass, 1 when one fails, 2 when a file is wrong.
    """
    begun = time.perf_counter()
    files = find_files(paths or (Path(),))
    reports = [run_file(file, pattern) for file in files]
    took = time.perf_counter() - begun
    if as_json:
        print_json([_as_json(report) for report in reports])
    elif not files:
        where = ", ".join(str(path) for path in paths) or "this folder"
        click.echo(f"there is no *{SUFFIX} in {where}")
    else:
        for report in reports:
            if report.cases or report.findings:
                for line in _report(report):
                    console().print(line)
        console().print(_summary(reports, took))
    if any(report.findings for report in reports) or not files:
        return EXIT_WRONG
    if not any(report.cases for report in reports):
        click.echo(f"no case has {pattern!r} in its name", err=True)
        return EXIT_WRONG
    return 0 if all(report.passed for report in reports) else 1


def _as_json(report: FileReport) -> dict[str, object]:
    names = ("file", "line", "column", "message", "hint")
    return {
        "file": report.file,
        "workflow": report.document,
        "passed": report.passed,
        "findings": [{n: getattr(finding, n) for n in names} for finding in report.findings],
        "cases": [case_as_json(case) for case in report.cases],
    }


def _report(report: FileReport) -> Iterator[Text]:
    yield Text(report.file, style="bold")
    for finding in report.findings:
        yield from _finding(finding)
    width = max((min(len(case.name), _LONGEST_NAME) for case in report.cases), default=0)
    for case in report.cases:
        yield _case(case, width)
        if not case.passed:
            yield from _failure(case, report.file)
    yield Text()


def _finding(finding: Finding) -> Iterator[Text]:
    line = Text("  ✗ ", style="red")
    line.append(f"{finding.file}:{finding.line}:{finding.column}", style="default")
    yield line
    yield _plain(f"    {finding.message}")
    if finding.hint:
        yield _styled(f"    {finding.hint}", _FAINT)


def _case(case: Ran, width: int) -> Text:
    line = Text()
    line.append("  ✓ " if case.passed else "  ✗ ", style="green" if case.passed else "bold red")
    line.append(case.name, style="" if case.passed else "bold")
    line.append(" " * max(width - len(case.name), 0))
    line.append(f"  {_told(case)}", style=_FAINT)
    return line


def _told(case: Ran) -> str:
    if case.missing is not None:
        return "an answer is missing"
    if case.played is None:
        return "not started" if case.match is not None and not case.match.started else ""
    played = case.played
    parts = [played.status.value, _number(len(played.steps), "step")]
    if calls := len(played.calls):
        parts.append(_number(calls, "call"))
    if took := played.ended_at - played.started_at:
        parts.append(f"{span(took)} of virtual time")
    return " · ".join(parts)


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _failure(case: Ran, file: str) -> Iterator[Text]:
    yield _styled(f"    {file}:{case.line}", _FAINT)
    for difference in case.differences:
        yield from _difference(difference)
    if case.missing is not None:
        note, where, stub = case.missing
        yield _plain(f"    {note}")
        yield _styled(f"    Put this {where}, and change it as you like:", _FAINT)
        yield Text()
        for line in stub.splitlines():
            yield _styled(f"        {line}", "green")
    yield Text()
    yield _styled("    what happened, in virtual time", _FAINT)
    yield from _timeline(timeline(case))
    yield Text()


def _difference(difference: Difference) -> Iterator[Text]:
    head = Text("    ").append(difference.where, style="bold")
    if difference.note is not None:
        yield head.append(f"  {difference.note}", style="not bold")
        return
    if difference.lines:
        yield head
        for sign, text in difference.lines:
            yield _side(sign, text)
        return
    yield head
    yield _side("-", "(nothing)" if difference.expected is None else difference.expected)
    yield _side("+", "(nothing)" if difference.got is None else difference.got)


def _side(sign: str, text: str) -> Text:
    word = {"-": "expected", "+": "got"}.get(sign, "")
    style = {"-": "green", "+": "red"}.get(sign, _FAINT)
    line = Text(f"      {sign} ", style=style)
    line.append(f"{word:<9}", style=f"{style} dim" if word else style)
    return line.append(text, style=style)


def _timeline(moments: Sequence[Moment]) -> Iterator[Text]:
    after = max(len(moment.after) for moment in moments)
    name = max(len(moment.name) for moment in moments)
    room = (terminal_width() or _LONGEST_LINE) - after - name - _BESIDE
    room = max(room, _LEAST_ROOM)
    for moment in moments:
        style = _STYLES.get(moment.state, "")
        line = Text(f"    {moment.after:>{after}}  ", style=_FAINT)
        line.append(f"{_SIGNS.get(moment.state, '·')} ", style=style or "default")
        if moment.name:
            line.append(f"{moment.name:<{name}}  ", style="default")
            told = " ".join(moment.told.split())
            line.append(told if len(told) <= room else f"{told[: room - 1]}…", _FAINT)
        else:
            line.append(moment.told, style=f"bold {style}")
        line.rstrip()
        yield line


def _summary(reports: Sequence[FileReport], took: float) -> Text:
    cases = [case for report in reports for case in report.cases]
    failed = sum(not case.passed for case in cases)
    wrong = sum(bool(report.findings) for report in reports)
    line = Text()
    if wrong:
        line.append(f"{_number(wrong, 'file')} cannot be run", style="bold red").append(", ")
    if failed:
        line.append(f"{failed} failed", style="bold red").append(", ")
    passed = len(cases) - failed
    line.append(f"{passed} passed", style="bold green" if not failed and not wrong else "")
    return line.append(f" in {duration(took)}", style=_FAINT)


def _plain(text: str) -> Text:
    return Text(text)


def _styled(text: str, style: str) -> Text:
    return Text(text, style=style)
