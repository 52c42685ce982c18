"""The connection beneath `http.py`: made to a checked address, ended at a total deadline.

httpx limits each single read; a server that sends one byte a second would keep us for hours. So
every read, write and connect is given what is left of the call's own deadline.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import httpcore
import httpx

from service.address_guard import AddressGuard
from service.errors import NotSent

_MAX_CONNECTIONS = 20
_KEPT_CONNECTIONS = 10
# Short, because a request sent on a connection the other side has just closed has a doubtful end.
_KEEPALIVE_S = 5.0

_deadline: ContextVar[float | None] = ContextVar("_deadline", default=None)
_fence: ContextVar[Callable[[], bool] | None] = ContextVar("_fence", default=None)

_SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let every connection this thread uses inside the block end within so many seconds.

    Inside another deadline the earlier one holds.
    """
    end = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def fence(may_send: Callable[[], bool]) -> Iterator[None]:
    """Let no request of this thread leave inside the block once `may_send` says no.

    It is asked at the last moment: a process that was stopped between deciding to call and calling
    finds out before the other side hears of it. What is refused raises `NotSent`.
    """
    token = _fence.set(may_send)
    try:
        yield
    finally:
        _fence.reset(token)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """Give the time this operation may take. Raises `error` when the deadline has passed."""
    end = _deadline.get()
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise error("the total time is used up")
    return left if timeout is None else min(timeout, left)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every operation keeps to the deadline of the call that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        may_send = _fence.get()
        # An empty write tells the end of a request that has left as a whole: that was sent.
        if buffer and may_send is not None and not may_send():
            raise NotSent("another worker may have taken this over: nothing more is sent")
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _GuardedBackend(httpcore.NetworkBackend):
    """Resolves a name once, has the guard check the addresses, and connects to one of those.

    TLS still proves the name: httpcore takes it from the request, not from the address.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        fault: Exception | None = None
        for address in self._guard.addresses(host, port):
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, left, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                fault = error
            else:
                return _TimedStream(stream)
        raise fault or httpcore.ConnectError(f"{host} has no address")


@cache
def _usual_trust() -> ssl.SSLContext:
    """Give what certificates are checked with, one for every connection of this process.

    Reading the authorities takes 20 ms and a megabyte; contexts are safe for threads.
    """
    return httpx.create_ssl_context(trust_env=False)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport over connections that the address guard has let through.

    No proxy of the environment is used: it would resolve names behind the guard's back.
    """

    def __init__(self, guard: AddressGuard, *, verify: ssl.SSLContext | None = None) -> None:
        trust = verify or _usual_trust()
        super().__init__(verify=trust, trust_env=False)
        # httpx 0.28 has no parameter for the network backend, its pool has. The pool made above
        # has opened nothing yet.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_S,
            network_backend=_GuardedBackend(guard),
        )
