"""What the buttons of the pages do: the same use cases that the API has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from schemas.reverifying import ReverifyQuestion
from service import alert_care, approvals, doubts, replay, retrying, reverify
from service.errors import Invalid
from service.secretbox import SecretBox
from service.web.dashboard.visit import Visit
from service.web.deps import Parts

Form = Mapping[str, str]
LONGEST_NOTE = 2000
MOST_DIGITS = 6
MOST_PORTIONS = 20
"""How many portions of refused requests one button verifies: more than the quarantine holds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A button that was pressed: by whom, on what (no id: on what the form names)."""

    parts: Parts
    visit: Visit
    ident: UUID | None
    form: Form

    @property
    def subject(self) -> UUID:
        """The id of what it was pressed on. Raises Invalid when it has none."""
        if self.ident is None:
            raise Invalid("this form says nothing that can be done")
        return self.ident


Decision = Callable[[Asked], int | None]
"""Does what was asked for; gives how many things were done where there may be several."""


def decide(asked: Asked) -> int | None:
    """Do what a button says. Raises what its use case raises, and Invalid for no button of ours."""
    decision = _DECISIONS.get(asked.form.get("do", ""))
    if decision is None:
        raise Invalid("this form says nothing that can be done")
    return decision(asked)


def told(do: str, count: str) -> str | None:
    """Say what the last button did; no text of the address is shown."""
    words = _DONE.get(do)
    known = count if count.isdecimal() and len(count) <= MOST_DIGITS else "0"
    return None if words is None else words.format(count=known)


def _settle(asked: Asked) -> None:
    took_effect = asked.form["do"] == "took_effect"
    output = None
    if took_effect and asked.form.get("output", "").strip():
        try:
            output = json.loads(asked.form["output"])
        except (ValueError, RecursionError) as error:
            raise Invalid(f"what later steps read is no JSON: {error}") from error
        if not isinstance(output, dict):
            raise Invalid('what later steps read is an object: {"name": "value"}')
    doubts.settle_step(
        asked.parts.database,
        asked.parts.queue,
        asked.parts.actions,
        run_id=asked.subject,
        step=asked.form.get("step", ""),
        took_effect=took_effect,
        output=output,
        who=asked.visit.caller,
        now=asked.parts.clock(),
        announce=asked.parts.announce,
    )


def _look_up(asked: Asked) -> None:
    doubts.look_again(
        asked.parts.database,
        asked.parts.queue,
        asked.parts.actions,
        run_id=asked.subject,
        step=asked.form.get("step", ""),
        who=asked.visit.caller,
        now=asked.parts.clock(),
        announce=asked.parts.announce,
    )


def _answer(asked: Asked) -> None:
    approved = asked.form["do"] == "approve"
    approvals.decide(
        asked.parts.database,
        asked.parts.queue,
        run_id=asked.subject,
        step=asked.form.get("step", ""),
        approved=approved,
        by=asked.visit.caller,
        note=asked.form.get("note", "").strip()[:LONGEST_NOTE] or None,
        now=asked.parts.clock(),
    )


def _cancel(asked: Asked) -> None:
    doubts.cancel_run(
        asked.parts.database,
        asked.parts.queue,
        run_id=asked.subject,
        who=asked.visit.caller,
        now=asked.parts.clock(),
        announce=asked.parts.announce,
    )


def _retry(asked: Asked) -> None:
    retrying.retry_run(
        asked.parts.database,
        asked.parts.queue,
        run_id=asked.subject,
        caller=asked.visit.caller,
        now=asked.parts.clock(),
    )


def _replay(asked: Asked) -> int:
    calling = asked.parts.calling()
    found = replay.replay_delivery(calling, asked.subject, caller=asked.visit.caller)
    return len(found.runs)


def _acknowledge(asked: Asked) -> None:
    parts = asked.parts
    alert_care.acknowledge(
        parts.database,
        parts.queue,
        asked.subject,
        note=None,
        caller=asked.visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _resolve(asked: Asked) -> None:
    parts = asked.parts
    alert_care.resolve(
        parts.database,
        parts.queue,
        asked.subject,
        note=None,
        caller=asked.visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _verify_again(asked: Asked) -> int:
    calling = asked.parts.calling()
    box = SecretBox(asked.parts.settings.required_secret_keys())
    try:
        question = ReverifyQuestion(
            source=asked.form.get("source"), reason=asked.form.get("reason")
        )
    except ValidationError as error:
        raise Invalid("this form says nothing that can be done") from error
    accepted = 0
    for _ in range(MOST_PORTIONS):
        report = reverify.reverify(
            calling.database,
            calling.queue,
            calling.vendors,
            box,
            question,
            asked.visit.caller,
            asked.parts.clock(),
        )
        accepted += report.accepted
        if report.next_cursor is None:
            break
        question = question.model_copy(update={"cursor": report.next_cursor})
    return accepted


_DECISIONS: Mapping[str, Decision] = {
    "took_effect": _settle,
    "not_made": _settle,
    "look_up": _look_up,
    "approve": _answer,
    "reject": _answer,
    "cancel": _cancel,
    "retry": _retry,
    "replay": _replay,
    "acknowledge": _acknowledge,
    "resolve": _resolve,
    "verify_again": _verify_again,
}
_DONE = {
    "took_effect": "It took effect: the run goes on.",
    "not_made": "It was not made: it is tried again.",
    "look_up": "It is looked up once more.",
    "approve": "Approved: the run goes on.",
    "reject": "Rejected: the run goes on.",
    "cancel": "The run ends before its next step.",
    "retry": "The run goes on from where it ended.",
    "replay": "The delivery was read anew; runs that began: {count}.",
    "acknowledge": "You have taken the alert on.",
    "resolve": "The alert is over.",
    "verify_again": "Verified again; authentic and accepted now: {count}.",
}
