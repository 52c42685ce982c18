"""Whether what a document says can mean something: names, types and expressions.

Works on the plain values, not on the typed document, so that a document whose shape is wrong in one
place is still checked in all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.events import EVENT_TYPES, Json
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.durations import read_duration
from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.findings import Finding, did_you_mean
from service.workflows.interpolation import (
    OPENING,
    Embedded,
    UnclosedInterpolation,
    split_text,
    unwrap,
)
from service.workflows.matching import type_matches
from service.workflows.names import DOCUMENT_ROOTS, STEP_ROOTS, Names, reference_fault, steps_of
from service.workflows.parameters import check_parameters
from service.workflows.patterns import pattern_faults
from service.workflows.yaml_tree import Path, YamlTree

_FAMILIES = frozenset(known.partition(".")[0] for known in EVENT_TYPES)


def check_meaning(tree: YamlTree, file: str, catalogue: Catalogue | None) -> list[Finding]:
    """Give everything that is wrong beside the shape."""
    if not isinstance(tree.value, Mapping):
        return []
    return list(_Checker(tree, file, catalogue, tree.value).findings())


@dataclass(frozen=True, slots=True)
class _Checker:
    tree: YamlTree
    file: str
    catalogue: Catalogue | None
    data: Mapping[str, Any]

    def findings(self) -> Iterator[Finding]:
        yield from self._triggers()
        condition = self.data.get("if")
        yield from self._condition(("if",), condition, Names(DOCUMENT_ROOTS))
        yield from self._vars()
        main = steps_of(self.data.get("steps"))
        rescue = steps_of(self.data.get("on_failure"))
        yield from self._duplicates([("steps", at, step) for at, step in main])
        yield from self._duplicates(
            [
                *(("steps", at, step) for at, step in main),
                *(("on_failure", at, step) for at, step in rescue),
            ],
            only="on_failure",
        )
        earlier: dict[str, ActionSignature | None] = {}
        for at, step in main:
            yield from self._step(("steps", at), step, Names(STEP_ROOTS, dict(earlier)))
            _remember(earlier, step, self.catalogue)
        for at, step in rescue:
            names = Names(STEP_ROOTS | {"error"}, dict(earlier))
            yield from self._step(("on_failure", at), step, names)
            _remember(earlier, step, self.catalogue)

    # --- parts ----------------------------------------------------------------------------------

    def _triggers(self) -> Iterator[Finding]:
        triggers = self.data.get("on")
        known = None if self.catalogue is None else self.catalogue.vendors
        for at, trigger in enumerate(triggers if isinstance(triggers, list) else []):
            event = trigger.get("event") if isinstance(trigger, Mapping) else None
            if isinstance(event, str) and not _may_happen(event):
                message = f"no event has the type `{event}`"
                yield self._at(("on", at, "event"), message, did_you_mean(event, EVENT_TYPES))
            vendor = trigger.get("vendor") if isinstance(trigger, Mapping) else None
            if known is not None and isinstance(vendor, str) and vendor not in known:
                message = f"there is no vendor `{vendor}`"
                yield self._at(("on", at, "vendor"), message, did_you_mean(vendor, known))

    def _vars(self) -> Iterator[Finding]:
        values = self.data.get("vars")
        for path, text in _texts(("vars",), values):
            if OPENING in text:
                message = "vars are plain values; an expression is not evaluated here"
                yield self._at(path, message, "put the expression where the value is used")

    def _duplicates(
        self, steps: list[tuple[str, int, Mapping[str, Any]]], only: str = "steps"
    ) -> Iterator[Finding]:
        seen: set[str] = set()
        for section, at, step in steps:
            step_id = step.get("id")
            if isinstance(step_id, str):
                if step_id in seen and section == only:
                    message = f"another step has the id `{step_id}`"
                    yield self._at((section, at, "id"), message)
                seen.add(step_id)

    def _step(self, path: Path, step: Mapping[str, Any], names: Names) -> Iterator[Finding]:
        signature = None
        uses = step.get("uses")
        if isinstance(uses, str) and self.catalogue is not None:
            signature = self.catalogue.actions.get(uses)
            if signature is None:
                hint = did_you_mean(uses, self.catalogue.actions)
                short = {name.partition(".")[2]: name for name in self.catalogue.actions}
                if uses.rpartition(".")[2] in short:
                    hint = f"did you mean `{short[uses.rpartition('.')[2]]}`?"
                yield self._at((*path, "uses"), f"there is no action `{uses}`", hint)
        yield from self._connection((*path, "connection"), step.get("connection"))
        yield from self._condition((*path, "if"), step.get("if"), names)
        parameters = step.get("with")
        for place, text in _texts((*path, "with"), parameters):
            yield from self._interpolated(place, text, names)
        if signature is not None:
            given = parameters if isinstance(parameters, Mapping) else {}
            for fault in check_parameters(signature, given):
                where = (*path, "with", *fault.path) if given else (*path, "uses")
                yield self._at(where, fault.message, fault.hint, key=fault.at_key)
        plain = Names(DOCUMENT_ROOTS)
        retry, poll = step.get("retry"), step.get("poll")
        yield from self._durations(path, step, ("timeout",), plain)
        if isinstance(retry, Mapping):
            yield from self._durations((*path, "retry"), retry, ("first", "max"), plain)
            if isinstance(retry.get("attempts"), str):
                yield from self._interpolated(
                    (*path, "retry", "attempts"), retry["attempts"], plain
                )
        if isinstance(poll, Mapping):
            keys = ("every", "timeout", "first")
            yield from self._durations((*path, "poll"), poll, keys, plain)
            outputs = None if signature is None else signature.outputs
            inside = Names(names.roots | {"output"}, names.steps, outputs)
            yield from self._condition((*path, "poll", "until"), poll.get("until"), inside)

    def _connection(self, path: Path, name: Any) -> Iterator[Finding]:
        if not isinstance(name, str):
            return
        if OPENING in name:
            yield self._at(path, "the connection is a plain name")
        known = None if self.catalogue is None else self.catalogue.connections
        if known is not None and name not in known:
            yield self._at(path, f"there is no connection `{name}`", did_you_mean(name, known))

    def _durations(
        self, path: Path, part: Mapping[str, Any], keys: tuple[str, ...], names: Names
    ) -> Iterator[Finding]:
        for key in keys:
            text = part.get(key)
            if not isinstance(text, str):
                continue
            if OPENING in text:
                yield from self._interpolated((*path, key), text, names)
                continue
            try:
                read_duration(text)
            except (ValueError, OverflowError) as error:
                # A text of another form is a fault of the shape, and told as one.
                if "out of range" in str(error):
                    yield self._at((*path, key), str(error))

    # --- expressions ------------------------------------------------------------------------------

    def _condition(self, path: Path, text: Any, names: Names) -> Iterator[Finding]:
        if not isinstance(text, str):
            return
        try:
            embedded = unwrap(text)
        except UnclosedInterpolation as error:
            yield self._inside(path, text, error.offset, str(error))
            return
        yield from self._expression(path, text, embedded, names)

    def _interpolated(self, path: Path, text: str, names: Names) -> Iterator[Finding]:
        try:
            pieces = split_text(text)
        except UnclosedInterpolation as error:
            yield self._inside(path, text, error.offset, str(error))
            return
        for piece in pieces:
            if isinstance(piece, Embedded):
                yield from self._expression(path, text, piece, names)

    def _expression(
        self, path: Path, text: str, embedded: Embedded, names: Names
    ) -> Iterator[Finding]:
        try:
            expression = compile_expression(embedded.source)
        except ExpressionError as error:
            hint = error.hint
            if OPENING in embedded.source:
                hint = "write it as one expression: `a && b`, or `${{ a && b }}`"
            offset = embedded.offset + error.offset
            yield self._inside(path, text, offset, f"in this expression {error.message}", hint)
            return
        for reference in expression.references:
            fault = reference_fault(reference, names, self.data, self.catalogue)
            if fault is not None:
                message, hint = fault
                offset = embedded.offset + reference.offset
                yield self._inside(path, text, offset, message, hint)
        for wrong in pattern_faults(expression.tree, expression.source):
            offset = embedded.offset + wrong.offset
            yield self._inside(path, text, offset, f"in this expression {wrong.message}")

    # --- places -----------------------------------------------------------------------------------

    def _at(
        self, path: Path, message: str, hint: str | None = None, *, key: bool = False
    ) -> Finding:
        place = self.tree.place(path)
        line, column = (place.key_line, place.key_column) if key else (place.line, place.column)
        return Finding(self.file, line, column, message, hint)

    def _inside(
        self, path: Path, text: str, offset: int, message: str, hint: str | None = None
    ) -> Finding:
        line, column = self.tree.point(path, text, offset)
        return Finding(self.file, line, column, message, hint)


def _may_happen(pattern: str) -> bool:
    """Say whether an event can match: types of our own families are a closed list.

    What other families there are (GitHub's, a vendor's own) is for the vendors to know.
    """
    family = pattern.partition(".")[0]
    if family not in _FAMILIES:
        return True
    return any(type_matches(pattern, known) for known in EVENT_TYPES)


def _remember(
    earlier: dict[str, ActionSignature | None],
    step: Mapping[str, Any],
    catalogue: Catalogue | None,
) -> None:
    step_id, uses = step.get("id"), step.get("uses")
    if isinstance(step_id, str):
        known = catalogue is not None and isinstance(uses, str)
        earlier[step_id] = catalogue.actions.get(str(uses)) if known and catalogue else None


def _texts(path: Path, value: Json) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts((*path, key), item)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts((*path, at), item)
