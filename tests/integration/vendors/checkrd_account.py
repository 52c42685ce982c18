"""Checkrd's twin as every test finds it, who calls it, and an address that takes what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from examples.twins.launch import TwinProcess
from schemas.events import EventDraft
from service.vendors.base import Delivery, Headers, Secret
from service.vendors.checkrd import VENDOR
from service.vendors.checkrd.client import CheckrdClient
from service.vendors.checkrd.options import CheckrdOptions
from tests.integration.vendors.conftest import Caller

SECRET = "checkrd-webhook-secret"
LOGIN = {"jwt": "jwt_twin"}
RENEWED = {"jwt": "jwt_twin", "refresh_token": "refresh_twin"}
KEY = {"api_key": "ck_test_twin"}
START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def install(process: TwinProcess) -> TwinProcess:
    process.set(
        pace=0,
        receiver=None,
        role="admin",
        key_scope="control",
        heartbeat_s=15,
        write_s=0,
        hits_to_fire=1,
        token_s=900,
        rotate_refresh=False,
        plan="team",
        jwt="jwt_twin",
        refresh_token="refresh_twin",
        key="ck_test_twin",
        own_ids=False,
        body="notification",
    )
    process.limit("api", rate_per_s=10_000, burst=10_000)
    process.limit("telemetry", limit=None)
    return process


def caller_of(twin: TwinProcess, credentials: dict[str, str] = LOGIN, **options: Any) -> Caller:
    given = {"per_minute": 60_000, **options}
    return Caller(VENDOR, twin.url, credentials, given)


def client_of(caller: Caller) -> CheckrdClient:
    return CheckrdClient.of(caller.context())


@dataclass
class Inbox:
    """Takes webhooks."""

    url: str = ""
    received: list[Delivery] = field(default_factory=list)


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Listen until the block ends."""
    kept = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            kept.received.append(Delivery("checkrd", Headers(headers), body, datetime.now(UTC)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/hooks/checkrd"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


def events_of(inbox: Inbox) -> list[EventDraft]:
    """What the deliveries say, each of which must be proven to come from the twin."""
    incoming = VENDOR.incoming
    assert incoming is not None
    options = CheckrdOptions()
    verify = incoming.verifier(options, [Secret(SECRET)])
    for delivery in inbox.received:
        verify(delivery, datetime.now(UTC))
    return [event for one in inbox.received for event in incoming.normalise(one, options)]
