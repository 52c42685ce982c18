"""An address that takes what GitHub's twin sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from service.vendors.base import Delivery, Headers
from service.vendors.github import VENDOR
from service.vendors.github.options import GitHubOptions


class Inbox:
    """A source that takes what the twin sends; `answers` are statuses for the next ones."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: list[int] = []
        self.url = ""

    def keys(self) -> list[str]:
        incoming = VENDOR.incoming
        assert incoming is not None
        return [incoming.delivery_key(one, GitHubOptions()) for one in self.deliveries]

    def facts(self) -> set[str]:
        incoming = VENDOR.incoming
        assert incoming is not None
        return {
            event.fact
            for one in self.deliveries
            for event in incoming.normalise(one, GitHubOptions())
        }


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Listen until the block ends."""
    found = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = Headers([(name.lower(), value) for name, value in self.headers.items()])
            status = found.answers.pop(0) if found.answers else 202
            if status < 300:
                found.deliveries.append(Delivery("s", headers, body, datetime.now(UTC)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/hooks/github"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
