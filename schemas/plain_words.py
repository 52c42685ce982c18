"""What a validator found, in plain words: for settings, the configuration and the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from pydantic import ValidationError

from schemas.config import NAME_PATTERN

_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must hold keys with values, such as `key: value`",
    "extra_forbidden": "is not known here",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_attributes_type": "must hold keys with values, such as `key: value`",
    "model_type": "must hold keys with values, such as `key: value`",
    "string_type": "must be a text",
    "time_delta_parsing": "must be a duration, such as 15s",
    "time_delta_type": "must be a duration, such as 15s",
    "timezone_aware": "must carry a time zone, such as 2026-11-21T12:00:00Z",
    "tuple_type": "must be a list",
    "uuid_parsing": "must be a whole id, such as 0197c9bb-6f0e-7c21-9d4e-0a51f0c3b7aa",
    "uuid_type": "must be a whole id, such as 0197c9bb-6f0e-7c21-9d4e-0a51f0c3b7aa",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}
_TIMEDELTA = re.compile(r"datetime\.timedelta\((.*)\)")
_AMOUNT = re.compile(r"(\w+)s=(\d+)")


def in_plain_words(fault: Mapping[str, Any]) -> str:
    """Give what one of pydantic's faults means; it reads on after the name of the value."""
    kind, context = fault["type"], fault.get("ctx") or {}
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {_bound_in_words(context[name])}"
    if kind in {"enum", "literal_error"}:
        return f"must be one of {str(context['expected']).replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        if context["pattern"] == NAME_PATTERN:
            return "must begin with a small letter or digit; then also `-` and `_`, no spaces"
        return f"must have the form {context['pattern']}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace("String should", "must")
    return f"{message[:1].lower()}{message[1:]}"


def faults_in_plain_words(error: ValidationError) -> str:
    """Give everything that does not fit, each after its place; no value, for it may be a secret."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'it'}: {in_plain_words(fault)}"
        for fault in error.errors(include_url=False, include_input=False)
    )


def error_in_plain_words(error: Exception) -> str:
    """Give what an error says, also when it is a validator's."""
    return faults_in_plain_words(error) if isinstance(error, ValidationError) else str(error)


def json_in_plain_words(error: JSONDecodeError) -> str:
    """Give why a text is no JSON, without anything of the text."""
    if not error.doc.strip():
        return "it is empty, and no JSON"
    return f"it is no JSON: it cannot be read from line {error.lineno}, column {error.colno} on"


def _bound_in_words(bound: object) -> str:
    """Give a limit; pydantic gives those of durations as the code that makes them."""
    found = _TIMEDELTA.fullmatch(str(bound))
    if found is None:
        return str(bound)
    amounts = [
        ("millisecond", str(int(number) // 1000)) if unit == "microsecond" else (unit, number)
        for unit, number in _AMOUNT.findall(found[1])
    ]
    parts = [f"{number} {unit}" + "s" * (number != "1") for unit, number in amounts]
    return " and ".join(parts) or "0"
