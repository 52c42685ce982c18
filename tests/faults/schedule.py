"""Which faults happen to whom, when and for how long: it follows from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens."""

    KILL = "kill"
    """SIGKILL, and started again after the fault's time."""
    RESTART = "restart"
    """SIGTERM, waited for, and started again: a release that is rolled out."""
    HALT = "halt"
    """SIGSTOP, and SIGCONT after the fault's time."""
    FLUSH = "flush"
    """Redis forgets everything."""
    CUT = "cut"
    """Every connection is reset."""
    REFUSE = "refuse"
    """Every connection is reset, and new ones are refused for the fault's time: an outage."""
    FREEZE = "freeze"
    """Connections stay and nothing flows."""
    DELAY = "delay"
    """Whatever is sent takes longer."""
    CUT_COMMIT = "cut after commit"
    """The database commits, and the connection breaks before it says so."""
    LOSE_ANSWERS = "lose answers"
    """What was asked is done, and the connection breaks before that is said."""
    DROP = "drop"
    """A vendor does nothing, and the connection breaks: that is all that we see."""
    FAIL = "fail"
    """A vendor answers 5xx and has done nothing."""
    FAIL_DONE = "fail and do"
    """A vendor answers 5xx and has done it all the same."""
    LIMIT = "limit"
    """A vendor answers 429 with Retry-After."""
    SLOW = "slow"
    """A vendor does it and answers after we gave up."""
    GARBLE = "garble"
    """A vendor does it and answers with something that is no answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `at` and `lasts` are seconds, `at` from the beginning of the load."""

    at: float
    kind: Kind
    target: str
    lasts: float

    def __str__(self) -> str:
        lasting = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:7.1f} s  {self.kind.value} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Chance:
    """How often a kind of fault happens, to whom, and how long it may last (seconds)."""

    kind: Kind
    targets: tuple[str, ...]
    weight: float
    lasts: tuple[float, float] = (0.0, 0.0)


RECEIVERS = ("serve-1", "serve-2")
WORKERS = ("work-1", "work-2")
SERVERS = ("postgres", "redis")
TWINS = ("slack", "github", "checksum", "checkrd")
DATABASE_LINES = ("receivers-postgres", "workers-postgres")
DOOR_LINES = ("senders-serve-1", "senders-serve-2")
LINES = (*DOOR_LINES, *DATABASE_LINES, "redis-line", *(f"workers-{twin}" for twin in TWINS))

# A lease lasts 8 s: what is halted for longer finds that others have gone on with its work.
CHANCES = (
    Chance(Kind.KILL, (*RECEIVERS, *WORKERS), 16, (0.1, 3)),
    Chance(Kind.KILL, SERVERS, 5, (0.1, 3)),
    Chance(Kind.RESTART, (*RECEIVERS, *WORKERS, *SERVERS), 8),
    Chance(Kind.HALT, (*RECEIVERS, *WORKERS), 8, (0.5, 14)),
    Chance(Kind.HALT, SERVERS, 3, (0.5, 9)),
    Chance(Kind.HALT, TWINS, 4, (0.5, 12)),
    Chance(Kind.FLUSH, ("redis",), 10),
    Chance(Kind.CUT, LINES, 14),
    Chance(Kind.REFUSE, LINES, 8, (0.5, 8)),
    Chance(Kind.FREEZE, (*DOOR_LINES, *DATABASE_LINES, "redis-line"), 6, (0.5, 12)),
    Chance(Kind.DELAY, LINES, 5, (2, 10)),
    Chance(Kind.CUT_COMMIT, DATABASE_LINES, 10),
    Chance(Kind.LOSE_ANSWERS, tuple(f"workers-{twin}" for twin in TWINS), 8),
    Chance(Kind.LOSE_ANSWERS, DOOR_LINES, 4),
    Chance(Kind.DROP, TWINS, 5, (1, 4)),
    Chance(Kind.FAIL, TWINS, 4, (1, 6)),
    Chance(Kind.FAIL_DONE, TWINS, 4, (0.5, 2)),
    Chance(Kind.LIMIT, TWINS, 3, (1, 4)),
    Chance(Kind.SLOW, TWINS, 3, (1, 4)),
    Chance(Kind.GARBLE, TWINS, 3, (0.5, 2)),
)


def make_schedule(
    seed: int,
    *,
    seconds: float,
    faults: int,
    chances: Sequence[Chance] = CHANCES,
    longest: float = 14.0,
) -> list[Fault]:
    """Give so many faults within so many seconds, in their order; none lasts beyond the end.

    Nothing happens to a target while something else lasts for it.
    """
    chance = random.Random(f"faults {seed}")  # noqa: S311  # it must repeat itself
    moments = sorted(chance.uniform(0, seconds) for _ in range(faults))
    free_at: dict[str, float] = {}
    made = []
    for at in moments:
        free = [
            (one, target)
            for one in chances
            for target in one.targets
            if free_at.get(target, 0) <= at
        ]
        weights = [one.weight / len(one.targets) for one, _ in free]
        what, target = chance.choices(free, weights=weights)[0]
        lasts = min(chance.uniform(*what.lasts), longest, seconds - at) if what.lasts[1] else 0.0
        made.append(Fault(at, what.kind, target, lasts))
        free_at[target] = at + lasts + REST_S
    return made


REST_S = 1.0
"""How long nothing further happens to a target whose fault is over."""
