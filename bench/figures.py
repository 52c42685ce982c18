"""What a measurement gives: figures, each with what is wanted of it.

A figure is the median of its rounds. One whose books do not balance is void, and says why.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bench.servers import Servers

NONE = "—"
"""Where a table has nothing to say."""


class Unit(StrEnum):
    """What a figure is counted in, as it is written behind it."""

    TIMES = ""
    MILLISECONDS = "ms"
    SECONDS = "s"
    PERCENT = "%"


class Verdict(StrEnum):
    """What is to be said about a figure."""

    KEPT = "yes"
    MISSED = "NO"
    VOID = "VOID"
    NOT_MEASURED = "not measured"
    UNBOUND = NONE
    """It is told for comparison: nothing is wanted of it."""


@dataclass(frozen=True)
class Wanted:
    """A figure before it is measured: its name (`door/verify`), its sentence and its bound.

    `limit` None: it has no bound.
    """

    name: str
    says: str
    limit: float | None = None
    unit: Unit = Unit.TIMES
    at_most: bool = False

    @property
    def bound(self) -> str:
        """The bound as people write it; a dash when there is none."""
        if self.limit is None:
            return NONE
        return f"{'≤' if self.at_most else '≥'} {shown(self.limit, self.unit)}"


@dataclass(frozen=True)
class Figure:
    """A wanted figure and what its rounds gave.

    `void`: why it says nothing (books that do not balance). `absent`: why it could not be measured
    here; such a figure has no rounds.
    """

    wanted: Wanted
    rounds: Sequence[float] = ()
    void: str = ""
    absent: str = ""
    note: str = ""

    @property
    def value(self) -> float | None:
        """The median of the rounds; None when there are none."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def verdict(self) -> Verdict:
        """Say whether the bound is kept."""
        value = self.value
        if self.void:
            return Verdict.VOID
        if value is None:
            return Verdict.NOT_MEASURED
        limit = self.wanted.limit
        if limit is None:
            return Verdict.UNBOUND
        kept = value <= limit if self.wanted.at_most else value >= limit
        return Verdict.KEPT if kept else Verdict.MISSED


@dataclass
class Context:
    """What measurements run with.

    `seconds` of load in a round; `quick` makes everything small, to see that it works at all.
    `samples` keeps every single measurement, for the JSON.
    """

    servers: Servers
    names: frozenset[str] = frozenset()
    rounds: int = 3
    seconds: float = 6.0
    quick: bool = False
    tell: Callable[[str], None] = lambda _line: None
    samples: list[dict[str, Any]] = field(default_factory=list)

    def chosen(self, figures: Sequence[Wanted]) -> list[Wanted]:
        """Give those of these figures that were asked for."""
        return [wanted for wanted in figures if wanted.name in self.names]

    def note(self, what: str, **values: Any) -> None:
        """Keep one measurement and tell it."""
        self.samples.append({"what": what, **values})
        told = ", ".join(f"{name} {_told(value)}" for name, value in values.items())
        self.tell(f"  {what}: {told}")


@dataclass(frozen=True)
class Measurement:
    """A part of the benchmark: the figures that it can give and how they are measured."""

    name: str
    figures: tuple[Wanted, ...]
    run: Callable[[Context], Iterator[Figure]]


def shown(value: float, unit: Unit) -> str:
    """Give a value with its unit, with as many digits as mean something."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _told(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
