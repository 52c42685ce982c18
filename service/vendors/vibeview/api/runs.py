"""Records of runs, and runs by the AI on a device session (vendors.md §1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict, Unpack

from pydantic import AliasChoices, BeforeValidator, Field

from schemas.events import Json
from service.http import HttpAnswer, path_of
from service.vendors.reading import Payload, Text, Texts, Time, Whole
from service.vendors.vibeview.api.calling import Calls, objects
from service.vendors.vibeview.api.ci import Mode

RunStatus = Literal["pending", "running", "passed", "failed", "error"]


class AIChoices(TypedDict, total=False):
    """How the AI runs a test or a suite; what is left out VibeView chooses."""

    model: str
    provider: str
    mode: Mode
    fuzzy_match: bool
    build_id: int


class RunRecord(Payload):
    """One run of a case as it is kept. `result` and `reasoning_log` are the vendor's own."""

    id: Text = None
    public_id: Text = None
    test_case_id: Text = None
    status: Text = None
    started_at: Time = None
    finished_at: Time = None
    result: Any = None
    reasoning_log: Any = None
    error_message: Text = None
    duration_ms: Whole = None
    model_used: Text = None
    tokens_used: Whole = None
    cost_micro: Whole = None


class SuiteTestRun(Payload):
    """One case within the record of a suite run."""

    id: Text = None
    test_case_id: Text = None
    status: Text = None
    duration_ms: Whole = None
    error_message: Text = None


class SuiteRunRecord(Payload):
    """One run of a suite as it is kept; `id` is the number that cancelling wants."""

    id: Whole = None
    public_id: Text = None
    status: Text = None
    session_id: Text = None
    reset_strategy: Text = None
    started_at: Time = None
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finished_at", "completed_at")
    )
    duration_ms: Whole = None
    error_message: Text = None
    test_runs: Annotated[tuple[SuiteTestRun, ...], BeforeValidator(objects)] = ()


class StartedAITest(Payload):
    """A test that the AI began to run."""

    run_id: Text = None
    run_public_id: str
    status: Text = None
    message: Text = None
    warnings: Texts = ()


class StartedAISuite(Payload):
    """A suite that the AI began to run; `suite_run_id` is the number that cancelling wants."""

    suite_run_id: Whole = None
    suite_run_public_id: str
    status: Text = None


class Cancelling(Payload):
    """The answer to a cancellation: `cancellation_requested`."""

    status: Text = None


class RunCalls(Calls):
    """Runs beyond those of CI calls."""

    def one(self, run_id: str) -> RunRecord:
        """Give the record of a test run."""
        return self._get(f"/tests/runs{path_of(run_id)}", role="viewer").read(RunRecord)

    def change(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        result_json: str | None = None,
        error_message: str | None = None,
        duration_ms: int | None = None,
    ) -> RunRecord:
        """Write into the record of a test run; given twice, it ends where doing it once does."""
        params = {
            "status": status,
            "result_json": result_json,
            "error_message": error_message,
            "duration_ms": duration_ms,
        }
        path = f"/tests/runs{path_of(run_id)}"
        return self._ask("PATCH", path, params=params, safe=True).read(RunRecord)

    def cancel(self, run_id: str) -> Cancelling:
        """Ask for the end of a test run; 400 when it is not active. Asking twice does no harm."""
        return self._cancel(f"/tests/runs{path_of(run_id)}/cancel")

    def suite_run(self, suite_run_id: str) -> SuiteRunRecord:
        """Give the record of a suite run."""
        path = f"/tests/suite-runs{path_of(suite_run_id)}"
        return self._get(path, role="viewer").read(SuiteRunRecord)

    def run_ai_test(
        self, case_id: str | int, *, session_id: str, **choices: Unpack[AIChoices]
    ) -> StartedAITest:
        """Let the AI run a case on a session: ten a minute. A text is the case's public id."""
        return self._run_ai("test", "test_case", case_id, session_id, choices).read(StartedAITest)

    def run_ai_suite(
        self, suite_id: str | int, *, session_id: str, **choices: Unpack[AIChoices]
    ) -> StartedAISuite:
        """Let the AI run a suite on a session. A text is the suite's public id."""
        return self._run_ai("suite", "suite", suite_id, session_id, choices).read(StartedAISuite)

    def cancel_ai_suite(self, suite_run_number: int) -> Cancelling:
        """Ask for the end of a suite run by its number (not its public id); 400 when it ended."""
        return self._cancel(f"/ai/suite/run{path_of(suite_run_number)}/cancel")

    def _run_ai(
        self,
        call: str,
        name: str,
        thing: str | int,
        session_id: str,
        choices: Mapping[str, Json],
    ) -> HttpAnswer:
        kind = "public_id" if isinstance(thing, str) else "id"
        body = {f"{name}_{kind}": thing, "session_id": session_id, **choices}
        return self._ask("POST", f"/ai/{call}/run", json=body)

    def _cancel(self, path: str) -> Cancelling:
        return self._ask("POST", path, safe=True).read(Cancelling)
