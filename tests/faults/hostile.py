"""Clients that do harm if they can: each does one thing, for as long as the block lasts."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
HEAD = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n"
STEP_S = 0.1

Step = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Attack:
    """What is sent first, and what in every step after it, on so many connections."""

    name: str
    first: bytes
    then: bytes = b""
    connections: int = 200
    reads: bool = False


SLOW_HEAD = Attack("slow head", HEAD, b"X-A: b\r\n")
SLOW_BODY = Attack("slow body", HEAD + b"Content-Length: 900000\r\n\r\n" + b"x" * 70_000, b"x")
SLOW_CHUNKS = Attack(
    "a byte a chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 200
)
EXTENSIONS = Attack(
    "chunk extensions",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    b"1;" + b"e" * 8000 + b"\r\nx\r\n",
    50,
)
TRAILERS = Attack(
    "trailers",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    b"X-T: " + b"t" * 8000 + b"\r\n",
    50,
)
HEADERS = Attack("headers without end", HEAD, b"X-H: " + b"h" * 8000 + b"\r\n", 50)
HUGE = Attack("huge body", HEAD + b"Content-Length: 9999999999\r\n\r\n", b"x" * 60_000, 50)
HUGE_CHUNKED = Attack(
    "huge body, no length",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    b"ea60\r\n" + b"x" * 60_000 + b"\r\n",
    50,
)
BOMB = Attack(
    "compressed bomb",
    HEAD + b"Content-Encoding: gzip\r\nContent-Length: 60000\r\n\r\n",
    b"\x1f\x8b\x08\x00" + b"\x00" * 50_000,
    50,
)
UNREAD = Attack(
    "answers left unread",
    b"GET /hooks/none HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
    connections=50,
    then=b"GET /hooks/none HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
)
AHEAD = Attack("requests sent ahead", b"GET /hooks/none HTTP/1.1\r\n\r\n" * 8000, connections=50)
SILENT = Attack("silence", b"", connections=500)
ATTACKS = (
    SILENT,
    SLOW_HEAD,
    SLOW_BODY,
    SLOW_CHUNKS,
    EXTENSIONS,
    TRAILERS,
    HEADERS,
    HUGE,
    HUGE_CHUNKED,
    BOMB,
    UNREAD,
    AHEAD,
)


@contextlib.contextmanager
def under(attack: Attack, port: int) -> Iterator[list[socket.socket]]:
    """Attack from a thread; connections that are closed are opened anew."""
    ending = threading.Event()
    made = open_many(port, attack.connections, attack.first)

    def go_on() -> None:
        while not ending.wait(STEP_S):
            for place, connection in enumerate(made):
                if attack.then and not push(connection, attack.then):
                    connection.close()
                    made[place] = open_one(port, attack.first)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield made
    finally:
        ending.set()
        thread.join()
        for connection in made:
            connection.close()


def open_one(port: int, first: bytes = b"") -> socket.socket:
    """Connect and send the first bytes, as far as they are taken."""
    connection = socket.create_connection((LOOPBACK, port), timeout=10)
    connection.setblocking(False)
    if first:
        push(connection, first)
    return connection


def open_many(port: int, number: int, first: bytes = b"") -> list[socket.socket]:
    """Give so many connections."""
    return [open_one(port, first) for _ in range(number)]


def push(connection: socket.socket, data: bytes) -> bool:
    """Send what is taken at once; False when the other side has hung up."""
    try:
        connection.send(data)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def is_open(connection: socket.socket) -> bool:
    """Say whether the other side has not hung up; what it sent is thrown away."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def is_cut_off(connection: socket.socket, data: bytes, *, reads: bool = True) -> bool:
    """Send the same again and again; say whether the other side hung up within 30 s."""
    never = threading.Event()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not push(connection, data) or (reads and not is_open(connection)):
            return True
        never.wait(0.001)
    return False


def slowest(send: Callable[[], int], seconds: float) -> float:
    """Send good deliveries for so long, and give how long the slowest took."""
    longest = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        assert send() == 202
        longest = max(longest, time.monotonic() - began)
    return longest
