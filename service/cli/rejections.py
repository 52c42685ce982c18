"""`rejection list|show` and `delivery reverify`: what was refused, and having it after all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.cli.client import SEARCHED, ApiClient, find_id, find_one, remote
from service.cli.deliveries import delivery_command
from service.cli.moments import since_option, until_option
from service.cli.output import (
    console,
    json_option,
    moment,
    print_fields,
    print_json,
    print_table,
)
from service.cli.showing import limit_option, list_rows, newest_id
from service.errors import NotFound
from service.workflows.findings import did_you_mean

__all__ = ["delivery_command", "rejection_command"]

TIMEOUT_S = 120.0
"""A portion of large bodies on a slow disk takes its time."""
MOST_SHOWN = 20
MOST_CHARS = 4_000
"""Of a body, at a terminal."""
Row = dict[str, Any]


@click.group("rejection")
def rejection_command() -> None:
    """Rejections: requests that were refused, and why."""


@rejection_command.command("list", epilog="Example: hookwright rejection list --source vibeview")
@click.option("--source", help="Only what was sent to this name, whether it is a source or not.")
@click.option("--reason", help="Only what was refused for this: signature_mismatch, stale, …")
@click.option("--cause", help="Only what was found to have this cause: wrong_secret, clock, …")
@since_option
@until_option
@limit_option
@json_option
@remote
def rejection_list(api: ApiClient, *, limit: int, as_json: bool, **filters: Any) -> None:
    """List refused requests, newest first."""
    _check_filters(api, None, filters["reason"])
    rows = list_rows(
        api,
        "/rejections",
        limit,
        ["id", "source", "received", "times", "reason", "cause", "became"],
        lambda row: [
            row["id"],
            _name(row),
            moment(row["received_at"]),
            row["count"],
            row["reason"],
            row["cause"] or "-",
            _became(row),
        ],
        as_json=as_json,
        **filters,
    )
    hint = hint_of(rows)
    if hint is not None and not as_json:
        click.echo(hint, err=True)


def hint_of(rows: Sequence[Row]) -> str | None:
    """Give how causes are found that nobody has looked for yet; None when all are known."""
    if all(row["cause"] for row in rows):
        return None
    return "hint: where the cause is `-`, `hookwright rejection show ID` finds it out"


@rejection_command.command(
    "show",
    short_help="Show what was refused, why, and what to do.",
    epilog="Example: hookwright rejection show 0197c9bb-…",
)
@click.argument("rejection_id", metavar="[ID]", required=False)
@json_option
@remote
def rejection_show(api: ApiClient, *, rejection_id: str | None, as_json: bool) -> None:
    """Show a refused request: the true reason, and what to do.

    Without an ID, the newest one. The beginning of an ID is enough when it fits one alone.
    """
    if rejection_id is None:
        rejection_id = newest_id(api, "rejection", "/rejections")
    found = find_one(api, "rejection", rejection_id)
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["id"],
            "source": found["source"] if found["address"] is None else f"no source: {_name(found)}",
            "received": f"{moment(found['received_at'])} from {found['remote'] or 'nowhere'}",
            "times": found["count"],
            "reason": f"{found['reason']}: {found['detail']}",
            "cause": found["cause"] or "not known",
            "kept": "whole" if found["complete"] else "in parts; it cannot be verified again",
            "became": _became(found),
        }
    )
    out = console()
    if found["diagnosis"]:
        out.print(f"\n{found['diagnosis']}", markup=False)
    out.print("\n[bold]headers[/]")
    for name, value in found["headers"]:
        out.print(f"  {_harmless(name)}: {_harmless(value)}", markup=False)
    out.print(f"\n[bold]body[/] ({found['body_bytes']} bytes, {found['body']['encoding']})")
    content = found["body"]["content"]
    out.print(_harmless(content[:MOST_CHARS]), markup=False)
    if len(content) > MOST_CHARS:
        out.print(f"… {len(content) - MOST_CHARS} more characters, see --json")


def _check_filters(api: ApiClient, source: object, reason: object) -> None:
    """Refuse a source that there is not, and a reason for which nothing is kept.

    What was sent to a name that is no source counts for it. Raises NotFound.
    """
    if source and not any(api.rows("/rejections", 1, {"source": source})):
        names = [row["name"] for row in api.rows("/sources", SEARCHED, {})]
        if source not in names:
            hint = did_you_mean(str(source), names) or "`hookwright source list` shows them"
            raise NotFound(f"there is no source `{source}`", hint=hint)
    if reason and not any(api.rows("/rejections", 1, {"reason": reason})):
        known = sorted({row["reason"] for row in api.rows("/rejections", SEARCHED, {})})
        raise NotFound(
            f"nothing that is kept was refused for the reason `{reason}`",
            hint=f"reasons there are: {', '.join(known)}" if known else None,
        )


def _harmless(text: str) -> str:
    """Strike out what would command the terminal: anybody may have sent it."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def _name(row: Row) -> str:
    return str(row["source"] if row["address"] is None else row["address"])


def _became(row: Row) -> str:
    if row["delivery_id"] is None:
        return "-"
    return f"delivery {row['delivery_id']}"


# --- verifying again --------------------------------------------------------------------------


@delivery_command.command(
    "reverify",
    short_help="Verify refused requests again, and have what is authentic.",
    epilog="Example: hookwright delivery reverify --source vibeview --since 24h",
)
@click.option("--source", metavar="NAME", help="Only what was sent to this source.")
@click.option("--reason", metavar="WORD", help="Only what was refused for this.")
@since_option
@until_option
@click.option("--id", "ids", metavar="ID", multiple=True, help="Only this refused request.")
@click.option(
    "--as",
    "as_source",
    metavar="SOURCE",
    help="Verify them as deliveries of this source, whatever name they were sent to.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be accepted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@remote
def delivery_reverify(
    api: ApiClient,
    *,
    ids: tuple[str, ...],
    as_source: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **filters: str | datetime | None,
) -> int:
    """Verify refused requests again once their source is corrected.

    They are judged by the secrets of today and by the time at which they came. What proves
    authentic is stored as received then, and starts its workflows, once; what the vendor sent again
    meanwhile is a duplicate. The rest stays refused. Safe to repeat. Gives 1 when something that
    was asked for by --id was not accepted.
    """
    _check_filters(api, filters["source"], filters["reason"])
    asked: Row = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in filters.items()
    }
    asked |= {"as": as_source, "ids": [find_id(api, "rejection", one) for one in ids] or None}
    if not dry_run and not yes and not as_json and console().is_terminal:
        foreseen = _collect(_answers(api, asked | {"dry_run": True}, quiet=as_json))
        _tell(foreseen, dry_run=True)
        if not foreseen["accepted"] + foreseen["duplicates"]:
            return 1 if ids else 0
        click.confirm("Accept them?", abort=True)
    found = _collect(_answers(api, asked | {"dry_run": dry_run}, quiet=as_json))
    if as_json:
        print_json(found)
    else:
        _tell(found, dry_run=dry_run)
    good = {"accepted", "duplicate", "already"}
    return 1 if ids and any(row["outcome"] not in good for row in found["results"]) else 0


def _answers(api: ApiClient, asked: Row, *, quiet: bool) -> Iterator[Row]:
    """Give the answers of all portions."""
    cursor: str | None = None
    looked_at = 0
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console(),
        disable=quiet or not console().is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task("verifying", total=None)
        while True:
            answer = api.post(
                "/rejections/reverify", asked | {"cursor": cursor}, timeout_s=TIMEOUT_S
            )
            yield answer
            looked_at += len(answer["results"])
            progress.update(task, description=f"{looked_at} verified")
            cursor = answer["next_cursor"]
            if cursor is None:
                return


_COUNTED = ("accepted", "duplicates", "incomplete", "no_source", "handshakes", "already")


def _collect(answers: Iterator[Row]) -> Row:
    """Add the portions up."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    results: list[Row] = []
    for answer in answers:
        counts.update({name: answer[name] for name in _COUNTED})
        reasons.update(answer["not_authentic"])
        results += answer["results"]
    return {
        **{name: counts[name] for name in _COUNTED},
        "not_authentic": dict(reasons),
        "results": results,
    }


_NAMED = {
    "accepted": "accepted",
    "duplicates": "duplicates: they came again meanwhile",
    "already": "accepted before",
    "incomplete": "not kept whole, so that nothing can be proven",
    "no_source": "sent to a name that is no source; --as SOURCE says which one is meant",
    "handshakes": "handshakes, which are asked again by whoever wants one",
}


def _tell(found: Row, *, dry_run: bool) -> None:
    lines: list[tuple[int, str]] = [
        (found[name], words) for name, words in _NAMED.items() if found[name]
    ]
    lines += [
        (many, f"still not authentic: {reason}") for reason, many in found["not_authentic"].items()
    ]
    out = console()
    if not lines:
        out.print("nothing was refused that fits this and was not accepted yet")
        return
    if dry_run:
        out.print("[bold]It would be[/]")
    width = max(len(str(many)) for many, _ in lines)
    for many, words in lines:
        out.print(f"  {many:>{width}}  {words}", markup=False)
    accepted = [row for row in found["results"] if row["outcome"] == "accepted"]
    if accepted and not dry_run:
        out.print()
        print_table(
            ["source", "rejection", "delivery"],
            [
                [row["source"], row["rejection_id"], row["delivery_id"]]
                for row in accepted[:MOST_SHOWN]
            ],
            empty="",
        )
        if len(accepted) > MOST_SHOWN:
            out.print(f"and {len(accepted) - MOST_SHOWN} more; --json has all")
    if found["not_authentic"]:
        out.print("\n`hookwright rejection list` and `rejection show ID` say why", markup=False)
