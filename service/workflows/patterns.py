"""Patterns of `matches` that are written out in an expression: whether the library can read them.

The library looks at a pattern only when it is used, so a wrong one lies quiet until a run comes by.
What is put together or read from an event can only be known then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from service.workflows.cel_library import cel
from service.workflows.cost import MOST_MICROSECONDS
from service.workflows.pattern_cost import matching_time
from service.workflows.syntax import Call, Literal, Node, children

_CACHED_PATTERNS = 512
_TEXT_BEGINS = frozenset("'\"rR")
_HINT_OF_THE_LIBRARY = " Check function arguments and their types."
_USE = cel.compile("''.matches(pattern)")


@dataclass(frozen=True, slots=True)
class PatternFault:
    """A pattern that cannot be compiled; `offset` is where it stands, in characters from 0."""

    offset: int
    message: str


def pattern_faults(tree: Node, source: str) -> Iterator[PatternFault]:
    """Give the patterns of an expression that cannot be compiled; `tree` is that of `source`.

    Compiling may take as long as an evaluation may; an expression whose patterns need longer than
    that is refused whenever it is evaluated, so its other patterns do not matter.
    """
    time = 0.0
    for literal in _patterns(tree):
        pattern = _content(source[literal.offset : literal.offset + literal.size])
        if pattern is None:
            continue
        time += matching_time(pattern, 0)
        if time > MOST_MICROSECONDS:
            return
        reason = _fault(pattern)
        if reason is not None:
            yield PatternFault(literal.offset, f"`matches` cannot read its pattern: {reason}")


def _patterns(node: Node) -> Iterator[Literal]:
    if isinstance(node, Call) and node.function == "matches":
        for argument in node.arguments[1:]:
            if isinstance(argument, Literal):
                yield argument
    for part in children(node):
        yield from _patterns(part)


def _content(written: str) -> str | None:
    """Give the text that a literal stands for; None when it is none, or the library refuses it."""
    if written[:1] not in _TEXT_BEGINS:
        return None
    try:
        content = cel.compile(written).execute(cel.Context({}))
    except Exception:  # noqa: BLE001  # the library raises several kinds, and compiling tells it
        return None
    return content if isinstance(content, str) else None


@lru_cache(maxsize=_CACHED_PATTERNS)
def _fault(pattern: str) -> str | None:
    """Say why the library cannot compile this pattern; None when it can."""
    try:
        _USE.execute(cel.Context({"pattern": pattern}))
    except Exception as error:  # noqa: BLE001  # whatever it is, the same comes when it is used
        return _reason(str(error))
    except BaseException as error:
        # An interrupt must go on its way; a panic of the library is a fault of the pattern.
        if type(error).__name__ != "PanicException":
            raise
        return "the expression library breaks down on it"
    return None


def _reason(text: str) -> str:
    """Take the sentence out of the library's report, which draws the pattern above it."""
    last = text.removesuffix(_HINT_OF_THE_LIBRARY).rstrip(". ").rpartition("\n")[2]
    return last.removeprefix("error: ")
