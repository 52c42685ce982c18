"""What an expression gives, as far as it is known before it runs, and which names it misreads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.workflows.comparisons import comparison_faults
from service.workflows.names import Fault, Names, no_field
from service.workflows.references import written_path
from service.workflows.syntax import Call, Collection, Index, Literal, Macro, Node, Select, children
from service.workflows.value_types import (
    BOOLEAN,
    NOTHING,
    NUMBER,
    SCALAR,
    TEXT,
    ListOf,
    Scalar,
    Type,
    WrongPath,
    item_of,
    member,
    one_of,
    resolved,
    type_at,
)

_CONDITIONAL = 3
_GIVE_TRUTH = frozenset(
    {
        *("!", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||"),
        *("contains", "endsWith", "matches", "startsWith"),
    }
)
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_GIVE_NUMBERS = frozenset({"double", "int", "size"})
_SAME_AS_FIRST = frozenset({"limit", "distinct"})
_ITEM_OF_FIRST = frozenset({"first", "last", "min", "max"})
_LISTS_OF_SCALARS = frozenset({"split", "range"})
_GIVE_TEXTS = frozenset(
    {"dollars", "escape_markdown", "escape_slack", "format", "join", "json", "lower", "upper"}
)
_GIVE_SCALARS = frozenset(
    [
        "replace",
        "safe_url",
        "string",
        "sum",
        "trim",
        "truncate",
    ]
)


@dataclass(slots=True)
class Inference:
    """Goes through one expression. `faults` are what cannot be read, with the places from 0."""

    names: Names
    faults: list[tuple[int, Fault]] = field(default_factory=list)

    def type_of(  # noqa: C901, PLR0911, PLR0912  # one a kind of node
        self, node: Node, bound: Mapping[str, Type] | None = None
    ) -> Type:
        """Give the type of what a node gives. `bound`: the variables of the macros around it."""
        variables = bound or {}
        chain = written_path(node)
        if chain is not None:
            root, path = chain
            if root.name in variables:
                found = type_at(variables[root.name], path)
                if isinstance(found, WrongPath):
                    return self._wrong(root.offset, no_field(found, (root.name, *path)))
                return found
            read = self.names.read((root.name, *path))
            if isinstance(read, Fault):
                return self._wrong(root.offset, read)
            return BOOLEAN if isinstance(node, Select) and node.tested else read
        match node:
            case Literal():
                return _literal(node)
            case Select(operand=operand, field=name):
                return self._member(self.type_of(operand, variables), name, node.offset)
            case Index():
                return self._index(node, variables)
            case Macro():
                return self._macro(node, variables)
            case Call():
                return self._call(node, variables)
            case Collection(items=items):
                for item in items:
                    self.type_of(item, variables)
                return None if items else ListOf(NOTHING)
            case _:
                for part in children(node):
                    self.type_of(part, variables)
                return None

    def _index(self, node: Index, bound: Mapping[str, Type]) -> Type:
        operand = self.type_of(node.operand, bound)
        if isinstance(node.index, Literal) and node.index.text is not None:
            return self._member(operand, node.index.text, node.offset)
        self.type_of(node.index, bound)
        number = isinstance(node.index, Literal) and node.index.number is not None
        return item_of(operand) if number else None

    def _member(self, operand: Type, name: str, offset: int) -> Type:
        found = member(operand, name)
        if isinstance(found, WrongPath):
            return self._wrong(offset, no_field(found, ("…", name)))
        return found

    def _macro(self, node: Macro, bound: Mapping[str, Type]) -> Type:
        operand = self.type_of(node.operand, bound)
        inner = {**bound, node.variable: item_of(operand)}
        bodies = [self.type_of(body, inner) for body in node.bodies]
        match node.function:
            case "filter":
                return ListOf(item_of(operand))
            case "map":
                return ListOf(bodies[-1])
            case _:
                return BOOLEAN

    def _call(self, node: Call, bound: Mapping[str, Type]) -> Type:
        kinds = [self.type_of(argument, bound) for argument in node.arguments]
        self.faults.extend(comparison_faults(node, kinds))
        if node.function == "?:" and len(kinds) == _CONDITIONAL:
            return one_of(kinds[1:])
        if node.function == "default" and kinds:
            return one_of(kinds)
        if node.function in _SAME_AS_FIRST and kinds:
            return kinds[0]
        if node.function in _ITEM_OF_FIRST and kinds:
            return item_of(kinds[0])
        return _computed(kinds) if node.function in _ARITHMETIC else _given_by(node.function)

    def _wrong(self, offset: int, fault: Fault) -> Type:
        self.faults.append((offset, fault))
        return None


def _literal(node: Literal) -> Type:
    if node.text is not None:
        return TEXT
    return None if node.number is None else NUMBER


def _computed(kinds: Sequence[Type]) -> Type:
    plain = [resolved(kind) for kind in kinds]
    alike = {kind.kind if isinstance(kind, Scalar) else None for kind in plain}
    if alike == {"number"}:
        return NUMBER
    return TEXT if alike == {"text"} else None


def _given_by(function: str) -> Type:
    if function in _LISTS_OF_SCALARS:
        return ListOf(SCALAR)
    if function in _GIVE_TRUTH:
        return BOOLEAN
    if function in _GIVE_NUMBERS:
        return NUMBER
    if function in _GIVE_TEXTS:
        return TEXT
    return SCALAR if function in _GIVE_SCALARS else None
