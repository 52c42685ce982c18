"""Calls to other people's servers: one client per connection, with every limit of vendors.md §10.

What a call means is the vendor folder's business; retrying a step is the engine's. Here live the
retries of reads, redirects, the rates, the breaker, and authentication that has to be renewed. One
request and its answer are in `http_exchange.py`, and what can go wrong is in `errors.py`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpx

from schemas.clock import Clock, utc_now
from schemas.events import Json
from service.address_guard import AddressGuard
from service.call_rates import Limiter
from service.connection_parts import checked_base_url, checked_headers
from service.errors import (
    HookwrightError,
    Permanent,
    RateLimited,
    Refused,
    TimedOut,
    Transient,
    Unreachable,
    VendorBroken,
)
from service.held_token import HeldToken
from service.http_answer import HttpAnswer, error_of
from service.http_exchange import Call, Exchange
from service.http_transport import GuardedTransport
from service.rate_limit import CircuitBreaker, calls_left, reset_wait
from service.redaction import is_sensitive_name, redact

if TYPE_CHECKING:
    from service.vendors.base import Token

__all__ = ["AddressGuard", "HttpAnswer", "Timing", "VendorHttp", "path_of"]

USER_AGENT = "Hookwright (+self-hosted)"
CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 30.0
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
QUICK_S = 2.0
"""Reads are tried again inside the client only within this time; after it, the step's retry has
the word."""
READ_ATTEMPTS = 3
FIRST_PAUSE_S = 0.25
MAX_REDIRECTS = 3
LONGEST_FLOOR_S = 60.0
MOST_COUNTED = 10

_READS = frozenset({"GET", "HEAD"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)

T = TypeVar("T")
Fetch = Callable[["VendorHttp", datetime], "Token | None"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, which tests replace. `jitter` gives numbers in [0, 1)."""

    now: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


class VendorHttp:
    """One connection's client; safe for threads, made once and closed by whoever keeps it.

    `base_url` stands before every path; `headers` (authentication) go with every call to its host,
    and so do those that `fetch_token` gives, which are kept until shortly before their end.
    `limiter` None means no rate of our own; `keep_back` calls of the vendor's window are left
    alone. `timeout_s` is the total for one call and `connect_s` for making the connection.
    `transport` replaces the network in tests. `who` names the other side in errors; without it,
    its host does.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        fetch_token: Fetch | None = None,
        limiter: Limiter | None = None,
        keep_back: int = 0,
        guard: AddressGuard | None = None,
        breaker: CircuitBreaker | None = None,
        timeout_s: float = TOTAL_TIMEOUT_S,
        connect_s: float = CONNECT_TIMEOUT_S,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        user_agent: str = USER_AGENT,
        who: str | None = None,
        timing: Timing | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = checked_base_url(base_url)
        self._host = urlsplit(self._base_url).netloc
        self.who = who or self._host
        self._headers = checked_headers(headers or {})
        self._fetch_token = fetch_token
        self._token = HeldToken()
        self._timing = timing or Timing()
        self._limiter = limiter
        self._keep_back = keep_back
        self._limited_in_a_row = 0
        self._breaker = breaker or CircuitBreaker(monotonic=self._timing.monotonic)
        self._timeout_s = timeout_s
        self._exchange = Exchange(
            transport=transport or GuardedTransport(guard or AddressGuard()),
            who=self.who,
            user_agent=user_agent,
            connect_s=connect_s,
            max_answer_bytes=max_answer_bytes,
        )
        self._memory: dict[str, Any] = {}
        self._memory_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"VendorHttp({self._host})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection that is kept open."""
        self._exchange.close()

    def remember(self, key: str, make: Callable[[], T]) -> T:
        """Give what `make` gave the first time, as long as this client lives; errors are not kept.

        For what never changes for one credential, such as who it belongs to.
        """
        with self._memory_lock:
            if key in self._memory:
                known: T = self._memory[key]
                return known
        made = make()
        with self._memory_lock:
            self._memory[key] = made
        return made

    def address(self, path: str) -> str:
        """Give the whole address of a path, for what has to be signed."""
        return f"{self._base_url}{path}"

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        safe: bool | None = None,
        failed_is_undone: bool = False,
        bare: bool = False,
    ) -> HttpAnswer:
        """Make one call and give its answer, which is a success.

        `path` is joined to the base address; a whole address is called without the connection's
        own headers unless it has the same host. Parameters that are None are left out. The body is
        `json`, or `content` as it is, whose kind `headers` then tells. `safe` says that performing
        the call twice does no harm (None: GET, HEAD and OPTIONS are safe); only then can no error
        be in doubt. `failed_is_undone` says the same of this vendor's 5xx alone. `bare` leaves out
        the connection's authentication. GET and HEAD are tried three times within 2 s; a call that
        is answered 401 is made once more with a renewed token, where tokens can be renewed.

        Raises AddressRefused and Refused (trying again cannot help), Unreachable, RateLimited,
        TimedOut and VendorBroken (it may), with `perhaps_done` when it may have been performed.
        """
        call = self._prepare(
            method,
            path,
            params=params,
            json=json,
            content=content,
            headers=headers,
            timeout_s=timeout_s,
            safe=safe,
            failed_is_undone=failed_is_undone,
            bare=bare,
        )
        began = self._timing.monotonic()
        attempt = 1
        while True:
            try:
                return self._authenticated(call)
            except Transient as fault:
                pause = self._pause(call, fault, attempt, began)
                if pause is None:
                    raise
            self._timing.sleep(pause)
            attempt += 1

    def lines(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        for_s: float = TOTAL_TIMEOUT_S,
    ) -> Iterator[str]:
        """Give the lines of an endless answer (server-sent events) for so many seconds.

        Ends by itself when the time is over or the other side ends it. Raises what `request` does.
        """
        call = self._prepare("GET", path, params=params, headers=headers, timeout_s=for_s)
        call, _ = self._with_own_headers(call)
        with self._counted(call):
            for part in self._exchange.lines(call, self._secrets()):
                if isinstance(part, str):
                    yield part
                    continue
                error = error_of(part, who=self.who, now=self._timing.now())
                if error is not None:
                    raise self._noted(error)
                self._breaker.succeeded()

    def _prepare(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        safe: bool | None = None,
        failed_is_undone: bool = False,
        bare: bool = False,
    ) -> Call:
        if path.startswith(("http://", "https://")):
            url = path
            # A foreign address may be a secret: errors name its host only.
            asked = f"{method} {urlsplit(path).hostname}"
        else:
            url = self.address(path)
            asked = redact(f"{method} {path}", self._secrets())
        is_own = _origin(url) == _origin(self._base_url)
        return Call(
            method=method,
            url=url,
            asked=asked,
            path=path,
            params={key: value for key, value in (params or {}).items() if value is not None},
            json=json,
            content=content,
            headers=dict(headers or {}),
            timeout_s=self._timeout_s if timeout_s is None else timeout_s,
            safe=method in _SAFE if safe is None else safe,
            failed_is_undone=failed_is_undone,
            bare=bare or not is_own,
        )

    def _authenticated(self, call: Call) -> HttpAnswer:
        """Make the call with the token that is held; with a renewed one when it is refused."""
        ready, used = self._with_own_headers(call)
        try:
            return self._follow(ready)
        except Refused as fault:
            # 401 means that nothing was performed, so every call may be made again.
            if used is None or fault.status != HTTPStatus.UNAUTHORIZED:
                raise
        self._token.forget(used)
        ready, _ = self._with_own_headers(call)
        return self._follow(ready)

    def _with_own_headers(self, call: Call) -> tuple[Call, Token | None]:
        if call.bare:
            return call, None
        token, fetch = None, self._fetch_token
        if fetch is not None:
            now = self._timing.now()
            token = self._token.get(now, lambda: fetch(self, now))
        asked = checked_headers(token.headers) if token else {}
        return replace(call, headers={**self._headers, **asked, **call.headers}), token

    def _pause(self, call: Call, fault: Transient, attempt: int, began: float) -> float | None:
        """Give the seconds after which a read is tried again; None when it is not."""
        if call.method not in _READS or not call.safe or attempt >= READ_ATTEMPTS:
            return None
        if fault.retry_after is not None:
            pause = fault.retry_after.total_seconds()
        else:
            pause = FIRST_PAUSE_S * 2**attempt * self._timing.jitter()
        elapsed = self._timing.monotonic() - began
        return pause if elapsed + pause <= QUICK_S else None

    def _follow(self, call: Call) -> HttpAnswer:
        """Make the call, following redirects of reads as long as they stay on the same host."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send(call)
            error = error_of(
                answer,
                who=self.who,
                now=self._timing.now(),
                failed_is_undone=call.failed_is_undone,
            )
            if error is None:
                self._limited_in_a_row = 0
                return answer
            target = answer.headers.get("location")
            if call.method not in _READS or answer.status not in _REDIRECTS or not target:
                raise self._noted(error)
            url = urljoin(call.url, target)
            if _origin(url) != _origin(call.url):
                raise self._noted(error)
            call = call.moved(url)
        raise VendorBroken(f"{self.who} redirects {call.asked} in a circle")

    def _noted(self, error: HookwrightError) -> HookwrightError:
        """Let a limit of the vendor hold everybody, and strike out what is secret."""
        if isinstance(error, RateLimited):
            # A wait of nothing, asked for again and again, would be a rush of refused calls.
            floor = min(2.0**self._limited_in_a_row, LONGEST_FLOOR_S)
            self._limited_in_a_row = min(self._limited_in_a_row + 1, MOST_COUNTED)
            wait = max((error.retry_after or timedelta()).total_seconds(), floor)
            error.retry_after = timedelta(seconds=wait)
            if self._limiter:
                self._limiter.hold(wait)
        error.message = redact(error.message, self._secrets())
        error.args = (error.message,)
        return error

    def _counted(self, call: Call) -> AbstractContextManager[None]:
        return self._limiter.call(call.method, call.path) if self._limiter else nullcontext()

    def _send(self, call: Call) -> HttpAnswer:
        with self._counted(call):
            self._breaker.admit(self._host)
            try:
                answer = self._exchange.send(call, self._secrets())
            except (Unreachable, TimedOut, VendorBroken):
                self._breaker.failed()
                raise
            self._breaker.succeeded()
        left = calls_left(answer.headers)
        if self._limiter and left is not None and left <= self._keep_back:
            self._limiter.hold(reset_wait(answer.headers, self._timing.now()) or 0.0)
        return answer

    def _secrets(self) -> tuple[str, ...]:
        token = self._token.held
        shown = {**self._headers, **(token.headers if token else {})}
        values = [value for name, value in shown.items() if is_sensitive_name(name)]
        return tuple(part for value in values for part in value.split() if part != "Bearer")


def path_of(*segments: str | int) -> str:
    """Join segments into a path, each quoted whole. Raises Permanent for one that would climb."""
    for segment in segments:
        if str(segment) in {"", ".", ".."}:
            raise Permanent(f"{str(segment)!r} cannot be part of an address")
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
