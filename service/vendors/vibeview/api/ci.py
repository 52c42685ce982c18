"""CI calls: starting suites and tests, and how their runs stand (vendors.md §1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict, Unpack

from pydantic import AliasChoices, BeforeValidator, Field

from schemas.events import Json
from service.http import path_of
from service.vendors.reading import Object, Payload, Text, Texts, Time, Whole
from service.vendors.vibeview.api.calling import Calls, objects, rows_of
from service.vendors.vibeview.payloads import CaseRun, Visual

TERMINAL = frozenset({"passed", "failed", "cancelled", "error"})

Match = Literal["any", "all"]
Mode = Literal["hybrid", "ai", "replay"]


class RunChoices(TypedDict, total=False):
    """How to run; either `device_category` or `device_id`. What is left out VibeView chooses."""

    commit_sha: str
    model: str
    provider: str
    mode: Mode
    device_category: Literal["phone", "tablet", "tv"]
    device_id: str
    metadata: Mapping[str, Json]
    build_id: int


class Tag(Payload):
    """A tag; `name` is what calls take."""

    name: Text = None
    display_name: Text = None
    suite_count: Whole = None


Tags = Annotated[tuple[Tag, ...], BeforeValidator(objects)]


class TimedCaseRun(CaseRun):
    """One case of a suite run, as answers list it."""

    duration_ms: Whole = None


Cases = Annotated[tuple[TimedCaseRun, ...], BeforeValidator(objects)]


class StartedRun(Payload):
    """A suite run or test run that was started."""

    run_id: str
    status: Text = None


class StartedSuites(Payload):
    """A run of several suites that was started."""

    aggregate_id: str
    matched_suite_ids: Texts = ()
    status_url: Text = None


class SuiteRun(Payload):
    """One suite within a run of several."""

    suite_id: Text = None
    suite_name: Text = None
    run_id: Text = None
    status: Text = None
    passed: Whole = None
    failed: Whole = None
    visual_regression_status: Visual = None
    case_runs: Cases = ()


class Step(Payload):
    """One step of a test run."""

    index: Whole = None
    text: Text = None
    status: Text = None
    error: Text = None


class Run(SuiteRun):
    """A suite run or a test run by its public id. Its body is assumed, so all is optional."""

    type: Text = None
    url: Text = Field(default=None, validation_alias=AliasChoices("run_url", "url"))
    started_at: Time = None
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finished_at", "completed_at")
    )
    duration_ms: Whole = None
    error_message: Text = Field(
        default=None, validation_alias=AliasChoices("error_message", "error")
    )
    steps: Annotated[tuple[Step, ...], BeforeValidator(objects)] = ()
    queue: Object = Field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self.status in TERMINAL


class MultiSuiteRun(Payload):
    """A run of several suites, rolled up by the vendor."""

    id: Text = None
    status: Text = None
    visual_regression_status: Visual = None
    suite_runs: Annotated[tuple[SuiteRun, ...], BeforeValidator(objects)] = ()
    started_at: Time = None
    completed_at: Time = None
    commit_sha: Text = None


class ListedSuite(Payload):
    """One suite as CI calls list it."""

    id: Text = None
    name: Text = None
    platform: Text = None
    case_count: Whole = None
    description: Text = None
    tags: Tags = ()


class CICalls(Calls):
    """Starting runs and following them; starting needs the role developer."""

    def run_suite(self, suite_id: str, **choices: Unpack[RunChoices]) -> StartedRun:
        """Start a suite."""
        return self._start("run-suite", {"suite_id": suite_id, **choices})

    def run_test(self, test_id: str, **choices: Unpack[RunChoices]) -> StartedRun:
        """Start one test."""
        return self._start("run-test", {"test_id": test_id, **choices})

    def run_suites(
        self, tags: Sequence[str], *, match: Match = "any", **choices: Unpack[RunChoices]
    ) -> StartedSuites:
        """Start every suite with any or all of 1 to 20 tags."""
        body = {"tags": list(tags), "match": match, **choices}
        answer = self._ask("POST", "/ci/run-suites", json=body, role="developer")
        return answer.read(StartedSuites)

    def run(self, run_id: str) -> Run:
        """Give how a suite run or a test run stands."""
        return self._get(f"/ci/runs{path_of(run_id)}", role="developer").read(Run)

    def run_document(self, run_id: str) -> dict[str, Any]:
        """Give how a run stands as the vendor says it, members that we do not read included."""
        answer = self._get(f"/ci/runs{path_of(run_id)}", role="developer")
        answer.read(Run)
        document: dict[str, Any] = answer.json()
        return document

    def multi_suite_run(self, aggregate_id: str) -> MultiSuiteRun:
        """Give how a run of several suites stands."""
        path = f"/ci/multi-suite-runs{path_of(aggregate_id)}"
        return self._get(path, role="developer").read(MultiSuiteRun)

    def list_suites(self, *, tags: Sequence[str] = (), match: Match = "any") -> list[ListedSuite]:
        """Give the suites, those with any or all of these tags when some are named."""
        params = {"tags": ",".join(tags) or None, "match": match if tags else None}
        answer = self._get("/ci/list-suites", params, role="developer")
        return rows_of(answer, ListedSuite, "suites")

    def _start(self, call: str, body: Mapping[str, Any]) -> StartedRun:
        answer = self._ask("POST", f"/ci/{call}", json=dict(body), role="developer")
        return answer.read(StartedRun)
