"""Expressions that are marked as in another language, and would be sent as they stand.

`{{ event.subject }}`, `={{ … }}` and `${ … }` are plain text here. They are told only where they
begin with a name that can be read: other braces are nobody's business. Whoever means the braces
writes a literal: `${{ "{{ event.subject }}" }}`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from service.workflows.interpolation import Embedded, Piece

# The dollar sign before two braces belongs to our own mark, escaped or not.
_MARKED = re.compile(
    r"(?:=?(?<!\$)(?P<two>\{\{)|\$(?P<one>\{)(?!\{))-?[ \t\n]{0,8}"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})[ \t\n]{0,8}(?P<after>[.\[}|-])"
)
_LONGEST = 60
_FARTHEST = 1_000
"""Characters in which the closing brace is looked for."""


@dataclass(frozen=True, slots=True)
class Unmarked:
    """What stands in the text, where (in characters from 0), and the expression that is meant."""

    shown: str
    offset: int
    expression: str


def unmarked_expressions(
    text: str, pieces: Collection[Piece], names: Collection[str]
) -> Iterator[Unmarked]:
    """Give what a text marks as an expression otherwise; `names` are those that can be read."""
    inside = [piece for piece in pieces if isinstance(piece, Embedded)]
    begins = [piece.offset for piece in inside]
    for match in _MARKED.finditer(text):
        start = match.start("name")
        before = bisect_right(begins, start) - 1
        if match["name"] not in names or (
            before >= 0 and start < begins[before] + len(inside[before].source)
        ):
            continue
        close = "}}" if match["two"] else "}"
        end = text.find(close, start, start + _FARTHEST)
        if end < 0:
            continue
        inner = text[start:end].partition("|")[0].rstrip(" \t\n-")
        shown = text[match.start() : end + len(close)]
        if len(shown) > _LONGEST:
            inner = match["name"] + ".…"
            shown = shown[:_LONGEST] + "…"
        yield Unmarked(" ".join(shown.split()), match.start(), " ".join(inner.split()))
