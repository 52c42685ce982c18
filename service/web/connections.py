"""How many connections there are at most, and which one goes when another comes.

At the bound the connection goes that has kept us waiting for longest: for its next request, for the
rest of one, or for its reading of our answer. So a crowd that only sits there keeps nobody out.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Protocol

from service.door_answers import Header
from service.door_gate import Gate
from service.door_turnstile import Turnstile
from service.web.exchange import Door, lines_of

SHARED = "hookwright"
"""The key under which the application's state holds a `Shared`."""
MAX_CONNECTIONS = 20_000
REST_S = 0.05
"""How long a connection is not read after it was refused for load."""
RESERVED_FILES = 256
"""Left for the database, the queue, and everything else that is a file here."""


class Waited(Protocol):
    """A connection whose other side we wait for."""

    def end_now(self) -> None:
        """Cut it off."""


class Connections:
    """The connections of one server that we wait for, longest first."""

    def __init__(self) -> None:
        self._waited: dict[Waited, None] = {}

    def await_sender(self, connection: Waited) -> None:
        """Note that it is the other side's turn, from now on."""
        self._waited.pop(connection, None)
        self._waited[connection] = None

    def await_us(self, connection: Waited) -> None:
        """Note that it is our turn, or that the connection is gone."""
        self._waited.pop(connection, None)

    def make_room(self) -> bool:
        """Cut off whoever keeps us waiting for longest; False when there is nobody."""
        longest = next(iter(self._waited), None)
        if longest is None:
            return False
        del self._waited[longest]
        longest.end_now()
        return True


class Refused(Protocol):
    """A connection that was answered that there is too much."""

    def read_on(self) -> None:
        """Take what is sent from now on."""


class Resting:
    """Connections that are not read for a moment, because they were just refused for load.

    An event loop reads on as long as there is something to read, before whatever else is ready has
    its turn: what the database answers, for one. Thousands who come again at once would stop it.
    """

    def __init__(self) -> None:
        self._refused: list[Refused] = []

    def add(self, connection: Refused) -> None:
        """Let this one, which is not read any more, be read again when the moment is over."""
        if not self._refused:
            asyncio.get_running_loop().call_later(REST_S, self._end)
        self._refused.append(connection)

    def _end(self) -> None:
        refused, self._refused = self._refused, []
        for connection in refused:
            connection.read_on()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a server share."""

    gate: Gate
    turnstile: Turnstile | None = None
    door: Door | None = None
    """Takes requests that came whole; without it all of them become tasks."""
    connections: Connections = field(default_factory=Connections)
    resting: Resting = field(default_factory=Resting)
    _always: list[tuple[list[Header], bytes]] = field(default_factory=list)

    def lines_of(self, always: list[Header]) -> bytes:
        """Give the server's own headers as they are sent; its list is another once a second."""
        if not self._always or self._always[0][0] is not always:
            self._always[:] = [(always, lines_of(always))]
        return self._always[0][1]


def allow_many_files() -> int:
    """Raise this process's limit of open files as far as it may; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    return most_files()


def most_connections() -> int:
    """Give how many connections this process may have."""
    return max(1, min(MAX_CONNECTIONS, most_files() - RESERVED_FILES))


def most_files() -> int:
    """Give how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS + RESERVED_FILES if soft == resource.RLIM_INFINITY else soft
