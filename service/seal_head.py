"""The end of the chain as a process last saw it, kept in its data directory.

The database alone cannot tell when its newest seals were taken away together with their rows.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FILE = "seal.head"


@dataclass(frozen=True, slots=True)
class Head:
    """A seal that the chain must hold: its number and its digest."""

    number: int
    digest: bytes

    def __str__(self) -> str:
        """Give it as people write it down."""
        return f"{self.number}:{self.digest.hex()}"


def parse_head(text: str) -> Head:
    """Read what `str` gives. Raises ValueError."""
    number, _, digest = text.strip().partition(":")
    try:
        head: Head | None = Head(int(number), bytes.fromhex(digest))
    except ValueError:
        head = None
    if head is None or head.number < 1 or str(head) != text.strip():
        message = "a seal is written as NUMBER:DIGEST, the digest in hexadecimal digits"
        raise ValueError(message)
    return head


def read_head(data_dir: Path) -> Head | None:
    """Give the end of the chain as it was last seen here; None when it never was."""
    try:
        kept = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
        return parse_head(kept["seal"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_head(data_dir: Path, head: Head) -> None:
    """Keep the end of the chain. What cannot be written is passed over: it is a second look."""
    path = data_dir / FILE
    beside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        beside.write_text(json.dumps({"seal": str(head)}) + "\n", encoding="utf-8")
        beside.replace(path)
