"""Ids of rows: UUIDv7 (RFC 9562 §5.7), so that newer rows sort after older ones."""

from __future__ import annotations

import os
import time
from uuid import UUID

_RANDOM_BYTES = 10
_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_MASK = (0xFFF << 64) | ((1 << 62) - 1)


def new_id() -> UUID:
    """Give a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(_RANDOM_BYTES), "big") & _RANDOM_MASK
    return UUID(int=(milliseconds << 80) | random | _VERSION | _VARIANT)
