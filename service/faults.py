"""Faults of ours: the traceback goes to the log once, and a short reference to everything else.

What people see of a fault is the reference, beside the error of the delivery, run or step it ended,
and in the answer of the API. A traceback may quote what a sender sent, so it stays in the log.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

import structlog

log = structlog.get_logger(__name__)

PREFIX = "flt_"
_RANDOM_BYTES = 5
_NOTED = "hookwright_fault"


def note_fault(error: BaseException, event: str = "fault", **ids: object) -> str:
    """Log an unforeseen exception with its traceback, and give the reference it is found by.

    `event` says in snake_case what it ended, `ids` whose. The same exception is logged once: noted
    again by a frame further out, it gives the reference it has.
    """
    known: str | None = getattr(error, _NOTED, None)
    if known is not None:
        return known
    reference = PREFIX + secrets.token_hex(_RANDOM_BYTES)
    with suppress(AttributeError):
        setattr(error, _NOTED, reference)
    _hide_values(error)
    log.error(event, exc_info=error, fault=reference, **ids)
    return reference


def to_do(reference: str) -> str:
    """Say in words what somebody does with a reference."""
    return f"look in the log for fault={reference}, and report it"


def _hide_values(error: BaseException | None) -> None:
    """Let database errors leave out the values of their statement: bodies are among them."""
    while error is not None:
        if hasattr(error, "hide_parameters"):
            error.hide_parameters = True
        error = error.__cause__ or error.__context__
