"""What the doctor says: one verdict for each thing that was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_UNIT = 1024


class Grade(StrEnum):
    """How it is: good, worth a look, or not as it must be."""

    GOOD = "good"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one thing. `to_do` says what to do now; good ones need nothing."""

    name: str
    grade: Grade
    says: str
    to_do: str | None = None


Checks = Callable[[], Iterator[Verdict]]


def good(name: str, says: str) -> Verdict:
    """Give a verdict that needs nothing."""
    return Verdict(name, Grade.GOOD, says)


def warn(name: str, says: str, to_do: str) -> Verdict:
    """Give a verdict that somebody should look at."""
    return Verdict(name, Grade.WARN, says, to_do)


def fail(name: str, says: str, to_do: str) -> Verdict:
    """Give a verdict of what is not as it must be."""
    return Verdict(name, Grade.FAIL, says, to_do)


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Give a number with its noun."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def span(time: timedelta) -> str:
    """Give a time span in its largest unit, as people say it."""
    seconds = abs(time.total_seconds())
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(number: float) -> str:
    """Give a number of bytes as people say it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < _UNIT:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004  # two digits are enough
        number /= _UNIT
    return f"{number:.1f} TiB"
