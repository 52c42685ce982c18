"""The database's clock, for processes on several machines: their own may differ by seconds.

Leases and due times are written by one process and compared by another. So all of them go by one
clock: that of the database, carried on between two looks at it by the machine's monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from schemas.clock import Clock, utc_now
from service.db import Database

log = structlog.get_logger(__name__)

ADJUST_EVERY_S = 30.0
TOLD_FROM = timedelta(seconds=5)
"""A difference that somebody should do something about: signatures have times in them as well."""


class DatabaseClock:
    """Gives the time by the database's clock; by this machine's until it was asked once."""

    def __init__(
        self,
        database: Database,
        *,
        local: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._local = local
        self._monotonic = monotonic
        self._noted: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """Give the time."""
        if self._noted is None:
            return self._local()
        moment, at = self._noted
        return moment + timedelta(seconds=self._monotonic() - at)

    def adjust(self) -> None:
        """Look at the database's clock, unless that was done lately. Raises Unavailable."""
        began = self._monotonic()
        if self._noted is not None and began - self._noted[1] < ADJUST_EVERY_S:
            return
        moment = self._database.time()
        ended = self._monotonic()
        differs = abs(moment - self._local())
        if differs >= TOLD_FROM and self._noted is None:
            log.warning(
                "clocks_differ",
                seconds=round(differs.total_seconds(), 1),
                to_do="set this machine's clock and the database's by one time server",
            )
        # The answer is as old as half of the way there and back.
        self._noted = moment.astimezone(UTC), (began + ended) / 2
