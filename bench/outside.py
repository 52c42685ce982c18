"""Whoever workflows call: it notes when a call comes, and is content with everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers import free_port

ANSWER = b'{"ok": true, "channel": "C0BENCH", "ts": "1700000000.000100"}'
CONNECTION = """
connections:
  - name: slack
    vendor: slack
    base_url: http://127.0.0.1:PORT/api
    credentials: {bot_token: {value: xoxb-bench}}
    options: {channel: C0BENCH}
"""
"""How an installation finds it, once PORT is replaced."""


class Outside(ThreadingHTTPServer):
    """Whoever is called: notes when, and is content with everything."""

    daemon_threads = True

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(("127.0.0.1", self.port), _Call)
        self.calls = 0
        self.called_at = 0.0
        self.called = threading.Event()

    def note(self) -> None:
        """Remember that a call came."""
        moment = time.perf_counter()
        self.calls += 1
        if not self.called.is_set():
            self.called_at = moment
            self.called.set()


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Outside

    def do_POST(self) -> None:
        """Answer as Slack does."""
        self.server.note()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def calls_outside() -> Iterator[Outside]:
    """Give somebody who can be called for as long as this lasts."""
    with Outside() as outside:
        threading.Thread(target=outside.serve_forever, daemon=True).start()
        try:
            yield outside
        finally:
            outside.shutdown()
