"""`workflow list|lint`: what is applied, and whether documents are right."""

from __future__ import annotations

from pathlib import Path

import click

from service.catalogue import build_catalogue
from service.cli.client import ApiClient, remote
from service.cli.output import json_option, moment, print_json, print_table
from service.errors import Invalid
from service.template_files import TemplateFiles
from service.workflows.document import parse_document
from service.workflows.findings import DocumentError, Finding


class UnreadableError(Invalid):
    """The file cannot be read."""


@click.group("workflow")
def workflow_command() -> None:
    """Workflows: list and check them."""


@workflow_command.command("list", epilog="Example: hookwright workflow list")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=100, help="How many at most.")
@json_option
@remote
def workflow_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List workflows with their current versions."""
    rows = list(api.rows("/workflows", limit, {}))
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "version", "enabled", "changed", "description"],
        [
            [row[name] for name in ("name", "version", "enabled")]
            + [moment(row["updated_at"]), row["description"]]
            for row in rows
        ],
        empty="no workflows yet",
    )


@workflow_command.command("lint", epilog="Example: hookwright workflow lint workflows/*.yaml")
@click.argument("documents", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def workflow_lint(*, documents: tuple[Path, ...], as_json: bool) -> int:
    """Check workflow documents and show everything that is wrong with them."""
    catalogue = build_catalogue()
    findings: list[Finding] = []
    for path in documents:
        try:
            parse_document(
                _text(path),
                filename=str(path),
                catalogue=catalogue,
                read_template=TemplateFiles(path, path.parent).read,
            )
        except DocumentError as error:
            findings.extend(error.findings)
        except UnreadableError as error:
            findings.append(Finding(str(path), 1, 1, error.message))
    if as_json:
        names = ("file", "line", "column", "message", "hint")
        print_json([{name: getattr(finding, name) for name in names} for finding in findings])
    elif findings:
        for finding in findings:
            click.echo(str(finding))
    else:
        click.echo(f"{len(documents)} checked, nothing to say")
    return 1 if findings else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UnreadableError(f"the file cannot be read: {cause}") from error
