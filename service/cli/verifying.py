"""`verify`: is everything that was sealed still there, as it was?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime

import click
from rich.text import Text

from service.cli.moments import MOMENT
from service.cli.output import console, json_option, print_json, print_table
from service.cli.progress import bar
from service.db import Database
from service.errors import ConfigurationError
from service.evidence import verify
from service.evidence_report import Finding, Question, Summary
from service.leaves import COVERED
from service.seal_head import Head, parse_head, read_head
from service.settings import load_settings
from service.store import revision
from service.store import seals as store
from service.unit_of_work import reading

_KEY_BYTES = 32
_SECOND = "%Y-%m-%d %H:%M:%S"


@click.command(
    "verify",
    short_help="Find out whether a stored row was altered, removed or added.",
    epilog="Example: hookwright verify --expect 214:9f86d081…",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice([table.name for table in COVERED]),
    help="Only these rows (default: all that are sealed). May be repeated.",
)
@click.option(
    "--since", metavar="DURATION|TIME", type=MOMENT, help="Only rows from then on, such as 24h."
)
@click.option(
    "--expect",
    multiple=True,
    metavar="NUMBER:DIGEST",
    help="A seal that must be there, as an earlier `verify` has told it. May be repeated.",
)
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    metavar="HEX",
    help="The key that the chain of seals must begin with, as --show-key tells it.",
)
@click.option("--show-key", is_flag=True, help="Only show the public keys, and verify nothing.")
@json_option
def verify_command(
    *,
    tables: tuple[str, ...],
    since: datetime | None,
    expect: tuple[str, ...],
    public_keys: tuple[str, ...],
    show_key: bool,
    as_json: bool,
) -> int:
    """Find out whether a sealed delivery or audit event was altered, removed or added.

    Every seal is checked, and every row beside what its seal has recorded. It reads the
    installation's database (HOOKWRIGHT_DATABASE_URL), changes nothing, and may run beside the
    server. The exit code is 1 when anything is wrong.
    """
    question = Question(
        tables=[table for table in COVERED if not tables or table.name in tables],
        since=since,
        public_keys=[_public_key(text) for text in public_keys],
        expected=[*map(_head, expect), *_seen_here()],
    )
    with _opened() as database:
        if show_key:
            _show_keys(database, as_json=as_json)
            return 0
        summary = Summary()
        with bar("verifying", "rows", shown=not as_json) as progress:
            findings = verify(database, question, summary, progress)
            if as_json:
                _print_as_json(findings, summary)
            else:
                for finding in findings:
                    console().print(_line(finding))
    if not as_json:
        _tell(summary)
    return 0 if summary.good else 1


@contextmanager
def _opened() -> Iterator[Database]:
    database = Database(load_settings().effective_database_url)
    try:
        if database.is_missing:
            raise ConfigurationError(
                f"{database.name} is not there",
                hint="is HOOKWRIGHT_DATA_DIR (or HOOKWRIGHT_DATABASE_URL) that of the server? "
                "`hookwright up` or `hookwright migrate` makes it",
            )
        if not revision.is_current(database):
            raise ConfigurationError(
                f"{database.name} has no tables of this release",
                hint="HOOKWRIGHT_DATABASE_URL names it; `hookwright migrate` makes them",
            )
        yield database
    finally:
        database.dispose()


def _seen_here() -> list[Head]:
    head = read_head(load_settings().data_dir)
    return [] if head is None else [head]


def _head(text: str) -> Head:
    try:
        return parse_head(text)
    except ValueError as error:
        message = f"{text!r} is no seal: {error}; `hookwright verify` tells the newest one"
        raise click.BadParameter(message, param_hint="--expect") from error


def _public_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        message = (
            f"{text!r} is no public key, which has {2 * _KEY_BYTES} hexadecimal digits; "
            "`hookwright verify --show-key` shows it"
        )
        raise click.BadParameter(message, param_hint="--public-key")
    return key


def _show_keys(database: Database, *, as_json: bool) -> None:
    with reading(database) as session:
        keys = [
            {
                "public": row.public.hex(),
                "id": row.id,
                "since": row.created_at.isoformat(),
                "until": row.retired_at.isoformat() if row.retired_at else None,
            }
            for row in store.every_key(session)
        ]
    if as_json:
        print_json(keys)
        return
    rows = [[key["public"], key["since"], key["until"]] for key in keys]
    print_table(["public key", "since", "until"], rows, empty="nothing was sealed yet")


def _print_as_json(findings: Iterable[Finding], summary: Summary) -> None:
    """Print one document, finding by finding: there may be more of them than memory."""
    click.echo('{"findings": [', nl=False)
    for number, finding in enumerate(findings):
        click.echo("," if number else "", nl=False)
        click.echo("\n  " + json.dumps(asdict(finding), default=str), nl=False)
    rest = {
        "good": summary.good,
        "counts": summary.findings,
        "tables": {name: asdict(counted) for name, counted in summary.tables.items()},
        "seals": summary.seals,
        "newest_seal": None if summary.head is None else str(summary.head),
        "sealed_until": summary.sealed_until,
        "key_ids": summary.key_ids,
        "notes": summary.notes,
    }
    click.echo("],\n" + json.dumps(rest, indent=2, default=str).removeprefix("{").lstrip("\n"))


def _line(finding: Finding) -> Text:
    words = Text(f"{finding.what.value:<8} ", style="red")
    if finding.table is not None:
        words.append(f"{finding.table} {finding.id}", style="bold")
        when = "" if finding.time is None else f" of {_clock(finding.time)}"
        whose = "" if finding.source is None else f" from {finding.source}"
        words.append(f"{whose}{when}: ", style="default")
    return words.append(finding.detail, style="default")


def _tell(summary: Summary) -> None:
    out = console()
    for name, counted in summary.tables.items():
        parts = [f"{counted.sealed:,} as they were sealed", f"{counted.unsealed:,} not sealed yet"]
        if counted.removed:
            parts.append(f"{counted.removed:,} removed by retention")
        if counted.late:
            parts.append(f"{counted.late:,} sealed later than others of their time")
        out.print(Text(f"{name}: ", style="bold").append(", ".join(parts), style="not bold"))
    for note in summary.notes:
        out.print(Text(f"note: {note}", style="yellow"))
    if summary.head is None:
        out.print("nothing was sealed yet")
    else:
        out.print(f"seals: {summary.seals:,}, the newest is")
        out.print(f"  {summary.head}", soft_wrap=True)
        out.print("Keep it elsewhere: whoever gives it to --expect later misses what is cut off.")
    if summary.good:
        out.print("nothing is wrong", style="green")
    else:
        counts = ", ".join(f"{count:,} {what}" for what, count in summary.findings.items())
        out.print(f"wrong: {counts}", style="red")


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime(_SECOND)
