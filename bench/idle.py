"""How soon an event that comes after a silence is acted upon: from sending to the first call.

Two installations stand idle, one of receiver, worker, PostgreSQL and Redis, one of a single process
on SQLite. They are sent one delivery each in turns, with a silence before it that is longer than
what consumers sleep at most.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import quantiles

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.installation import RECEIVING, deliver, new_installation
from bench.outside import CONNECTION, Outside, calls_outside

FIGURES = tuple(
    Wanted(
        f"idle/{place}-{name}",
        f"idle event to first outside call, {where}, {name}",
        limit / share,
        Unit.MILLISECONDS,
        at_most=True,
    )
    for place, where, share in (
        ("redis", "PostgreSQL and Redis", 1),
        ("process", "in the process on SQLite", 2),
    )
    for name, limit in (("p50", 30.0), ("p99", 120.0))
)
EVENTS, QUICK_EVENTS = 30, 3
"""In each round."""
SILENCE_S = (0.55, 1.0)
"""Before every delivery. The two installations take turns: for each of them it is twice as long."""
PATIENCE_S = 20.0
CALLING = f"{CONNECTION}workflows: [workflows/call.yaml]\n"
WORKFLOW = """
name: call
on:
  - event: "*"
    vendor: github
steps:
  - id: tell
    uses: slack.message
    with: {text: "it happened"}
"""


def run(context: Context) -> Iterator[Figure]:
    """Send to both in turns; the percentiles are made for each round."""
    chosen = context.chosen(FIGURES)
    places = tuple(
        place for place in ("redis", "process") if any(f"/{place}-" in one.name for one in chosen)
    )
    events = QUICK_EVENTS if context.quick else EVENTS
    found: dict[str, list[list[float]]] = {place: [] for place in places}
    faults = []
    with ExitStack() as opened:
        sites = {place: opened.enter_context(_site(context, place)) for place in places}
        for port, outside in sites.values():
            _latency_ms(port, outside)  # the first of all warms up
        for number in range(context.rounds):
            for place in places:
                found[place].append([])
            for place in places * events:
                time.sleep(_SILENCES.uniform(*SILENCE_S))
                found[place][-1].append(_latency_ms(*sites[place]))
            for place in places:
                times = found[place][-1]
                context.note(
                    f"idle/{place}", round=number + 1, p50_ms=_p50(times), most_ms=max(times)
                )
        faults += [
            f"{place}: {outside.calls} calls"
            for place, (_, outside) in sites.items()
            if outside.calls != 1 + events * context.rounds
        ]
    for wanted in chosen:
        rounds = found[wanted.name.partition("/")[2].partition("-")[0]]
        percentile = _p50 if wanted.name.endswith("p50") else _p99
        yield Figure(wanted, [percentile(times) for times in rounds], void="; ".join(faults))


_SILENCES = random.Random(6)  # noqa: S311  # not for secrets


@contextmanager
def _site(context: Context, place: str) -> Iterator[tuple[int, Outside]]:
    with ExitStack() as opened:
        outside = opened.enter_context(calls_outside())
        configuration = RECEIVING + CALLING.replace("PORT", str(outside.port))
        kind = "postgres" if place == "redis" else "sqlite"
        url = opened.enter_context(context.servers.database(kind))
        redis_url = context.servers.fresh_redis() if place == "redis" else ""
        installation = opened.enter_context(new_installation(url, redis_url, configuration))
        installation.add_workflow("call", WORKFLOW)
        if place == "redis":
            installation.prepare()
            opened.enter_context(installation.running("work", ready=None))
            opened.enter_context(installation.running("serve"))
        else:
            opened.enter_context(installation.running("up"))
        yield installation.port, outside


def _latency_ms(port: int, outside: Outside) -> float:
    """Send one delivery over a new connection, as vendors do, and wait for the call."""
    outside.called.clear()
    began = time.perf_counter()
    status = deliver(port)
    if status != 202 or not outside.called.wait(PATIENCE_S):
        message = f"a delivery was answered with {status} and no call came of it"
        raise RuntimeError(message)
    return (outside.called_at - began) * 1e3


def _p50(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98]


MEASUREMENT = Measurement("idle", FIGURES, run)
