"""What happened in a case, line by line in virtual time; and a whole report as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.events import Json
from schemas.workflow import StepStatus
from service.workflows.decisions import Failed, InDoubt, Succeeded
from service.workflows.simulated import Answer, SimulatedCall
from service.workflows.test_comparing import span, told_end
from service.workflows.test_running import Ran

LONGEST_VALUE = 100
_OWN_ERRORS = {"poll_timeout", "approval_timeout", "rejected", "expression", "worker_lost"}
"""What fails a step whose last call did not."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line: `after` since the start, a state (for its sign), what it is of, and more."""

    after: str
    state: str
    name: str
    told: str = ""


def timeline(ran: Ran) -> list[Moment]:
    """Give what happened, in the order of its times."""
    found = [Moment("0s", "event", str(ran.event["type"]), _event(ran.event))]
    # Within one moment: calls in their order, and each step's end behind the calls before it.
    moments: list[tuple[datetime, int, int, Moment]] = []

    def add(at: datetime, place: tuple[int, int], state: str, name: str, told: str) -> None:
        moments.append((at, *place, Moment(span(at - ran.start), state, name, told)))

    for number, (call, answer) in enumerate(ran.calls, 1):
        add(call.at, (number, 0), *_call(call, answer))
    called = {call.path for call, _ in ran.calls}
    played = ran.played
    for step in () if played is None else played.steps:
        if step.path in called and (step.error is None or step.error.code not in _OWN_ERRORS):
            continue  # its last call tells what came of it
        told = step.reason or ""
        if step.error is not None:
            told = f"{step.error.code}: {step.error.message}"
        elif step.output and step.status is StepStatus.SUCCEEDED:
            told = _short(step.output)
        at = step.ended_at or step.started_at or ran.start
        add(at, (step.calls_before, 1), step.status.value, step.path, told)
    found += [moment for *_, moment in sorted(moments, key=lambda item: item[:3])]
    if ran.played is not None:
        end = span(ran.played.ended_at - ran.start)
        found.append(Moment(end, ran.played.status.value, "", told_end(ran.played)))
    return found


def case_as_json(ran: Ran) -> dict[str, Any]:
    """Give a case's report as plain values."""
    return {
        "name": ran.name,
        "line": ran.line,
        "passed": ran.passed,
        "differences": [
            {
                "where": item.where,
                "expected": item.expected,
                "got": item.got,
                "lines": [f"{sign} {text}" for sign, text in item.lines],
                "note": item.note,
            }
            for item in ran.differences
        ],
        "missing": None
        if ran.missing is None
        else dict(zip(("note", "where", "add"), ran.missing, strict=True)),
        "timeline": [
            {"after": item.after, "state": item.state, "name": item.name, "told": item.told}
            for item in timeline(ran)
        ],
    }


def _call(call: SimulatedCall, answer: Answer) -> tuple[str, str, str]:
    told = call.action
    if call.attempt > 1:
        told += f", attempt {call.attempt}"
    if answer.after:
        told += f", took {span(answer.after)}"
    match answer.outcome:
        case Succeeded(output=output):
            known = {key: value for key, value in output.items() if value is not None}
            return "succeeded", call.path, told + (f" → {_short(known)}" if known else "")
        case Failed(code=code, message=message):
            return "failed", call.path, f"{told} → {code}: {message}"
        case InDoubt(message=message):
            return "in_doubt", call.path, f"{told} → in doubt: {message}"
        case _:
            return "lost", call.path, f"{told} → the worker is lost"


def _event(event: Mapping[str, Json]) -> str:
    subject = "" if event.get("subject") is None else f"  {event['subject']}"
    return f"{event['vendor']}{subject}"


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
