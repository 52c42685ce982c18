"""Expressions: CEL, compiled once, evaluated within limits, failing with one kind of error.

Evaluation reaches nothing but the scope it is given: the library has no I/O, and only the functions
of `functions` are handed to it. Facts of common-expression-language 0.10 this module relies on:
a `Program` may be shared by threads and a `Context` may not, so each evaluation makes its own; an
error raised by a Python function is printed by the library, so functions keep theirs for us; a
panic of its Rust side arrives as a BaseException named `PanicException`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from schemas.events import Json
from service.errors import Permanent
from service.workflows.cel_library import cel
from service.workflows.cost import TooExpensive, check_cost, is_cheap, measure
from service.workflows.findings import did_you_mean
from service.workflows.functions import (
    ARITIES,
    FUNCTIONS,
    METHODS,
    NO_METHODS,
    Function,
    to_text,
)
from service.workflows.interpolation import (
    Embedded,
    Piece,
    UnclosedInterpolation,
    split_text,
    unwrap,
)
from service.workflows.other_languages import FUNCTIONS as OTHER_FUNCTIONS
from service.workflows.other_languages import hint_at
from service.workflows.references import Reference, Use, references, uses, written_path
from service.workflows.scope import Path, Scope
from service.workflows.syntax import ExpressionSyntaxError, Node, Select, parse

LONGEST_SOURCE = 4096
"""Characters of one expression."""
MOST_RESULT_ATOMS = 1024 * 1024
"""Size of what an expression gives: characters of texts, and 1 for everything else."""
CACHED_EXPRESSIONS = 2048
_INTEGERS_END = 2**63
_COMPLAINT = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<what>.*)")


class ExpressionError(Permanent):
    """An expression cannot be compiled or evaluated.

    `source` is the expression, `offset` where in it the fault stands, in characters from 0.
    """

    code = "expression"

    def __init__(
        self, message: str, *, source: str, offset: int = 0, hint: str | None = None
    ) -> None:
        """Keep the sentence, the expression, the place and what was probably meant."""
        super().__init__(message, hint=hint)
        self.source = source
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Build it with `compile_expression`."""

    source: str
    tree: Node
    references: tuple[Reference, ...]
    paths: frozenset[Path]
    program: cel.Program
    called: tuple[str, ...]
    is_cheap: bool
    plain_path: Path | None

    def evaluate(self, scope: Scope) -> Json:
        """Give the value: JSON, with times as ISO 8601 texts. Raises ExpressionError."""
        if self.plain_path is not None:
            found = scope.read(self.plain_path)
            if _needs_no_library(found):
                return found
        bindings = scope.bindings(self.paths)
        for reference in self.references:
            if reference.path[0] not in bindings:
                message = f"there is no `{reference.path[0]}` here"
                raise ExpressionError(message, source=self.source, offset=reference.offset)
        try:
            if self.is_cheap:
                measure(bindings)
            else:
                check_cost(self.tree, bindings)
            value = _plain(self._run(bindings))
            size = measure(value).atoms
        except (TooExpensive, ValueError) as error:
            raise ExpressionError(f"{self.source}: {error}", source=self.source) from error
        if size > MOST_RESULT_ATOMS:
            message = f"{self.source}: it makes too large a value"
            raise ExpressionError(message, source=self.source)
        return value

    def _run(self, bindings: Mapping[str, Json]) -> Any:
        faults: list[BaseException] = []
        functions = {name: _keeping(FUNCTIONS[name], name, faults) for name in self.called}
        try:
            value = self.program.execute(cel.Context(dict(bindings), functions))
        except Exception as error:
            _raise_first(faults)
            raise ValueError(_explain(error, self.references, bindings)) from error
        except BaseException as error:
            # An interrupt must go on its way; a panic of the library is a fault of the expression.
            if type(error).__name__ != "PanicException":
                raise
            message = "the expression library broke down on it"
            raise ValueError(message) from error
        _raise_first(faults)
        return value


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def compile_expression(source: str) -> Expression:
    """Compile a bare CEL expression. Raises ExpressionError."""
    if len(source) > LONGEST_SOURCE:
        message = f"an expression has at most {LONGEST_SOURCE} characters, not {len(source)}"
        raise ExpressionError(message, source=source[:80])
    if not source.strip():
        raise ExpressionError("the expression is empty", source=source)
    try:
        tree = parse(source)
        program = cel.compile(source)
    except ExpressionSyntaxError as error:
        hint = hint_at(source, error.offset)
        raise ExpressionError(str(error), source=source, offset=error.offset, hint=hint) from error
    except Exception as error:
        message, offset = _first_fault(error, source)
        raise ExpressionError(message, source=source, offset=offset) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ExpressionError("the expression library refuses it", source=source) from error
    called: set[str] = set()
    for use in uses(tree):
        least, most = ARITIES.get(use.function, (0, -1))
        if not least <= use.arguments <= most or _is_misplaced(use):
            message, hint = _wrong_use(use)
            raise ExpressionError(message, source=source, offset=use.offset, hint=hint)
        if use.function in FUNCTIONS:
            called.add(use.function)
    read = tuple(references(tree))
    return Expression(
        source=source,
        tree=tree,
        references=read,
        paths=frozenset(reference.path for reference in read),
        program=program,
        called=tuple(sorted(called)),
        is_cheap=is_cheap(tree),
        plain_path=_plain_path(tree),
    )


def _plain_path(tree: Node) -> Path | None:
    """Give what is read by an expression that only reads one value, as most do."""
    written = None if isinstance(tree, Select) and tree.tested else written_path(tree)
    return None if written is None else (written[0].name, *written[1])


def _needs_no_library(value: Json) -> bool:
    """Say whether the library would give this value as it is, at 20 times the cost."""
    if type(value) is str:
        return value.isascii() and len(value) < MOST_RESULT_ATOMS
    if type(value) is int:
        return -_INTEGERS_END <= value < _INTEGERS_END
    return value is None or type(value) is bool


def _is_misplaced(use: Use) -> bool:
    """Say whether the library knows the function, but not as it is written here."""
    return use.function in (NO_METHODS if use.is_method else METHODS)


def _wrong_use(use: Use) -> tuple[str, str | None]:
    if use.function not in ARITIES:
        hint = OTHER_FUNCTIONS.get(use.function) or did_you_mean(use.function, ARITIES)
        return f"there is no function `{use.function}`", hint
    if _is_misplaced(use):
        example = f"{use.function}({'part' if use.arguments > 1 else ''})"
        if use.is_method:
            return f"`{use.function}` stands before its value", f"write `{use.function}(value)`"
        return f"`{use.function}` stands behind its value", f"write `value.{example}`"
    function = FUNCTIONS.get(use.function)
    hint = None if function is None else function.help
    return f"`{use.function}` does not take {use.arguments} arguments", hint


def holds(condition: str | bool, scope: Scope) -> bool:  # noqa: FBT001  # YAML's `if: true`
    """Say whether a condition, bare or as `${{ … }}`, is true. Raises ExpressionError."""
    if isinstance(condition, bool):
        return condition
    value = compile_expression(_unwrapped(condition).source).evaluate(scope)
    if not isinstance(value, bool):
        message = (
            f"{condition}: a condition gives true or false, not {to_text(value)[:80] or 'null'}"
        )
        raise ExpressionError(message, source=condition)
    return value


def render(value: Json, scope: Scope) -> Any:
    """Give the value with every `${{ … }}` in its texts evaluated. Raises ExpressionError.

    A text that is one whole `${{ … }}` becomes the expression's value with its type; inside a
    longer text null is empty, and lists and maps are compact JSON.
    """
    if isinstance(value, str):
        return _render_text(value, scope)
    if isinstance(value, Mapping):
        return {key: render(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render(item, scope) for item in value]
    return value


def _render_text(text: str, scope: Scope) -> Any:
    pieces = _pieces(text)
    if len(pieces) == 1 and isinstance(pieces[0], Embedded):
        return compile_expression(pieces[0].source).evaluate(scope)
    rendered = "".join(
        piece
        if isinstance(piece, str)
        else to_text(compile_expression(piece.source).evaluate(scope))
        for piece in pieces
    )
    if len(rendered) > MOST_RESULT_ATOMS:
        raise ExpressionError("the text becomes too long", source=text[:80])
    return rendered


def _pieces(text: str) -> tuple[Piece, ...]:
    try:
        return split_text(text)
    except UnclosedInterpolation as error:
        raise ExpressionError(str(error), source=text, offset=error.offset) from error


def _unwrapped(text: str) -> Embedded:
    try:
        return unwrap(text)
    except UnclosedInterpolation as error:
        raise ExpressionError(str(error), source=text, offset=error.offset) from error


def _keeping(function: Function, name: str, faults: list[BaseException]) -> Callable[..., Json]:
    def perform(*arguments: Json) -> Json:
        try:
            return function.perform(*arguments)
        except BaseException as error:  # noqa: BLE001  # raised again by _raise_first
            faults.append(ValueError(f"{name}: {error}") if isinstance(error, Exception) else error)
            return None

    return perform


def _raise_first(faults: list[BaseException]) -> None:
    if faults:
        raise faults[0]


def _plain(value: Any) -> Json:
    """Give what the library gave as JSON, keys in order: the library has none."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the number is not finite")
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(to_text(key)): _plain(value[key]) for key in sorted(value, key=to_text)}
    if isinstance(value, datetime | timedelta):
        return to_text(value)
    message = f"a value of the kind {type(value).__name__} cannot be used outside an expression"
    raise ValueError(message)


def _explain(error: Exception, found: tuple[Reference, ...], bindings: Mapping[str, Json]) -> str:
    if isinstance(error, KeyError):
        key = str(error.args[0]) if error.args else ""
        for reference in found:
            missing = _missing(reference, bindings)
            if missing is not None and missing[-1] == key:
                return f"`{'.'.join(missing)}` does not exist"
        return f"there is no `{key}`"
    if isinstance(error, TypeError):
        null = [".".join(item.path) for item in found if _is_null(item, bindings)]
        because = f"; {' and '.join(f'`{path}`' for path in null)} is null" if null else ""
        return f"the operation does not fit its operands{because}"
    text = str(error).split("\n", 1)[0].removesuffix(" Check function arguments and their types.")
    if text.startswith("Undefined variable or function: '"):
        return f"`{text.split(chr(39))[1]}` cannot take what it is given"
    return text


def _missing(reference: Reference, bindings: Mapping[str, Json]) -> tuple[str, ...] | None:
    value: Json = bindings
    for index, part in enumerate(reference.path):
        if not isinstance(value, Mapping):
            return None
        if part not in value:
            return reference.path[: index + 1]
        value = value[part]
    return None


def _is_null(reference: Reference, bindings: Mapping[str, Json]) -> bool:
    value: Json = bindings
    for part in reference.path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return value is None


def _first_fault(error: Exception, source: str) -> tuple[str, int]:
    """Read the library's first complaint: `ERROR: <input>:1:14: Syntax error: …`."""
    text = str(error).removeprefix(f"Failed to parse expression '{source}': ").split("\n", 1)[0]
    found = _COMPLAINT.match(text)
    if found is None:
        return text[:200], 0
    lines = source.split("\n")[: int(found["line"]) - 1]
    return found["what"][:200], sum(len(line) + 1 for line in lines) + int(found["column"]) - 1
