from __future__ import annotations

import pytest

from service.db import Database
from tests.integration.engine.installation import Installation


@pytest.fixture
def installation(database: Database) -> Installation:
    return Installation(database)
