"""One `hookwright up` at a time in a data directory that holds the database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import ConfigurationError
from service.settings import writing_into

FILE = "up.lock"


@contextmanager
def hold_data_dir(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this process; the lock goes with the process, however it ends.

    Raises ConfigurationError when another process holds it, or it cannot be written.
    """
    with writing_into(data_dir):
        # Not truncated before the lock is ours: the one who holds it has written its id there.
        descriptor = os.open(data_dir / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            who = f" (process {holder})" if holder else ""
            raise ConfigurationError(
                f"another `hookwright up` runs in {data_dir}{who}",
                hint="stop it, or give this one another HOOKWRIGHT_DATA_DIR; "
                "several processes share a PostgreSQL database",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def ensure_unheld(data_dir: Path) -> None:
    """Raise ConfigurationError when another process holds the data directory; makes nothing."""
    if (data_dir / FILE).exists():
        with hold_data_dir(data_dir):
            pass
