"""What starts a run: events, schedules, people and other workflows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictStr, Tag

from schemas.document.parts import Condition, EventPattern, Part, StepId, Text, first_kind
from schemas.events import Json


class EventTrigger(Part):
    """An event's type (with `*`), optionally of one vendor or source, or under a condition."""

    event: EventPattern = Field(description="Its type; `*` stands for any characters.")
    vendor: Text | None = Field(
        default=None, description="Only events of this vendor; `hookwright` for our own."
    )
    source: Text | None = Field(
        default=None, description="Only events of deliveries to this source."
    )
    condition: Condition | None = Field(
        default=None, alias="if", description="Only events for which it holds."
    )


class CronTrigger(Part):
    """A schedule of five fields, read in a time zone."""

    cron: Text = Field(description="Minute, hour, day of month, month, day of week.")
    timezone: Text = Field(
        default="UTC", description="In which the fields are read: a name such as `Europe/Berlin`."
    )


class Input(Part):
    """A value that whoever starts the workflow by hand or calls it gives."""

    type: Literal["text", "number", "boolean", "list", "map", "any"] = Field(
        default="any", description="What is accepted; `any` takes every value."
    )
    default: Json = Field(default=None, description="The value when none is given.")
    required: StrictBool = Field(default=False, description="Whether one must be given.")
    description: StrictStr = Field(default="", description="What it is for.")


class Manual(Part):
    """What a start by hand takes."""

    inputs: dict[StepId, Input] = Field(
        default_factory=dict, description="What may be given, by name."
    )


class ManualTrigger(Part):
    """A person starts it, or another workflow calls it."""

    manual: Manual = Field(description="`{}` when it takes no inputs.")


def _trigger_kind(value: Any) -> str | None:
    return first_kind(value, ("event", "cron", "manual"))


Trigger = Annotated[
    Annotated[EventTrigger, Tag("event trigger")]
    | Annotated[CronTrigger, Tag("cron trigger")]
    | Annotated[ManualTrigger, Tag("manual trigger")],
    Discriminator(
        lambda value: (kind := _trigger_kind(value)) and f"{kind} trigger",
        custom_error_type="trigger_kind",
        custom_error_message="a trigger has one of `event`, `cron`, `manual`",
    ),
]
