"""What the receiver holds in memory after many requests, beside what it held after few.

Right and wrong signatures take turns; every delivery is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.figures import Context, Figure, Measurement, Wanted
from bench.loading import Load, send
from bench.payload import body_of
from bench.processor_time import resident_bytes
from bench.receivers import PREPARED
from bench.rounds import CONNECTIONS

GROWTH = Wanted(
    "memory/growth",
    "memory of the receiver after 2,000,000 requests ÷ after 100,000",
    1.1,
    at_most=True,
)
FEW, MANY = 100_000, 2_000_000
QUICK_FEW, QUICK_MANY = 2_000, 6_000
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
            answered, fault = _answer(load, 0, few, SHORT_S)
            time.sleep(REST_S)
            before = resident_bytes([process.pid])
            context.note("memory/few", requests=answered, megabytes=before / 1e6)
            answered, more = _answer(load, answered, many, SHORT_S if context.quick else RIGHT_S)
            time.sleep(REST_S)
            after = resident_bytes([process.pid])
            context.note("memory/many", requests=answered, megabytes=after / 1e6)
    finally:
        PREPARED.close()
    yield Figure(
        GROWTH,
        [after / before],
        void=fault or more,
        note=f"{before / 1e6:.0f} MB, then {after / 1e6:.0f} MB after {answered:,} requests",
    )


def _answer(load: Load, answered: int, wanted: int, right_s: float) -> tuple[int, str]:
    """Load until so many requests were answered; gives how many, and what is wrong with them."""
    while answered < wanted:
        right = send(load.lasting(right_s, CONNECTIONS))
        wrong = send(load.wrongly_signed().lasting(WRONG_S, CONNECTIONS))
        unwanted = right.others + right.unproven + wrong.others + wrong.good
        if unwanted:
            return answered, f"{unwanted} answers were others than wanted"
        answered += right.good + wrong.unproven
    return answered, ""


MEASUREMENT = Measurement("memory", (GROWTH,), run)
