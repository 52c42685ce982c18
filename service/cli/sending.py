"""`send`: a sample, signed as the vendor would sign it, to a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import httpx
from rich.progress import Progress

from schemas.clock import utc_now
from service.cli.client import check_address, is_local
from service.cli.output import console, json_option, print_json, state
from service.configuration import read_source
from service.configuration_sources import DeclaredSource
from service.errors import ConfigurationError, NotFound, Unreachable
from service.settings import Settings, environment, load_settings
from service.vendors import BY_NAME, samples
from service.vendors.base import Incoming

TIMEOUT_S = 30.0
PROGRESS_FROM = 20
HINTS = {
    httpx.codes.NOT_FOUND: "is the source applied? `hookwright apply` does it; a running "
    "`hookwright up` must be restarted after a vendor was added",
    httpx.codes.UNAUTHORIZED: "does the server have the secret of this file? `hookwright apply` "
    "gives it; `hookwright source show NAME` lists what was refused",
}
"""What to do now, by the status that the server answered."""
UNNAMED = (
    "this sender names no delivery, so that the same body is the same delivery; change the body "
    "to send another"
)


@click.command("send", epilog="Example: hookwright send vibeview run.failed --repeat 3")
@click.argument("source")
@click.argument("sample", required=False)
@click.option("--to", "address", metavar="URL", help="Where to (default: this machine's server).")
@click.option("--repeat", metavar="N", type=click.IntRange(1), default=1, help="How many.")
@click.option("--same", is_flag=True, help="Send one and the same delivery each time.")
@click.option("--event", help="The vendor's name of the event, when SAMPLE is a file.")
@json_option
def send_command(
    *,
    source: str,
    sample: str | None,
    address: str | None,
    repeat: int,
    same: bool,
    event: str | None,
    as_json: bool,
) -> int:
    """Send SAMPLE to SOURCE, signed with the secret that the configuration file names.

    SAMPLE is one of the vendor's samples or the path of a file; without it the samples are listed.
    Each repetition is a new delivery unless --same is given. Where the sender names no delivery (a
    generic source whose scheme has no id) the same body is the same delivery: a duplicate.
    """
    settings = load_settings()
    declared = read_source(settings.config, environment(), source)
    incoming = _incoming(declared)
    if sample is None:
        _list_samples(source, declared.config.vendor, as_json=as_json)
        return 0
    body, name = _body(declared.config.vendor, sample, event)
    url = _target(settings, declared, address)
    check_address(url, "--to" if address else "HOOKWRIGHT_URL")
    first = uuid4()
    answers = []
    with (
        httpx.Client(timeout=TIMEOUT_S, trust_env=not is_local(url)) as client,
        Progress(
            console=console(), disable=as_json or repeat < PROGRESS_FROM, transient=True
        ) as progress,
    ):
        for _ in progress.track(range(repeat), description="sending"):
            delivery_id = str(first if same else uuid4())
            answers.append(
                _send(client, url, declared, incoming, body, event=name, delivery_id=delivery_id)
            )
    if as_json:
        print_json(answers if repeat > 1 else answers[0])
    else:
        for answer in answers:
            _tell(answer)
        _tell_hints(answers, source, same=same)
    return 0 if all(answer["status_code"] < httpx.codes.BAD_REQUEST for answer in answers) else 1


def _send(
    client: httpx.Client,
    url: str,
    declared: DeclaredSource,
    incoming: Incoming,
    body: bytes,
    *,
    event: str,
    delivery_id: str,
) -> dict[str, Any]:
    signed = incoming.sign(
        body,
        declared.secrets[0] if declared.secrets else "",
        utc_now(),
        incoming.options.model_validate(declared.config.options),
        event=event,
        delivery_id=delivery_id,
    )
    try:
        answer = client.post(url, content=signed.body, headers=list(signed.headers))
    except httpx.TransportError as error:
        raise Unreachable(
            f"nothing answers at {url}: {error}",
            hint="is it running? `hookwright up` starts it; --to names another address",
        ) from error
    return {"status_code": answer.status_code, "body": _content(answer)}


def _content(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text or None


def _tell(answer: dict[str, Any]) -> None:
    code, body = answer["status_code"], answer["body"]
    line = state("failed" if code >= httpx.codes.BAD_REQUEST else "ok")
    line.plain = str(code)
    if isinstance(body, dict):
        said = body.get("status") if code < httpx.codes.BAD_REQUEST else body.get("detail")
        line.append(f"  {said}  {body.get('id', '')}".rstrip())
    elif body:
        line.append(f"  {body}")
    console().print(line)


def _tell_hints(answers: list[dict[str, Any]], source: str, *, same: bool) -> None:
    for code in dict.fromkeys(answer["status_code"] for answer in answers):
        if code in HINTS:
            click.echo(f"  hint: {HINTS[code].replace('NAME', source)}", err=True)
    if not same and any(_is_duplicate(answer) for answer in answers):
        click.echo(f"  hint: {UNNAMED}", err=True)


def _is_duplicate(answer: dict[str, Any]) -> bool:
    return isinstance(answer["body"], dict) and answer["body"].get("status") == "duplicate"


def _list_samples(source: str, vendor: str, *, as_json: bool) -> None:
    found = samples.names(vendor)
    if as_json:
        print_json(found)
        return
    for name in found:
        click.echo(name)
    if found:
        click.echo(f"\n`hookwright send {source} {found[0]}` sends one", err=True)
    else:
        click.echo(f"{vendor} has no samples: give the path of a file", err=True)


def _incoming(declared: DeclaredSource) -> Incoming:
    vendor = BY_NAME.get(declared.config.vendor)
    if vendor is None or vendor.incoming is None:
        raise ConfigurationError(f"{declared.config.vendor} sends no webhooks")
    return vendor.incoming


def _body(vendor: str, sample: str, event: str | None) -> tuple[bytes, str]:
    file = Path(sample)
    if file.is_file():
        return file.read_bytes(), event or samples.event_of(file.stem)
    try:
        return samples.read(vendor, sample), event or samples.event_of(sample)
    except NotFound as error:
        raise NotFound(f"{error.message}, and there is no such file", hint=error.hint) from error


def _target(settings: Settings, declared: DeclaredSource, address: str | None) -> str:
    if address is not None and "/hooks/" in address:
        return address
    base = (address or settings.server_url).rstrip("/")
    token = f"/{declared.path_token}" if declared.path_token else ""
    return f"{base}/hooks/{declared.config.name}{token}"
