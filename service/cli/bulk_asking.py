"""Asking for something to be done to everything that a filter finds, over the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import click

from service.cli.bulk import follow_bulk, print_bulk
from service.cli.client import ApiClient
from service.cli.output import console, duration, print_json

TIMEOUT_S = 120.0
"""To count what a filter finds among millions takes its time."""

Row = dict[str, Any]

rate_option = click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(0, 100, min_open=True),
    default=10.0,
    show_default=True,
    help="How many a second at most.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Only begin; `bulk show` follows it.")


def as_filter(wanted: Mapping[str, str | datetime | None]) -> Row:
    """Give what was given of a filter, as the API takes it."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in wanted.items()
        if value is not None
    }


def confirm(question: str) -> None:
    """Ask at a terminal; elsewhere nobody can answer, so that it has to be said before."""
    if not console().is_terminal:
        message = f"{question.removesuffix(' Go on?')} Say --yes when that is meant."
        raise click.UsageError(message)
    click.confirm(question, abort=True)


def in_bulk(
    api: ApiClient,
    path: str,
    asked: Row,
    *,
    things: tuple[str, str],
    question: str,
    dry_run: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Count what a filter finds, ask whether it is meant, begin, and follow it to its end.

    `things`: what they are called, one and many. `question` is what else is to be known before.
    """
    count: int = api.post(path, asked | {"dry_run": True}, timeout_s=TIMEOUT_S)["total"]
    counted = f"{count:,} {things[0] if count == 1 else things[1]}"
    if dry_run or not count:
        if as_json:
            print_json({"dry_run": True, "total": count})
        else:
            click.echo(f"{counted} would be taken" if count else f"there are no such {things[1]}")
        return 0
    takes = duration(count / asked["per_second"])
    if not yes and (question or console().is_terminal):
        confirm(f"{counted}, in some {takes}. {question}Go on?")
    job = api.post(path, asked, key=str(uuid4()), timeout_s=TIMEOUT_S)
    if wait:
        job = follow_bulk(api, job, quiet=as_json)
    if as_json:
        print_json(job)
    elif wait:
        print_bulk(job)
    else:
        click.echo(f"begun; follow it: hookwright bulk show {job['id']} --follow")
    return 1 if wait and job["state"] != "succeeded" else 0
