"""All suites and runs of one VibeView organisation, and how the next runs are to end."""

from collections import deque
from dataclasses import dataclass, field
from uuid import uuid4

from examples.twins.clock import Clock
from examples.twins.vibeview.bodies import CaseOutcome, RunOutcome, Script
from examples.twins.vibeview.runs import CaseRun, MultiRun, Run
from examples.twins.vibeview.suites import Suite


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
        outcome: RunOutcome | None = None,
    ) -> Run:
        """Start a run of these cases of a suite; its outcome is the next of the script if none."""
        if outcome is None:
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

    def runs_of_case(self, name: str) -> list[Run]:
        """Test runs of the case of this name, oldest first."""
        return [
            run
            for run in self.runs.values()
            if run.kind == "test_run" and run.cases[0].outcome.case_name == name
        ]

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
