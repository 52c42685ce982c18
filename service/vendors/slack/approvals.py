"""What an approval looks like in Slack, and what a press of one of its buttons says. No I/O.

Slack signs every press, and a press can only be of a message of our own app: what stands in the
button's value is what we wrote there.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.events import Json
from service.vendors.reading import read_object
from service.vendors.slack.blocks import escape, fit_blocks
from service.vendors.slack.payloads import Pressed

APPROVE = "hookwright_approve"
REJECT = "hookwright_reject"

# Both together fit, however JSON escapes them, into the 2000 characters of a button's value.
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
RunId = Annotated[str, StringConstraints(max_length=100, pattern=_PRINTABLE)]
StepId = Annotated[str, StringConstraints(max_length=500, pattern=_PRINTABLE)]
Link = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s<>|]+$")]
"""An address that cannot end the link it stands in."""


class AskedStep(BaseModel):
    """The step that waits for a person: a button's value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    run_id: RunId
    step: StepId

    def value(self) -> str:
        """Give the compact JSON that a button carries."""
        return json.dumps(self.model_dump(), ensure_ascii=False, separators=(",", ":"))


def decision_of(pressed: Pressed) -> tuple[AskedStep, bool] | None:
    """Give what was decided and whether it was approved; None for any other element."""
    if pressed.action_id not in {APPROVE, REJECT}:
        return None
    try:
        asked = AskedStep.model_validate(read_object(pressed.value or ""))
    except ValueError:  # somebody else's button of this name
        return None
    return asked, pressed.action_id == APPROVE


def question_blocks(
    text: str, asked: AskedStep, *, url: str | None, expires_at: str | None
) -> list[dict[str, Json]]:
    """Give the question with its two buttons."""
    facts = [_about(asked)]
    if url is not None:
        facts.append(f"<{escape(url)}|Decide in Hookwright>")
    if expires_at is not None:
        facts.append(f"open until {escape(expires_at)}")
    buttons = [
        _button("Approve", APPROVE, "primary", asked),
        _button("Reject", REJECT, "danger", asked),
    ]
    blocks = [_section(text), {"type": "actions", "elements": buttons}, _context(" · ".join(facts))]
    return fit_blocks(blocks)


def answer_blocks(text: str, asked: AskedStep, verdict: str) -> list[dict[str, Json]]:
    """Give the question with its answer in the place of the buttons."""
    return fit_blocks([_section(text), _context(verdict), _context(_about(asked))])


def _about(asked: AskedStep) -> str:
    return f"step {escape(asked.step)} of run {escape(asked.run_id)}"


def _button(label: str, action_id: str, style: str, asked: AskedStep) -> dict[str, Json]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": label},
        "style": style,
        "value": asked.value(),
    }


def _section(text: str) -> dict[str, Json]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> dict[str, Json]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}
