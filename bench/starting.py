"""How long the command line takes to answer, and `up` to take a delivery; what it costs idle.

Installed and empty: the configuration is there, the database is not.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.installation import EXECUTABLE, Installation, deliver, has_ended, new_installation
from bench.machine import SYSTEM_CPU, on_cpu
from bench.processor_time import seconds

HELP, READY, IDLE = (
    Wanted("start/help", "hookwright --help", 0.3, Unit.SECONDS, at_most=True),
    Wanted("start/up", "hookwright up until the first 202", 2.0, Unit.SECONDS, at_most=True),
    Wanted("start/idle", "processor time of hookwright up, idle", 1.0, Unit.PERCENT, at_most=True),
)
SETTLE_S, QUICK_SETTLE_S = 8.0, 1.0
WATCH_S, QUICK_WATCH_S = 10.0, 1.0
PATIENCE_S = 60.0
ASK_EVERY_S = 0.01


def run(context: Context) -> Iterator[Figure]:
    """Measure what was asked for."""
    chosen = context.chosen((HELP, READY, IDLE))
    if HELP in chosen:
        yield Figure(HELP, [_help_seconds() for _ in range(context.rounds + 1)][1:])
    if READY in chosen or IDLE in chosen:
        ready, idle = [], []
        for number in range(context.rounds):
            with new_installation("") as installation:
                took, share = _up(context, installation)
            context.note("start/up", round=number + 1, seconds=took, idle_percent=share)
            ready.append(took)
            idle.append(share)
        yield from (
            Figure(wanted, rounds)
            for wanted, rounds in ((READY, ready), (IDLE, idle))
            if wanted in chosen
        )


def _help_seconds() -> float:
    with on_cpu(SYSTEM_CPU):
        began = time.perf_counter()
        subprocess.run([EXECUTABLE, "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def _up(context: Context, installation: Installation) -> tuple[float, float]:
    """Start it; gives the seconds until the first 202, and its share of a processor, idle."""
    began = time.perf_counter()
    with installation.running("up", ready=None) as process:
        while deliver(installation.port) != 202:
            if has_ended(process) or time.perf_counter() - began > PATIENCE_S:
                message = "hookwright up takes no delivery"
                raise RuntimeError(message)
            time.sleep(ASK_EVERY_S)
        took = time.perf_counter() - began
        time.sleep(QUICK_SETTLE_S if context.quick else SETTLE_S)
        used, since = seconds([process.pid]), time.perf_counter()
        time.sleep(QUICK_WATCH_S if context.quick else WATCH_S)
        share = (seconds([process.pid]) - used) / (time.perf_counter() - since)
    return took, share * 100


MEASUREMENT = Measurement("start", (HELP, READY, IDLE), run)
