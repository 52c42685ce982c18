from __future__ import annotations

from pathlib import Path

import pytest

from service.db import Database
from tests.integration.sealing.sealed_house import SealedHouse


@pytest.fixture
def house(database: Database, tmp_path: Path) -> SealedHouse:
    return SealedHouse(database, data_dir=tmp_path)
