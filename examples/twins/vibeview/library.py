"""What VibeView keeps beside runs: settings of suites, cases, baselines (reference 1.4)."""

from dataclasses import dataclass, field
from itertools import count

from examples.twins.clock import Clock, zoneless
from examples.twins.vibeview.suites import Suite

USUAL_WARN_PCT = 10
USUAL_FAIL_PCT = 25
# The smallest thing that begins and ends as a JPEG does.
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"


@dataclass(slots=True)
class SuiteSettings:
    """What of a suite can be changed."""

    name: str
    tags: list[str]
    description: str | None = None
    reset_strategy: str = "relaunch"
    context: str | None = None
    variables: dict[str, object] = field(default_factory=dict)
    visual_regression_warn_pct: int | None = USUAL_WARN_PCT
    visual_regression_fail_pct: int | None = USUAL_FAIL_PCT


@dataclass(slots=True)
class Case:
    """One test case; `suite_id` is None for one that stands alone."""

    number: int
    public_id: str
    name: str
    suite_id: str | None
    mode: str = "recorded"
    steps: list[object] = field(default_factory=list)
    assertions: list[object] = field(default_factory=list)
    context: str | None = None
    is_reusable: bool = False
    fuzzy_match: bool = False

    def show(self) -> dict[str, object]:
        """The case as the vendor shows it."""
        return {
            "id": self.number,
            "public_id": self.public_id,
            "name": self.name,
            "mode": self.mode,
            "steps": self.steps,
            "assertions": self.assertions,
            "step_count": len(self.steps),
            "has_source_recording": False,
            "context": self.context,
            "is_reusable": self.is_reusable,
        }


class Library:
    """Settings and cases of one organisation's suites."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self.settings: dict[str, SuiteSettings] = {}
        self.cases: dict[str, Case] = {}

    def add(self, suite: Suite) -> None:
        """Keep a suite's settings and cases."""
        self.settings[suite.suite_id] = SuiteSettings(suite.name, list(suite.tags))
        for public_id, name in suite.test_ids().items():
            steps: list[object] = [f"Open {name}", "Compare the screen"]
            number = next(self._numbers)
            self.cases[public_id] = Case(number, public_id, name, suite.suite_id, steps=steps)

    def cases_of(self, suite_id: str) -> list[Case]:
        """The cases of a suite that are still there."""
        return [case for case in self.cases.values() if case.suite_id == suite_id]

    def show_tags(self) -> list[dict[str, object]]:
        """Every tag, with the number of its suites."""
        names = sorted({tag for one in self.settings.values() for tag in one.tags})
        return [
            {
                "name": name,
                "display_name": name.title(),
                "suite_count": sum(name in one.tags for one in self.settings.values()),
            }
            for name in names
        ]

    def show_baselines(self, case: Case) -> list[dict[str, object]]:
        """The pictures of a case's steps."""
        at = zoneless(self._clock.now())
        return [
            {"id": case.number * 100 + index, "step_index": index, "created_at": at}
            for index, _ in enumerate(case.steps)
        ]

    def export(self, suite_id: str) -> str:
        """A suite as YAML."""
        lines = [f"name: {self.settings[suite_id].name}", "cases:"]
        for case in self.cases_of(suite_id):
            lines += [f"  - name: {case.name}", "    steps:"]
            lines += [f"      - {step}" for step in case.steps]
        return "\n".join(lines) + "\n"
