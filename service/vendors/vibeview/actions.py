"""What workflows may ask of VibeView.

Starting a run has no idempotency key at the vendor: it is started once for its step. The metadata
given here comes back in the webhooks of the run, with our own correlation id added.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.events import Json, VisualStatus
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.answers import TERMINAL, StartedRun, SuiteRun
from service.vendors.vibeview.client import VibeViewClient

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,50}$")]
MICRO = 1_000_000


class NoParams(Params):
    """Nothing to choose."""


class CreditBalanceOutputs(Outputs):
    """The credit that is left. Micro-credits: 1 000 000 = 1.00 USD."""

    allowance_micro: int
    prepaid_micro: int
    total_micro: int
    total_usd: float
    low_balance: bool
    plan_period_end: str | None


def credit_balance(context: CallContext, _params: NoParams) -> Done:
    """Give the credit that is left."""
    balance = VibeViewClient(context.http).credit_balance()
    end = balance.plan_period_end
    return Done(
        CreditBalanceOutputs(
            allowance_micro=balance.allowance_micro,
            prepaid_micro=balance.prepaid_micro,
            total_micro=balance.total_micro,
            total_usd=balance.total_micro / MICRO,
            low_balance=balance.low_balance,
            plan_period_end=end.isoformat() if end else None,
        ),
        changed=False,
    )


class RunParams(Params):
    """How to run. Either a category of devices or one device; neither means a phone."""

    commit_sha: Text | None = None
    model: Text | None = None
    provider: Text | None = None
    mode: Literal["hybrid", "ai", "replay"] | None = None
    device_category: Literal["phone", "tablet", "tv"] | None = None
    device_id: Text | None = None
    build_id: int | None = Field(default=None, ge=1)
    metadata: dict[str, Json] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_device(self) -> RunParams:
        if self.device_category is not None and self.device_id is not None:
            message = "give either device_category or device_id"
            raise ValueError(message)
        return self

    def body(self, context: CallContext) -> dict[str, Any]:
        """Give what is sent: what was chosen, with our correlation id in the metadata."""
        chosen = self.model_dump(mode="json", exclude_none=True, exclude={"metadata"})
        metadata = {"correlation_id": context.idempotency_key, **self.metadata}
        return {**chosen, "metadata": metadata}


class RunSuiteParams(RunParams):
    """Which suite."""

    suite_id: Text


class RunTestParams(RunParams):
    """Which test."""

    test_id: Text


class RunSuitesParams(RunParams):
    """The suites that have any or all of these tags."""

    tags: Annotated[tuple[Tag, ...], Field(min_length=1, max_length=20)]
    match: Literal["any", "all"] = "any"


class StartedOutputs(Outputs):
    """The run that was started."""

    run_id: str
    status: str


class StartedSuitesOutputs(Outputs):
    """The run of several suites that was started."""

    aggregate_id: str
    matched_suite_ids: tuple[str, ...]
    status_url: str | None


def run_suite(context: CallContext, params: RunSuiteParams) -> Done:
    """Start a suite."""
    return _started(VibeViewClient(context.http).run_suite(params.body(context)))


def run_test(context: CallContext, params: RunTestParams) -> Done:
    """Start one test."""
    return _started(VibeViewClient(context.http).run_test(params.body(context)))


def _started(told: StartedRun) -> Done:
    outputs = StartedOutputs(run_id=told.run_id, status=told.status or "pending")
    return Done(outputs, {"run_id": told.run_id})


def run_suites(context: CallContext, params: RunSuitesParams) -> Done:
    """Start every suite with these tags."""
    told = VibeViewClient(context.http).run_suites(params.body(context))
    outputs = StartedSuitesOutputs(
        aggregate_id=told.aggregate_id,
        matched_suite_ids=told.matched_suite_ids,
        status_url=told.status_url,
    )
    return Done(outputs, {"aggregate_id": told.aggregate_id})


class RunStatusParams(Params):
    """Which suite run or test run."""

    run_id: Text


class CaseOutputs(Outputs):
    """One case of a run."""

    name: str | None
    run_id: str | None
    status: str | None
    visual: VisualStatus | None
    duration_ms: int | None
    url: str | None
    error: str | None


class RunStatusOutputs(Outputs):
    """Where a run stands. A run may have passed and still carry a visual `warn` or `fail`."""

    run_id: str
    type: str | None
    status: str
    terminal: bool
    succeeded: bool
    visual: VisualStatus | None
    url: str | None
    suite_id: str | None
    suite_name: str | None
    passed: int | None
    failed: int | None
    duration_ms: int | None
    error: str | None
    queue_position: int | None
    cases: tuple[CaseOutputs, ...]


def run_status(context: CallContext, params: RunStatusParams) -> Done:
    """Give where a run stands."""
    run = VibeViewClient(context.http).run(params.run_id)
    position = run.queue.get("position")
    return Done(
        RunStatusOutputs(
            run_id=run.run_id or params.run_id,
            type=run.type,
            status=run.status or "unknown",
            terminal=run.status in TERMINAL,
            succeeded=run.status == "passed",
            visual=run.visual_regression_status,
            url=run.url,
            suite_id=run.suite_id,
            suite_name=run.suite_name,
            passed=run.passed,
            failed=run.failed,
            duration_ms=run.duration_ms,
            error=run.error_message,
            queue_position=position if isinstance(position, int) else None,
            cases=_cases(run),
        ),
        changed=False,
    )


def _cases(run: SuiteRun) -> tuple[CaseOutputs, ...]:
    return tuple(
        CaseOutputs(
            name=case.case_name,
            run_id=case.run_id,
            status=case.status,
            visual=case.visual_regression_status,
            duration_ms=case.duration_ms,
            url=case.url,
            error=case.error_message,
        )
        for case in run.case_runs
    )


class MultiSuiteStatusParams(Params):
    """Which run of several suites."""

    aggregate_id: Text


class SuiteRunOutputs(Outputs):
    """One suite of the run."""

    suite_id: str | None
    suite_name: str | None
    run_id: str | None
    status: str | None
    visual: VisualStatus | None
    passed: int | None
    failed: int | None
    cases: tuple[CaseOutputs, ...]


class MultiSuiteStatusOutputs(Outputs):
    """Where a run of several suites stands; `visual` is the worst of its suites."""

    aggregate_id: str
    status: str
    terminal: bool
    succeeded: bool
    visual: VisualStatus | None
    commit_sha: str | None
    suite_runs: tuple[SuiteRunOutputs, ...]


def multi_suite_status(context: CallContext, params: MultiSuiteStatusParams) -> Done:
    """Give where a run of several suites stands."""
    run = VibeViewClient(context.http).multi_suite_run(params.aggregate_id)
    return Done(
        MultiSuiteStatusOutputs(
            aggregate_id=run.id or params.aggregate_id,
            status=run.status or "unknown",
            terminal=run.status in TERMINAL,
            succeeded=run.status == "passed",
            visual=run.visual_regression_status,
            commit_sha=run.commit_sha,
            suite_runs=tuple(
                SuiteRunOutputs(
                    suite_id=suite.suite_id,
                    suite_name=suite.suite_name,
                    run_id=suite.run_id,
                    status=suite.status,
                    visual=suite.visual_regression_status,
                    passed=suite.passed,
                    failed=suite.failed,
                    cases=_cases(suite),
                )
                for suite in run.suite_runs
            ),
        ),
        changed=False,
    )


ACTIONS = (
    Action(
        name="vibeview.credit_balance",
        summary="Give the credit that is left",
        params=NoParams,
        outputs=CreditBalanceOutputs,
        perform=credit_balance,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.run_suite",
        summary="Start a suite",
        params=RunSuiteParams,
        outputs=StartedOutputs,
        perform=run_suite,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.run_test",
        summary="Start one test",
        params=RunTestParams,
        outputs=StartedOutputs,
        perform=run_test,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.run_suites",
        summary="Start every suite with these tags",
        params=RunSuitesParams,
        outputs=StartedSuitesOutputs,
        perform=run_suites,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.run_status",
        summary="Say where a suite run or a test run stands",
        params=RunStatusParams,
        outputs=RunStatusOutputs,
        perform=run_status,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.multi_suite_status",
        summary="Say where a run of several suites stands",
        params=MultiSuiteStatusParams,
        outputs=MultiSuiteStatusOutputs,
        perform=multi_suite_status,
        safety=Safety.READ,
    ),
)
