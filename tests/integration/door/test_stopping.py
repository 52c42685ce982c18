"""Who is still sending when the receiver stops is asked to come again, and nothing is broken."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from service.db import Database
from tests.integration.door.receiver import BellBook, Receiver, add_source, receiving
from tests.servers import wait_until


@pytest.fixture
def impatient(database: Database, bell: BellBook) -> Iterator[Receiver]:
    """A receiver that stops within a second."""
    with database.session() as session:
        add_source(session)
    with receiving(database, bell, grace_s=1) as running:
        yield running


def test_a_slow_sender_is_told_503_and_the_log_has_no_fault(
    impatient: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        connection.sendall(
            b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
        )
        wait_until(lambda: impatient.door._bodies._began)
        impatient.ask_to_stop()
        answer = connection.recv(4096)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 503 ")
    assert b"\r\nretry-after: 5" in head
    assert b"\r\ncontent-type: application/problem+json" in head
    impatient.stop()
    assert impatient.door.counts["github", "stopping"] == 1
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR and line.exc_info]
