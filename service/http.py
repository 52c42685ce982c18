"""Calls to other people's servers: one client per connection, with every limit of vendors.md §10.

What a call means is the vendor folder's business; retrying a step is the engine's. Here live the
limits of time and size, the rate, the breaker, the address guard, and the translation of everything
that can go wrong into the errors of `errors.py`.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpx

from schemas.clock import Clock, utc_now
from schemas.events import Json
from service.address_guard import AddressGuard, Network
from service.errors import (
    ConfigurationError,
    HookwrightError,
    Permanent,
    RateLimited,
    Refused,
    TimedOut,
    Transient,
    Unreachable,
    VendorBroken,
)
from service.http_answer import HttpAnswer, error_of
from service.http_transport import GuardedTransport, deadline
from service.rate_limit import CircuitBreaker, TokenBucket, calls_left, reset_wait
from service.redaction import is_sensitive_name, redact

if TYPE_CHECKING:
    from service.vendors.base import Vendor

__all__ = ["AddressGuard", "HttpAnswer", "Timing", "VendorHttp", "connect", "path_of"]

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


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, which tests replace. `jitter` gives numbers in [0, 1)."""

    now: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


class VendorHttp:
    """One connection's client; safe for threads, made once and closed by whoever keeps it.

    `base_url` stands before every path; `headers` (authentication) go with every call to its host.
    `limiter` None means no rate of our own. `timeout_s` is the total for one call and `connect_s`
    for making the connection. `transport` replaces the network in tests. `who` names the other
    side in errors; without it, its host does.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        limiter: TokenBucket | None = None,
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
        self._base_url = _checked_base(base_url)
        self._host = urlsplit(self._base_url).netloc
        self.who = who or self._host
        self._headers = _checked_headers(headers or {})
        self._secrets = _secrets_of(self._headers)
        self._timing = timing or Timing()
        self._limiter = limiter
        self._breaker = breaker or CircuitBreaker(monotonic=self._timing.monotonic)
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._max_answer_bytes = max_answer_bytes
        self._client = httpx.Client(
            transport=transport or GuardedTransport(guard or AddressGuard()),
            headers={
                "User-Agent": user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            trust_env=False,
            follow_redirects=False,
        )
        # A client that nobody refers to any more, such as one replaced while a call used it,
        # closes its connections by itself.
        self._closing = weakref.finalize(self, self._client.close)
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
        self._closing()

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

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        safe: bool | None = None,
        failed_is_undone: bool = False,
    ) -> HttpAnswer:
        """Make one call and give its answer, which is a success.

        `path` is joined to the base address; a whole address is called without the connection's
        own headers unless it has the same host. Parameters that are None are left out. `safe` says
        that performing the call twice does no harm (None: GET, HEAD and OPTIONS are safe); only
        then can no error be in doubt. `failed_is_undone` says the same of this vendor's 5xx alone.
        GET and HEAD are tried three times within 2 s.

        Raises AddressRefused and Refused (trying again cannot help), Unreachable, RateLimited,
        TimedOut and VendorBroken (it may), with `perhaps_done` when it may have been performed.
        """
        url, asked = self._address(method, path)
        call = _Call(
            method=method,
            url=url,
            asked=asked,
            params={key: value for key, value in (params or {}).items() if value is not None},
            json=json,
            headers=self._call_headers(url, headers),
            timeout_s=self._timeout_s if timeout_s is None else timeout_s,
            safe=method in _SAFE if safe is None else safe,
            failed_is_undone=failed_is_undone,
        )
        began = self._timing.monotonic()
        attempt = 1
        while True:
            try:
                return self._follow(call)
            except Transient as fault:
                pause = self._pause(call, fault, attempt, began)
                if pause is None:
                    raise
            self._timing.sleep(pause)
            attempt += 1

    def _pause(self, call: _Call, fault: Transient, attempt: int, began: float) -> float | None:
        """Give the seconds after which a read is tried again; None when it is not."""
        if call.method not in _READS or not call.safe or attempt >= READ_ATTEMPTS:
            return None
        if fault.retry_after is not None:
            pause = fault.retry_after.total_seconds()
        else:
            pause = FIRST_PAUSE_S * 2**attempt * self._timing.jitter()
        elapsed = self._timing.monotonic() - began
        return pause if elapsed + pause <= QUICK_S else None

    def _follow(self, call: _Call) -> HttpAnswer:
        """Make the call, following redirects of reads as long as they stay on the same host."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._call(call)
            error = error_of(
                answer,
                who=self.who,
                now=self._timing.now(),
                failed_is_undone=call.failed_is_undone,
            )
            if error is None:
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
        """Let a limit of the vendor hold every thread, and strike out what is secret."""
        if isinstance(error, RateLimited) and error.retry_after and self._limiter:
            self._limiter.hold(error.retry_after.total_seconds())
        error.message = redact(error.message, self._secrets)
        error.args = (error.message,)
        return error

    def _call(self, call: _Call) -> HttpAnswer:
        if self._limiter:
            wait = self._limiter.reserve()
            if wait > 0:
                self._timing.sleep(wait)
        self._breaker.admit(self._host)
        try:
            answer = self._exchange(call)
        except (Unreachable, TimedOut, VendorBroken):
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        if self._limiter and calls_left(answer.headers) == 0:
            self._limiter.hold(reset_wait(answer.headers, self._timing.now()) or 0.0)
        return answer

    def _exchange(self, call: _Call) -> HttpAnswer:
        """Send and read one answer; httpx's exceptions become ours here and nowhere else."""
        doubt = not call.safe
        try:
            request = self._client.build_request(
                call.method,
                call.url,
                params=call.params or None,
                json=call.json,
                headers=call.headers,
                timeout=httpx.Timeout(
                    call.timeout_s, connect=self._connect_s, pool=self._connect_s
                ),
            )
            with deadline(call.timeout_s):
                response = self._client.send(request, stream=True)
                try:
                    body = self._read(response, call)
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            words = redact(str(fault), self._secrets)
            raise Unreachable(
                f"{self.who} cannot be reached: {words or 'no connection'}"
            ) from fault
        except httpx.TimeoutException as fault:
            raise TimedOut(
                f"{self.who} did not answer {call.asked} within {call.timeout_s:g} s",
                perhaps_done=doubt,
            ) from fault
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as fault:
            # Their texts quote header values: they are not repeated.
            raise Refused(
                f"{call.asked} cannot be written as a request",
                hint="check the connection's base_url and credentials for line breaks",
            ) from fault
        except httpx.TransportError as fault:
            raise VendorBroken(
                f"{self.who} cut the connection during {call.asked}", perhaps_done=doubt
            ) from fault
        return HttpAnswer(response.status_code, response.headers, body, call.asked, call.safe)

    def _read(self, response: httpx.Response, call: _Call) -> bytes:
        """Read and unpack the body, never holding more than the size cap."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "", "gzip", "x-gzip"}:
            raise VendorBroken(
                f"{self.who} answered {call.asked} in the encoding {encoding[:20]}, which was not "
                "asked for",
                perhaps_done=not call.safe,
            )
        unpack = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        body = bytearray()
        cap = self._max_answer_bytes
        for chunk in response.iter_raw():
            try:
                body += unpack.decompress(chunk, cap + 1 - len(body)) if unpack else chunk
            except zlib.error as fault:
                raise VendorBroken(
                    f"{self.who} answered {call.asked} with broken compression",
                    perhaps_done=not call.safe,
                ) from fault
            if len(body) > cap:
                raise VendorBroken(
                    f"{self.who} answered {call.asked} with more than {cap} bytes",
                    perhaps_done=not call.safe,
                )
        return bytes(body)

    def _address(self, method: str, path: str) -> tuple[str, str]:
        """Give the whole address and how errors speak of it; a foreign path may be a secret."""
        if path.startswith(("http://", "https://")):
            return path, f"{method} {urlsplit(path).hostname}"
        return f"{self._base_url}{path}", redact(f"{method} {path}", self._secrets)

    def _call_headers(self, url: str, extra: Mapping[str, str] | None) -> dict[str, str]:
        own = self._headers if _origin(url) == _origin(self._base_url) else {}
        return {**own, **(extra or {})}


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, ready to be made as often as its retries want."""

    # Only `asked` is for reading: an address may be a secret (incoming webhooks).
    method: str
    url: str = field(repr=False)
    asked: str
    params: dict[str, Any] = field(repr=False)
    json: Json = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    timeout_s: float
    safe: bool
    failed_is_undone: bool

    def moved(self, url: str) -> _Call:
        """Give the call at the address a redirect named, which carries its own parameters."""
        return replace(self, url=url, params={})


def connect(
    vendor: Vendor,
    *,
    base_url: str | None,
    credentials: Any,
    options: Any,
    allow_private: bool | Sequence[Network] = False,
    timing: Timing | None = None,
    transport: httpx.BaseTransport | None = None,
) -> VendorHttp:
    """Give the client of one connection; the caller keeps it and closes it.

    `credentials` and `options` are the vendor's own models. An option `per_minute` replaces the
    vendor's rate. `allow_private` is what AddressGuard takes. Raises ConfigurationError when the
    vendor has no API or the address is none.
    """
    outgoing = vendor.outgoing
    if outgoing is None:
        raise ConfigurationError(f"{vendor.title} has no API that Hookwright calls")
    used = timing or Timing()
    rate = outgoing.rates[0]
    limiter = TokenBucket(
        per_minute=getattr(options, "per_minute", None) or rate.calls * 60 / rate.seconds,
        burst=min(rate.calls, 10),
        max_wait_s=QUICK_S,
        monotonic=used.monotonic,
    )
    return VendorHttp(
        base_url=base_url or outgoing.base_url,
        headers=outgoing.headers(credentials, options),
        limiter=limiter,
        guard=AddressGuard(allow_private),
        who=vendor.title,
        timing=used,
        transport=transport,
    )


def path_of(*segments: str | int) -> str:
    """Join segments into a path, each quoted whole. Raises Permanent for one that would climb."""
    for segment in segments:
        if str(segment) in {"", ".", ".."}:
            raise Permanent(f"{str(segment)!r} cannot be part of an address")
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def _checked_base(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "base_url is no usable address",
            hint="give scheme, host and path only, such as https://api.example.com",
        )
    return base_url.strip().rstrip("/")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ConfigurationError(
                f"the value for the header {name} holds characters that no header can have",
                hint="check the credential for line breaks and invisible characters",
            )
    return dict(headers)


def _secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    values = [value for name, value in headers.items() if is_sensitive_name(name)]
    return tuple(part for value in values for part in value.split() if part != "Bearer")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
