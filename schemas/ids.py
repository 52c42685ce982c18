"""Ids of rows: UUIDv7 (RFC 9562 §5.7), so that newer rows sort after older ones."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_RANDOM_BITS = 74
_LOW_BITS = 62
_FIRST_BYTES = 9
"""One bit less than there are random ones, so that the steps after the first find room."""
_STEP_BYTES = 6
_POOL_BYTES = 4096
_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Ids:
    """Makes ids of which each sorts after the one before, also within a millisecond."""

    def __init__(self) -> None:
        self._latest = 0
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget the random bytes in store, which another process may have as well."""
        self._lock = threading.Lock()
        self._pool = b""
        self._used = 0

    def next(self) -> int:
        """Give milliseconds and random bits. Within a millisecond the bits rise by random steps.

        The first of a millisecond leaves the highest random bits free, so the steps find room
        (RFC 9562 §6.2, method 2).
        """
        milliseconds = time.time_ns() // 1_000_000
        with self._lock:
            if self._latest >> _RANDOM_BITS >= milliseconds:
                self._latest += 1 + self._random(_STEP_BYTES)
            else:
                self._latest = milliseconds << _RANDOM_BITS | self._random(_FIRST_BYTES)
            return self._latest

    def _random(self, size: int) -> int:
        # Asking the system for each id costs more than all the rest of making it.
        start, self._used = self._used, self._used + size
        if self._used > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            start, self._used = 0, size
        return int.from_bytes(self._pool[start : self._used])


_IDS = _Ids()
os.register_at_fork(after_in_child=_IDS.start_afresh)


def new_id() -> UUID:
    """Give a new UUIDv7: 48 bits of Unix milliseconds, then 74 bits that nobody can guess.

    Ids that one process makes rise.
    """
    value = _IDS.next()
    milliseconds, bits = divmod(value, 1 << _RANDOM_BITS)
    high, low = divmod(bits, 1 << _LOW_BITS)
    return UUID(int=(milliseconds << 80) | _VERSION | (high << 64) | _VARIANT | low)


def made_at(id_: UUID) -> datetime:
    """Give when an id was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)


def first_id(moment: datetime) -> UUID:
    """Give an id before which there is none that was made at this time (aware) or later."""
    milliseconds = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=(milliseconds << 80) | _VERSION | _VARIANT)
