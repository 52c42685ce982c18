"""What every use case is given: the database, the queue, the vendors, the clock."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.clock import Clock, utc_now
from schemas.ids import new_id
from service.actions import AnyAction, index_actions
from service.connections import Connections
from service.db import Database
from service.queue import Queue
from service.settings import Effects, Settings
from service.store import runs as runs_store
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from service.versions import Versions


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-12:]}"


@dataclass(slots=True)
class Runtime:
    """The parts of a running installation.

    `owner` names this process in leases; `stopping` is set when it shall finish what it holds.
    """

    database: Database
    queue: Queue
    settings: Settings
    connections: Connections
    vendors: Mapping[str, Vendor] = field(default_factory=lambda: BY_NAME)
    clock: Clock = utc_now
    jitter: Callable[[], float] = random.random
    owner: str = field(default_factory=_owner)
    versions: Versions = field(default_factory=lambda: Versions(runs_store.current_versions))
    stopping: threading.Event = field(default_factory=threading.Event)
    actions: Mapping[str, AnyAction] = field(init=False)

    def __post_init__(self) -> None:
        self.actions = index_actions(self.vendors.values())

    @property
    def shadow(self) -> bool:
        """Say whether effects are only recorded, in the whole installation."""
        return self.settings.effects is Effects.SHADOW


def make_runtime(settings: Settings, database: Database, queue: Queue) -> Runtime:
    """Put the parts together. Raises ConfigurationError when there is no secret key."""
    return Runtime(
        database=database,
        queue=queue,
        settings=settings,
        connections=Connections(
            settings.required_secret_keys(), private_addresses=settings.private_addresses
        ),
    )
