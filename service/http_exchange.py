"""One request and its answer: bounded in time and size, with every failure as one of our errors.

httpx's exceptions become ours here and nowhere else. When a call is made, whether it is made again
and what its answer means is decided in `http.py`.
"""

from __future__ import annotations

import time
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from schemas.events import Json
from service.errors import Refused, TimedOut, Unreachable, VendorBroken
from service.http_answer import HttpAnswer
from service.http_transport import deadline
from service.redaction import redact


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be made as often as its retries want."""

    # Only `asked` is for reading: an address may be a secret (incoming webhooks).
    method: str
    url: str = field(repr=False)
    asked: str
    path: str = field(repr=False)
    params: dict[str, Any] = field(repr=False)
    json: Json = field(repr=False)
    content: bytes | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    timeout_s: float
    safe: bool
    failed_is_undone: bool
    bare: bool

    def moved(self, url: str) -> Call:
        """Give the call at the address a redirect named, which carries its own parameters."""
        return replace(self, url=url, params={})


class Exchange:
    """Sends requests to one vendor. Safe for threads."""

    def __init__(
        self,
        *,
        transport: httpx.BaseTransport,
        who: str,
        user_agent: str,
        connect_s: float,
        max_answer_bytes: int,
    ) -> None:
        self._who = who
        self._connect_s = connect_s
        self._max_answer_bytes = max_answer_bytes
        self._client = httpx.Client(
            transport=transport,
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

    def close(self) -> None:
        """Close every connection that is kept open."""
        self._closing()

    def send(self, call: Call, secrets: Sequence[str]) -> HttpAnswer:
        """Send a call and read its whole answer, of any status.

        `secrets` are struck out of errors. Raises Unreachable, TimedOut, VendorBroken, Refused.
        """
        with self._translated(call, secrets), deadline(call.timeout_s):
            response = self._client.send(self._request(call), stream=True)
            try:
                body = self._read(response, call)
            finally:
                response.close()
            return HttpAnswer(response.status_code, response.headers, body, call.asked, call.safe)

    def lines(self, call: Call, secrets: Sequence[str]) -> Iterator[HttpAnswer | str]:
        """Send a call and give its answer without body, then the lines of the body as they come.

        Ends when the other side does or when the call's time is over, which is no failure here.
        An answer that is no success comes with its whole body, and nothing follows it.
        """
        end = time.monotonic() + call.timeout_s
        with self._translated(call, secrets):
            with deadline(call.timeout_s):
                response = self._client.send(self._request(call), stream=True)
            try:
                with deadline(end - time.monotonic()):
                    body = b"" if response.is_success else self._read(response, call)
                yield HttpAnswer(
                    response.status_code, response.headers, body, call.asked, call.safe
                )
                if response.is_success:
                    yield from self._lines(response, call, end)
            finally:
                response.close()

    def _lines(self, response: httpx.Response, call: Call, end: float) -> Iterator[str]:
        chunks = response.iter_raw()
        rest = b""
        while True:
            # The deadline is this read's alone: between two lines the thread is somebody else's.
            with deadline(end - time.monotonic()):
                try:
                    chunk = next(chunks, None)
                except httpx.ReadTimeout:
                    return
            if chunk is None:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line.rstrip(b"\r").decode("utf-8", "replace")
            if len(rest) > self._max_answer_bytes:
                raise self._too_large(call)

    def _request(self, call: Call) -> httpx.Request:
        return self._client.build_request(
            call.method,
            call.url,
            params=call.params or None,
            json=call.json,
            content=call.content,
            headers=call.headers,
            timeout=httpx.Timeout(call.timeout_s, connect=self._connect_s, pool=self._connect_s),
        )

    @contextmanager
    def _translated(self, call: Call, secrets: Sequence[str]) -> Iterator[None]:
        doubt = not call.safe
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            words = redact(str(fault), secrets)
            raise Unreachable(
                f"{self._who} cannot be reached: {words or 'no connection'}"
            ) from fault
        except httpx.TimeoutException as fault:
            raise TimedOut(
                f"{self._who} did not answer {call.asked} within {call.timeout_s:g} s",
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
                f"{self._who} cut the connection during {call.asked}", perhaps_done=doubt
            ) from fault

    def _read(self, response: httpx.Response, call: Call) -> bytes:
        """Read and unpack the body, never holding more than the size cap."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "", "gzip", "x-gzip"}:
            raise VendorBroken(
                f"{self._who} answered {call.asked} in the encoding {encoding[:20]}, which was not "
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
                    f"{self._who} answered {call.asked} with broken compression",
                    perhaps_done=not call.safe,
                ) from fault
            if len(body) > cap:
                raise self._too_large(call)
        return bytes(body)

    def _too_large(self, call: Call) -> VendorBroken:
        return VendorBroken(
            f"{self._who} answered {call.asked} with more than {self._max_answer_bytes} bytes",
            perhaps_done=not call.safe,
        )
