"""(d) A chain of three plain Dramatiq actors; each inserts one row and sends the next.

Nothing of it is durable between a row and the next message, nothing finds a step that was done
twice, and nothing says how far a run has come.
"""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.baselines.step_rows import insert_row, open_engine

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)
engine = open_engine()


@dramatiq.actor(max_retries=3)
def one(run: str, number: int) -> None:
    """Do the first step."""
    insert_row(engine, run, "one", number)
    two.send(run, number)


@dramatiq.actor(max_retries=3)
def two(run: str, number: int) -> None:
    """Do the second step."""
    insert_row(engine, run, "two", number)
    three.send(run, number)


@dramatiq.actor(max_retries=3)
def three(run: str, number: int) -> None:
    """Do the last step."""
    insert_row(engine, run, "three", number)
