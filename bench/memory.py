"""What the receiver holds in memory after many requests, beside what it held after few.

Right and wrong signatures take turns; every delivery is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Context, Figure, Measurement, Wanted
from bench.loading import CONNECTIONS, Load, send
from bench.payload import body_of
from bench.processor_time import resident_bytes
from bench.receivers import PREPARED, Running

GROWTH = Wanted(
    "memory/growth",
    "memory of the receiver after 2,000,000 requests ÷ after 100,000",
    1.1,
    at_most=True,
)
FEW, MANY = 100_000, 2_000_000
QUICK_FEW, QUICK_MANY = 2_000, 60_000
BODY_BYTES = 512
RIGHT_S, WRONG_S = 9.0, 1.0
SHORT_S = 1.0
REST_S = 2.0


def run(context: Context) -> Iterator[Figure]:
    """Load until so many requests were answered, and look at the process."""
    few, many = (QUICK_FEW, QUICK_MANY) if context.quick else (FEW, MANY)
    try:
        with (
            PREPARED.installation(context.servers, "postgres") as installation,
            installation.running("serve") as process,
        ):
            load = Load(installation.port, SHORT_S, CONNECTIONS, body=body_of(BODY_BYTES))
            books = _Books()
            books.answer(load, few, SHORT_S)
            time.sleep(REST_S)
            before = resident_bytes([process.pid])
            context.note("memory/few", requests=books.answered, megabytes=before / 1e6)
            books.answer(load, many, SHORT_S if context.quick else RIGHT_S)
            time.sleep(REST_S)
            after = resident_bytes([process.pid])
            context.note("memory/many", requests=books.answered, megabytes=after / 1e6)
            url = installation.database_url
            fault = books.fault(Running(installation.port, database_url=url, table="deliveries"))
    finally:
        PREPARED.close()
    yield Figure(
        GROWTH,
        [after / before],
        void=fault,
        note=f"{before / 1e6:.0f} MB, then {after / 1e6:.0f} MB after {books.answered:,} requests",
    )


@dataclass
class _Books:
    """What was answered so far. `unread`: so many more may have been stored."""

    answered: int = 0
    good: int = 0
    unread: int = 0
    unwanted: int = 0

    def answer(self, load: Load, wanted: int, right_s: float) -> None:
        """Load until so many requests were answered, or one of them otherwise than wanted.

        It loads at least once, however many were answered before.
        """
        before = self.answered
        while self.answered < max(wanted, before + 1) and not self.unwanted:
            right = send(load.lasting(right_s, CONNECTIONS))
            wrong = send(load.wrongly_signed().lasting(WRONG_S, CONNECTIONS))
            self.unwanted += right.others + right.unproven + wrong.others + wrong.good
            self.answered += right.good + wrong.unproven
            self.good += right.good
            self.unread += right.unread

    def fault(self, running: Running) -> str:
        """Say what is wrong with them; empty when they balance."""
        if self.unwanted:
            return f"{self.unwanted} answers were others than wanted"
        stored = running.rows() or 0
        balanced = 0 <= stored - self.good <= self.unread
        return "" if balanced else f"{self.good} answers 2xx and {stored} rows"


MEASUREMENT = Measurement("memory", (GROWTH,), run)
