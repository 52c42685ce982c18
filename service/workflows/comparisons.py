"""Comparisons with a literal that the value beside it can never be.

A value that is missing is null, and null is like no literal: only what is surely known is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.workflows.findings import did_you_mean
from service.workflows.names import Fault
from service.workflows.syntax import Call, Collection, Literal
from service.workflows.value_types import ListOf, OneOf, Scalar, Type, choices_of, resolved

_EQUAL = frozenset({"==", "!="})
_ORDERED = frozenset({"<", "<=", ">", ">="})
_SIDES = 2


def comparison_faults(node: Call, kinds: Sequence[Type]) -> Iterator[tuple[int, Fault]]:
    """Give what is wrong with one comparison, with the places. `kinds`: of its two operands."""
    if len(node.arguments) != _SIDES:
        return
    left, right = node.arguments
    if node.function in _EQUAL | _ORDERED:
        # Of an order only the kinds must fit: `status < "m"` compares texts.
        strict = node.function in _EQUAL
        yield from _fault(right, kinds[0], strict=strict)
        yield from _fault(left, kinds[1], strict=strict)
    elif node.function == "in" and isinstance(right, Collection):
        for item in right.items:
            yield from _fault(item, kinds[0], strict=True)
    elif node.function == "in":
        listed = resolved(kinds[1])
        if isinstance(listed, ListOf):
            yield from _fault(left, listed.item, strict=True)


def _fault(literal: object, kind: Type, *, strict: bool) -> Iterator[tuple[int, Fault]]:
    if not isinstance(literal, Literal) or (literal.text is None and literal.number is None):
        return
    shown = str(literal.number) if literal.text is None else f'"{literal.text[:60]}"'
    if not _is_of_kind(kind, literal):
        written = "a number" if literal.text is None else "a text"
        message = f"this is never {written} such as {shown}: it is {_named(kind)}"
        yield literal.offset, Fault(message, _hint(kind, literal))
    elif strict and literal.text is not None and not _is_chosen(kind, literal.text):
        message = f"this can never be {shown}"
        yield literal.offset, Fault(message, did_you_mean(literal.text, choices_of(kind)))


def _is_of_kind(kind: Type, literal: Literal) -> bool:
    match resolved(kind):
        case None | Scalar(kind=None) | OneOf(kinds=()):
            return True
        case Scalar(kind=known):
            return known == ("number" if literal.text is None else "text")
        case OneOf(kinds=kinds):
            return any(_is_of_kind(part, literal) for part in kinds)
        case _:
            return False


def _is_chosen(kind: Type, text: str) -> bool:
    choices = choices_of(kind)
    return not choices or text in choices


def _named(kind: Type) -> str:
    match resolved(kind):
        case Scalar(kind=str() as known):
            return f"a {known}"
        case ListOf():
            return "a list"
        case OneOf():
            return "of another kind"
        case _:
            return "a map"


def _hint(kind: Type, literal: Literal) -> str:
    match resolved(kind):
        case Scalar(kind="boolean"):
            return "write the value alone, or `!` before it"
        case Scalar(kind="number") if literal.text is not None and literal.text.isdecimal():
            return f"write `{literal.text}` without quotes"
        case Scalar(kind="text"):
            return f'write `"{literal.number}"` in quotes'
        case ListOf():
            return "ask with `in`, or with `size(…)`"
        case _:
            return "compare it with a value of its own kind"
