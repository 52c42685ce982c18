"""How much work an expression can cause with given values: a bound found before it is evaluated.

The expression library has no limits of its own, and a comprehension inside another multiplies.
Measured with common-expression-language 0.10 on 2 cores: an iteration of `all` or `exists` takes
about 0.3 µs; `map` and `filter` copy their result at each element they take over, about 0.022 µs
times the *square* of the number of elements (2.2 s for 10 000). So each node is given an upper
bound of the time of its evaluation and of the size of its value, from the sizes of the values that
are really there; what exceeds the limits is refused. The bound may be too high, never too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from schemas.events import Json
from service.workflows.functions import FUNCTIONS, MOST_CHARACTERS, MOST_IN_RANGE
from service.workflows.pattern_cost import matching_time
from service.workflows.syntax import (
    Call,
    Collection,
    Index,
    Literal,
    Macro,
    Name,
    Node,
    Select,
    children,
)

MOST_MICROSECONDS = 1_000_000
MOST_ATOMS = 4 * 1024 * 1024
"""Size of any value on the way: characters of texts, and 1 for everything else."""
DEEPEST_VALUE = 100
"""Nesting of values; handing a value nested 50 000 deep to the library kills the process."""

_ESCAPED = 6
_QUOTED = 12
"""A character can become this many, as `\\u0000` in JSON and `&quot;` in marked-up texts."""
_PER_ATOM = 0.02
_PER_ATOM_IN_PYTHON = 0.3
_PER_VALUE = 1.5
"""Each value that goes from the library to Python, or to a function and back."""
_NUMBER = 24
"""Characters of the longest number."""
_TIME = 40
"""Characters of the longest time or duration, which a difference may be."""
_PER_ITERATION = 0.5
_PER_COPY = 0.03
_SMALL = {"!", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||"}
_SMALL |= {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double"}
_PICKING = {"default", "first", "get", "last", "limit", "max", "min", "truncate", "trim"}
_CHEAP = _SMALL | {"?:"}
_TEXTUAL = {"dollars", "escape_markdown", "escape_slack", "format", "join", "json", "lower"}
_TEXTUAL |= {"replace", "safe_url", "string", "sum", "upper"}


class TooExpensive(Exception):  # noqa: N818  # says what is wrong with the expression
    """The expression could take too long, or make too much, with these values."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a value is: in atoms, and in values (itself and all inside it)."""

    atoms: int = 1
    values: int = 1

    def __add__(self, other: Size) -> Size:
        return Size(self.atoms + other.atoms, self.values + other.values)

    def times(self, count: int) -> Size:
        """Give the size of so many of these."""
        return Size(self.atoms * count, self.values * count)

    def or_larger(self, other: Size) -> Size:
        """Give a size that is at least as large as both."""
        return Size(max(self.atoms, other.atoms), max(self.values, other.values))


_ONE = Size()


@dataclass(frozen=True, slots=True)
class Bound:
    """Upper bounds of a value and of what it takes to get it.

    `length` bounds the elements or characters at its top, `size` the whole of it, `element` the
    largest thing directly inside. `time` is in microseconds. `value` is the value itself where
    it is known.
    """

    length: int = 1
    size: Size = _ONE
    element: Size = _ONE
    time: float = 0.0
    value: Json = None
    known: bool = False


def check_cost(node: Node, bindings: Mapping[str, Json]) -> Bound:
    """Give the bound of the whole expression. Raises TooExpensive when it could take too long."""
    found = _bound(node, {name: _measured(value) for name, value in bindings.items()})
    return _checked(replace(found, time=found.time + _PER_VALUE * found.size.values))


def is_cheap(node: Node) -> bool:
    """Say whether an expression only reads, compares and counts: its input bounds its work."""
    if isinstance(node, Macro):
        return False
    if isinstance(node, Collection):
        # A list of names holds their values as often as they are written.
        return all(isinstance(item, Literal) for item in node.items)
    if isinstance(node, Call) and (node.function == "matches" or node.function not in _CHEAP):
        return False
    return all(map(is_cheap, children(node)))


def measure(value: Json, depth: int = 0) -> Size:
    """Give the size of a value. Raises TooExpensive when it is nested too deeply."""
    return Size(*_tally(value, depth))


def _tally(value: Json, depth: int) -> tuple[int, int]:
    if isinstance(value, str | bytes):
        return len(value) + 1, 1
    if value is None or isinstance(value, bool | int | float):
        return 1, 1
    # Asking an abstract class costs more than all the rest; nearly every value is a plain one.
    is_map = type(value) is dict or isinstance(value, Mapping)
    if not is_map and not isinstance(value, list | tuple):
        return 1, 1
    if depth >= DEEPEST_VALUE:
        message = f"a value is nested more than {DEEPEST_VALUE} deep"
        raise TooExpensive(message)
    atoms = values = 1
    for item in value.values() if is_map else value:
        inner = _tally(item, depth + 1)
        atoms += inner[0]
        values += inner[1]
    if is_map:
        for key in value:
            atoms += len(str(key)) + 1
        values += len(value)
    return atoms, values


def _total(sizes: list[Size]) -> Size:
    atoms = sum(size.atoms for size in sizes)
    return Size(1 + atoms, 1 + sum(size.values for size in sizes))


def _most(sizes: Iterable[Size]) -> Size:
    return reduce(Size.or_larger, sizes, _ONE)


def _measured(value: Json) -> Bound:
    if isinstance(value, Mapping):
        sizes = [*(measure(item, 1) for item in value.values()), *map(measure, value)]
        return Bound(len(value), _total(sizes), _most(sizes), 0.0, value, known=True)
    if isinstance(value, list | tuple):
        sizes = [measure(item, 1) for item in value]
        return Bound(len(value), _total(sizes), _most(sizes), 0.0, value, known=True)
    size = measure(value)
    return Bound(size.atoms, size, _ONE, 0.0, value, known=True)


def _bound(node: Node, names: Mapping[str, Bound]) -> Bound:
    return _checked(_unchecked(node, names))


def _checked(found: Bound) -> Bound:
    if found.time > MOST_MICROSECONDS:
        message = "it could take too long with these values: it goes through too many elements"
        raise TooExpensive(message)
    if found.size.atoms > MOST_ATOMS:
        message = "it could make too large a value"
        raise TooExpensive(message)
    return found


def _unchecked(node: Node, names: Mapping[str, Bound]) -> Bound:  # noqa: PLR0911  # one a kind
    match node:
        case Literal():
            return _literal(node)
        case Name(name=name):
            return names.get(name, Bound())
        case Select(operand=operand, field=field):
            return _selected(_bound(operand, names), field)
        case Index(operand=operand, index=index):
            whole, key = _bound(operand, names), _bound(index, names)
            return _inside(whole, whole.time + key.time)
        case Collection(items=items):
            return _collected([_bound(item, names) for item in items])
        case Call(function=function, arguments=arguments):
            return _called(function, [_bound(argument, names) for argument in arguments])
        case Macro():
            return _repeated(node, names)


def _literal(node: Literal) -> Bound:
    if node.text is not None or node.number is not None:
        return _measured(node.number if node.text is None else node.text)
    return Bound(node.size, Size(node.size))


def _collected(parts: list[Bound]) -> Bound:
    size = _total([part.size for part in parts])
    time = sum(part.time for part in parts) + _PER_ATOM * size.atoms
    largest = _most(part.size for part in parts)
    # An empty list or map is what fallbacks are made of.
    return Bound(len(parts), size, largest, time, [], known=not parts)


def _inside(whole: Bound, time: float) -> Bound:
    return _anything(whole.element, time)


def _anything(size: Size, time: float) -> Bound:
    """Bound a value of which only the size is known: it may be one long text or list."""
    return Bound(size.atoms, size, size, time)


def _selected(whole: Bound, field: str) -> Bound:
    if whole.known and isinstance(whole.value, Mapping) and field in whole.value:
        return _measured(whole.value[field])
    return _inside(whole, whole.time)


def _called(function: str, parts: list[Bound]) -> Bound:
    given = sum(part.size.atoms for part in parts)
    time = 1 + sum(part.time for part in parts) + _PER_ATOM * given
    if len(parts) == 1 and function in {"!", "-"}:
        # The library takes `!!x` for `x`, whatever x is.
        return _largest(parts, time)
    if function == "matches":
        text, pattern = parts
        time += matching_time(pattern.value if pattern.known else None, text.size.atoms)
    if function == "size" and parts[0].known and isinstance(parts[0].value, Mapping | list | tuple):
        # What is counted out by `range` is bounded by it.
        return replace(_measured(len(parts[0].value)), time=time)
    if function in _SMALL:
        return Bound(1, Size(_TIME if function == "-" else 1), _ONE, time)
    if function == "?:":
        return _largest(parts[1:], time)
    if function == "+":
        size = reduce(Size.__add__, (part.size for part in parts))
        length = sum(part.length for part in parts)
        return Bound(length, size, _largest(parts, 0).element, time + _PER_ATOM * given)
    return _performed(function, parts, time)


def _performed(function: str, parts: list[Bound], time: float) -> Bound:
    """Bound a named function: those of the library, and ours, which go through Python."""
    if function in FUNCTIONS:
        time += _PER_VALUE * sum(part.size.values for part in parts)
    if function in _PICKING:
        return _picked(function, parts, time)
    if function == "range":
        return _counted(parts[0], time)
    total = sum(part.size.atoms for part in parts)
    if function in FUNCTIONS:
        time += _PER_ATOM_IN_PYTHON * total
    if function in {"join", "replace", "format"}:
        # Each element or character may be followed by, or become, another argument.
        first = _NUMBER * parts[0].size.atoms
        total = first + (first + 1) * sum(part.size.atoms for part in parts[1:])
    else:
        total = (_QUOTED if function == "safe_url" else _ESCAPED) * total + 64
    if function in FUNCTIONS:
        total = min(total, MOST_CHARACTERS + 1)
    size = Size(total, 1 if function in _TEXTUAL else total)
    return _anything(size, time + _PER_ATOM * total)


def _picked(function: str, parts: list[Bound], time: float) -> Bound:
    """Bound what gives a part of an argument: what it gives is known where they are."""
    if all(part.known for part in parts):
        try:
            value = FUNCTIONS[function].perform(*(part.value for part in parts))
        except ValueError:
            return Bound(time=time)  # it will fail in the same way when it is evaluated
        return replace(_measured(value), time=time)
    found = _largest(parts, time)
    if function in {"first", "last", "get"}:
        # What lies inside may itself be as long as the whole is large.
        return _anything(found.size, time)
    if function == "limit" and isinstance(parts[1].value, int):
        count = max(parts[1].value, 0)
        length = min(found.length, count)
        atoms = min(found.size.atoms, 1 + found.element.atoms * count)
        values = min(found.size.values, 1 + found.element.values * count)
        return replace(found, length=length, size=Size(atoms, values))
    return found


def _counted(count: Bound, time: float) -> Bound:
    """Bound `range(n)`: by n where it is known, and by the most it gives elsewhere."""
    most = MOST_IN_RANGE
    if count.known and isinstance(count.value, int):
        most = min(max(count.value, 0), most)
    return Bound(most, Size(1 + most, 1 + most), _ONE, time + _PER_VALUE * most)


def _largest(parts: list[Bound], time: float) -> Bound:
    return Bound(
        max(part.length for part in parts),
        _most(part.size for part in parts),
        _most(part.element for part in parts),
        time,
    )


def _repeated(node: Macro, names: Mapping[str, Bound]) -> Bound:
    whole = _bound(node.operand, names)
    inner = {**names, node.variable: _inside(whole, 0.0)}
    bodies = [_bound(body, inner) for body in node.bodies]
    once = _PER_ITERATION + sum(body.time for body in bodies)
    time = whole.time + whole.length * once
    # With every element the library copies all that it has gathered so far, down to the last value.
    copying = _PER_COPY * whole.length**2 * whole.element.values
    if node.function == "map":
        each = bodies[-1].size
        copying = _PER_COPY * whole.length**2 * each.values
        return Bound(whole.length, _ONE + each.times(whole.length), each, time + copying)
    if node.function == "filter":
        return Bound(whole.length, whole.size, whole.element, time + copying)
    return Bound(time=time)
