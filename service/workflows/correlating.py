"""Which waiting runs a newly arrived event can concern, without asking each of them.

A `wait_for` step's `if` reads the awaited event and what its run knows. Where it demands that a
field of the event equals a value of the run (`event.facts.number == steps.heal.number`), the run
can be found by that value: `wait_key` finds the demand, `expected_values` gives the values when the
wait begins, `event_value` gives the event's own when it arrives. Whether the event is the awaited
one is still for the whole condition to say.

The promise: for an event of which the condition holds, the event's value is among those expected.
The other way round nothing is promised, so unequal values may share a text and equal ones must.
What a run knows does not change while it waits: nothing of it but the event is read anew.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from schemas.events import Json
from schemas.storable import bounded
from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.interpolation import UnclosedInterpolation, unwrap
from service.workflows.references import references, written_path
from service.workflows.scope import Scope
from service.workflows.syntax import Call, Node, Select

MOST_VALUES = 1000
"""A run that expects more is woken by every event of the awaited type."""
LONGEST_VALUE = 200
"""Characters of a value's text; longer ones are cut and keep a digest."""
LONGEST_PATH = 200
"""Characters of a path's text; a condition on a longer one is not used."""
_CACHED_PATHS = 1024
_EVENT = "event"
_SAME_FOR_ALL_RUNS = {"vars"}
_PLAIN_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP_OF_PATH = re.compile(r'\.(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<quoted>"(?:\\.|[^"\\])*")\]')


@dataclass(frozen=True, slots=True)
class WaitKey:
    """What a condition demands of the awaited event.

    `path`: the event's field, such as `event.facts.url`. `expected`: the expression that gives the
    value it must equal or, with `is_list`, the values it must be one of.
    """

    path: str
    expected: str
    is_list: bool


@dataclass(frozen=True, slots=True)
class _Demand:
    """A key, and whether all runs of the workflow expect the same: `event.facts.merged == true`."""

    key: WaitKey
    is_same_for_all: bool


def wait_key(condition: str | bool | None) -> WaitKey | None:  # noqa: FBT001  # YAML's `if: true`
    """Find the demand by which a waiting run is best found; None when there is none.

    Only what must hold for the whole condition to hold is used: the condition itself, or an operand
    of its `&&`. A demand that differs from run to run is better than one that does not, `==` is
    better than `in`, and of equals the first is taken.
    """
    if not isinstance(condition, str):
        return None
    try:
        expression = compile_expression(unwrap(condition).source)
    except (ExpressionError, UnclosedInterpolation):
        return None
    found = [
        demand
        for conjunct in _conjuncts(expression.tree)
        for demand in _demands(conjunct, expression.source)
    ]
    best = min(found, key=lambda demand: (demand.is_same_for_all, demand.key.is_list), default=None)
    return None if best is None else best.key


def expected_values(key: WaitKey, scope: Scope) -> tuple[str, ...] | None:
    """Give the texts of the values a run expects; none of them when no event can ever fit.

    `scope` is that of the waiting step. None means that every event must wake the run: the
    expression fails, gives no value of which there is a text, or more than MOST_VALUES.
    """
    try:
        value = compile_expression(key.expected).evaluate(scope)
    except ExpressionError:
        return None
    if key.is_list and not isinstance(value, list):
        return None
    # Texts in their order, each once.
    texts: dict[str, None] = {}
    for item in value if key.is_list else [value]:
        text = _text(item)
        if text is None:
            return None
        texts[text] = None
    return tuple(texts) if len(texts) <= MOST_VALUES else None


def event_value(path: str, event: Mapping[str, Json]) -> str | None:
    """Give the text of the event's value at a key's path; None when it can equal no value.

    `event` is the JSON form of `schemas.events.Event`. None: the field is missing, a list or a map.
    """
    value: Json = event
    for part in _fields(path):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return _text(value)


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "&&":
        for operand in node.arguments:
            yield from _conjuncts(operand)
    else:
        yield node


def _demands(node: Node, source: str) -> Iterator[_Demand]:
    """Give what `event.a == b`, `b == event.a` or `event.a in b` demands."""
    # `a == b == c` is one call with three operands: it compares the outcome of `a == b`.
    if not isinstance(node, Call) or len(node.spans) != 2:  # noqa: PLR2004  # the two sides
        return
    sides = {"==": ((0, 1), (1, 0)), "in": ((0, 1),)}.get(node.function, ())
    for mine, other in sides:
        path = _event_path(node.arguments[mine])
        roots = {reference.path[0] for reference in references(node.arguments[other])}
        if path is not None and _EVENT not in roots:
            begin, end = node.spans[other]
            key = WaitKey(path, source[begin:end], is_list=node.function == "in")
            yield _Demand(key, is_same_for_all=roots <= _SAME_FOR_ALL_RUNS)


def _event_path(node: Node) -> str | None:
    written = written_path(node)
    if written is None or (isinstance(node, Select) and node.tested):
        return None
    root, fields = written
    if root.name != _EVENT or not fields:
        return None
    path = _EVENT + "".join(
        f".{part}" if _PLAIN_FIELD.fullmatch(part) else f"[{json.dumps(part)}]" for part in fields
    )
    return path if len(path) <= LONGEST_PATH else None


@lru_cache(maxsize=_CACHED_PATHS)
def _fields(path: str) -> tuple[str, ...]:
    """Read the fields out of a path that `_event_path` wrote."""
    return tuple(
        found["plain"] or json.loads(found["quoted"])
        for found in _STEP_OF_PATH.finditer(path, len(_EVENT))
    )


def _text(value: Json) -> str | None:
    """Give one text for all values that are equal to the expression library; None for no text.

    The library compares whole numbers with others as 64-bit floats (common-expression-language
    0.10, tried), and it cannot take a whole number beyond their range.
    """
    if isinstance(value, str):
        return bounded(f"text:{value}", LONGEST_VALUE)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        try:
            number = float(value) + 0.0  # -0.0 becomes 0.0
        except OverflowError:
            return None
        # Infinities are stored as null (schemas.storable), and it is the stored event that counts.
        return f"number:{number!r}" if math.isfinite(number) else _text(None)
    return None
