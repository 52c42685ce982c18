"""The Checksum project that all calls of this twin share: settings, runs, script, bugs."""

from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from examples.twins.checksum.outcomes import Outcomes
from examples.twins.checksum.runs import Run, RunBook
from examples.twins.clock import Clock
from examples.twins.twin import Refusal, Settings

V1, V2 = "/public-api/v1", "/public-api/v2"
APP = "https://app.checksum.ai/#"
WORDS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}


class ChecksumSettings(Settings):
    """Settings of this twin.

    Args:
        show_batch_id: the ended v2 status of a run that heals by itself names its batch. The
            vendor documents no way to learn it, so this is an assumption that can be switched off.
        dispatch_answer: `name` as documented, or `run_id` as the vendor's own action reads it.
        sessions: one session per healed run (newer behaviour), or one per failed test.
    """

    key: str = Field(default="checksum-key", min_length=1)
    show_batch_id: bool = True
    dispatch_answer: Literal["name", "run_id"] = "name"
    sessions: Literal["one", "per-failure"] = "one"


class Bug(BaseModel):
    """A bug of the health dashboard; also what `POST /_twin/bugs` takes."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: f"bug-{uuid4()}")
    title: str = "The order page does not open"
    status: Literal["needs-triage", "confirmed", "fixed", "not-bug", "snoozed"] = "needs-triage"
    severity: Literal["critical", "major", "minor"] = "major"
    tags: list[str] = Field(default_factory=list)
    project: str = "project-abc-123"
    collectionName: str | None = None  # noqa: N815 - the vendor's name
    updatedAt: str | None = None  # noqa: N815

    def show(self) -> dict[str, object]:
        """The bug as the dashboard lists it; no time of a change unless one was given."""
        shown = self.model_dump()
        return shown if self.updatedAt else {k: v for k, v in shown.items() if k != "updatedAt"}


class BugFilling(BaseModel):
    """What `POST /_twin/fill` takes: so many bugs more, every second one critical."""

    model_config = ConfigDict(extra="forbid")

    bugs: int = Field(default=0, ge=0, le=10_000)


class Project:
    """Everything one API key can see."""

    def __init__(self, settings: ChecksumSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        """No runs; the next ones pass, and heals give a pull request."""
        self.outcomes = Outcomes()
        self.book = RunBook(self.clock, self.outcomes)
        self.bugs: list[Bug] = []

    def known_run(self, request: Request) -> Run:
        """The run whose UUID is in the path; 404 otherwise."""
        run = self.book.find_run(request.path_params["id"])
        if run is None:
            raise refusal(404, "Test run not found")
        return run

    def show_status(self, run: Run) -> dict[str, object]:
        """A run's status, with its counts once it has ended."""
        now_s = self.clock.seconds()
        counts = run.outcome.counts() if run.is_terminal(now_s) else {}
        return {"status": run.status(now_s), **counts}


def refusal(status: int, message: str) -> Refusal:
    """`{"error", "message"}`: the vendor publishes no error body, this one is assumed."""
    return Refusal(status, {"error": WORDS.get(status, "Error"), "message": message})
