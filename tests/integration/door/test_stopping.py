"""Who is still sending when the receiver stops is asked to come again, and nothing is broken."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from service.db import Database
from service.queue import make_broker
from service.settings import Settings
from tests.integration.door.receiver import BellBook, Receiver, add_source, receiving
from tests.servers import wait_until
from workers import main as workers


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


def test_workers_stop_in_the_time_that_began_with_the_receiver(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, secret_keys=["k" * 40], shutdown_seconds=2)
    broker = make_broker(None)
    begun, may_end = threading.Event(), threading.Event()

    @dramatiq.actor(broker=broker, max_retries=0)
    def wait_long() -> None:
        begun.set()
        may_end.wait(20)

    running = workers.start(settings, database, broker)
    wait_long.send()
    assert begun.wait(10)
    began = time.monotonic()
    running.begin_to_stop()
    running.begin_to_stop()
    assert time.monotonic() - began < 1  # it does not wait
    running.stop()
    assert 1 < time.monotonic() - began < 4
    assert not running.heartbeat_file.exists()
    may_end.set()
