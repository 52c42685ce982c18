"""`source list|show|identify`: receiving addresses, and how to connect a sender to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.text import Text

from schemas.clock import utc_now
from schemas.config import ReconcileConfig, SecretReference
from service.captured import MAX_FILE_BYTES, read_captured
from service.cli.client import ApiClient, find_id, perhaps_remote, remote
from service.cli.guides import print_guide, print_paragraph
from service.cli.output import (
    console,
    duration,
    json_option,
    moment,
    print_fields,
    print_json,
    print_table,
    state,
)
from service.cli.secret_places import with_own_places
from service.cli.showing import limit_option, take_rows
from service.cli.vendors import print_template
from service.configuration import read_source
from service.errors import ConfigurationError, Invalid
from service.identification import identify
from service.secret_references import resolve_secret
from service.settings import environment, load_settings
from service.source_address import shown_address
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from service.yaml_text import flow_yaml

NEWEST = 5


@click.group("source")
def source_command() -> None:
    """Sources: receiving addresses."""


@source_command.command("list", epilog="Example: hookwright source list")
@limit_option
@json_option
@remote
def source_list(api: ApiClient, *, limit: int, as_json: bool) -> None:
    """List sources and the addresses vendors send to; TOKEN stands for a path token."""
    rows = take_rows(api, "/sources", limit, {}, as_json=as_json)
    if as_json:
        print_json(rows)
        return
    print_table(
        ["name", "vendor", "address", "enabled", "from file"],
        [
            [row["name"], row["vendor"], _address(row), row["enabled"], row["from_file"]]
            for row in rows
        ],
        empty="nothing yet",
    )


def _address(source: dict[str, Any]) -> str:
    return shown_address(source["url"], has_path_token=source["has_path_token"])


# --- show -------------------------------------------------------------------------------------


@source_command.command(
    "show", epilog="Example: hookwright source show checkly --template | pbcopy"
)
@click.argument("name")
@click.option("--template", is_flag=True, help="Print only the body to be pasted at the vendor.")
@json_option
@remote
def source_show(api: ApiClient, *, name: str, template: bool, as_json: bool) -> None:
    """Show a source: its address, what to do at the vendor, and what came last.

    Secrets are never shown; an address with a path token is shown with TOKEN in its place.
    """
    source = api.get(f"/sources/{quote(name, safe='')}")
    vendor = BY_NAME.get(source["vendor"])
    if vendor is None or vendor.incoming is None:
        raise ConfigurationError(f"this version does not know the vendor {source['vendor']}")
    options = vendor.incoming.options.model_validate(source["options"])
    signed = vendor.incoming.wants_secret(options)
    url = _address(source)
    if template:
        print_template(vendor)
        return
    guided = with_own_places(vendor, source["name"], url, signed=signed)
    newest = list(api.rows("/deliveries", NEWEST, {"source": name}))
    refused = list(api.rows("/rejections", NEWEST, {"source": name}))
    if as_json:
        shown = {
            **source,
            "signed": signed,
            "steps": list(guided.guide.incoming),
            "notes": list(vendor.guide.notes),
            "pages": list(vendor.guide.pages),
            "template": vendor.guide.template,
            "last_deliveries": [
                {key: row[key] for key in ("id", "received_at", "state")} for row in newest
            ],
            "last_refused": [
                {key: row[key] for key in ("id", "received_at", "reason", "count")}
                for row in refused
            ],
        }
        print_json(shown)
        return
    print_fields(
        {
            "source": source["name"],
            "vendor": vendor.title,
            "address": url,
            "proven by": _proof(url, signed=signed),
            "options": flow_yaml(source["options"]) if source["options"] else "the vendor's own",
            "connection": source["connection"],
            "reconcile": _schedule(vendor, source["reconcile"]),
            "enabled": source["enabled"],
        }
    )
    print_guide(guided, url=url)
    _print_newest(newest, refused)


def _proof(url: str, *, signed: bool) -> str:
    """Say what proves a delivery of the source with this address."""
    if not signed:
        return "its address: TOKEN is its path token"
    return "a signature, and TOKEN, its path token" if url.endswith("/TOKEN") else "a signature"


def _schedule(vendor: Vendor, found: dict[str, Any] | None) -> str:
    """Give in words how often a source is compared with the vendor's record, how far back."""
    if not vendor.records:
        return f"no: there is no record of {vendor.title} to compare with"
    config = ReconcileConfig.model_validate(found or {})
    back = f"{duration(config.since.total_seconds())} back"
    if config.every is None:
        return f"when asked, {back}"
    return f"every {duration(config.every.total_seconds())}, {back}"


def _print_newest(newest: list[dict[str, Any]], refused: list[dict[str, Any]]) -> None:
    out = console()
    out.print("\n[bold]Last deliveries[/]")
    for row in newest:
        out.print(
            "  ", moment(row["received_at"]), "  ", state(row["state"]), f"  {row['id']}", sep=""
        )
    if not newest:
        out.print("  none yet; `hookwright send` sends a signed sample", markup=False)
    if refused:
        out.print("\n[bold]Last refused[/] (`hookwright rejection show ID` says why)")
    for row in refused:
        times = f" x{row['count']}" if row["count"] > 1 else ""
        text = f"  {moment(row['received_at'])}  {row['reason']}{times}  {row['id']}"
        out.print(text, markup=False)


# --- identify ---------------------------------------------------------------------------------


@source_command.command(
    "identify",
    epilog="Example: hookwright source identify --delivery-file request.txt --secret-env SECRET",
)
@click.option(
    "--delivery-file", metavar="FILE", help="A request as it came; - reads it from stdin."
)
@click.option("--delivery", metavar="ID", help="A delivery that the server stored.")
@click.option("--rejection", metavar="ID", help="A request that the server refused.")
@click.option("--secret-env", metavar="NAME", help="The variable that holds the secret.")
@click.option("--secret-file", metavar="FILE", help="The file that holds the secret.")
@click.option(
    "--source", metavar="NAME", help="Take the secrets of this source of hookwright.yaml."
)
@json_option
@perhaps_remote
def source_identify(
    api: Callable[[], ApiClient],
    *,
    delivery_file: str | None,
    delivery: str | None,
    rejection: str | None,
    secret_env: str | None,
    secret_file: str | None,
    source: str | None,
    as_json: bool,
) -> int:
    """Say which scheme one captured request was signed with.

    Every known scheme is tried; the answer names vendor, scheme and header, says how the secret is
    read, and gives what to write into hookwright.yaml. Of a stored request the secrets of its own
    source are tried unless others are given. The server itself never tries a second scheme.

    Gives 0 when a scheme fits and 1 when none does.
    """
    given = [value for value in (delivery_file, delivery, rejection) if value is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --delivery-file, --delivery and --rejection")
    secrets = _secrets(secret_env, secret_file, source)
    if delivery_file is not None:
        captured = read_captured(_read(delivery_file))
        report = identify(captured, secrets or [_ask()], utc_now(), source=source).as_json()
    else:
        kind, ident = ("delivery", delivery) if delivery else ("rejection", rejection)
        path = {"delivery": "deliveries", "rejection": "rejections"}[kind]
        server = api()
        found = find_id(server, kind, ident or "")
        report = server.post(f"/{path}/{found}/identify", {"secrets": secrets or None})
    if as_json:
        print_json(report)
    else:
        _tell(report)
    return 0 if report["matches"] else 1


def _secrets(variable: str | None, file: str | None, source: str | None) -> list[str]:
    references = [
        *([SecretReference(env=variable)] if variable else []),
        *([SecretReference(file=file)] if file else []),
    ]
    found = [resolve_secret(reference, Path.cwd(), environment()) for reference in references]
    if source is not None:
        declared = read_source(load_settings().config, environment(), source)
        found.extend(declared.secrets)
    return found


def _ask() -> str:
    """Ask at the terminal; on the command line a secret would stand in the list of processes."""
    if not sys.stdin.isatty():
        message = "no secret to compare with: give --secret-env, --secret-file or --source"
        raise click.UsageError(message)
    answer: str = click.prompt("Secret", hide_input=True, err=True)
    return answer


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Invalid(f"the file {name} cannot be read: {error.strerror}") from error


def _tell(report: dict[str, Any]) -> None:
    out = console()
    for number, match in enumerate(report["matches"]):
        colour = "green" if number == 0 else "bright_black"
        word = "It fits" if number == 0 else "So does"
        out.print(f"[bold {colour}]{word}:[/] {match['title']}, scheme {match['scheme']}")
        if number == 0:
            _tell_best(match, several=len(report["matches"]) > 1)
    if not report["matches"]:
        out.print("[bold red]Nothing fits.[/]")
    for miss in report["near_misses"]:
        out.print(Text(miss["header"], "bold").append(f" ({miss['vendor']}, {miss['scheme']})", ""))
        print_paragraph(miss["detail"])
    for note in report["notes"]:
        print_paragraph(note, mark="Note: ", indent=0)


def _tell_best(match: dict[str, Any], *, several: bool) -> None:
    print_fields(
        {
            "  header": match["header"],
            "  needs": ", ".join(match["headers"]),
            "  secret read as": match["secret_encoding"] or "the vendor's own scheme has it",
            "  time": match["time"]["detail"],
        }
    )
    out = console()
    out.print("\n[bold]hookwright.yaml[/]")
    out.print(match["configuration"], markup=False)
    if several:
        out.print("[bright_black]The others are the same sum under another name:[/]")
