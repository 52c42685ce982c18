r"""How long `matches` can take: bounds for the library's regular expressions, in microseconds.

The library compiles a pattern each time it is used, up to 10 MB of automaton, and then needs time
linear in the text. Measured with common-expression-language 0.10: `\w{150}` takes 130 ms to
compile and then up to 3.4 µs a character; what would exceed the 10 MB is refused after 240 ms.
Repetition and classes of Unicode (`\w`, `\pL`, `.`, `[^a]`) drive both.
"""

from __future__ import annotations

import re

from schemas.events import Json

_LONGEST_COMPILING = 250_000.0
_PER_CHARACTER = 5.0
_PER_CLASS = 1_500.0
_MATCHING = 2e-5
"""Of the time that compiling takes, for each character of the text."""
_REPEATED = re.compile(r"\{(\d*),?(\d*)\}")
_CLASS = re.compile(r"\\[a-zA-Z]|\.|\[\^|\[\[")


def matching_time(pattern: Json, characters: int) -> float:
    """Give the bound for a text of so many characters; a pattern of None is not known."""
    compiling = _compiling_time(pattern) if isinstance(pattern, str) else _LONGEST_COMPILING
    return compiling + characters * (0.02 + compiling * _MATCHING)


def _compiling_time(pattern: str) -> float:
    repeated = 1.0
    for least, most in _REPEATED.findall(pattern):
        # Counts inside one another multiply; taking all as such is never too low.
        repeated = min(repeated * max(_count(least), _count(most), 1), _LONGEST_COMPILING)
    classes = len(_CLASS.findall(pattern)) * (3 if "(?" in pattern else 1)
    work = 100 + repeated * (_PER_CHARACTER * len(pattern) + _PER_CLASS * classes)
    return min(work, _LONGEST_COMPILING)


def _count(digits: str) -> int:
    return int(digits[:6]) if digits else 0
