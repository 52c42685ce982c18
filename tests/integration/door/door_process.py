"""The door in a process of its own, to be killed: `uvicorn …door_process:make_app --factory`."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from service.db import Database
from service.door import Door
from service.vendors import BY_NAME
from tests.integration.door.receiver import BOX, BellBook


def make_app() -> Any:
    database = Database(os.environ["DOOR_TEST_DATABASE_URL"])
    door = Door(database, BellBook(), BY_NAME, BOX)

    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await door(scope, receive, send)
            return
        await receive()
        await door.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await door.stop()
        await send({"type": "lifespan.shutdown.complete"})

    return serve
