"""The inboxes of a database: as many as it takes groups at a time."""

from __future__ import annotations

from schemas.clock import Clock
from service.db import Database
from service.store.arrivals import Inbox

GROUPS_AT_ONCE = 3
"""Groups that PostgreSQL takes at a time: where forcing 8 KiB to disk takes 0.3 ms, three were
measured to store a third more than one, and nobody waited longer."""


def open_inboxes(database: Database, clock: Clock, *, at_once: int = GROUPS_AT_ONCE) -> list[Inbox]:
    """Give the inboxes of a database, one for each group it takes at a time; none is connected."""
    # Each where it is needed: psycopg alone takes a while to load.
    if database.is_sqlite:
        from service.store.inbox_sqlite import SqliteInbox  # noqa: PLC0415

        return [SqliteInbox(database, clock)]
    from service.store.inbox_postgres import PostgresInbox  # noqa: PLC0415

    return [PostgresInbox(database, clock) for _ in range(at_once)]
