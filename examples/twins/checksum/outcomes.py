"""How the next Checksum runs and heals are to end, as a test or the demo scripts it."""

from collections import deque
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TestResult(BaseModel):
    """One test of a run, in the words of `GET /test-runs/:id/results` (reference 5.4)."""

    model_config = ConfigDict(extra="forbid")

    checksumTestId: str  # noqa: N815 - the vendor's name
    testTitle: str  # noqa: N815
    testFilePath: str = "tests/checkout.spec.ts"  # noqa: N815
    status: Literal["passed", "failed", "recovered"]
    errorMessage: str | None = None  # noqa: N815
    healthStatus: str = "healthy"  # noqa: N815
    tags: list[str] = Field(default_factory=list)


RunStatus = Literal["passed", "failed", "process-error", "healed", "cancelled"]
COUNTS: dict[RunStatus, tuple[int, int, int, int]] = {
    "passed": (5, 0, 0, 0),
    "failed": (3, 2, 0, 0),
    "process-error": (0, 0, 0, 0),
    "healed": (5, 0, 0, 0),
    "cancelled": (1, 0, 0, 0),
}


class RunOutcome(BaseModel):
    """How a run ends. Counts left out follow from `tests`, or else from the status.

    `bug` counts those of the failed tests that carry the tag `@bug`.
    """

    model_config = ConfigDict(extra="forbid")

    status: RunStatus
    passed: int | None = Field(default=None, ge=0)
    failed: int | None = Field(default=None, ge=0)
    recovered: int | None = Field(default=None, ge=0)
    bug: int | None = Field(default=None, ge=0)
    tests: list[TestResult] | None = None

    def counts(self) -> dict[str, int]:
        """`passed`, `failed`, `recovered` and `bug`."""
        names = ("passed", "failed", "recovered", "bug")
        given = (self.passed, self.failed, self.recovered, self.bug)
        derived = COUNTS[self.status] if self.tests is None else _count(self.tests)
        return {
            name: either if own is None else own
            for name, own, either in zip(names, given, derived, strict=True)
        }

    def results(self) -> list[TestResult]:
        """The tests that were given, or as many as the counts say."""
        if self.tests is not None:
            return self.tests
        counts = self.counts()
        made: list[TestResult] = []
        for status in ("passed", "recovered", "failed"):
            made += [_make_test(len(made) + n + 1, status) for n in range(counts[status])]
        for test in made[len(made) - counts["bug"] :]:
            test.tags = [*test.tags, "@bug"]
        return made


class SessionEnd(StrEnum):
    """How one heal session ends: a pull request, no pull request (all bugs), or failure."""

    PR = "pr"
    BUGS = "bugs"
    FAILED = "failed"


class HealOutcome(BaseModel):
    """How a heal batch ends: one entry per session."""

    model_config = ConfigDict(extra="forbid")

    sessions: list[SessionEnd] = Field(min_length=1)


class Script(BaseModel):
    """What `POST /_twin/outcomes` takes: outcomes for the next runs and heals, and the usual ones.

    A run outcome is a status or an object; a heal outcome is `pr`, `bugs`, `failed` or an object
    that lists its sessions.
    """

    model_config = ConfigDict(extra="forbid")

    runs: list[RunStatus | RunOutcome] = Field(default_factory=list)
    heals: list[SessionEnd | HealOutcome] = Field(default_factory=list)
    run_default: RunStatus | RunOutcome | None = None
    heal_default: SessionEnd | HealOutcome | None = None


class Outcomes:
    """The outcomes that are still to come, first in first out, then the usual ones."""

    def __init__(self) -> None:
        self._runs: deque[RunOutcome] = deque()
        self._heals: deque[HealOutcome] = deque()
        self._usual_run = RunOutcome(status="passed")
        self._usual_heal = HealOutcome(sessions=[SessionEnd.PR])

    def follow(self, script: Script) -> None:
        """Add outcomes behind those that are still to come."""
        self._runs.extend(_as_run(entry) for entry in script.runs)
        self._heals.extend(_as_heal(entry) for entry in script.heals)
        if script.run_default is not None:
            self._usual_run = _as_run(script.run_default)
        if script.heal_default is not None:
            self._usual_heal = _as_heal(script.heal_default)

    def next_run(self) -> RunOutcome:
        """How the run that starts now will end."""
        return self._runs.popleft() if self._runs else self._usual_run

    def next_heal(self) -> HealOutcome:
        """How the heal that starts now will end."""
        return self._heals.popleft() if self._heals else self._usual_heal


def _as_run(entry: RunStatus | RunOutcome) -> RunOutcome:
    return entry if isinstance(entry, RunOutcome) else RunOutcome(status=entry)


def _as_heal(entry: SessionEnd | HealOutcome) -> HealOutcome:
    return entry if isinstance(entry, HealOutcome) else HealOutcome(sessions=[entry])


def _count(tests: list[TestResult]) -> tuple[int, int, int, int]:
    ends = [test.status for test in tests]
    bugs = sum("@bug" in test.tags for test in tests)
    return ends.count("passed"), ends.count("failed"), ends.count("recovered"), bugs


def _make_test(number: int, status: str) -> TestResult:
    return TestResult.model_validate(
        {
            "checksumTestId": f"test-{number:03d}",
            "testTitle": f"checkout step {number} works",
            "status": status,
            "errorMessage": "expected the order page to open" if status == "failed" else None,
            "healthStatus": "flaky" if status == "recovered" else "healthy",
            "tags": ["@checkout"],
        }
    )
