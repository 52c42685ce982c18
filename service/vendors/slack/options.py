"""Options of a Slack source."""

from __future__ import annotations

from pydantic import Field

from service.vendors.base import Options


class SlackOptions(Options):
    """What can be set for a Slack source."""

    tolerance_s: int = Field(
        default=300,
        ge=0,
        description="How old or early a signed time may be, in seconds; Slack advises 300.",
    )
    approvers: tuple[str, ...] = Field(
        default=(),
        description="Ids of the people (U…) whose presses decide approvals; left empty, everybody "
        "who sees the question. A press of anybody else stays slack.block_actions.",
    )
