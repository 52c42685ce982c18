"""Test files of workflows (`*.test.yaml`): from text to checked cases, every fault at its place.

Whether the cases fit the document that they test is checked in `test_cases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.events import Json
from schemas.testing import (
    Case,
    Expected,
    ExpectedEffect,
    ExpectedError,
    ExpectedEvent,
    Given,
    GivenAnswer,
    GivenCall,
    GivenEvent,
    GivenFailure,
    GivenLater,
    WorkflowTests,
    merged,
)
from service.workflows.finder import Finder
from service.workflows.findings import DocumentError, Finding, did_you_mean
from service.workflows.shape import real_path
from service.workflows.yaml_tree import Path, YamlFault, YamlTree, read_yaml

_PARTS: Mapping[str, type[BaseModel]] = {
    "cases": Case,
    "expect": Expected,
    "event": GivenEvent,
    "events": GivenEvent,
    "later": GivenLater,
    "actions": GivenAnswer,
    "fails": GivenFailure,
    "called": GivenCall,
    "effects": ExpectedEffect,
    "emits": ExpectedEvent,
    "error": ExpectedError,
    "defaults": Given,
}
"""Which part of a test file stands below a key."""
_DURATIONS = frozenset({"after", "took", "retry_after"})
_KINDS: Mapping[str, str] = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "string_too_short": "a text with something in it",
    "too_short": "a list with something in it",
}


@dataclass(frozen=True, slots=True)
class ReadTests:
    """A test file with its places, before it is held against its document."""

    file: str
    tree: YamlTree
    tests: WorkflowTests


def read_tests(text: str, *, filename: str) -> ReadTests:
    """Read a test file (YAML 1.2 or JSON). Raises DocumentError with all faults of its shape."""
    try:
        tree = read_yaml(text)
    except YamlFault as unread:
        finding = Finding(filename, unread.line, unread.column, str(unread), unread.hint)
        raise DocumentError([finding]) from unread
    finder = Finder(tree, filename)
    value = tree.value
    if not isinstance(value, Mapping):
        finder.at((), "a test file is a mapping of keys", "begin with `cases:` and a list below it")
        raise DocumentError(finder.findings)
    _check_defaults(finder, value.get("defaults"))
    try:
        tests = WorkflowTests.model_validate(_with_defaults(value))
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            _tell(finder, fault)
        raise DocumentError(finder.findings) from error
    if finder.findings:
        raise DocumentError(finder.findings)
    return ReadTests(filename, tree, tests)


# --- the shape ------------------------------------------------------------------------------------


def _with_defaults(value: Mapping[str, Any]) -> dict[str, Any]:
    defaults, cases = value.get("defaults"), value.get("cases")
    if not isinstance(defaults, Mapping) or not isinstance(cases, list):
        return dict(value)
    laid = [merged(defaults, case) if isinstance(case, Mapping) else case for case in cases]
    return {**value, "cases": laid}


def _check_defaults(finder: Finder, defaults: Json) -> None:
    known = tuple(Given.model_fields)
    for key in defaults if isinstance(defaults, Mapping) else ():
        if key not in known:
            hint = "what is expected stands in each case" if key == "expect" else None
            message = f"the key `{key}` is unknown in `defaults`"
            finder.at(("defaults", key), message, hint or did_you_mean(key, known), key=True)


def _tell(finder: Finder, fault: ErrorDetails) -> None:
    path = real_path(fault["loc"], finder.tree.value)
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        hint = did_you_mean(key, _keys_around(fault))
        finder.at(path, f"the key `{key}` is unknown", hint, key=True)
    elif fault["type"] == "missing":
        given = _value(finder.tree.value, path)
        if not isinstance(given, Mapping) or not get_close_matches(key, given):
            finder.at(path, f"`{key}` is missing", f"add `{key}: …`")
    elif fault["type"] == "too_short" and fault["input"]:
        pass  # an echo of the faults of its elements
    else:
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        message, hint = _words(fault, name)
        finder.at(path, message, hint)


def _words(fault: ErrorDetails, name: str) -> tuple[str, str | None]:
    kind = fault["type"]
    if name in _DURATIONS and kind != "value_error":
        return f"`{name}` must be a duration", "such as 500ms, 15s, 5m, 2h"
    if kind in _KINDS:
        return f"`{name}` must be {_KINDS[kind]}, not {fault['input']!r}"[:200], None
    if kind == "literal_error":
        expected = fault["ctx"]["expected"]
        return f"`{name}` must be {expected}, not {fault['input']!r}"[:300], None
    if "datetime" in kind or kind == "timezone_aware":
        return f"`{name}` must be a time with its zone", "such as 2026-01-31T09:00:00Z"
    return fault["msg"].removeprefix("Value error, "), None


def _keys_around(fault: ErrorDetails) -> list[str]:
    """Give the keys that the part has in which a key is unknown."""
    around = [part for part in fault["loc"][:-1] if part in _PARTS]
    model = _PARTS[str(around[-1])] if around else WorkflowTests
    return [field.alias or name for name, field in model.model_fields.items()]


def _value(value: Json, path: Path) -> Json:
    for part in path:
        value = value[part]
    return value
