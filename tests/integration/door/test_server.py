"""The server around the door: it hears that it is to stop, and does not ask for it."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn

from service.settings import Settings
from service.web import main
from service.web.connections import SHARED


async def _application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    scope["state"][SHARED] = SimpleNamespace(connections=SimpleNamespace(make_room=lambda: None))
    for said in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{said}.complete"})


def test_a_signal_is_heard_between_two_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "TICK_S", 3600.0)
    is_ready, told = threading.Event(), []
    server = main.Server(
        uvicorn.Config(_application, lifespan="on", ws="none", log_config=None),
        is_ready.set,
        lambda: told.append("stopping"),
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert is_ready.wait(10)
        server.handle_exit(signal.SIGTERM, None)
        thread.join(10)
    assert not thread.is_alive()
    assert told == ["stopping"]


def test_a_signal_is_heard_before_the_server_listens_to_signals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late: list[threading.Timer] = []

    def run(server: main.Server, sockets: list[socket.socket]) -> None:
        signal.raise_signal(signal.SIGTERM)
        late.append(threading.Timer(10, server.handle_exit, [signal.SIGINT, None]))
        late[0].start()
        uvicorn.Server.run(server, sockets)

    monkeypatch.setattr(main.Server, "run", run)
    monkeypatch.setattr(gc, "set_threshold", lambda _threshold: None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        application = cast("Any", _application)
        assert main.serve(
            application, Settings(data_dir=tmp_path), listening, on_ready=lambda: None
        )
    assert late[0].is_alive(), "it went on until another signal came"
    late[0].cancel()
