"""VibeView's suites and runs. Where a run stands follows from the time since it began."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from examples.twins.clock import zoneless
from examples.twins.vibeview.bodies import CaseOutcome, RunOutcome
from examples.twins.vibeview.suites import Suite

APP = "https://vibeview.io/tests/runs"
# The worst child decides (reference 1.3).
STATUS_ORDER = ("passed", "failed", "cancelled", "error")
VISUAL_ORDER = (None, "ok", "warn", "fail")


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
    cancelled: bool = False
    written: dict[str, object] = field(default_factory=dict)

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
        return self.cancelled or now_s >= self.began_s + 2 * self.pace_s

    def status(self, now_s: float) -> str:
        """Its status now."""
        if self.cancelled:
            return "cancelled"
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
            **self.written,
        }

    def suite_record(self, now_s: float) -> dict[str, object]:
        """The run as `GET /tests/suite-runs/{id}` gives it; its number is what cancelling wants."""
        shown = self.show(now_s)
        return {
            "id": self.number,
            "public_id": self.run_id,
            "status": shown["status"],
            "session_id": self.asked.get("session_id"),
            "reset_strategy": "relaunch",
            "started_at": shown["started_at"],
            "finished_at": shown["finished_at"],
            "duration_ms": shown["duration_ms"],
            "error_message": shown["error_message"],
            "test_runs": [
                {
                    "id": index,
                    "test_case_id": index,
                    "status": case.outcome.status,
                    "duration_ms": case.outcome.duration_ms,
                    "error_message": None,
                }
                for index, case in enumerate(self.cases if self.is_terminal(now_s) else [], 1)
            ],
        }


def pending_record(number: int) -> dict[str, object]:
    """A run that is only a record: nothing will execute it."""
    return {
        "id": 9000 + number,
        "public_id": f"trpending{number}",
        "test_case_id": number,
        "status": "pending",
        "started_at": None,
        "finished_at": None,
        "result": None,
        "error_message": None,
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
