"""`run approve`, `settle`, `cancel` and `retry`: what people decide on a run, over the API."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click

from service.cli.bulk_asking import (
    as_filter,
    in_bulk,
    no_wait_option,
    rate_option,
    yes_option,
)
from service.cli.client import ApiClient, find_id, remote
from service.cli.moments import since_option, until_option
from service.cli.output import json_option, print_json
from service.cli.showing import run_command

__all__ = ["run_command"]

_FOUND = {
    "took_effect": "took effect",
    "not_made": "was not made, and is tried again",
    "look_up": "is looked up once more",
}
_FOUND_TOO_LATE = {
    "took_effect": "took effect",
    "not_made": "was not made, and is not tried again unless the run is retried",
}


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object written on the command line."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Give the object; anything else is a wrong use."""
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"this is no JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail('write it as an object: {"name": value}', param, ctx)
        return found


def _of_what_took_effect(
    context: click.Context, parameter: click.Parameter, output: dict[str, Any] | None
) -> dict[str, Any] | None:
    # Each of the three flags may be missing, so that click cannot ask for one of them by itself.
    said = [name for name in _FOUND if context.params.get(name)]
    if len(said) != 1:
        message = "say one of --took-effect, --not-made and --look-up"
        raise click.UsageError(message, context)
    if output is not None and said != ["took_effect"]:
        message = "only what took effect has an output"
        raise click.BadParameter(message, context, parameter)
    return output


@run_command.command(
    "settle",
    short_help="Say whether a step in doubt took effect.",
    epilog="Example: hookwright run settle 0197c9bb heal --took-effect "
    '--output \'{"batch_id": "b-17"}\'',
)
@click.argument("run_id", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.option(
    "--took-effect",
    is_flag=True,
    is_eager=True,
    help="You saw it at the other side: the step has succeeded.",
)
@click.option(
    "--not-made",
    is_flag=True,
    is_eager=True,
    help="You are sure that it is not there: it is tried again.",
)
@click.option(
    "--look-up",
    is_flag=True,
    is_eager=True,
    help="Let Hookwright look once more, for instance with credentials that are valid again.",
)
@click.option(
    "--output",
    metavar="JSON",
    type=JsonObject(),
    callback=_of_what_took_effect,
    help="What later steps read of what took effect (default: nulls).",
)
@json_option
@remote
def run_settle(
    api: ApiClient,
    *,
    run_id: str,
    step: str,
    output: dict[str, Any] | None,
    as_json: bool,
    **said: bool,
) -> None:
    """Say whether a step in doubt took effect; its run goes on, unless it has ended.

    Look at the other side first. Whoever settles first has settled. The beginning of RUN is enough;
    `hookwright effect list --state in_doubt` lists what waits.
    """
    ident = find_id(api, "run", run_id)
    path = f"/runs/{ident}/steps/{quote(step, safe='')}"
    (found,) = (name for name, is_said in said.items() if is_said)
    if found == "look_up":
        told = api.post(f"{path}/look-up")
    else:
        known = {"took_effect": found == "took_effect", "output": output}
        told = api.post(f"{path}/settle", known)
    if as_json:
        print_json(told)
        return
    if told["ended_at"] is not None:
        click.echo(f"{step} {_FOUND_TOO_LATE[found]}; the run stays as it ended: {told['status']}")
        return
    click.echo(f"{step} {_FOUND[found]}; `hookwright run show {ident}` says how the run goes on")


@run_command.command(
    "cancel",
    short_help="Let a run end before its next step.",
    epilog="Example: hookwright run cancel 0197c9bb",
)
@click.argument("run_id", metavar="RUN")
@json_option
@remote
def run_cancel(api: ApiClient, *, run_id: str, as_json: bool) -> None:
    """Let a run end before its next step, with its branches and what it called.

    A call that is under way is finished. What was done is not undone, unless the steps of the
    workflow's `on_cancel` do so. The beginning of RUN is enough.
    """
    found = find_id(api, "run", run_id)
    told = api.post(f"/runs/{found}/cancel")
    if as_json:
        print_json(told)
        return
    ending = f"the run {found} will end before its next step"
    click.echo(ending if told["ended_at"] is None else f"{found} has ended")


@run_command.command(
    "approve",
    epilog='Example: hookwright run approve 0197c9bb go --reject --note "not on a Friday"',
)
@click.argument("run_id", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.option("--reject", is_flag=True, help="Reject what it asks, instead of approving it.")
@click.option("--note", metavar="TEXT", help="What is kept beside your decision.")
@json_option
@remote
def run_approve(
    api: ApiClient, *, run_id: str, step: str, reject: bool, note: str | None, as_json: bool
) -> None:
    """Approve, or reject, what a step asks; its run goes on.

    STEP may stand in a branch: 'each[3].go'. Who decides first has decided. The beginning of RUN is
    enough; `hookwright run list --waiting-for approval` lists what waits.
    """
    found = find_id(api, "run", run_id)
    told = api.post(
        f"/runs/{found}/steps/{quote(step, safe='')}/decision",
        {"decision": "reject" if reject else "approve", "note": note},
    )
    if as_json:
        print_json(told)
        return
    word = "rejected" if reject else "approved"
    click.echo(f"{step} {word}; `hookwright run show {found}` says how the run goes on")


@run_command.command(
    "retry",
    short_help="Let one, or many, that ended badly go on.",
    epilog="Example: hookwright run retry --status failed --workflow heal-failed-run --since 24h",
)
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["failed", "cancelled"]),
    help="Without a RUN: all in this state (may be given twice).",
)
@click.option("--workflow", metavar="NAME", help="Only of this workflow.")
@since_option
@until_option
@rate_option
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@yes_option
@no_wait_option
@json_option
@remote
def run_retry(
    api: ApiClient,
    *,
    run_id: str | None,
    statuses: tuple[str, ...],
    workflow: str | None,
    since: datetime | None,
    until: datetime | None,
    rate: float,
    dry_run: bool,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Let runs that failed or were cancelled go on from the step at which they ended.

    What succeeded is kept; of the branches of a step only those that did not succeed begin again.
    With a RUN (its beginning is enough) that one; else all that are in a state, in the background.
    """
    wanted = {"workflow": workflow, "since": since, "until": until}
    if run_id is None:
        if not statuses:
            message = "give a RUN, or say which: --status failed"
            raise click.UsageError(message)
        return in_bulk(
            api,
            "/runs/retry",
            {"filter": as_filter(wanted) | {"status": list(statuses)}, "per_second": rate},
            things=("run", "runs"),
            question="",
            dry_run=dry_run,
            yes=yes,
            wait=not no_wait,
            as_json=as_json,
        )
    if statuses or dry_run or any(wanted.values()):
        message = "give either a RUN or a filter"
        raise click.UsageError(message)
    found = find_id(api, "run", run_id)
    told = api.post(f"/runs/{found}/retry")
    if as_json:
        print_json(told)
    else:
        click.echo(f"the run goes on; `hookwright run show {found}` says how")
    return 0
