"""The server around the door: it hears that it is to stop, and does not ask for it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

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
