"""Ids of rows: UUIDv7 (RFC 9562 §5.7), so that newer rows sort after older ones."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_RANDOM_BYTES = 10
_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_MASK = (0xFFF << 64) | ((1 << 62) - 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """Give a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(_RANDOM_BYTES), "big") & _RANDOM_MASK
    return UUID(int=(milliseconds << 80) | random | _VERSION | _VARIANT)


def made_at(id_: UUID) -> datetime:
    """Give when an id was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)


def first_id(moment: datetime) -> UUID:
    """Give an id before which there is none that was made at this time (aware) or later."""
    milliseconds = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=(milliseconds << 80) | _VERSION | _VARIANT)
