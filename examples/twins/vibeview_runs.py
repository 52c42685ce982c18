"""VibeView's suites and runs. Where a run stands follows from the time since it began."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from examples.twins.clock import Clock, zoneless
from examples.twins.vibeview_bodies import CaseOutcome, RunOutcome, Script

APP = "https://vibeview.io/tests/runs"
# The worst child decides (reference 1.3).
STATUS_ORDER = ("passed", "failed", "cancelled", "error")
VISUAL_ORDER = (None, "ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite and the names of its cases."""

    suite_id: str
    name: str
    tags: tuple[str, ...]
    cases: tuple[str, ...]
    platform: str = "ios"

    def test_ids(self) -> dict[str, str]:
        """Public ids of the cases, by id."""
        return {
            f"test_{self.suite_id.removeprefix('suite_')}_{n}": name
            for n, name in enumerate(self.cases, 1)
        }


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One case within a run."""

    run_id: str
    outcome: CaseOutcome

    def show(self) -> dict[str, object]:
        """The case as the answers list it."""
        return {
            "case_name": self.outcome.case_name,
            "run_id": self.run_id,
            "status": self.outcome.status,
            "visual_regression_status": self.outcome.visual_regression_status,
            "duration_ms": self.outcome.duration_ms,
            "url": f"{APP}/{self.run_id}",
        }


@dataclass(slots=True)
class Run:
    """A suite run or a test run: `pending` for a phase, `running` for a phase, then its outcome."""

    run_id: str
    kind: str
    suite: Suite
    outcome: RunOutcome
    cases: list[CaseRun]
    asked: dict[str, object]
    began_s: float
    pace_s: float
    created_at: datetime
    number: int

    @property
    def metadata(self) -> object:
        """What the caller gave to be returned in webhooks."""
        return self.asked.get("metadata", {})

    @property
    def duration_ms(self) -> int:
        """Duration of all cases together."""
        return sum(case.outcome.duration_ms for case in self.cases)

    def is_terminal(self, now_s: float) -> bool:
        """Whether it has ended."""
        return now_s >= self.began_s + 2 * self.pace_s

    def status(self, now_s: float) -> str:
        """Its status now."""
        if self.is_terminal(now_s):
            return self.outcome.status
        return "pending" if now_s < self.began_s + self.pace_s else "running"

    def summary(self, now_s: float) -> dict[str, object]:
        """The run as an entry of a multi-suite answer."""
        ended = self.is_terminal(now_s)
        ends = [case.outcome.status for case in self.cases] if ended else []
        return {
            "suite_id": self.suite.suite_id,
            "suite_name": self.suite.name,
            "run_id": self.run_id,
            "status": self.status(now_s),
            "passed": ends.count("passed"),
            "failed": len(ends) - ends.count("passed"),
            "visual_regression_status": self.outcome.visual_regression_status if ended else None,
            "case_runs": [case.show() for case in self.cases] if ended else [],
        }

    def show(self, now_s: float) -> dict[str, object]:
        """The run as `GET /ci/runs/{run_id}` gives it (its body is assumed)."""
        status, ended = self.status(now_s), self.is_terminal(now_s)
        finished = self.created_at + timedelta(seconds=2 * self.pace_s)
        shown: dict[str, object] = {
            "type": self.kind,
            "run_id": self.run_id,
            "status": status,
            "run_url": f"{APP}/{self.run_id}",
            "started_at": None if status == "pending" else zoneless(self.created_at),
            "finished_at": zoneless(finished) if ended else None,
            "duration_ms": self.duration_ms if ended else None,
            "error_message": self.outcome.error_message if ended else None,
            "visual_regression_status": self.outcome.visual_regression_status if ended else None,
        }
        if status == "pending":
            shown["queue"] = {"position": 1}
        elif status == "running":
            shown["progress"] = [
                {"type": "case_started", "case_name": self.cases[0].outcome.case_name}
            ]
        elif self.kind == "suite_run":
            shown |= {k: v for k, v in self.summary(now_s).items() if k not in shown}
        else:
            case = self.cases[0].outcome
            step = {"index": 0, "text": case.case_name, "status": case.status, "error": None}
            shown["steps"] = [step]
        return shown

    def record(self, now_s: float) -> dict[str, object]:
        """The run as `GET /tests/runs/{run_id}` gives it."""
        shown = self.show(now_s)
        return {
            "id": self.number,
            "public_id": self.run_id,
            "test_case_id": self.number,
            "status": shown["status"],
            "started_at": shown["started_at"],
            "finished_at": shown["finished_at"],
            "result": None,
            "reasoning_log": None,
            "error_message": shown["error_message"],
            "duration_ms": shown["duration_ms"],
            "model_used": self.asked.get("model"),
            "tokens_used": 0,
            "cost_micro": 0,
        }


@dataclass(slots=True)
class MultiRun:
    """A run of several suites."""

    public_id: str
    runs: list[Run]
    commit_sha: object
    created_at: datetime

    def show(self, now_s: float) -> dict[str, object]:
        """The run with everything rolled up from its children."""
        ended = all(run.is_terminal(now_s) for run in self.runs)
        states = [run.status(now_s) for run in self.runs]
        if ended:
            status = max(states, key=STATUS_ORDER.index)
        else:
            status = "pending" if set(states) == {"pending"} else "running"
        visual = [
            run.outcome.visual_regression_status if run.is_terminal(now_s) else None
            for run in self.runs
        ]
        longest_s = max(2 * run.pace_s for run in self.runs)
        finished = self.created_at + timedelta(seconds=longest_s)
        return {
            "id": self.public_id,
            "status": status,
            "visual_regression_status": max(visual, key=VISUAL_ORDER.index),
            "suite_runs": [run.summary(now_s) for run in self.runs],
            "started_at": zoneless(self.created_at),
            "completed_at": zoneless(finished) if ended else None,
            "commit_sha": self.commit_sha,
        }


@dataclass(slots=True)
class RunBook:
    """Suites, runs and scripted outcomes of one organisation."""

    clock: Clock
    suites: dict[str, Suite] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    multi_runs: dict[str, MultiRun] = field(default_factory=dict)
    _script: deque[RunOutcome] = field(default_factory=deque)
    _usual: RunOutcome = field(default_factory=RunOutcome)

    def add_suite(self, suite: Suite) -> None:
        """Add or replace a suite."""
        self.suites[suite.suite_id] = suite

    def follow(self, script: Script) -> None:
        """Add outcomes behind those that are still to come."""
        self._script.extend(_as_outcome(entry) for entry in script.runs)
        if script.run_default is not None:
            self._usual = _as_outcome(script.run_default)

    def matching(self, tags: list[str], match: str) -> list[Suite]:
        """Suites with any or all of these tags; every suite when no tag is given."""
        judge = all if match == "all" else any
        return [
            suite
            for suite in self.suites.values()
            if not tags or judge(tag in suite.tags for tag in tags)
        ]

    def find_test(self, test_id: str) -> tuple[Suite, str] | None:
        """The suite of a case, and its name."""
        for suite in self.suites.values():
            name = suite.test_ids().get(test_id)
            if name is not None:
                return suite, name
        return None

    def start(
        self,
        suite: Suite,
        *,
        kind: str,
        names: tuple[str, ...],
        asked: dict[str, object],
        pace_s: float,
    ) -> Run:
        """Start a run of these cases of a suite."""
        outcome = self._script.popleft() if self._script else self._usual
        prefix = "sr" if kind == "suite_run" else "tr"
        run = Run(
            run_id=prefix + uuid4().hex[:8],
            kind=kind,
            suite=suite,
            outcome=outcome,
            cases=[CaseRun(f"run_{uuid4().hex[:8]}", one) for one in _cases(outcome, names)],
            asked=asked,
            began_s=self.clock.seconds(),
            pace_s=pace_s,
            created_at=self.clock.now(),
            number=len(self.runs) + 1,
        )
        self.runs[run.run_id] = run
        return run

    def start_all(
        self, suites: list[Suite], *, asked: dict[str, object], pace_s: float
    ) -> MultiRun:
        """Start a run of several suites."""
        runs = [
            self.start(suite, kind="suite_run", names=suite.cases, asked=asked, pace_s=pace_s)
            for suite in suites
        ]
        multi = MultiRun(f"agg_{uuid4().hex[:8]}", runs, asked.get("commit_sha"), self.clock.now())
        self.multi_runs[multi.public_id] = multi
        return multi

    def show(self) -> dict[str, object]:
        """Everything, for tests."""
        now_s = self.clock.seconds()
        return {
            "suites": [
                {"id": one.suite_id, "name": one.name, "tags": one.tags}
                for one in self.suites.values()
            ],
            "runs": [{**run.show(now_s), "asked": run.asked} for run in self.runs.values()],
            "multi_runs": [multi.show(now_s) for multi in self.multi_runs.values()],
        }


def _as_outcome(entry: str | RunOutcome) -> RunOutcome:
    return entry if isinstance(entry, RunOutcome) else RunOutcome.model_validate({"status": entry})


def _cases(outcome: RunOutcome, names: tuple[str, ...]) -> list[CaseOutcome]:
    if outcome.cases:
        return outcome.cases
    visual = outcome.visual_regression_status
    good = None if visual is None else "ok"
    cases = [
        CaseOutcome.model_validate({"case_name": name, "visual_regression_status": good})
        for name in names
    ]
    cases[-1].status = outcome.status
    cases[-1].visual_regression_status = visual
    return cases
