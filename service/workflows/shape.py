"""Whether a document has the shape of `schemas.workflow.Document`: its faults as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.document import ActionStep, Document, EventTrigger, Poll, Retry
from schemas.events import Json
from service.workflows.findings import Finding, did_you_mean
from service.workflows.yaml_tree import Path, YamlTree

LATER = {
    "document": (
        "concurrency",
        "coalesce",
        "debounce",
        "throttle",
        "on_cancel",
        "schedule",
        "manual",
        "inputs",
        "timeout",
    ),
    "trigger": ("schedule", "cron", "manual", "if", "timezone"),
    "step": (
        "parallel",
        "for_each",
        "as",
        "steps",
        "wait_for",
        "sleep",
        "approval",
        "emit",
        "template",
        "workflow",
        "limit",
    ),
}
"""What the language will know, and this version refuses by name instead of passing over it."""

_FORMS = {
    "name": "small letters, digits, `-` and `_`, such as `heal-failed-run`",
    "id": "a small letter, then small letters, digits and `_`, such as `heal_run`",
    "event": "a type with `*` for any characters, such as `test_run.*`",
    "duration": "a number and ms, s, m, h or d, such as 15s, or one whole ${{ … }}",
    "attempts": "a number of 1 to 100, or one whole ${{ … }}",
}
_DURATIONS = {"every", "first", "max", "timeout"}
_KINDS = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
}


def check_shape(tree: YamlTree, file: str) -> tuple[Document | None, list[Finding]]:
    """Give the document, or None and the faults of its shape."""
    if not isinstance(tree.value, Mapping):
        return None, [Finding(file, 1, 1, "a workflow document is a mapping of keys", None)]
    try:
        return Document.model_validate(tree.value), []
    except ValidationError as error:
        faults = error.errors(include_url=False)
    return None, list(_findings(faults, tree, file))


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


def _findings(faults: list[ErrorDetails], tree: YamlTree, file: str) -> Iterator[Finding]:
    told: set[Path] = set()
    unsupported = [
        real_path(fault["loc"], tree.value)[:-1]
        for fault in faults
        if fault["type"] == "extra_forbidden" and _is_later(fault["loc"])
    ]
    for fault in faults:
        path = real_path(fault["loc"], tree.value)
        if fault["type"] == "extra_forbidden":
            place = tree.place(path)
            message, hint = _unknown_key(fault["loc"])
            yield Finding(file, place.key_line, place.key_column, message, hint)
        elif fault["type"] == "missing":
            # A step of a later kind lacks what no step of its kind has.
            if path not in unsupported or len(path) == 0:
                place = tree.place(path)
                message = f"`{fault['loc'][-1]}` is missing"
                yield Finding(file, place.line, place.column, message, None)
        elif path not in told and not _is_echo(fault):
            told.add(path)
            place = tree.place(path)
            yield Finding(file, place.line, place.column, _message(fault, path), None)


def _is_echo(fault: ErrorDetails) -> bool:
    """Say whether a list is only called empty because its elements have faults of their own."""
    return fault["type"] == "too_short" and bool(fault["input"])


def _is_later(loc: tuple[int | str, ...]) -> bool:
    return loc[-1] in LATER.get(_level(loc[:-1])[0], ())


def _unknown_key(loc: tuple[int | str, ...]) -> tuple[str, str | None]:
    name = str(loc[-1])
    if _is_later(loc):
        message = f"`{name}` is not supported yet in this version"
        return message, "leave it out; it would not be obeyed"
    _, model = _level(loc[:-1])
    return f"the key `{name}` is unknown", did_you_mean(name, keys_of(model))


def keys_of(model: type[BaseModel]) -> list[str]:
    """Give the keys a part of a document may have, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _level(loc: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    names = [part for part in loc if isinstance(part, str)]
    if not names:
        return "document", Document
    levels: dict[str, tuple[str, type[BaseModel]]] = {
        "on": ("trigger", EventTrigger),
        "steps": ("step", ActionStep),
        "on_failure": ("step", ActionStep),
        "retry": ("retry", Retry),
        "poll": ("poll", Poll),
    }
    return levels.get(names[-1], ("document", Document))


def _message(fault: ErrorDetails, path: Path) -> str:
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "document")
    kind, given = fault["type"], fault["input"]
    wanted = _KINDS.get(kind)
    if name in _DURATIONS and len(path) > 1:
        message = f"`{name}` must be {_FORMS['duration']}, not {given!r}"
    elif name == "attempts" or kind == "string_pattern_mismatch":
        message = f"`{name}` must be {_FORMS.get(name, 'of another form')}, not {given!r}"
    elif kind == "literal_error":
        message = f"`{name}` must be {fault['ctx']['expected']}, not {given!r}"
    elif kind in {"too_short", "string_too_short"}:
        message = f"`{name}` must not be empty"
    elif name in {"if", "until"}:
        message = f"`{name}` must be an expression, not {given!r}"
    elif wanted:
        message = f"`{name}` must be {wanted}"
    else:
        message = f"`{name}`: {fault['msg']}"
    return message
