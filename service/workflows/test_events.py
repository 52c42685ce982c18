"""The events that a test file gives, in the JSON form that workflows see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas.document import CronTrigger, Document, ManualTrigger
from schemas.events import FAMILIES, Event, EventDraft, Json, Origin
from schemas.testing import GivenEvent, merged
from service.workflows.findings import did_you_mean
from service.workflows.inputs import WrongInputs, check_inputs
from service.workflows.matching import triggered

OWN = "hookwright"
CORRELATION = UUID(int=0xC0)
"""The chain that everything in a test belongs to."""

Samples = Callable[[str], Sequence[EventDraft]]
"""Gives what the vendor's code makes of a recorded delivery (`checksum/run.failed`).

Raises WrongGiven where there is none."""


class WrongGiven(ValueError):  # noqa: N818  # says what is wrong with what is given
    """What a case gives cannot be; `path` is where in it, `hint` what is probably meant.

    `at_key`: its name is wrong, not its value.
    """

    def __init__(
        self,
        message: str,
        path: tuple[str | int, ...] = (),
        hint: str | None = None,
        *,
        at_key: bool = False,
    ) -> None:
        """Keep the sentence, the place and the hint."""
        super().__init__(message)
        self.path = path
        self.hint = hint
        self.at_key = at_key


def make_event(
    given: GivenEvent, document: Document, samples: Samples, *, now: datetime, number: int
) -> dict[str, Json]:
    """Give an event in its JSON form. `now` is when it is received. Raises WrongGiven.

    Of a delivery of which the vendor's code makes several events, it is the first that the document
    is triggered by. `number` tells the events of a case apart.
    """
    draft, vendor = _recorded(given, document, samples)
    event_type = given.type or draft.type
    facts = _facts(event_type, merged(draft.facts, given.facts))
    received = now.isoformat()
    event = {
        "id": UUID(int=0xE0 + number),
        "type": event_type,
        "vendor": given.vendor or vendor or _vendor(event_type, document),
        "vendor_type": given.vendor_type or draft.vendor_type or event_type,
        "source": given.source,
        "delivery_id": None,
        "origin": Origin.WEBHOOK,
        "subject": draft.subject if given.subject is None else given.subject,
        "time": given.time or draft.time or now,
        "received_at": received,
        "facts": facts,
        "payload": draft.payload if given.payload is None else given.payload,
        "correlation_id": CORRELATION,
        "caused_by": None,
    }
    return Event.model_validate(event).model_dump(mode="json")


def own_start(
    document: Document, inputs: Mapping[str, Json] | None, *, now: datetime
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Give the event of a start by hand or by the schedule, and the inputs. Raises WrongGiven."""
    is_manual = any(isinstance(trigger, ManualTrigger) for trigger in document.triggers)
    crons = [trigger for trigger in document.triggers if isinstance(trigger, CronTrigger)]
    if inputs is not None and not is_manual:
        message = f"{document.name} takes no inputs: it has no trigger `manual`"
        raise WrongGiven(message, ("inputs",), "give an `event` instead")
    if not is_manual and not crons:
        raise WrongGiven("nothing starts this case", (), "give it an `event`")
    checked: dict[str, Json] = {}
    if is_manual:
        try:
            checked = check_inputs(document, inputs or {})
        except WrongInputs as error:
            raise WrongGiven(str(error), ("inputs",), error.hint) from error
    kind = "workflow.started" if is_manual else "schedule.due"
    facts: dict[str, Any] = {"workflow": document.name}
    if is_manual:
        facts["inputs"] = checked
    else:
        facts |= {"cron": crons[0].cron, "timezone": crons[0].timezone}
    event = {
        "id": UUID(int=0xE0),
        "type": kind,
        "vendor": OWN,
        "vendor_type": kind,
        "source": None,
        "delivery_id": None,
        "origin": Origin.OWN,
        "subject": document.name,
        "time": now,
        "received_at": now,
        "facts": facts,
        "payload": None,
        "correlation_id": CORRELATION,
        "caused_by": None,
    }
    return Event.model_validate(event).model_dump(mode="json"), checked


def _recorded(
    given: GivenEvent, document: Document, samples: Samples
) -> tuple[EventDraft, str | None]:
    if given.sample is None:
        return EventDraft(type=given.type or "", vendor_type="", payload={}), None
    drafts = samples(given.sample)
    vendor = given.sample.partition("/")[0]
    if not drafts:
        message = f"the vendor's code makes no event of the sample `{given.sample}`"
        raise WrongGiven(message, ("sample",))
    views = [{"type": draft.type, "vendor": vendor, "source": given.source} for draft in drafts]
    for draft, view in zip(drafts, views, strict=True):
        if any(triggered(trigger, view) for trigger in document.event_triggers):
            return draft, vendor
    return drafts[0], vendor


def _facts(event_type: str, facts: Mapping[str, Json]) -> dict[str, Json]:
    model = FAMILIES.get(event_type.partition(".")[0])
    if model is None:
        return dict(facts)
    try:
        return model.model_validate(facts).model_dump(mode="json")
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = ("facts", *fault["loc"])
        if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            name = str(fault["loc"][0])
            message = f"`{event_type}` has no fact `{name}`"
            hint = did_you_mean(name, model.model_fields)
            raise WrongGiven(message, path, hint, at_key=True) from error
        message = f"`{fault['loc'][-1]}`: {fault['msg']}"
        raise WrongGiven(message, path) from error


def _vendor(event_type: str, document: Document) -> str:
    """Give the vendor of an event of which none is said: that of the trigger it fits."""
    for trigger in document.event_triggers:
        vendor = trigger.vendor or "generic"
        if triggered(trigger, {"type": event_type, "vendor": vendor, "source": trigger.source}):
            return vendor
    return "generic"
