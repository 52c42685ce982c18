"""Gates: what a run passes before it begins, and when. Pure.

In this order: it gathers events (`coalesce`, `debounce`), waits for others of its key to end
(`concurrency`), and keeps to a pace (`throttle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from schemas.document import Document
from schemas.events import Json
from schemas.storable import bounded
from service.workflows.durations import read_duration
from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.functions import to_json
from service.workflows.interpolation import UnclosedInterpolation, unwrap
from service.workflows.scope import Scope

NAME_LENGTH = 500


class Gate(StrEnum):
    """The kinds of gates, in the order in which they are passed."""

    GATHER = "gather"
    CONCURRENCY = "concurrency"
    THROTTLE = "throttle"


def gates_of(document: Document) -> tuple[Gate, ...]:
    """Give the gates that runs of this workflow pass, in order."""
    gathers = document.coalesce is not None or document.quiet is not None
    present = {
        Gate.GATHER: gathers,
        Gate.CONCURRENCY: document.concurrency is not None,
        Gate.THROTTLE: document.throttle is not None,
    }
    return tuple(gate for gate, there in present.items() if there)


def gate_name(document: Document, gate: Gate, scope: Scope) -> str:
    """Give the name under which runs of the same key meet. Raises ExpressionError."""
    part = {
        Gate.GATHER: document.coalesce or document.quiet,
        Gate.CONCURRENCY: document.concurrency,
        Gate.THROTTLE: document.throttle,
    }[gate]
    source = None if part is None else part.key
    key = (
        "" if source is None else to_json(compile_expression(unwrap(source).source).evaluate(scope))
    )
    return bounded(f"{gate}:{document.name}:{key}", NAME_LENGTH)


def kind_of_gate(name: str) -> Gate:
    """Give which kind of gate has this name."""
    return Gate(name.partition(":")[0])


def gathered_at(document: Document, *, opened: datetime, newest: datetime) -> datetime:
    """Give when a run that gathers events begins, if no further event comes.

    `opened` is when its first event came, `newest` when its newest did.
    """
    if document.coalesce is not None:
        return opened + read_duration(document.coalesce.within)
    quiet = document.quiet
    if quiet is None:
        return newest
    due = newest + read_duration(quiet.quiet)
    return due if quiet.at_most is None else min(due, opened + read_duration(quiet.at_most))


def next_start(
    starts: Sequence[datetime], *, limit: int, per: timedelta, ahead: int, now: datetime
) -> datetime:
    """Give when a run may begin before which `ahead` others are still to begin.

    `starts` are the moments at which the latest runs began. No span of `per` sees more than
    `limit` of them.
    """
    latest = sorted(starts)[-limit:]
    rounds, place = divmod(ahead, limit)
    free = limit - len(latest)
    base = now if place < free else max(now, latest[place - free] + per)
    return base + rounds * per


def _evaluate(source: str, scope: Scope) -> Json:
    try:
        expression = compile_expression(unwrap(source).source)
    except UnclosedInterpolation as error:
        raise ExpressionError(str(error), source=source, offset=error.offset) from error
    return expression.evaluate(scope)
