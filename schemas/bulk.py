"""Bodies about replays and about work in bulk (contract §6, `bulk-jobs`). No I/O."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, DeliveryOut, RunRef


class ReplayRequest(BaseModel):
    """How a delivery is read anew. `only`: the one workflow that is started anew.

    `shadow`: what the runs would change outside is only recorded. `dry_run`: nothing is done, and
    the answer says what would be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    only: str | None = Field(default=None, max_length=200)
    shadow: bool = False
    dry_run: bool = False


class ReplayOut(Answer):
    """What reading a delivery anew has come to.

    Of its `events` so many were `stored` as new to us. `runs` were started by it, the first 100.
    In a dry run `again` and `first` name the workflows, once for each run that would be started:
    anew for events that were stored before, and for the first time.
    """

    dry_run: bool
    delivery: DeliveryOut
    events: int = 0
    stored: int = 0
    runs: list[RunRef] = Field(default_factory=list)
    again: list[str] = Field(default_factory=list)
    first: list[str] = Field(default_factory=list)
