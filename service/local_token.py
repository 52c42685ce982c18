"""The token of the data directory: whoever may read that directory needs to type none."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from service.db import Database
from service.errors import Unauthenticated
from service.queue import Queue
from service.settings import Settings
from service.tokens import Role, authenticate, create_token
from service.unit_of_work import reading, unit_of_work

FILE = "admin.token"
LABEL = "this machine"


def read_local_token(settings: Settings) -> str | None:
    """Give the token of the data directory; None when there is none that we may read."""
    try:
        return _path(settings).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def make_local_token(
    settings: Settings, database: Database, queue: Queue, *, now: datetime
) -> None:
    """Put a working token into the data directory, for its owner alone (0600)."""
    token = read_local_token(settings)
    if token is not None and _works(database, token, now):
        return
    with unit_of_work(database, queue) as work:
        _, token = create_token(work.session, label=LABEL, role=Role.ADMIN, now=now)
    path = _path(settings)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    fresh.replace(path)


def _works(database: Database, token: str, now: datetime) -> bool:
    try:
        with reading(database) as session:
            authenticate(session, token, now=now, admin_token=None)
    except Unauthenticated:
        return False
    return True


def _path(settings: Settings) -> Path:
    return settings.data_dir / FILE
