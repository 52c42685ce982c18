"""Where the expressions stand in a text: `Merge ${{ steps.healed.pr_urls[0] }}?`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

OPENING = "${{"
ESCAPED_OPENING = "$${{"
"""Written for a literal `${{`."""
_CACHE_SIZE = 2048
_INSIDE = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'
      |(?P<open>\{)|(?P<end>\}\})|(?P<close>\})|.""",
    re.VERBOSE | re.DOTALL,
)


class UnclosedInterpolation(ValueError):  # noqa: N818  # says what is wrong with the text
    """A `${{` has no `}}`; `offset` is where it stands, in characters from 0."""

    def __init__(self, offset: int) -> None:
        """Keep the place."""
        super().__init__("this ${{ is never closed by }}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Embedded:
    """An expression inside a text: its source, and where the source begins."""

    source: str
    offset: int


Piece = str | Embedded


@lru_cache(maxsize=_CACHE_SIZE)
def split_text(text: str) -> tuple[Piece, ...]:
    """Give the literal parts and the expressions of a text, in order.

    Raises UnclosedInterpolation.
    """
    pieces: list[Piece] = []
    literal = ""
    position = 0
    while (found := text.find(OPENING, position)) >= 0:
        if text.startswith(ESCAPED_OPENING, found - 1) and found > position:
            literal += text[position : found - 1] + OPENING
            position = found + len(OPENING)
            continue
        literal += text[position:found]
        start = found + len(OPENING)
        end = _end(text, start, found)
        if literal:
            pieces.append(literal)
        literal = ""
        inner = text[start:end]
        lead = len(inner) - len(inner.lstrip())
        pieces.append(Embedded(inner.strip(), start + lead))
        position = end + 2
    literal += text[position:]
    if literal:
        pieces.append(literal)
    return tuple(pieces)


def unwrap(text: str) -> Embedded:
    """Give the expression of a field that is one anyway, written bare or as `${{ … }}`.

    Raises UnclosedInterpolation.
    """
    stripped = text.strip()
    if stripped.startswith(OPENING):
        pieces = split_text(stripped)
        if len(pieces) == 1 and isinstance(pieces[0], Embedded):
            lead = len(text) - len(text.lstrip())
            return Embedded(pieces[0].source, pieces[0].offset + lead)
    return Embedded(stripped, len(text) - len(text.lstrip()))


def _end(text: str, start: int, opening: int) -> int:
    """Find the `}}` that closes: not one inside a text or of a map."""
    depth = 0
    position = start
    while match := _INSIDE.match(text, position):
        if match.lastgroup == "open":
            depth += 1
        elif match.lastgroup in {"end", "close"}:
            if depth == 0 and match.lastgroup == "end":
                return match.start()
            depth = max(depth - 1, 0)
            position = match.start() + 1
            continue
        position = match.end()
    raise UnclosedInterpolation(opening)
