"""Whether the tables are those of this release: asked at every start and by whoever watches.

It needs nothing of what changes them (service/store/schema.py), which takes a while to load.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from service.db import Database
from service.errors import Unavailable

_REVISION_FILE = re.compile(r"([0-9]{4})_\w+\.py")
_TABLE = "alembic_version"


def is_current(database: Database) -> bool:
    """Say whether the tables are those this release was written for. Raises Unavailable.

    An SQLite file that does not exist is not made by asking.
    """
    if database.is_missing:
        return False
    engine = database.engine.execution_options(hookwright_read_only=True)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(_TABLE):
                return False
            applied = connection.scalars(text(f"SELECT version_num FROM {_TABLE}")).all()  # noqa: S608  # a constant
    except DBAPIError as error:
        raise Unavailable(
            "the database is not available", hint="`hookwright doctor` says what is wrong with it"
        ) from error
    return list(applied) == [newest()]


def ensure_current(database: Database) -> None:
    """Bring the tables up to date where they are not. Raises Unavailable, and says why."""
    try:
        if is_current(database):
            return
    except Unavailable:
        pass  # to bring it up to date fails for the same reason, and says which
    from service.store import schema  # noqa: PLC0415  # a restart finds nothing to change

    schema.upgrade(database)
    schema.make_partitions(database)


@cache
def newest() -> str:
    """Give the newest revision, by the names of the files in migrations/versions."""
    names = (item.name for item in (files("migrations") / "versions").iterdir())
    return max(found[1] for name in names if (found := _REVISION_FILE.fullmatch(name)))
