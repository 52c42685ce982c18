"""The management API as the commands use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import httpx

from service.errors import Invalid, NotFound, Unauthenticated, Unreachable, VendorBroken
from service.local_token import read_local_token
from service.settings import Settings, load_settings

TIMEOUT_S = 30.0
PAGE = 100

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

    def get(self, path: str, **params: object) -> Any:
        """Give an answer's JSON; parameters of None are left out."""
        asked = {name: str(value) for name, value in params.items() if value is not None}
        try:
            answer = self._http.get(path, params=asked)
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self.url} does not answer: {error}",
                hint="is it running? `hookwright up` starts it; --url names another address",
            ) from error
        if answer.status_code == HTTPStatus.OK:
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
        settings = load_settings()
        address = url or settings.server_url
        return command(
            ApiClient(address, token or settings.token or _own_token(settings, address)),
            *args,
            **kwargs,
        )

    return wrapped  # type: ignore[return-value]  # click's options have taken two arguments out


def _own_token(settings: Settings, address: str) -> str:
    # The token in the data directory opens this machine's server; it is sent nowhere else.
    if settings.admin_token and is_local(address):
        return settings.admin_token
    found = read_local_token(settings.data_dir) if is_local(address) else None
    if found is None:
        raise Unauthenticated(
            f"a token is needed for {address}",
            hint="give --token or set HOOKWRIGHT_TOKEN; `hookwright token create` makes one",
        )
    return found


def is_local(address: str) -> bool:
    """Say whether an address is this machine's."""
    host = urlsplit(address).hostname or ""
    try:
        address_of_host = ip_address(host)
    except ValueError:
        return host == "localhost"
    # A server that listens everywhere is named by 0.0.0.0, and found there.
    return address_of_host.is_loopback or address_of_host.is_unspecified


def _translate(answer: httpx.Response) -> Exception:
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return VendorBroken(
            f"the server answered {answer.status_code} and no problem",
            hint="is this address really Hookwright's?",
        )
    faults = [f"{item['pointer']}: {item['detail']}" for item in problem.get("errors") or ()]
    message = "; ".join([detail, *faults])
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
