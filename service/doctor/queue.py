"""What the doctor sees of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from schemas.clock import Clock
from service.doctor.verdicts import Verdict, fail, good, size, span, warn
from service.errors import Unavailable
from service.queue import Queue
from service.queue_policy import KEEPS_ALL, TO_DO, QueueFacts, ask_queue

NEARLY_FULL = 0.8
FULL = 0.95
CLOCKS_APART = timedelta(seconds=1)


def look_at_queue(queue: Queue, clock: Clock, *, shared_database: bool) -> Iterator[Verdict]:
    """Judge whether Redis answers, and whether it may forget what was rung for.

    `shared_database`: the database is one that several processes can use.
    """
    try:
        facts = ask_queue(queue, clock=clock)
    except Unavailable as error:
        yield fail(
            "Redis",
            error.message,
            "start it, or correct HOOKWRIGHT_REDIS_URL; until then nothing is lost, and work is "
            "found some seconds late",
        )
        return
    if facts is not None:
        yield good("Redis", f"{facts.version} answers")
        yield _policy(facts)
        yield from _memory(facts)
        yield clock_verdict("Redis's clock", facts.clock_ahead)
    elif shared_database:
        yield warn(
            "Redis",
            "there is none: `hookwright serve` cannot ring for `hookwright work`",
            "set HOOKWRIGHT_REDIS_URL for both; with `hookwright up` alone all is well",
        )
    else:
        yield good("queue", "in the process")


def _policy(facts: QueueFacts) -> Verdict:
    name = "eviction"
    if facts.policy is None:
        return warn(name, "Redis does not say what it does when it is full", TO_DO)
    if not facts.evicts:
        return good(name, f"{KEEPS_ALL}: Redis forgets nothing")
    evicted = f", and has dropped {facts.evicted_keys:,} keys" if facts.evicted_keys else ""
    limit = "" if facts.most_bytes is None else f" above {size(facts.most_bytes)}"
    if facts.evicts_queue:
        says = f"maxmemory-policy {facts.policy}: Redis drops what was rung for{limit}{evicted}"
        return fail(name, f"{says}. Nothing is lost, but it is done late", TO_DO)
    return warn(name, f"maxmemory-policy {facts.policy}: Redis drops keys{limit}{evicted}", TO_DO)


def _memory(facts: QueueFacts) -> Iterator[Verdict]:
    if facts.most_bytes is None:
        return
    share = facts.used_bytes / facts.most_bytes
    says = f"{size(facts.used_bytes)} of {size(facts.most_bytes)} used ({share:.0%})"
    to_do = "raise `maxmemory`, or give Hookwright a Redis of its own"
    if share >= FULL:
        yield fail("Redis's memory", says, to_do)
    elif share >= NEARLY_FULL:
        yield warn("Redis's memory", says, to_do)
    else:
        yield good("Redis's memory", says)


def clock_verdict(name: str, ahead: timedelta) -> Verdict:
    """Judge by how much another machine's clock differs from ours; leases go by clocks."""
    if abs(ahead) < CLOCKS_APART:
        return good(name, f"within {span(max(abs(ahead), timedelta(milliseconds=1)))} of ours")
    which = "ahead of" if ahead > timedelta() else "behind"
    return fail(
        name,
        f"{span(ahead)} {which} ours: leases, waits and signatures go by the time",
        "let every machine set its clock by NTP (chrony, systemd-timesyncd)",
    )
