"""The facts of VibeView's runs and credits, read from models that are all optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from schemas.events import AppFacts, Counts, CreditsFacts, FailedTest, Json, Suite, VisualStatus
from schemas.events import TestRunFacts as RunFacts
from service.vendors.vibeview.payloads import AppData, CaseRun, CreditData, Place, RunData

_VISUAL_OF_EVENT: Mapping[str, VisualStatus] = {
    "visual.regression_warning": "warn",
    "visual.regression_detected": "fail",
}
_STATUSES: Mapping[str, str] = {
    "pending": "queued",
    "queued": "queued",
    "running": "running",
    "passed": "passed",
    "failed": "failed",
    "cancelled": "cancelled",
    "error": "error",
}
_STATUS_OF_TYPE: Mapping[str, str] = {
    "test_run.started": "running",
    "test_run.passed": "passed",
    "test_run.failed": "failed",
    "test_run.errored": "error",
    "test_run.cancelled": "cancelled",
    "test_case.failed": "failed",
}
_FAILING = frozenset({"failed", "error"})
_WORST_FIRST: tuple[VisualStatus, ...] = ("fail", "warn", "ok")


def visual_of(vendor_type: str, run: RunData) -> VisualStatus | None:
    """Give the run's own verdict, else the worst of its cases, else what the event implies."""
    of_cases = {case.visual_regression_status for case in run.case_runs}
    worst = next((status for status in _WORST_FIRST if status in of_cases), None)
    return run.visual_regression_status or worst or _VISUAL_OF_EVENT.get(vendor_type)


def run_facts(
    vendor_type: str,
    type_: str | None,
    run: RunData,
    metadata: dict[str, Json],
    elsewhere: tuple[dict[str, Json], ...],
) -> RunFacts:
    """Give the facts of a run, or of one case in the run it belongs to.

    What places the run in the code is looked for in the metadata first, then in `elsewhere`.
    """
    visual = visual_of(vendor_type, run)
    places = [Place.model_validate(source) for source in (metadata, *elsewhere)]
    repository, branch, commit_sha, pr_number = (
        next((found for place in places if (found := getattr(place, name)) is not None), None)
        for name in ("repository", "branch", "commit_sha", "pr_number")
    )
    cases: tuple[CaseRun, ...] = run.case_runs
    if type_ == "test_case.failed" or (not cases and run.suite_id is None):
        cases = (run,)  # a case or a test that runs alone is its own and only case
    failing = [case for case in cases if case.status in _FAILING]
    passed = sum(case.status == "passed" for case in cases)
    return RunFacts(
        # A case of a suite run has a run id of its own; the run is that of the suite.
        run_id=run.suite_run_id or run.run_id,
        status=_status(type_, run, visual),
        url=run.url,
        suite=Suite(id=run.suite_id, name=run.suite_name),
        counts=Counts(
            passed=passed if run.passed is None else run.passed,
            failed=len(failing) if run.failed is None else run.failed,
        ),
        failed_tests=tuple(_failed_test(case) for case in failing),
        visual=visual,
        repository=repository,
        branch=branch,
        commit_sha=commit_sha,
        pr_number=pr_number,
        duration_ms=run.duration_ms,
        metadata=metadata,
    )


def _status(type_: str | None, run: RunData, visual: VisualStatus | None) -> str | None:
    said = _STATUSES.get(run.status, "unknown") if run.status else None
    status = said or _STATUS_OF_TYPE.get(type_ or "")
    # A run may pass and yet have crossed a visual tier; VibeView shows that in yellow.
    return "degraded" if status == "passed" and visual in {"warn", "fail"} else status


def _failed_test(case: CaseRun) -> FailedTest:
    return FailedTest(
        id=case.run_id or case.case_id,
        title=case.case_name,
        error=case.error_message,
        url=case.url,
    )


def app_facts(app: AppData) -> AppFacts:
    """Give the facts of a new build of an app."""
    return AppFacts(
        app_id=app.app_id,
        name=app.app_name,
        platform=app.platform,
        version=app.version,
        build_id=app.build_id,
        url=app.url,
    )


def credit_facts(type_: str | None, data: dict[str, Json], body: dict[str, Json]) -> CreditsFacts:
    """Give what a billing event says about the credit that is left.

    The tier is the event's own; which balance is critical is for the poll to know.
    """
    credit = CreditData.model_validate({"organization_id": body.get("organization_id"), **data})
    remaining = credit.remaining_micro
    parts = [part for part in (credit.allowance_micro, credit.prepaid_micro) if part is not None]
    if remaining is None and parts:
        remaining = sum(parts)
    tier: Literal["warn", "zero"] | None = None
    if type_ == "credits.depleted" or (
        type_ == "credits.low" and remaining is not None and remaining <= 0
    ):
        tier = "zero"
    elif type_ == "credits.low":
        tier = "warn"
    return CreditsFacts(
        remaining_micro=remaining,
        allowance_micro=credit.allowance_micro,
        prepaid_micro=credit.prepaid_micro,
        floor_micro=credit.floor_micro,
        period_end=credit.period_end,
        topup_url=credit.topup_url,
        tier=tier,
        account=credit.organization_id,
    )
