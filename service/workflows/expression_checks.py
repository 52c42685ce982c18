"""Whether the expressions of a document can be read, and what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.events import Json
from service.workflows.durations import read_duration
from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.finder import Finder
from service.workflows.inference import Inference
from service.workflows.interpolation import (
    OPENING,
    Embedded,
    UnclosedInterpolation,
    split_text,
    unwrap,
)
from service.workflows.names import Names
from service.workflows.patterns import pattern_faults
from service.workflows.unmarked import unmarked_expressions
from service.workflows.value_types import SCALAR, Type, gives_no_truth
from service.workflows.yaml_tree import Path

_CLOSE = "write `}}` behind the expression; `$${{` is a literal `${{`"
_PATTERN = "patterns are those of RE2: no look-around and no back-references"
_TRUTH = 'compare it, as in `… == "main"`, `… != null` or `size(…) > 0`'
_SYNTAX = "expressions are CEL; docs/workflow-reference.md lists what there is"


class ExpressionChecker:
    """Checks texts at their places and notes what is wrong."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def given_condition(self, path: Path, part: Mapping[str, Any], names: Names) -> None:
        """Check what must be true or false: the value of the last key of the path in its part."""
        key = str(path[-1])
        if key not in part:
            return
        text = part[key]
        if text is None:
            if key == "if":
                self._finder.at(path, "`if` says nothing", "write a condition, or leave it out")
            return
        found = self.condition(path, text, names)
        if gives_no_truth(found):
            message = f"`{key}` must give true or false, and this gives something else"
            self._finder.at(path, message, _TRUTH)

    def condition(self, path: Path, text: Any, names: Names) -> Type:
        """Check a text that is an expression as it stands, or in one `${{ … }}`; gives its type."""
        if not isinstance(text, str):
            return None
        try:
            embedded = unwrap(text)
        except UnclosedInterpolation as error:
            self._finder.inside(path, text, error.offset, str(error), _CLOSE)
            return None
        return self._expression(path, text, embedded, names)

    def interpolated(self, path: Path, text: Any, names: Names) -> Type:
        """Check a text that may hold expressions; gives the type of what it becomes."""
        if not isinstance(text, str):
            return None
        try:
            pieces = split_text(text)
        except UnclosedInterpolation as error:
            self._finder.inside(path, text, error.offset, str(error), _CLOSE)
            return None
        readable = {*names.roots, *(() if names.steps is None else ("steps",))}
        for unmarked in unmarked_expressions(text, pieces, readable):
            message = f"`{unmarked.shown}` is no expression here: it would be sent as it stands"
            hint = f"write `${{{{ {unmarked.expression} }}}}`"
            self._finder.inside(path, text, unmarked.offset, message, hint)
        found = [
            self._expression(path, text, piece, names)
            for piece in pieces
            if isinstance(piece, Embedded)
        ]
        return found[0] if len(pieces) == len(found) == 1 else SCALAR

    def values(self, path: Path, value: Json, names: Names) -> None:
        """Check all texts of a value."""
        for place, text in texts(path, value):
            self.interpolated(place, text, names)

    def durations(
        self, path: Path, part: Any, keys: tuple[str, ...], names: Names | None = None
    ) -> None:
        """Check the durations of a part. Without `names` they take no expression."""
        if not isinstance(part, Mapping):
            return
        for key in keys:
            self.duration((*path, key), part.get(key), names)

    def duration(self, path: Path, text: Any, names: Names | None = None) -> None:
        """Check one duration."""
        if not isinstance(text, str):
            return
        if OPENING in text:
            if names is not None:
                self.interpolated(path, text, names)
            return
        try:
            read_duration(text)
        except (ValueError, OverflowError) as error:
            # A text of another form is a fault of the shape, and told as one.
            if "out of range" in str(error) or "too long" in str(error):
                self._finder.at(path, str(error), "write a time such as 30s, 15m or 24h")

    def _expression(self, path: Path, text: str, embedded: Embedded, names: Names) -> Type:
        try:
            expression = compile_expression(embedded.source)
        except ExpressionError as error:
            hint = error.hint
            if OPENING in embedded.source:
                hint = "write it as one expression: `a && b`, or `${{ a && b }}`"
            offset = embedded.offset + error.offset
            message = f"in this expression {error.message}"
            self._finder.inside(path, text, offset, message, hint or _SYNTAX)
            return None
        inference = Inference(names)
        found = inference.type_of(expression.tree)
        for at, fault in inference.faults:
            self._finder.inside(path, text, embedded.offset + at, fault.message, fault.hint)
        for wrong in pattern_faults(expression.tree, expression.source):
            offset = embedded.offset + wrong.offset
            message = f"in this expression {wrong.message}"
            self._finder.inside(path, text, offset, message, _PATTERN)
        return found


def texts(path: Path, value: Json) -> Iterator[tuple[Path, str]]:
    """Give every text inside a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts((*path, key), item)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from texts((*path, at), item)
