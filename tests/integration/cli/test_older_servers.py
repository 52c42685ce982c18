"""Commands against a server of an older release, whose answers lack the newer fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright

WORKFLOW = {
    "name": "heal",
    "version": 3,
    "enabled": True,
    "updated_at": "2026-01-01T00:00:00Z",
    "description": "heals runs",
}


@pytest.fixture
def older_server() -> Iterator[str]:
    """Give the address of a server that knows one workflow, and no modes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": [WORKFLOW], "next_cursor": None}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_workflow_without_a_mode_is_listed_with_an_empty_cell(older_server: str) -> None:
    done = CliRunner().invoke(
        hookwright, ["workflow", "list", "--url", older_server, "--token", "hw_x"]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    head, _, row = done.output.splitlines()
    assert "mode" in head.split()
    assert row.split()[:3] == ["heal", "3", "yes"]
    assert "heals runs" in row
