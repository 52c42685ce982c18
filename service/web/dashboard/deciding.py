"""What the buttons of the pages do: the same use cases that the API has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from schemas.reverifying import ReverifyQuestion
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from service import alert_care, approvals, doubts, replay, retrying, reverify
from service.db import Session
from service.errors import Invalid
from service.secretbox import SecretBox
from service.unit_of_work import reading
from service.web.dashboard.visit import Visit
from service.web.deps import Parts

Form = Mapping[str, str]
LONGEST_NOTE = 2000
MOST_DIGITS = 6
STILL_UNREAD = "still_unread"
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


@dataclass(frozen=True, slots=True)
class Did:
    """What came of it: `word` of those below where it is not the button's own; how many things."""

    word: str | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of it."""

    words: str
    is_bad: bool = False


Decision = Callable[[Asked], Did | None]
"""Does what was asked for."""


def decide(asked: Asked) -> dict[str, str]:
    """Do what a button says; gives what `told` says it by, for the address of the next page.

    Raises what its use case raises, and Invalid for no button of ours.
    """
    do = asked.form.get("do", "")
    decision = _DECISIONS.get(do)
    if decision is None:
        raise Invalid("this form says nothing that can be done")
    did = decision(asked) or Did()
    told_by = {"done": did.word or do, "count": str(did.count)}
    return told_by | {"of": str(asked.ident)} if did.word == STILL_UNREAD else told_by


def told(session: Session, address: Mapping[str, str]) -> Told | None:
    """Say what the last button did; no text of the address is shown."""
    do, count = address.get("done", ""), address.get("count", "")
    if do == STILL_UNREAD:
        return _why_unread(session, address.get("of", ""))
    words = _DONE.get(do)
    known = count if count.isdecimal() and len(count) <= MOST_DIGITS else "0"
    return None if words is None else Told(words.format(count=known))


def _why_unread(session: Session, ident: str) -> Told | None:
    try:
        row = session.get(DeliveryRow, UUID(ident))
    except ValueError:
        return None
    if row is None or not row.error:
        return None
    fault = f" (fault={row.fault})" if row.fault else ""
    return Told(f"It is still {row.state}: {row.error}{fault}", is_bad=True)


def _settle(asked: Asked) -> Did | None:
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
    with reading(asked.parts.database) as session:
        run = session.get(RunRow, asked.subject)
        has_ended = run is not None and run.ended_at is not None
    return Did(f"{asked.form['do']}_too_late") if has_ended else None


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


def _replay(asked: Asked) -> Did:
    calling = asked.parts.calling()
    found = replay.replay_delivery(calling, asked.subject, caller=asked.visit.caller)
    if found.state == DeliveryState.RECEIVED:
        return Did("replay_by_worker")
    if found.state != DeliveryState.INGESTED:
        return Did(STILL_UNREAD)
    return Did(count=len(found.runs))


def _alert(asked: Asked) -> None:
    parts = asked.parts
    care = alert_care.acknowledge if asked.form["do"] == "acknowledge" else alert_care.resolve
    care(
        parts.database,
        parts.queue,
        asked.subject,
        note=None,
        caller=asked.visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _verify_again(asked: Asked) -> Did:
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
    return Did(count=accepted)


_DECISIONS: Mapping[str, Decision] = {
    "took_effect": _settle,
    "not_made": _settle,
    "look_up": _look_up,
    "approve": _answer,
    "reject": _answer,
    "cancel": _cancel,
    "retry": _retry,
    "replay": _replay,
    "acknowledge": _alert,
    "resolve": _alert,
    "verify_again": _verify_again,
}
_DONE = {
    "took_effect": "It took effect: the run goes on.",
    "not_made": "It was not made: it is tried again.",
    "took_effect_too_late": "It took effect. The run stays as it ended.",
    "not_made_too_late": "It was not made. The run stays as it ended; a retry makes it.",
    "look_up": "It is looked up once more.",
    "approve": "Approved: the run goes on.",
    "reject": "Rejected: the run goes on.",
    "cancel": "The run ends before its next step.",
    "retry": "The run goes on from where it ended.",
    "replay": "The delivery was read anew; runs that began: {count}.",
    "replay_by_worker": "The delivery is read by a worker.",
    "acknowledge": "You have taken the alert on.",
    "resolve": "The alert is over.",
    "verify_again": "Verified again; authentic and accepted now: {count}.",
}
