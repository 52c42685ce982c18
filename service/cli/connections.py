"""`connection list|test`: accounts at vendors, and whether their credentials are good."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click
from rich.progress import Progress

from service.cli.client import ApiClient, remote
from service.cli.output import console, duration, json_option, print_json, print_table, state
from service.cli.showing import limit_option, take_rows

MOST = 1_000
PATIENCE_S = 120.0
"""A vendor may be asked several times, and each answer may take its time."""


@click.group("connection")
def connection_command() -> None:
    """Connections: accounts at vendors."""


@connection_command.command("list", epilog="Example: hookwright connection list")
@limit_option
@json_option
@remote
def connection_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List connections. Credentials are never shown."""
    rows = take_rows(api, "/connections", limit, {}, as_json=as_json)
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "vendor", "address", "from file"],
        [
            [row["name"], row["vendor"], row["base_url"] or "the vendor's own", row["from_file"]]
            for row in rows
        ],
        empty="no connections yet: add one under `connections:` in hookwright.yaml",
    )


@connection_command.command("test", epilog="Example: hookwright connection test github")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Test every connection.")
@json_option
@remote
def connection_test(api: ApiClient, *, name: str | None, every: bool, as_json: bool) -> int:
    """Ask the vendor who we are: are the credentials good, and is the address right?

    The server asks, so that secrets stay there; nothing is changed at the vendor. Gives 1 when a
    connection does not work.
    """
    if every == (name is not None):
        raise click.UsageError("give the NAME of a connection, or --all")
    names = [name] if name else [row["name"] for row in api.rows("/connections", MOST, {})]
    answers = []
    with Progress(
        console=console(), disable=as_json or len(names) == 1, transient=True
    ) as progress:
        for one in progress.track(names, description="asking"):
            path = f"/connections/{quote(str(one), safe='')}/test"
            answers.append(api.post(path, timeout_s=PATIENCE_S))
    if as_json:
        print_json(answers if every else answers[0])
    elif not answers:
        console().print("no connections yet", style="bright_black")
    else:
        for answer in answers:
            _tell(answer)
    return 0 if all(answer["ok"] for answer in answers) else 1


def _tell(answer: dict[str, Any]) -> None:
    line = state("ok" if answer["ok"] else "failed")
    said = answer["who"] if answer["ok"] else answer["error"]["message"]
    line.append(f"  {answer['connection']}", "bold")
    line.append(f" ({answer['vendor']}, {duration(answer['took_ms'] / 1000)})  {said}", "default")
    console().print(line)
    if not answer["ok"] and answer["error"]["hint"]:
        console().print(f"        {answer['error']['hint']}", markup=False)
