"""How runs stand, and whether there are devices to run on."""

from __future__ import annotations

from pydantic import Field

from schemas.events import VisualStatus
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.actions.params import Text
from service.vendors.vibeview.api.ci import TERMINAL, SuiteRun
from service.vendors.vibeview.client import VibeViewClient

_VISUAL = "The visual verdict: `ok`, `warn`, `fail`; none when nothing was compared."


class RunStatusParams(Params):
    """Which suite run or test run."""

    run_id: Text = Field(description="The run's public id (`sr…` or `tr…`).")


class CaseOutputs(Outputs):
    """One case of a run."""

    name: str | None = Field(description="The case's name.")
    run_id: str | None = Field(description="The public id of the case's own run.")
    status: str | None = Field(description="How the case ended.")
    visual: VisualStatus | None = Field(description=_VISUAL)
    duration_ms: int | None = Field(description="How long the case took, in milliseconds.")
    url: str | None = Field(description="The page of the case's run.")
    error: str | None = Field(description="What went wrong.")


class RunStatusOutputs(Outputs):
    """Where a run stands. A run may have passed and still carry a visual `warn` or `fail`."""

    run_id: str = Field(description="The run's public id.")
    type: str | None = Field(description="`suite_run` or `test_run`.")
    status: str = Field(
        description="`pending`, `queued`, `running`, `passed`, `failed`, `cancelled` or `error`."
    )
    terminal: bool = Field(description="Whether the run has ended.")
    succeeded: bool = Field(description="Whether the run passed, whatever its visual verdict.")
    visual: VisualStatus | None = Field(description=_VISUAL)
    url: str | None = Field(description="The run's page.")
    suite_id: str | None = Field(description="The suite's public id.")
    suite_name: str | None = Field(description="The suite's name.")
    passed: int | None = Field(description="How many cases passed.")
    failed: int | None = Field(description="How many cases failed.")
    duration_ms: int | None = Field(description="How long the run took, in milliseconds.")
    error: str | None = Field(description="What went wrong with the run as a whole.")
    queue_position: int | None = Field(description="Its place in the queue while it waits.")
    cases: tuple[CaseOutputs, ...] = Field(description="The run's cases, once it has ended.")


def run_status(context: CallContext, params: RunStatusParams) -> Done:
    """Give where a run stands."""
    run = VibeViewClient(context.http).ci.run(params.run_id)
    position = run.queue.get("position")
    return Done(
        RunStatusOutputs(
            run_id=run.run_id or params.run_id,
            type=run.type,
            status=run.status or "unknown",
            terminal=run.is_terminal,
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

    aggregate_id: Text = Field(description="The id of the whole (`agg_…`).")


class SuiteRunOutputs(Outputs):
    """One suite of the run."""

    suite_id: str | None = Field(description="The suite's public id.")
    suite_name: str | None = Field(description="The suite's name.")
    run_id: str | None = Field(description="The public id of the suite's run.")
    status: str | None = Field(description="How the suite's run stands.")
    visual: VisualStatus | None = Field(description=_VISUAL)
    passed: int | None = Field(description="How many cases passed.")
    failed: int | None = Field(description="How many cases failed.")
    cases: tuple[CaseOutputs, ...] = Field(description="The suite's cases, once it has ended.")


class MultiSuiteStatusOutputs(Outputs):
    """Where a run of several suites stands; `visual` is the worst of its suites."""

    aggregate_id: str = Field(description="The id of the whole.")
    status: str = Field(
        description="`running` while any suite runs, else the worst of the suites' ends."
    )
    terminal: bool = Field(description="Whether every suite has ended.")
    succeeded: bool = Field(description="Whether every suite passed.")
    visual: VisualStatus | None = Field(description="The worst visual verdict of all suites.")
    commit_sha: str | None = Field(description="The commit the run was started for.")
    suite_runs: tuple[SuiteRunOutputs, ...] = Field(description="The run of every suite.")


def multi_suite_status(context: CallContext, params: MultiSuiteStatusParams) -> Done:
    """Give where a run of several suites stands."""
    run = VibeViewClient(context.http).ci.multi_suite_run(params.aggregate_id)
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


class SuiteRunRecordParams(Params):
    """Which suite run."""

    run_id: Text = Field(description="The suite run's public id (`sr…`).")


class SuiteRunRecordOutputs(Outputs):
    """What VibeView keeps of a suite run."""

    number: int | None = Field(description="The run's number, which `vibeview.cancel_run` takes.")
    status: str | None = Field(description="How the run stands.")
    session_id: str | None = Field(description="The device session it runs on.")
    failed_cases: int = Field(description="How many of its cases failed or broke off.")
    error: str | None = Field(description="What went wrong with the run as a whole.")


def suite_run_record(context: CallContext, params: SuiteRunRecordParams) -> Done:
    """Give what VibeView keeps of a suite run, its number included."""
    record = VibeViewClient(context.http).runs.suite_run(params.run_id)
    outputs = SuiteRunRecordOutputs(
        number=record.id,
        status=record.status,
        session_id=record.session_id,
        failed_cases=sum(one.status in {"failed", "error"} for one in record.test_runs),
        error=record.error_message,
    )
    return Done(outputs, changed=False)


class FreeDevicesParams(Params):
    """Which devices."""

    device_category: Text | None = Field(
        default=None, description="Only devices of this kind, such as `phone`."
    )


class FreeDevicesOutputs(Outputs):
    """Whether runs started now would have to wait."""

    total: int = Field(description="How many devices there are.")
    free: int = Field(description="How many of them are free now.")


def free_devices(context: CallContext, params: FreeDevicesParams) -> Done:
    """Say how many devices are free."""
    wanted = params.device_category
    pools = [
        pool
        for pool in VibeViewClient(context.http).devices.pools()
        if wanted is None or pool.category == wanted
    ]
    outputs = FreeDevicesOutputs(
        total=sum(pool.total or 0 for pool in pools), free=sum(pool.free or 0 for pool in pools)
    )
    return Done(outputs, changed=False)


STANDING_ACTIONS = (
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
    Action(
        name="vibeview.suite_run_record",
        summary="Give what VibeView keeps of a suite run, its number included",
        params=SuiteRunRecordParams,
        outputs=SuiteRunRecordOutputs,
        perform=suite_run_record,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.free_devices",
        summary="Say how many devices there are and are free",
        params=FreeDevicesParams,
        outputs=FreeDevicesOutputs,
        perform=free_devices,
        safety=Safety.READ,
    ),
)
