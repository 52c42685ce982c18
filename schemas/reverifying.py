"""Bodies of verifying refused requests again (contract §6, `rejections`). No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, UtcTime

MOST_IDS = 500


class ReverifyOutcome(StrEnum):
    """What verifying one refused request again gave."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """Authentic, and stored meanwhile: it was sent again."""
    NOT_AUTHENTIC = "not_authentic"
    INCOMPLETE = "incomplete"
    """Its body or headers were cut when it was kept, so that nothing can be proven of it."""
    NO_SOURCE = "no_source"
    """The name it was sent to is no source's."""
    HANDSHAKE = "handshake"
    """Not a delivery: whoever asked has to ask again."""
    ALREADY = "already"
    """It was accepted before."""


class ReverifyQuestion(BaseModel):
    """Which refused requests to verify again.

    Without filters all that were not accepted yet. `source` also finds what was sent to this name
    before it was a source's. `as_source` (`as`): verify them as deliveries of this source, whatever
    name they were sent to. `since` is included, `until` is not. `cursor`: where the last answer
    ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: str | None = Field(default=None, max_length=200)
    reason: str | None = Field(default=None, max_length=200)
    since: UtcTime | None = None
    until: UtcTime | None = None
    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS)] | None = None
    as_source: str | None = Field(default=None, alias="as", max_length=200)
    dry_run: bool = False
    cursor: str | None = Field(default=None, max_length=100)

    def filters(self) -> dict[str, Any]:
        """Give what narrows the requests, without what turns the pages."""
        return self.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"cursor", "dry_run"}
        )


class Reverified(Answer):
    """What became of one refused request. `reason`: why it is still not authentic."""

    rejection_id: UUID
    source: str
    outcome: ReverifyOutcome
    reason: str | None = None
    delivery_id: UUID | None = None


class ReverifyReport(Answer):
    """What verifying again gave. In a dry run, what it would give: nothing was stored.

    `not_authentic` counts by reason, the others in all. There is more to verify while
    `next_cursor` is not null.
    """

    dry_run: bool
    accepted: int
    duplicates: int
    not_authentic: dict[str, int]
    incomplete: int
    no_source: int
    handshakes: int
    already: int
    results: list[Reverified]
    next_cursor: str | None
