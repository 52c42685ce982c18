"""The management API as the commands use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

import click
import httpx

from service.errors import Invalid, NotFound, Unauthenticated, Unreachable, VendorBroken
from service.local_token import read_local_token
from service.settings import Settings, load_settings
from service.workflows.findings import did_you_mean

TIMEOUT_S = 30.0
PAGE = 100
SEARCHED = 1_000
"""Among so many of the newest a beginning of an id is looked for."""

_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")

Command = TypeVar("Command", bound=Callable[..., Any])


class ApiClient:
    """Asks one server."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            # A proxy of the environment cannot reach this machine's own addresses.
            trust_env=not is_local(self.url),
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def get(self, path: str, **params: object) -> Any:
        """Give an answer's JSON; parameters of None are left out."""
        asked = {name: str(value) for name, value in params.items() if value is not None}
        try:
            answer = self._http.get(path, params=asked)
        except httpx.TransportError as error:
            raise nothing_answers(self.url, error) from error
        if answer.status_code == HTTPStatus.OK:
            return answer.json()
        raise _translate(answer)

    def post(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        key: str | None = None,
    ) -> Any:
        """Send a decision and give the answer's JSON. `key`: who asks again asks for the same."""
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            answer = self._http.post(path, json=body, headers=headers, timeout=timeout_s)
        except httpx.TransportError as error:
            raise nothing_answers(self.url, error) from error
        if answer.is_success:
            return answer.json()
        raise _translate(answer)

    def rows(self, path: str, limit: int, params: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Give up to `limit` rows of a list, newest first."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(path, limit=min(limit, PAGE), cursor=cursor, **params)
            yield from page["data"]
            limit -= len(page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return


def remote(command: Command) -> Command:
    """Give a command `--url` and `--token`, and an ApiClient as its first argument."""

    @click.option("--url", help="The server (default: HOOKWRIGHT_URL, or this machine's).")
    @click.option("--token", help="An API token (default: HOOKWRIGHT_TOKEN, or this machine's).")
    @wraps(command)
    def wrapped(*args: Any, url: str | None, token: str | None, **kwargs: Any) -> Any:
        return command(_open(url, token), *args, **kwargs)

    return wrapped  # type: ignore[return-value]  # click's options have taken two arguments out


def perhaps_remote(command: Command) -> Command:
    """Give the same to a command that needs a server for some of its uses only.

    Its first argument is a function that gives the ApiClient, or raises when there is no server.
    """

    @click.option("--url", help="The server (default: HOOKWRIGHT_URL, or this machine's).")
    @click.option("--token", help="An API token (default: HOOKWRIGHT_TOKEN, or this machine's).")
    @wraps(command)
    def wrapped(*args: Any, url: str | None, token: str | None, **kwargs: Any) -> Any:
        return command(lambda: _open(url, token), *args, **kwargs)

    return wrapped  # type: ignore[return-value]  # click's options have taken two arguments out


def _open(url: str | None, token: str | None) -> ApiClient:
    settings = load_settings()
    address = url or settings.server_url
    check_address(address, "--url" if url else "HOOKWRIGHT_URL")
    api = ApiClient(address, token or settings.token or _own_token(settings, address))
    click.get_current_context().call_on_close(api.close)
    return api


def _own_token(settings: Settings, address: str) -> str:
    # The token in the data directory opens this machine's server; it is sent nowhere else.
    if settings.admin_token and is_local(address):
        return settings.admin_token
    found = read_local_token(settings.data_dir) if is_local(address) else None
    if found is not None:
        return found
    if not is_local(address):
        raise Unauthenticated(
            f"a token is needed for {address}",
            hint="give --token or set HOOKWRIGHT_TOKEN; `hookwright token create`, where the "
            "server runs, makes one",
        )
    # Whoever has started nothing yet needs a server, not a token.
    try:
        httpx.get(f"{address}/health/live", timeout=TIMEOUT_S, trust_env=False)
    except httpx.TransportError as error:
        raise nothing_answers(address, error) from error
    raise Unauthenticated(
        f"a token is needed for {address}: there is none in {settings.data_dir}",
        hint="run this where `hookwright up` runs, or give --token; "
        "`hookwright token create` makes one there",
    )


def nothing_answers(address: str, error: Exception) -> Unreachable:
    """Give the error for an address at which there is no server."""
    return Unreachable(
        f"nothing answers at {address}: {error}",
        hint="is it running? `hookwright up` starts it; --url names another address",
    )


def check_address(address: str, name: str) -> None:
    """Refuse what is no address of a server. Raises Invalid naming where it came from."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Invalid(
            f"{name} is no address: {address!r}", hint="write it as http://127.0.0.1:8080"
        )


def find_one(api: ApiClient, kind: str, text: str) -> dict[str, Any]:
    """Give the run, delivery or event (`kind`) with this id, or with this beginning of one."""
    try:
        found: dict[str, Any] = api.get(f"/{_LISTS[kind]}/{find_id(api, kind, text)}")
    except NotFound as error:
        raise NotFound(f"there is no {kind} `{text}`", hint=_list_hint(kind)) from error
    return found


def find_id(api: ApiClient, kind: str, text: str) -> str:
    """Give the whole id of a run, delivery or event from any beginning that fits one alone.

    Raises NotFound when none fits, Invalid when several do.
    """
    try:
        return str(UUID(text))
    except ValueError:
        beginning = text.lower().rstrip("….")
    found: list[str] = []
    if _BEGINNING.fullmatch(beginning):
        rows = api.rows(f"/{_LISTS[kind]}", SEARCHED, {})
        found = [row["id"] for row in rows if row["id"].startswith(beginning)]
    if len(found) > 1:
        raise Invalid(
            f"`{text}` is the beginning of {len(found)} ids",
            hint=f"give more of it; {_list_hint(kind)}",
        )
    if not found:
        raise NotFound(f"there is no {kind} `{text}`", hint=_list_hint(kind))
    return found[0]


def find_workflow(api: ApiClient, name: str) -> dict[str, Any]:
    """Give a workflow by its name. Raises NotFound with the nearest name there is."""
    try:
        found: dict[str, Any] = api.get(f"/workflows/{quote(name, safe='')}")
    except NotFound as error:
        names = [row["name"] for row in api.rows("/workflows", SEARCHED, {})]
        raise NotFound(
            f"there is no workflow `{name}`", hint=did_you_mean(name, names) or error.hint
        ) from error
    return found


_LISTS = {
    "run": "runs",
    "delivery": "deliveries",
    "event": "events",
    "effect": "effects",
    "rejection": "rejections",
    "alert": "alerts",
    "bulk": "bulk-jobs",
}


def _list_hint(kind: str) -> str:
    return f"`hookwright {kind} list` shows the ids"


def is_local(address: str) -> bool:
    """Say whether an address is this machine's."""
    host = urlsplit(address).hostname or ""
    try:
        address_of_host = ip_address(host)
    except ValueError:
        return host == "localhost"
    # A server that listens everywhere is named by 0.0.0.0, and found there.
    return address_of_host.is_loopback or address_of_host.is_unspecified


def _named(pointer: str) -> str:
    """Give the name of what a fault is about, quoted; nothing where it is about all together."""
    place, _, name = pointer.rpartition("/")
    return f"`{name}` " if place else ""


def _translate(answer: httpx.Response) -> Exception:
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return VendorBroken(
            f"the server answered {answer.status_code} and no problem",
            hint="is this address really Hookwright's?",
        )
    faults = [
        f"{_named(str(item['pointer']))}{item['detail']}" for item in problem.get("errors") or ()
    ]
    message = "; ".join(faults or [detail])
    hint = problem.get("hint")
    match answer.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound(message, hint=hint)
        case HTTPStatus.UNAUTHORIZED:
            return Unauthenticated(message, hint="the token is unknown, expired or revoked")
        case status if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Invalid(message, hint=hint)
        case _:
            return VendorBroken(f"the server cannot answer now: {message}")
