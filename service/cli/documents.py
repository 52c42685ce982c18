"""`workflow lint|graph|schema`: about documents as files, without a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from service.cli.output import json_option, print_json
from service.published_schemas import NAMES, WORKFLOW, published_schema, schema_text
from service.settings import load_settings
from service.workflow_files import CheckedFiles, check_configured, check_files
from service.workflows.findings import DocumentError, Finding
from service.workflows.triggering import Link, links_of

_LONGEST_LINE = 160
_documents = click.argument(
    "documents", metavar="[FILE|FOLDER]...", nargs=-1, type=click.Path(path_type=Path)
)


@click.command(
    "lint",
    short_help="Check documents and show all that is wrong.",
    epilog="Example: hookwright workflow lint workflows",
)
@_documents
@json_option
def workflow_lint(*, documents: tuple[Path, ...], as_json: bool) -> int:
    """Check workflow documents and show everything that is wrong with them.

    Without files, those of the configuration.
    """
    checked = _checked(documents)
    findings = sorted(set(checked.findings))
    if as_json:
        names = ("file", "line", "column", "message", "hint")
        print_json([{name: getattr(finding, name) for name in names} for finding in findings])
    elif findings:
        texts: dict[str, list[str]] = {}
        for finding in findings:
            _show(finding, texts)
        many = "1 fault" if len(findings) == 1 else f"{len(findings)} faults"
        click.echo(f"{many} in {len({finding.file for finding in findings})} of {checked.count}")
    else:
        click.echo(f"{checked.count} checked, nothing to say")
    if checked.unchecked_calls and not as_json:
        called = ", ".join(f"`{name}`" for name in checked.unchecked_calls)
        click.echo(
            f"calls to {called} were not checked; "
            "`hookwright workflow lint` without a file checks them"
        )
    return 1 if findings else 0


@click.command(
    "graph",
    short_help="Show what starts each workflow.",
    epilog="Example: hookwright workflow graph --as mermaid",
)
@_documents
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "mermaid"]),
    default="text",
    help="As lines for people, or as a diagram that GitHub draws.",
)
@json_option
def workflow_graph(*, documents: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Show what starts each workflow, and which workflows start one another.

    Without files, those of the configuration.
    """
    checked = _checked(documents)
    if checked.findings:
        raise DocumentError(checked.findings)
    members = sorted(checked.members, key=lambda member: member.document.name)
    links = links_of([member.document for member in members])
    started = {
        member.document.name: [_trigger(trigger) for trigger in member.document.triggers]
        for member in members
    }
    if as_json:
        rows = [
            {"from": item.source, "to": item.target, "step": item.step, "event": item.event}
            for item in links
        ]
        print_json({"workflows": [{"name": k, "on": v} for k, v in started.items()], "links": rows})
    elif form == "mermaid":
        click.echo("\n".join(_mermaid(started, links)))
    else:
        click.echo("\n".join(_lines(started, links)) or "no workflows")


@click.command(
    "schema",
    short_help="Give the JSON Schema for editors.",
    epilog="Example: hookwright workflow schema --out workflow.schema.json",
)
@click.option("--of", "name", type=click.Choice(NAMES), default=WORKFLOW, help="Of which file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
def workflow_schema(*, name: str, out: Path | None) -> None:
    """Give the JSON Schema with which editors complete and underline documents."""
    if out is None:
        click.echo(json.dumps(published_schema(name), indent=2, ensure_ascii=False))
        return
    try:
        out.write_text(schema_text(name), encoding="utf-8")
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror or error}"
        raise click.ClickException(message) from error
    click.echo(f"wrote {out}")


def _checked(documents: Sequence[Path]) -> CheckedFiles:
    return check_files(documents) if documents else check_configured(load_settings().config)


def _show(finding: Finding, texts: dict[str, list[str]]) -> None:
    """Print a fault with the line it is in, and a mark below the place."""
    click.echo(f"{finding.file}:{finding.line}:{finding.column}: {finding.message}")
    if finding.file not in texts:
        try:
            texts[finding.file] = Path(finding.file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            texts[finding.file] = []
    lines = texts[finding.file]
    if 0 < finding.line <= len(lines):
        # Tabs and other marks would move the caret away from its place.
        line = "".join(char if char.isprintable() else " " for char in lines[finding.line - 1])
        begin = max(finding.column - _LONGEST_LINE // 2, 0) if len(line) > _LONGEST_LINE else 0
        number = str(finding.line)
        click.echo(f"  {number} | {line[begin : begin + _LONGEST_LINE]}")
        click.echo(f"  {' ' * len(number)} | {' ' * (finding.column - 1 - begin)}^")
    if finding.hint:
        click.echo(f"  hint: {finding.hint}")
    click.echo()


def _trigger(trigger: object) -> str:
    event, cron = getattr(trigger, "event", None), getattr(trigger, "cron", None)
    if cron is not None:
        return f"cron {cron} ({getattr(trigger, 'timezone', 'UTC')})"
    if event is None:
        return "by hand or a call"
    origin = [
        f"{name} {value}"
        for name in ("vendor", "source")
        if (value := getattr(trigger, name, None)) is not None
    ]
    return f"{event} of {', '.join(origin)}" if origin else str(event)


def _lines(started: dict[str, list[str]], links: list[Link]) -> list[str]:
    lines: list[str] = []
    for name, triggers in started.items():
        lines.append(name)
        lines.extend(f"  on {trigger}" for trigger in triggers)
        for link in links:
            if link.source == name:
                how = "calls" if link.event is None else f"makes {link.event}, which starts"
                lines.append(f"  step {link.step} {how} {link.target}")
    return lines


def _mermaid(started: dict[str, list[str]], links: list[Link]) -> list[str]:
    numbers = {name: f"w{at}" for at, name in enumerate(started)}
    lines = ["flowchart LR"]
    for name, triggers in started.items():
        lines.append(f'  {numbers[name]}["{name}"]')
        for at, trigger in enumerate(triggers):
            shown = trigger.replace('"', "'")
            lines.append(f'  {numbers[name]}_{at}(["{shown}"]) --> {numbers[name]}')
    for link in links:
        shown = "calls" if link.event is None else link.event
        lines.append(f'  {numbers[link.source]} -- "{shown}" --> {numbers[link.target]}')
    return lines
