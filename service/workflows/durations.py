"""Durations and counts of a document as values: literals, or `${{ … }}` over vars and event."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from schemas.config import parse_duration
from service.workflows.expressions import ExpressionError, render
from service.workflows.scope import Scope

LONGEST = timedelta(days=366)
MOST_ATTEMPTS = 100


def read_duration(text: object) -> timedelta:
    """Read `500ms`, `15s`, `5m`, `2h`, `1d`. Raises ValueError when it is no such text."""
    if not isinstance(text, str):
        message = f"{text!r} is no duration; write a number and ms, s, m, h or d, such as 15s"
        raise ValueError(message)  # noqa: TRY004  # one error for whatever is no duration
    value = cast("timedelta", parse_duration(text))
    if not timedelta(0) < value <= LONGEST:
        message = f"{text!r} is out of range: more than 0 and at most {LONGEST.days} days"
        raise ValueError(message)
    return value


def resolve_duration(text: str, scope: Scope) -> timedelta:
    """Give the duration a document's field stands for. Raises ExpressionError."""
    value = render(text, scope)
    try:
        return read_duration(value)
    except (ValueError, OverflowError) as error:
        raise ExpressionError(str(error), source=text) from error


def resolve_count(count: int | str, scope: Scope) -> int:
    """Give the number of attempts a document's field stands for. Raises ExpressionError."""
    value = render(count, scope)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_ATTEMPTS:
        message = f"attempts must be a number of 1 to {MOST_ATTEMPTS}, not {value!r}"
        raise ExpressionError(message, source=str(count))
    return value
