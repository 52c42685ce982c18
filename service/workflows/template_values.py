"""What a template works with, and what may be done to it: fields, signs and comparisons.

Values are JSON. Beside them there are the four kinds below, which a name can stand for and which
nothing else takes: they are never printed, compared, put into a list or handed to a function.
A field is a key of a map or a place of a list; no attribute of a Python object is ever read.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jinja2 import nodes

from schemas.events import Json
from service.workflows.findings import did_you_mean
from service.workflows.template_budget import Budget, Fault

_INTEGERS_END = 2**63
_LARGEST_EXPONENT = 64
_MOST_KEYS_COMPARED = 200
_LONG_KEY = 80

ABSENT = object()
"""Not even Missing: nobody has said anything about it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What does not exist: a fault for whoever uses it, unless `default` or `is defined` asks.

    `name` was meant to be one of `known`.
    """

    message: str
    name: str = ""
    known: Iterable[str] = ()

    def fault(self) -> Fault:
        """Give the fault. The hint is sought only now: it takes longer than all the rest."""
        near = [name for name in islice(self.known, _MOST_KEYS_COMPARED) if len(name) <= _LONG_KEY]
        return Fault(self.message, did_you_mean(self.name[:_LONG_KEY], near))


@dataclass(slots=True)
class Namespace:
    """Values that may be set inside a loop: `namespace(count=0)`."""

    values: dict[str, Json]


@dataclass(slots=True)
class Frame:
    """The names of one block; what is not here is looked up further out."""

    names: dict[str, Any] = field(default_factory=dict)
    outer: Frame | None = None

    def find(self, name: str) -> Any:
        """Give what the name stands for; ABSENT when nothing."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.outer
        return ABSENT


@dataclass(frozen=True, slots=True)
class MacroValue:
    """A macro, or the body of a `call` block, with the names around its definition."""

    node: nodes.Macro | nodes.CallBlock
    name: str
    around: Frame


@dataclass(slots=True)
class Loop:
    """What `loop` is: where a `for` stands, and how it begins anew one level deeper."""

    node: nodes.For
    around: Frame
    items: list[Json]
    depth0: int = 0
    at: int = 0

    def read(self, name: str) -> Any:
        """Give `loop.index` and its like."""
        if name not in LOOP_FIELDS:
            return Missing(f"`loop` has no `{name}`", name, LOOP_FIELDS)
        return _LOOP_FIELDS[name](self)


def _neighbour(loop: Loop, step: int, name: str) -> Any:
    at = loop.at + step
    if 0 <= at < len(loop.items):
        return loop.items[at]
    return Missing(f"`loop.{name}` does not exist here")


_LOOP_FIELDS: Mapping[str, Callable[[Loop], Any]] = {
    "index": lambda loop: loop.at + 1,
    "index0": lambda loop: loop.at,
    "revindex": lambda loop: len(loop.items) - loop.at,
    "revindex0": lambda loop: len(loop.items) - loop.at - 1,
    "first": lambda loop: loop.at == 0,
    "last": lambda loop: loop.at == len(loop.items) - 1,
    "length": lambda loop: len(loop.items),
    "depth": lambda loop: loop.depth0 + 1,
    "depth0": lambda loop: loop.depth0,
    "previtem": lambda loop: _neighbour(loop, -1, "previtem"),
    "nextitem": lambda loop: _neighbour(loop, 1, "nextitem"),
}
LOOP_FIELDS = frozenset(_LOOP_FIELDS)

_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    ((int, float), "a number"),
    (str, "a text"),
    ((list, tuple), "a list"),
    (Mapping, "a map"),
    (MacroValue, "a macro"),
    (Loop, "a loop"),
    (Namespace, "a namespace"),
)


def kind(value: Any) -> str:
    """Give what a value is, for sentences."""
    found = (name for types, name in _KINDS if isinstance(value, types))
    return next(found, "a value of another kind")


def plain(value: Any) -> Json:
    """Give a value that must be JSON. Raises Fault."""
    if isinstance(value, Missing):
        raise value.fault()
    if isinstance(value, MacroValue | Loop | Namespace):
        message = f"{kind(value)} is no value"
        hint = "call it: `name(…)`" if isinstance(value, MacroValue) else "read one of its fields"
        raise Fault(message, hint)
    return value


def read_field(value: Any, key: Any, written: str) -> Any:
    """Give the field or element of a value, or Missing. `written`: how the template says it."""
    if isinstance(value, Missing):
        return value
    if isinstance(value, Loop):
        return value.read(key if isinstance(key, str) else "")
    if isinstance(value, Namespace):
        value = value.values
    if isinstance(value, Mapping):
        return _of_map(value, key, written)
    if isinstance(value, str | list | tuple) and _is_whole(key):
        if -len(value) <= key < len(value):
            return value[key]
        return Missing(f"`{written}` does not exist: there are {len(value)}")
    return Missing(f"`{written}` does not exist: it would be of {kind(value)}")


def _of_map(value: Mapping[Any, Json], key: Any, written: str) -> Any:
    if isinstance(key, str) and key in value:
        return value[key]
    known = (name for name in value if isinstance(name, str))
    return Missing(f"`{written}` does not exist", key if isinstance(key, str) else "", known)


def slice_of(value: Json, ends: tuple[Json, Json, Json], budget: Budget) -> Json:
    """Give `value[a:b:c]` of a text or list. Raises Fault."""
    if not isinstance(value, str | list | tuple):
        message = f"{kind(value)} has no parts `[a:b]`"
        raise Fault(message)
    if not all(end is None or _is_whole(end) for end in ends) or ends[2] == 0:
        raise Fault("the ends of a part are whole numbers, and its step is not 0")
    _pay_for_copy(value, budget)
    part = value[slice(*ends)]
    return part if isinstance(part, str) else list(part)


def add(left: Json, right: Json, budget: Budget) -> Json:
    """Give `a + b` of two numbers, texts or lists. Raises Fault."""
    if isinstance(left, str) and isinstance(right, str):
        budget.text(len(left) + len(right))
        return left + right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        budget.elements(len(left) + len(right))
        return [*left, *right]
    return calculate("+", left, right)


_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def calculate(sign: str, left: Json, right: Json) -> Json:
    """Give what a sign makes of two numbers. Raises Fault."""
    if not (is_number(left) and is_number(right)):
        message = f"`{sign}` does not fit {kind(left)} and {kind(right)}"
        raise Fault(message, _hint_for(sign, left, right))
    if sign == "**" and isinstance(left, int) and right > _LARGEST_EXPONENT and abs(left) > 1:
        raise Fault("the number does not fit into 64 bits")
    try:
        return checked(_SIGNS[sign](left, right))
    except ZeroDivisionError:
        raise Fault("a number is divided by zero") from None
    except OverflowError:
        raise Fault("the number is too large") from None


def checked(value: Any) -> int | float:
    """Give a number that JSON and CEL can hold too. Raises Fault."""
    if isinstance(value, int) and -_INTEGERS_END <= value < _INTEGERS_END:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise Fault("the number does not fit into 64 bits")


def is_number(value: Any) -> bool:
    """Say whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(left: Json, right: Json, budget: Budget) -> bool:
    """Say whether two values are equal; 1 is not true. Raises Fault."""
    budget.compare(left, right)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def compares(sign: str, left: Json, right: Json, budget: Budget) -> bool:
    """Say whether a comparison holds; `sign` is the parser's name of it. Raises Fault."""
    match sign:
        case "eq":
            return same(left, right, budget)
        case "ne":
            return not same(left, right, budget)
        case "in":
            return contains(right, left, budget)
        case "notin":
            return not contains(right, left, budget)
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        budget.compare(left, right)
        return bool(_ORDERS[sign](left, right))
    message = f"{kind(left)} and {kind(right)} have no order"
    raise Fault(message)


def contains(whole: Json, part: Json, budget: Budget) -> bool:
    """Say whether a text, list or map has a part, element or key. Raises Fault."""
    if isinstance(whole, str) and isinstance(part, str):
        budget.compare(whole, part)
        return part in whole
    if isinstance(whole, Mapping):
        return isinstance(part, str) and part in whole
    if isinstance(whole, list | tuple):
        return any(same(item, part, budget) for item in whole)
    message = f"{kind(part)} cannot be in {kind(whole)}"
    raise Fault(message)


def elements(value: Json, budget: Budget) -> list[Json]:
    """Give what a `for` goes through: elements of a list, keys of a map. Raises Fault."""
    if isinstance(value, list | tuple | Mapping):
        budget.elements(len(value))
        return list(value)
    message = f"one cannot go through {kind(value)}: it is no list"
    raise Fault(message, "write `default([])` behind it" if value is None else None)


def _hint_for(sign: str, left: Json, right: Json) -> str | None:
    if sign == "%" and isinstance(left, str):
        return "write `format('%s of %s', [a, b])`"
    if sign == "+" and (isinstance(left, str) or isinstance(right, str)):
        return "write `a ~ b` to put texts together"
    return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pay_for_copy(value: Any, budget: Budget) -> None:
    if isinstance(value, str):
        budget.text(len(value))
    else:
        budget.elements(len(value))
