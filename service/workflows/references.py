"""Which names an expression uses, and where: `event.facts.counts`, `steps.heal.batch_id`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.workflows.syntax import Call, Index, Literal, Macro, Name, Node, Select, children

OPERATORS = frozenset(
    {"!", "-", "*", "/", "%", "+", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||", "?:"}
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A free name with the fields that are read of it, as far as they are written out.

    `offset`: characters from 0 to the name. `tested`: only asked for with `has(…)`.
    """

    path: tuple[str, ...]
    offset: int
    tested: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A function that is called, with the number of its arguments (the receiver included).

    `is_method`: it is written behind its receiver.
    """

    function: str
    arguments: int
    offset: int
    is_method: bool = False


def references(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[Reference]:
    """Give every reference, leaving out the names in `bound` (variables of comprehensions)."""
    chain = written_path(node)
    if chain is not None:
        root, path = chain
        if root.name not in bound:
            tested = isinstance(node, Select) and node.tested
            yield Reference((root.name, *path), root.offset, tested)
        return
    if isinstance(node, Macro):
        yield from references(node.operand, bound)
        inner = bound | {node.variable}
        for body in node.bodies:
            yield from references(body, inner)
        return
    for part in children(node):
        yield from references(part, bound)


def uses(node: Node) -> Iterator[Use]:
    """Give every function that is called; operators are none."""
    if isinstance(node, Call) and node.function not in OPERATORS:
        yield Use(node.function, len(node.arguments), node.offset, node.is_method)
    for part in children(node):
        yield from uses(part)


def written_path(node: Node) -> tuple[Name, tuple[str, ...]] | None:
    """Give the name and the fields of `name.field.field["field"]`; None for anything else."""
    fields: list[str] = []
    while True:
        match node:
            case Name():
                return node, tuple(reversed(fields))
            case Select(operand=operand, field=field):
                fields.append(field)
                node = operand
            case Index(operand=operand, index=Literal(text=str() as text)):
                fields.append(text)
                node = operand
            case _:
                return None
