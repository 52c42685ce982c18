"""Deliveries sent byte for byte, over a connection that a test holds in its hand."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.integration.door.receiver import BODY, Receiver, sign_github


@dataclass
class Sender:
    """One connection to a receiver."""

    connection: socket.socket

    def send(self, *parts: bytes) -> None:
        """Send parts that the other side reads one by one."""
        for part in parts:
            self.connection.sendall(part)

    def answer(self) -> bytes:
        """Give one whole answer; empty when the connection was ended."""
        said = b""
        while b"\r\n\r\n" not in said:
            read = self.connection.recv(65_536)
            if not read:
                return said
            said += read
        head, _, body = said.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        while length is not None and len(body) < int(length[1]):
            body += self.connection.recv(65_536)
        return head + b"\r\n\r\n" + body

    def is_answered(self) -> bool:
        """Say whether there is something to read."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def is_ended(self) -> bool:
        """Say whether the other side has hung up."""
        return self.connection.recv(1) == b""


@contextmanager
def connected(receiver: Receiver) -> Iterator[Sender]:
    """Connect to a receiver; what is sent leaves at once."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Sender(connection)


def request(
    path: str = "/hooks/github",
    *more: tuple[str, str],
    body: bytes = BODY,
    secret: str | None = None,
    key: str | None = None,
) -> tuple[bytes, bytes]:
    """Give a delivery's head and body."""
    signed = sign_github(key, body=body, **({"secret": secret} if secret else {}))
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        *(f"{name}: {value}" for name, value in (*signed.headers, *more)),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode(), body
