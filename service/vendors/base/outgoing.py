"""How a vendor's API is called, and what whoever calls it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from schemas.events import Json
from service.vendors.base.options import Options

if TYPE_CHECKING:
    from service.http import VendorHttp


@dataclass(frozen=True, slots=True)
class CallContext:
    """What an action or a poll may use.

    `idempotency_key` is the same on every retry of one step. `reference` is what the last effect
    on the same target left behind (a comment's id, a message's channel and ts), or None.
    `earlier(action)` gives the references of effects made by that action on this connection in
    the last seven days, newest first.
    """

    http: VendorHttp
    credentials: Any
    options: Any
    connection: str
    now: datetime
    idempotency_key: str = ""
    reference: Mapping[str, Json] | None = None
    earlier: Callable[[str], Sequence[Mapping[str, Json]]] = lambda _action: ()


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls within any `seconds`, kept for one credential by all processes together.

    `covers(method, path)` says which calls count (None: all); `path` is what is called below the
    connection's `base_url`. Two rates of one vendor differ in `name`.
    """

    calls: int
    seconds: float = 60.0
    name: str = "all"
    covers: Callable[[str, str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """Authentication headers that end at a time (aware UTC), or only when they are refused."""

    headers: Mapping[str, str] = field(repr=False)
    expires_at: datetime | None = None


class FetchToken(Protocol):
    """Asks the vendor for headers that are good for a while, such as an installation's token."""

    def __call__(
        self, http: VendorHttp, credentials: Any, options: Any, now: datetime
    ) -> Token | None:
        """Give a fresh token; None when these credentials need none.

        `http` is the connection's own client and sends what the call names: `request(...,
        headers={...}, bare=True)` leaves out the connection's own authentication.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How a vendor's API is called.

    `credentials` and `options` are the typed forms of the configuration's sections.
    `headers` gives the authentication headers, `base_url` the vendor's own address. Where they
    must be asked for and renewed, `token` does so: its headers are kept until shortly before they
    end, and renewed once when a call is answered 401.
    `rates` are what our side keeps for one credential (vendors.md §0.3); the option `per_minute` of
    the connection replaces the calls of the first. When an answer says that no more than
    `keep_back` calls are left, no further call is made before the vendor's window begins anew.
    `check` asks the vendor who we are.
    """

    base_url: str
    credentials: type[BaseModel]
    options: type[Options]
    headers: Callable[[Any, Any], Mapping[str, str]]
    rates: tuple[Rate, ...]
    keep_back: int = 0
    token: FetchToken | None = None
    check: Callable[[CallContext], str] | None = None
