"""A running door on each kind of database, with one GitHub source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.db import Database
from tests.integration.door.receiver import BellBook, Receiver, add_source, receiving


@pytest.fixture
def bell() -> BellBook:
    return BellBook()


@pytest.fixture
def receiver(database: Database, bell: BellBook) -> Iterator[Receiver]:
    """The door with the source `github`."""
    with database.session() as session:
        add_source(session)
    with receiving(database, bell) as running:
        yield running
