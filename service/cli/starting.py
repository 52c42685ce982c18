"""`workflow start`, `workflow enable` and `workflow disable`, over the API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from service.cli.client import ApiClient, find_id, remote
from service.cli.output import console, json_option, print_json, terminal_width
from service.cli.timeline import render_run

ASK_EVERY_S = 0.5

Row = dict[str, Any]


class Given(click.ParamType[tuple[str, Any]]):
    """One input on the command line, as `name=value`."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Give the name and the value: JSON where it is some, else the text as it is."""
        name, sign, text = str(value).partition("=")
        if not sign or not name.strip():
            self.fail("write it as name=value", param, ctx)
        try:
            return name.strip(), json.loads(text)
        except ValueError:
            return name.strip(), text


def _alone(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Refuse inputs beside an event, whichever of them was written first."""
    other = "event" if parameter.name == "inputs" else "inputs"
    if value and context.params.get(other):
        message = "give either --input or --event"
        raise click.UsageError(message, context)
    return value


@click.command(
    "start",
    short_help="Start one by hand, with inputs or for an event.",
    epilog="Example: hookwright workflow start nightly --input suite=smoke --follow",
)
@click.argument("name")
@click.option(
    "--input",
    "inputs",
    metavar="NAME=VALUE",
    type=Given(),
    multiple=True,
    callback=_alone,
    help="An input that its `manual` trigger takes. JSON where it is some, else a text.",
)
@click.option(
    "--event",
    metavar="ID",
    callback=_alone,
    help="Start it anew for this stored event instead.",
)
@click.option("--follow", is_flag=True, help="Wait for its end and show it; 1 unless it succeeded.")
@json_option
@remote
def workflow_start(
    api: ApiClient,
    *,
    name: str,
    inputs: tuple[tuple[str, Any], ...],
    event: str | None,
    follow: bool,
    as_json: bool,
) -> int:
    """Start a workflow by hand: with inputs, or for an event that was stored.

    For an event every workflow can be started, whatever its conditions say. The beginning of an ID
    is enough.
    """
    body: Row = {"inputs": dict(inputs)}
    if event is not None:
        body = {"event": find_id(api, "event", event)}
    run = api.post(f"/workflows/{quote(name, safe='')}/runs", body)
    if follow:
        run = _ended(api, run["id"])
    if as_json:
        print_json(run)
    elif follow:
        console().print(render_run(run, width=terminal_width()))
    else:
        click.echo(f"started; watch it: hookwright run show {run['id']}")
    return 1 if follow and run["status"] != "succeeded" else 0


def _ended(api: ApiClient, run_id: str, *, sleep: Callable[[float], None] = time.sleep) -> Row:
    while True:
        run: Row = api.get(f"/runs/{run_id}")
        if run["ended_at"] is not None:
            return run
        sleep(ASK_EVERY_S)


@click.command("enable", epilog="Example: hookwright workflow enable nightly")
@click.argument("name")
@json_option
@remote
def workflow_enable(api: ApiClient, *, name: str, as_json: bool) -> None:
    """Let a workflow start runs again."""
    _switch(api, name, "enable", "starts runs again", as_json=as_json)


@click.command("disable", epilog="Example: hookwright workflow disable nightly")
@click.argument("name")
@json_option
@remote
def workflow_disable(api: ApiClient, *, name: str, as_json: bool) -> None:
    """Let a workflow start no runs any more.

    Those it has go on. It stays so when the configuration is applied again.
    """
    _switch(api, name, "disable", "starts no runs any more; those it has go on", as_json=as_json)


def _switch(api: ApiClient, name: str, word: str, told: str, *, as_json: bool) -> None:
    found = api.post(f"/workflows/{quote(name, safe='')}/{word}")
    if as_json:
        print_json(found)
    else:
        click.echo(f"{name} {told}")
