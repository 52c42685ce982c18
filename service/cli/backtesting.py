"""`workflow backtest`: what a document would have done with the events that came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console
from rich.text import Text

from schemas.clock import utc_now
from schemas.config import parse_duration
from service.actions import Actions
from service.backtest import Candidate, backtest
from service.backtest_report import Kind, Report
from service.backtesting import Beside, read_beside
from service.catalogue import build_catalogue
from service.cli.output import console, json_option, moment, print_json, print_table
from service.cli.progress import bar
from service.configuration_workflows import signatures
from service.db import Database, Session
from service.errors import ConfigurationError, NotFound
from service.settings import load_settings
from service.store import revision, runs
from service.template_files import TemplateFiles
from service.unit_of_work import reading
from service.vendors import BY_NAME
from service.workflows.document import merge_vars, parse_document

_TITLES = {
    Kind.ONLY_NEW.value: "starts it now, and did not before",
    Kind.ONLY_PRESENT.value: "started it before, and does not now",
    Kind.DIFFERENT.value: "would be done differently",
    "gathered": "would gather what came",
    "condition": "its conditions cannot be evaluated",
}
_STYLES = {
    Kind.ONLY_NEW.value: "green",
    Kind.ONLY_PRESENT.value: "red",
    Kind.DIFFERENT.value: "yellow",
    "gathered": "cyan",
    "condition": "red",
}
_LONGEST_VALUE = 100
_BEFORE = 20
"""Characters that are shown before the first difference of two long values."""
_MINUTE = "%Y-%m-%d %H:%M"
MOST_ERRORS = 5


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """Read `7d` (so long ago) or a time (RFC 3339)."""
    if value is None:
        return None
    try:
        return utc_now() - cast("timedelta", parse_duration(value))
    except ValueError as error:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise click.BadParameter(str(error)) from error
    if found.tzinfo is None:
        message = f"{value} says no time zone; write Z or +01:00 behind it"
        raise click.BadParameter(message)
    return found


@click.command(
    "backtest",
    short_help="Play a document over the stored events.",
    epilog="Example: hookwright workflow backtest workflows/heal.yaml --since 7d",
)
@click.argument("document", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--since",
    metavar="DURATION|TIME",
    default="7d",
    show_default=True,
    callback=_moment,
    help="From when on: 7d back, or a time.",
)
@click.option(
    "--until", metavar="DURATION|TIME", callback=_moment, help="Until when (default: now)."
)
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(0, 1000),
    default=5,
    show_default=True,
    help="How many examples of each kind of difference.",
)
@json_option
def workflow_backtest(
    *, document: Path, since: datetime, until: datetime | None, examples: int, as_json: bool
) -> None:
    """Play a document over the stored events, beside what the present version did.

    Nothing is called, changed or sent. It says which events start it, which steps are performed and
    what is sent, and where that differs from what was done. It reads the installation's database
    (HOOKWRIGHT_DATABASE_URL), and is best run beside the server, not in its place.
    """
    database = _open_database()
    try:
        with reading(database) as session:
            new, beside = _candidates(session, document)
        with (
            database.session(read_only=True) as session,
            bar("playing", "events", shown=not as_json) as progress,
        ):
            report = backtest(
                session,
                new,
                beside.present,
                since=since,
                until=until or utc_now(),
                actions=Actions(BY_NAME),
                workflows=beside.documents,
                progress=progress,
                examples=examples,
            )
    finally:
        database.dispose()
    if as_json:
        print_json(report.as_json())
    else:
        _tell(report)


def _open_database() -> Database:
    database = Database(load_settings().effective_database_url)
    if not revision.is_current(database):
        database.dispose()
        raise ConfigurationError(
            f"{database.name} has no tables of this release",
            hint="HOOKWRIGHT_DATABASE_URL names it; `hookwright migrate` makes them",
        )
    return database


def _candidates(session: Session, file: Path) -> tuple[Candidate, Beside]:
    texts = [version.source_text for _, version in runs.current_versions(session)]
    document = parse_document(
        _text(file),
        filename=str(file),
        catalogue=build_catalogue().with_workflows(signatures(texts)),
        read_template=TemplateFiles(file, file.parent).read,
    )
    beside = read_beside(session, document.name)
    return Candidate(document, merge_vars(document, beside.vars)), beside


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{file} cannot be read: {error}") from error


def _tell(report: Report) -> None:
    out = console()
    since, until = (time.astimezone().strftime(_MINUTE) for time in (report.since, report.until))
    out.print(Text.assemble((report.workflow, "bold"), f"  {since} until {until}"))
    out.print(f"{_count(report.events, 'event')} that could start it")
    if report.present_played:
        events = _count(report.present_played, "event")
        out.print(
            f"{events} came before the present version and had begun no run then: what it would "
            "have done is played"
        )
    if report.not_played:
        runs = _count(report.not_played, "run")
        out.print(f"{runs} started by hand, by a schedule or by a call: not played")
    out.print()
    print_table(
        ["", "would be", "was"],
        [
            ["runs", f"{report.runs_new:,}", f"{report.runs_present:,}"],
            *_beside("  ", report.ends_new, report.ends_present),
            *([["effects", "", ""]] if report.effects_new or report.effects_present else []),
            *_beside("  ", report.effects_new, report.effects_present, report.effects_played),
            *([["emitted", "", ""]] if report.emitted else []),
            *_beside("  ", report.emitted, {}),
            ["steps that succeeded", "", ""],
            *_beside("  ", _succeeded(report.steps_new), _succeeded(report.steps_present)),
        ],
        empty="",
    )
    _tell_differences(out, report)


def _beside(
    indent: str,
    new: Mapping[str, int],
    present: Mapping[str, int],
    played: Mapping[str, int] | None = None,
) -> list[list[str]]:
    marks = {name: f" ({count:,} played)" for name, count in (played or {}).items()}
    return [
        [
            f"{indent}{name}",
            f"{new.get(name, 0):,}",
            f"{present.get(name, 0):,}{marks.get(name, '')}",
        ]
        for name in dict.fromkeys([*new, *present])
    ]


def _succeeded(steps: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {path: states.get("succeeded", 0) for path, states in steps.items()}


def _tell_differences(out: Console, report: Report) -> None:
    out.print()
    same = report.kinds.get(Kind.SAME.value, 0)
    if report.guessed:
        runs = _count(report.guessed, "run")
        out.print(f"{runs} needed answers that nobody gave yet, and went on with nulls")
    for error, count in report.errors.most_common(MOST_ERRORS):
        out.print(Text(f"{count:,}  would fail: {error}", style="red"))
    for kind, title in _TITLES.items():
        examples = [item for item in report.found if item["kind"] == kind]
        count = report.failed_matches if kind == "condition" else report.kinds.get(kind, 0)
        if not count:
            continue
        out.print(Text(f"{count:,}  {title}", style=f"bold {_STYLES[kind]}"))
        for example in examples:
            _tell_example(out, example)
        if len(examples) < count:
            out.print(Text(f"    … {count - len(examples):,} more", style="bright_black"))
    if same:
        out.print(Text(f"{same:,}  the same", style="bold"))


def _tell_example(out: Console, example: Mapping[str, Any]) -> None:
    events = "" if example.get("events", 1) == 1 else f"  {example['events']} events"
    head = f"    {moment(example['received_at'])}  {example['type']}  {example['subject'] or ''}"
    out.print(Text(head + events))
    if "error" in example:
        out.print(Text(f"        {example['error']}", style="red"))
        return
    if example["present"] is None or example["new"] is None:
        story = example["new"] or example["present"]
        if story["error"]:
            out.print(Text(f"        {story['error']}", style="red"))
        for effect in story["effects"]:
            out.print(Text(f"        {effect['action']}  {_given(effect['params'])}"))
        return
    for item in example["differences"]:
        out.print(Text(f"        {_difference(item)}"))


def _difference(item: Mapping[str, Any]) -> str:
    if "step" in item:
        return f"{item['step']}: was {item['present'] or 'not there'}, is {item['new'] or 'gone'}"
    if "parameter" in item:
        was, would = _beside_one_another(item["present"], item["new"])
        return f"{item['effect']}.{item['parameter']}: was {was}, would be {would}"
    sent, words = item["new"], "would be sent"
    if item["new"] is None:
        sent, words = item["present"], "was sent, would not be"
    return f"{item['effect']}: {words}: {sent['action']}  {_given(sent['params'])}"


def _given(params: Mapping[str, Any]) -> str:
    """Give parameters on one line, without those that say nothing."""
    said = {name: value for name, value in params.items() if value not in (None, {}, [])}
    return _short("  ".join(f"{name}={_text_of(value)}" for name, value in said.items()))


def _beside_one_another(was: Any, would: Any) -> tuple[str, str]:
    """Give two values from a little before the first place at which they differ."""
    texts = (_text_of(was), _text_of(would))
    differing = (at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other)
    same = next(differing, min(map(len, texts)))
    start = max(same - _BEFORE, 0) if max(map(len, texts)) > _LONGEST_VALUE else 0
    first, second = (("…" if start else "") + text[start:] for text in texts)
    return _short(first), _short(second)


def _text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
