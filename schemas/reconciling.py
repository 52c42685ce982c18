"""Bodies about comparisons with vendors' records (contract §6, `reconciliations`). No I/O."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, TimedQuestion
from schemas.config import LONGEST_LOOK_BACK, Duration
from schemas.states import GapState, ReconciliationState


class ReconcileRequest(BaseModel):
    """What to compare. `source` None: every source that can be. `since`: `24h`, `7d`, seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = Field(default=None, max_length=200)
    since: Duration | None = Field(default=None, le=LONGEST_LOOK_BACK)


class ReconciliationQuestion(TimedQuestion):
    """Which comparisons."""

    source: str | None = None
    state: ReconciliationState | None = None


class ReconciliationOut(Answer):
    """One comparison of a vendor's record with what a source has stored.

    Of `checked` entries `missing` were not here. Of those, `asked` were asked for again, `filled`
    are here now, and `unfilled` are not to be had.
    """

    id: UUID
    source: str
    vendor: str
    by: str
    since: datetime
    until: datetime
    state: ReconciliationState
    checked: int
    missing: int
    asked: int
    filled: int
    unfilled: int
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class GapOut(Answer):
    """An entry of the vendor's record that was not here, and what became of it."""

    record: str
    reference: str
    vendor_type: str
    time: datetime
    state: GapState
    asked: int
    error: str | None
    found_at: datetime
    changed_at: datetime


class ReconciliationDetail(ReconciliationOut):
    """A comparison with its gaps, the first 200 in the order in which they happened."""

    gaps: list[GapOut]


class ReconciliationsBegun(Answer):
    """The comparisons that were begun, and by source why others were not."""

    data: list[ReconciliationOut]
    passed_over: dict[str, str]
