"""The door alone behind uvicorn, with one source as `hookwright apply` would have stored it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from bench.payload import SECRET
from schemas.clock import utc_now
from schemas.config import Limits
from schemas.configured_tables import SourceRow
from schemas.tables import METADATA
from service.db import Database
from service.door import Door
from service.door_answers import Send
from service.door_request import Receive
from service.queue import DramatiqQueue, make_broker
from service.secretbox import SecretBox
from service.source_secrets import seal_secrets
from service.vendors import BY_NAME
from service.vendors.base import Secret

BOX = SecretBox(["bench-key-0123456789abcdef-0123456789abcdef"])


class DoorApp:
    """An ASGI application that has nothing but the door."""

    def __init__(self) -> None:
        self._database = Database(os.environ["BENCH_DATABASE_URL"])
        queue = DramatiqQueue(make_broker(os.environ["BENCH_REDIS_URL"]))
        self._door = Door(self._database, queue, BY_NAME, BOX)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Hand requests to the door, as the product's own dispatcher does."""
        if scope["type"] == "http":
            await self._door(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            _add_source(self._database)
            await self._door.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._door.stop()
            self._database.dispose()
            await send({"type": "lifespan.shutdown.complete"})


def make_app() -> DoorApp:
    """Build the application from the environment."""
    return DoorApp()


def _add_source(database: Database) -> None:
    METADATA.create_all(database.engine)
    limits = Limits(per_second=1_000_000, burst=1_000_000)
    with database.session() as session:
        session.add(
            SourceRow(
                name="github",
                vendor="github",
                secrets=seal_secrets(BOX, [Secret(SECRET)]),
                limits=limits.model_dump(),
                updated_at=utc_now(),
            )
        )
        session.commit()
