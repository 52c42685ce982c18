"""What is shown by `make faults`: each scenario gives one line of the table."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from tests import commands
from tests.faults import altered, overload
from tests.faults.campaign import Campaign, Say, run_campaign
from tests.faults.house import ManyMachines, OneMachine, processor_seconds
from tests.faults.killed_worker import go_on_after_kill
from tests.faults.report import Line
from tests.faults.schedule import WORKERS, Fault, Kind, make_schedule
from tests.faults.striking import Striker
from tests.servers import RedisServer

MOST_RECOVERY_S = 10.0
MOST_START_S = 2.0
FLUSH_EVERY_S = 3.0
FLUSH_FOR_S = 60.0
OURS = "hookwright:*"
FILLED_WITH = 96
"""Half megabytes: twice what there is room for."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is done. `scale` 1 is what is promised to be shown; `minutes` bounds the campaign's
    load, not what follows it."""

    seed: int
    scale: float = 1.0
    minutes: float = 20.0
    say: Say = print

    def of(self, count: int) -> int:
        """Give a count at this scale, at least 1."""
        return max(1, round(count * self.scale))


Scenario = Callable[[Options], Line]


def random_faults(options: Options) -> Line:
    """Faults of every kind, at random, under a load that starts workflows of every kind."""
    seconds = options.minutes * 60
    faults = make_schedule(options.seed, seconds=seconds * 0.97, faults=options.of(330))
    with ManyMachines() as site:
        campaign = Campaign(
            "random faults",
            options.seed,
            deliveries=options.of(50_500),
            starts=options.of(5_050),
            seconds=seconds,
            strike=lambda go_on: Striker(site, options.say).strike_all(faults, go_on),
            say=options.say,
        )
        line = run_campaign(site, campaign)
    _at_least(line, "faults", line.faults, options.of(300))
    _at_least(line, "acknowledged deliveries", line.acknowledged, options.of(50_000))
    _at_least(line, "runs", line.runs, options.of(5_000))
    return line


def flushed_redis(options: Options) -> Line:
    """FLUSHALL every 3 s for a minute."""
    seconds = FLUSH_FOR_S * min(1.0, options.scale)
    count = max(1, int(seconds / FLUSH_EVERY_S))
    faults = [Fault(number * FLUSH_EVERY_S, Kind.FLUSH, "redis", 0.0) for number in range(count)]
    with ManyMachines() as site:
        return run_campaign(
            site,
            Campaign(
                "Redis FLUSHALL every 3 s",
                options.seed,
                deliveries=int(seconds * 60),
                starts=int(seconds * 5),
                seconds=seconds,
                strike=lambda go_on: Striker(site, options.say).strike_all(faults, go_on),
                say=options.say,
            ),
        )


class EvictingRedis(RedisServer):
    """A Redis as a cache is set: it forgets what was used least when 24 MB are full."""

    def command(self) -> list[str]:
        """Give the command line."""
        cache = ("--maxmemory", "24mb", "--maxmemory-policy", "allkeys-lru")
        return [*super().command(), *cache]


def evicting_redis(options: Options) -> Line:
    """A Redis that forgets keys of ours, because others fill it and because much waits."""
    deliveries = options.of(20_000)
    with ManyMachines(make_redis=EvictingRedis) as site:
        evicted: list[int] = []

        def strike(go_on: Callable[[], bool]) -> list[str]:
            evicted.append(_fill_redis(site, go_on))
            return [f"{evicted[0]} keys forgotten"]

        line = run_campaign(
            site,
            Campaign(
                "a Redis that evicts",
                options.seed,
                deliveries=deliveries,
                starts=deliveries // 40,
                seconds=deliveries / 250,
                strike=strike,
                say=options.say,
            ),
        )
        line.faults = sum(evicted)
        line.shown.append("faults are keys of the queue that Redis forgot")
        log = "".join(site.house.log(name) for name in site.house.environments)
        told = commands.run(
            ("doctor",), cwd=site.directory, env=site.house.environment_of(), timeout=60
        ).stdout
    _must(line, "queue_evicts" in log, "the log says that the policy is wrong")
    _must(line, "allkeys-lru" in told, f"doctor says that the policy is wrong: {told}")
    _must(line, sum(evicted) > 0, "Redis has forgotten something of ours")
    return line


def _fill_redis(site: ManyMachines, go_on: Callable[[], bool]) -> int:
    """Let workers stand still and others fill Redis, in turns.

    Gives how many keys of ours were forgotten while nobody took anything from the queue.
    """
    chance = random.Random(site.redis.port)  # noqa: S311  # bytes that do not shrink
    forgotten = 0
    with contextlib.closing(redis.Redis.from_url(site.redis.url)) as client:
        while go_on():
            for name in WORKERS:
                site.house.send(name, signal.SIGSTOP)
            _wait(3, go_on)
            ours = set(client.scan_iter(OURS))
            for number in range(FILLED_WITH):
                with contextlib.suppress(redis.RedisError):
                    client.set(f"somebody-elses:{number}", chance.randbytes(512 * 1024))
            forgotten += len(ours - set(client.scan_iter(OURS)))
            for name in WORKERS:
                site.house.send(name, signal.SIGCONT)
            _wait(3, go_on)
    return forgotten


def killed_worker(options: Options) -> Line:
    """A worker killed while it performs 8 steps."""
    began = time.monotonic()
    line = Line("a worker killed in 8 steps", options.seed, faults=1)
    with ManyMachines(workers=("work-1",)) as site:
        recovered = go_on_after_kill(site, options.seed)
    line.acknowledged = line.runs = len(recovered.went_on_after_s)
    line.doubled = recovered.doubled
    line.lost = recovered.lost
    slowest = max(recovered.went_on_after_s)
    line.shown.append(f"the last of them went on after {slowest:.1f} s")
    _must(line, slowest <= MOST_RECOVERY_S, f"each goes on within {MOST_RECOVERY_S:.0f} s")
    line.seconds = time.monotonic() - began
    return line


def killed_postgres(options: Options) -> Line:
    """PostgreSQL killed ten times under load."""
    kills = 10
    chance = random.Random(f"kills {options.seed}")  # noqa: S311  # it must repeat itself
    faults = [
        Fault(number * 6 + chance.uniform(1, 5), Kind.KILL, "postgres", chance.uniform(0.1, 1))
        for number in range(kills)
    ]
    with ManyMachines() as site:
        return run_campaign(
            site,
            Campaign(
                "PostgreSQL killed 10 times",
                options.seed,
                deliveries=options.of(6_000),
                starts=options.of(240),
                seconds=kills * 6 + 3,
                strike=lambda go_on: Striker(site, options.say).strike_all(faults, go_on),
                say=options.say,
            ),
        )


def killed_up(options: Options) -> Line:
    """`up` on SQLite killed 100 times at random."""
    kills = options.of(100)
    starts_s: list[float] = []
    worked_s: list[float] = []
    with OneMachine() as site:
        chance = random.Random(f"up {options.seed}")  # noqa: S311  # it must repeat itself

        def strike(go_on: Callable[[], bool]) -> list[str]:
            timeline: list[str] = []
            while len(timeline) < kills and go_on():
                lived = chance.uniform(0.05, 2.5)
                _wait(lived, go_on)
                site.house.end("up", signal.SIGKILL)
                began = time.monotonic()
                site.house.start("up")
                site.house.wait_ready("up")
                starts_s.append(time.monotonic() - began)
                worked_s.append(processor_seconds(site.pid_of("up")))
                timeline.append(f"killed after {lived:.2f} s, ready in {starts_s[-1]:.2f} s")
            return timeline

        line = run_campaign(
            site,
            Campaign(
                "up on SQLite killed 100 times",
                options.seed,
                deliveries=kills * 100,
                starts=kills * 6,
                seconds=kills * 4.0,
                strike=strike,
                say=options.say,
            ),
        )
    starts_s.sort()
    middle = starts_s[len(starts_s) // 2]
    line.shown.append(
        f"ready again after {middle:.1f} s, at most {starts_s[-1]:.1f} s, of which "
        f"{sum(worked_s) / len(worked_s):.1f} s of processor time"
    )
    _at_least(line, "kills", line.faults, kills)
    _must(line, starts_s[-1] <= MOST_START_S, f"it starts again within {MOST_START_S:.0f} s")
    return line


def overloaded_door(options: Options) -> Line:
    """The door at three times what the database takes."""
    began = time.monotonic()
    line = Line("the door at 3 times what is taken", options.seed)
    shown = overload.run(max(5.0, 20 * min(1.0, options.scale)))
    options.say(shown["table"])
    for one in shown["figures"]:
        line.lost += one.lost
        line.wrong += [f"{one.case}: {fault}" for fault in one.faults]
        line.shown.append(
            f"{one.case}: {one.accepted / one.peak:.0%} of the peak of {one.peak:.0f}/s accepted, "
            f"{one.memory_mb[0]:.0f} to {one.memory_mb[1]:.0f} MB"
        )
    line.seconds = time.monotonic() - began
    return line


def altered_byte(options: Options) -> Line:
    """One byte altered in any of 100,000 stored deliveries."""
    began = time.monotonic()
    line = Line("one byte altered in 100,000 deliveries", options.seed)
    shown = altered.find_alterations(options.seed, options.of(100_000), options.say)
    line.acknowledged, line.faults = shown.deliveries, shown.alterations
    line.shown += shown.told
    line.wrong += shown.wrong
    line.seconds = time.monotonic() - began
    return line


SCENARIOS: dict[str, Scenario] = {
    "random": random_faults,
    "flushall": flushed_redis,
    "evicting": evicting_redis,
    "worker": killed_worker,
    "postgres": killed_postgres,
    "up": killed_up,
    "overload": overloaded_door,
    "altered": altered_byte,
}
"""Every scenario by name, in the order in which they are shown."""


def _must(line: Line, holds: object, what: str) -> None:
    if not holds:
        line.wrong.append(f"not so: {what}")


def _at_least(line: Line, what: str, count: int | None, least: int) -> None:
    _must(line, (count or 0) >= least, f"at least {least:,} {what}")


def _wait(seconds: float, go_on: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and go_on():
        time.sleep(min(0.1, max(0.0, end - time.monotonic())))
