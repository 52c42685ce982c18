"""How much work an expression can cause with given values: a bound found before it is evaluated.

The expression library has no limits of its own, and a comprehension inside another multiplies.
Measured with common-expression-language 0.10 on 2 cores: an iteration of `all` or `exists` takes
about 0.3 µs; `map` and `filter` copy their result at each element they take over, about 0.022 µs
times the *square* of the number of elements (2.2 s for 10 000). So each node is given an upper
bound of the time of its evaluation and of the size of its value, from the sizes of the values that
are really there; what exceeds the limits is refused. The bound may be too high, never too low.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.events import Json
from service.workflows.functions import FUNCTIONS, MOST_CHARACTERS
from service.workflows.syntax import Call, Collection, Index, Literal, Macro, Name, Node, Select

MOST_MICROSECONDS = 1_000_000
MOST_ATOMS = 4 * 1024 * 1024
"""Size of any value on the way: characters of texts, and 1 for everything else."""
DEEPEST_VALUE = 100
"""Nesting of values; handing a value nested 50 000 deep to the library kills the process."""

_ESCAPED = 6
"""A character can become this many, as `\\u0000` in JSON and `&quot;` in marked-up texts."""
_NUMBER = 24
"""Characters of the longest number."""
_TIME = 40
"""Characters of the longest time or duration, which a difference may be."""
_PER_ITERATION = 0.5
_PER_COPY = 0.03
_PER_ATOM = 0.02
_PER_ATOM_IN_PYTHON = 0.3
_SMALL = {"!", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||"}
_SMALL |= {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double"}
_PICKING = {"default", "first", "get", "last", "limit", "max", "min", "truncate", "trim"}


class TooExpensive(Exception):  # noqa: N818  # says what is wrong with the expression
    """The expression could take too long, or make too much, with these values."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Upper bounds of a value and of what it takes to get it.

    `length` bounds the elements or characters at its top, `atoms` its whole size, `element` the
    size of the largest thing directly inside. `time` is in microseconds. `value` is the value
    itself where it is known.
    """

    length: int
    atoms: int
    element: int
    time: float = 0.0
    value: Json = None
    known: bool = False


def check_cost(node: Node, bindings: Mapping[str, Json]) -> Bound:
    """Give the bound of the whole expression. Raises TooExpensive when it could take too long."""
    return _bound(node, {name: _measured(value) for name, value in bindings.items()})


def measure(value: Json, depth: int = 0) -> int:
    """Give the size of a value in atoms. Raises TooExpensive when it is nested too deeply."""
    if depth > DEEPEST_VALUE:
        message = f"a value is nested more than {DEEPEST_VALUE} deep"
        raise TooExpensive(message)
    if isinstance(value, str | bytes):
        return len(value) + 1
    if isinstance(value, Mapping):
        return 1 + sum(
            len(key) + 1 + measure(item, depth + 1) if isinstance(key, str) else 2
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return 1 + sum(measure(item, depth + 1) for item in value)
    return 1


def _measured(value: Json) -> Bound:
    if isinstance(value, Mapping):
        sizes = [measure(item, 1) for item in value.values()]
        keys = [len(key) + 1 for key in value if isinstance(key, str)]
        atoms = 1 + sum(sizes) + sum(keys)
        return Bound(len(value), atoms, max([*sizes, *keys], default=0), 0.0, value, known=True)
    if isinstance(value, list | tuple):
        sizes = [measure(item, 1) for item in value]
        largest = max(sizes, default=0)
        return Bound(len(value), 1 + sum(sizes), largest, 0.0, value, known=True)
    atoms = measure(value)
    return Bound(atoms, atoms, 1, 0.0, value, known=True)


def _bound(node: Node, names: Mapping[str, Bound]) -> Bound:
    found = _unchecked(node, names)
    if found.time > MOST_MICROSECONDS:
        message = "it could take too long with these values: it goes through too many elements"
        raise TooExpensive(message)
    if found.atoms > MOST_ATOMS:
        message = "it could make too large a value"
        raise TooExpensive(message)
    return found


def _unchecked(node: Node, names: Mapping[str, Bound]) -> Bound:  # noqa: PLR0911  # one a kind
    match node:
        case Literal():
            return _literal(node)
        case Name(name=name):
            return names.get(name, Bound(1, 1, 1))
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
    return Bound(node.size, node.size, 1)


def _collected(parts: list[Bound]) -> Bound:
    atoms = 1 + sum(part.atoms for part in parts)
    largest = max((part.atoms for part in parts), default=0)
    time = sum(part.time for part in parts) + _PER_ATOM * atoms
    # An empty list or map is what fallbacks are made of.
    return Bound(len(parts), atoms, largest, time, [], known=not parts)


def _inside(whole: Bound, time: float) -> Bound:
    size = max(whole.element, 1)
    return Bound(size, size, size, time)


def _selected(whole: Bound, field: str) -> Bound:
    if whole.known and isinstance(whole.value, Mapping) and field in whole.value:
        return _measured(whole.value[field])
    return _inside(whole, whole.time)


def _called(function: str, parts: list[Bound]) -> Bound:
    time = 1 + sum(part.time + _PER_ATOM * part.atoms for part in parts)
    if len(parts) == 1 and function in {"!", "-"}:
        # The library takes `!!x` for `x`, whatever x is.
        return _largest(parts, time)
    if function in _SMALL:
        return Bound(1, _TIME if function == "-" else 1, 1, time)
    if function == "?:":
        return _largest(parts[1:], time)
    if function == "+":
        total = sum(part.atoms for part in parts)
        length = sum(part.length for part in parts)
        return Bound(length, total, _largest(parts, 0).element, time + _PER_ATOM * total)
    if function in _PICKING:
        return _picked(function, parts, time)
    total = sum(part.atoms for part in parts)
    if function in FUNCTIONS:
        time += _PER_ATOM_IN_PYTHON * total
    if function in {"join", "replace", "format"}:
        # Each element or character may be followed by, or become, another argument.
        first = _NUMBER * parts[0].atoms
        total = first + (first + 1) * sum(part.atoms for part in parts[1:])
    else:
        total = _ESCAPED * total + 64
    if function in FUNCTIONS:
        total = min(total, MOST_CHARACTERS)
    return Bound(total, total, total, time + _PER_ATOM * total)


def _picked(function: str, parts: list[Bound], time: float) -> Bound:
    """Bound what gives a part of an argument: what it gives is known where they are."""
    if all(part.known for part in parts):
        try:
            value = FUNCTIONS[function].perform(*(part.value for part in parts))
        except ValueError:
            return Bound(1, 1, 1, time)  # it will fail in the same way when it is evaluated
        return replace(_measured(value), time=time)
    found = _largest(parts, time)
    if function in {"first", "last", "get"}:
        # What lies inside may itself be as long as the whole is large.
        return Bound(found.atoms, found.atoms, found.atoms, time)
    if function == "limit" and isinstance(parts[1].value, int):
        return replace(found, length=min(found.length, max(parts[1].value, 0)))
    return found


def _largest(parts: list[Bound], time: float) -> Bound:
    return Bound(
        max(part.length for part in parts),
        max(part.atoms for part in parts),
        max(part.element for part in parts),
        time,
    )


def _repeated(node: Macro, names: Mapping[str, Bound]) -> Bound:
    whole = _bound(node.operand, names)
    size = max(whole.element, 1)
    inner = {**names, node.variable: Bound(size, size, size)}
    bodies = [_bound(body, inner) for body in node.bodies]
    once = _PER_ITERATION + sum(body.time for body in bodies)
    time = whole.time + whole.length * once
    copying = _PER_COPY * whole.length**2
    if node.function == "map":
        each = bodies[-1].atoms
        return Bound(whole.length, 1 + whole.length * each, each, time + copying)
    if node.function == "filter":
        return Bound(whole.length, whole.atoms, whole.element, time + copying)
    return Bound(1, 1, 1, time)
