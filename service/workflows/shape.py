"""Whether a document has the shape of `schemas.document.Document`: its faults as findings.

Which words say what is wrong with a value stands in `shape_words`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.document import STEP_KINDS, Document
from schemas.events import Json
from service.workflows.findings import Finding, did_you_mean
from service.workflows.parts import STEP_MODELS, keys_of, model_at, steps_in
from service.workflows.shape_words import (
    MISSING,
    key_hint,
    kind_hint,
    listed,
    plain_hint,
    value_words,
)
from service.workflows.yaml_tree import Path, YamlTree

_UNIONS: Mapping[str, str] = {"sleep": "SleepUntil", "debounce": "Debounce"}
"""Keys that take a text or a mapping, and what the mapping is called in the places of faults."""


def check_shape(tree: YamlTree, file: str) -> tuple[Document | None, list[Finding]]:
    """Give the document, or None and the faults of its shape."""
    if not isinstance(tree.value, Mapping):
        hint = "begin with `name: …`, `on: …` and `steps: …`, each on a line of its own"
        return None, [Finding(file, 1, 1, "a workflow document is a mapping of keys", hint)]
    findings = _Findings(tree, file)
    mixed = list(findings.of_two_kinds())
    try:
        document = Document.model_validate(tree.value)
    except ValidationError as error:
        return None, mixed + list(findings.of(error.errors(include_url=False)))
    return document, mixed


def real_path(loc: tuple[int | str, ...], value: Json) -> Path:
    """Give the part of a validation error's place that exists in the data."""
    path: list[int | str] = []
    for part in loc:
        inside = (
            part in value
            if isinstance(value, Mapping)
            else isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            value = value[part]
            path.append(part)
    return tuple(path)


class _Findings:
    def __init__(self, tree: YamlTree, file: str) -> None:
        self.tree = tree
        self.file = file
        self.told: set[Path] = set()
        self.foreign: dict[Path, set[str]] = {}
        """Keys that belong to another kind of step, by the step that is of two kinds."""

    def of_two_kinds(self) -> Iterator[Finding]:
        """Give the steps of which it cannot be said what they do."""
        for step in steps_in(self.tree.value):
            if len(step.kinds) > 1:
                self.foreign[step.path] = {
                    key for kind in step.kinds for key in (kind, *keys_of(STEP_MODELS[kind]))
                }
                written = sorted(step.kinds, key=lambda kind: list(step.value).index(kind))
                message = f"a step has one of {listed(STEP_KINDS)}"
                message += f"; this one has {listed(written, 'and')}"
                path = (*step.path, written[1])
                yield self._at(path, message, "make two steps of it", key=True)

    def of(self, faults: list[ErrorDetails]) -> Iterator[Finding]:
        """Give what validation has found."""
        for fault in faults:
            path = real_path(fault["loc"], self.tree.value)
            if fault["type"] == "extra_forbidden":
                yield from self._unknown_key(path)
            elif fault["type"] == "missing":
                yield from self._missing(path, str(fault["loc"][-1]))
            elif fault["type"] in {"step_kind", "trigger_kind"}:
                yield self._no_kind(path, fault)
            elif path not in self.told and not _is_echo(fault) and not _is_other(fault):
                self.told.add(path)
                model = model_at(self.tree.value, path[:-1]) if path else Document
                message, hint = value_words(fault, path, model)
                at_key = fault["loc"][-1:] == ("[key]",)
                yield self._at(path, message, hint, key=at_key)

    def _unknown_key(self, path: Path) -> Iterator[Finding]:
        around, key = path[:-1], str(path[-1])
        if key in self.foreign.get(around, ()):
            return
        model = model_at(self.tree.value, around)
        yield self._at(path, f"the key `{key}` is unknown", key_hint(key, model), key=True)

    def _missing(self, path: Path, key: str) -> Iterator[Finding]:
        value: Json = self.tree.value
        for part in path:
            value = value[part]
        if path in self.foreign or not isinstance(value, Mapping):
            return
        model = model_at(self.tree.value, path)
        known = [] if model is None else keys_of(model)
        strange = [name for name in value if name not in known]
        if any((did_you_mean(name, known) or "").endswith(f"`{key}`?") for name in strange):
            return  # it is there, misspelt, and told as such
        yield self._at(path, f"`{key}` is missing", MISSING.get(key, f"add `{key}: …`"))

    def _no_kind(self, path: Path, fault: ErrorDetails) -> Finding:
        value = fault["input"]
        if not isinstance(value, Mapping):
            what = "a step" if fault["type"] == "step_kind" else "a trigger"
            hint = "write `- id: …` with its keys below" if what == "a step" else "`- event: …`"
            message = f"{what} is a mapping of keys, not {_short(value)}"
            return self._at(path, message, plain_hint(value, hint))
        kinds = STEP_KINDS if fault["type"] == "step_kind" else ("event", "cron", "manual")
        return self._at(path, fault["msg"], kind_hint(value, kinds))

    def _at(self, path: Path, message: str, hint: str | None, *, key: bool = False) -> Finding:
        place = self.tree.place(path)
        line, column = (place.key_line, place.key_column) if key else (place.line, place.column)
        return Finding(self.file, line, column, message, hint)


def _is_echo(fault: ErrorDetails) -> bool:
    """Say whether a list is only called empty because its elements have faults of their own."""
    return fault["type"] == "too_short" and bool(fault["input"])


def _is_other(fault: ErrorDetails) -> bool:
    """Say whether it is about the form, text or mapping, that was not chosen."""
    for at, part in enumerate(fault["loc"][:-1]):
        form = _UNIONS.get(str(part))
        if form is not None and fault["loc"][at + 1] != form:
            return isinstance(fault["input"], Mapping)
    return False


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  # characters
