"""What holds a run back before it begins: others of its key, a window, a pace."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from schemas.document.parts import Expression, Part, PlainDuration


class Concurrency(Part):
    """How many runs of one key may be under way, and what a further one does."""

    key: Expression | None = Field(
        default=None,
        description="Runs that give the same value are of one key; by default all runs are.",
    )
    when_busy: Literal["queue", "skip", "replace"] = Field(
        default="queue",
        description="What a further run does: wait its turn, be skipped, or cancel older ones.",
    )
    limit: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="How many of a key may be under way."
    )


class Coalesce(Part):
    """The first event of a key opens a window; one run sees all that came within it."""

    key: Expression | None = Field(
        default=None, description="Events that give the same value are gathered together."
    )
    within: PlainDuration = Field(
        description="How long the window stays open after its first event."
    )


class Debounce(Part):
    """The run begins once no event of its key has come for `quiet`, or after `at_most`."""

    key: Expression | None = Field(
        default=None, description="Events that give the same value are gathered together."
    )
    quiet: PlainDuration = Field(description="How long no further event may have come.")
    at_most: PlainDuration | None = Field(
        default=None, description="It begins this long after its first event, quiet or not."
    )


class Throttle(Part):
    """At most `limit` runs of a key begin in any span of `per`; others wait or are skipped."""

    limit: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        description="How many runs of a key may begin."
    )
    per: PlainDuration = Field(description="In any span this long.")
    key: Expression | None = Field(
        default=None, description="Runs that give the same value are counted together."
    )
    when_over: Literal["wait", "skip"] = Field(
        default="wait", description="What a run beyond the limit does."
    )
