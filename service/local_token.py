"""The token of the data directory: whoever may read that directory needs to type none.

Commands read it here without loading the database's libraries; `tokens.py` makes it.
"""

from __future__ import annotations

import os
from pathlib import Path

FILE = "admin.token"


def read_local_token(data_dir: Path) -> str | None:
    """Give the token of the data directory; None when there is none that we may read."""
    try:
        return (data_dir / FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def write_local_token(data_dir: Path, token: str) -> None:
    """Put a token into the data directory, for its owner alone (0600)."""
    fresh = data_dir / f"{FILE}.new"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    fresh.replace(data_dir / FILE)
