"""The details of an audit event in a few words, for a column of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def details_in_words(details: Mapping[str, Any]) -> str:
    """Give what was noted, what is empty left out; of changes the old and the new values."""
    old, new = details.get("old") or {}, details.get("new") or {}
    changed = [f"{name} {_word(old.get(name))} → {_word(value)}" for name, value in new.items()]
    shown_as_changes = {"old", "new", "fields"} if changed else set()
    rest = [
        name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {_word(value)}"
        for name, value in details.items()
        if name not in shown_as_changes and not _is_nothing(value)
    ]
    return "; ".join([*changed, *rest])


def _is_nothing(value: object) -> bool:
    return value is None or value is False or value in ("", [], {})  # 0 is something


def _word(value: object) -> str:
    """Give a value on one line."""
    if isinstance(value, list):
        return ", ".join(_word(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {_word(item)}" for name, item in value.items() if item is not None
        )
    return " ".join(str(value).split())
