"""VibeView's events in our words: the delivery key, the tables of names, and the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from schemas.events import Counts, CreditsFacts, EventDraft, FailedTest, Json, Suite, VisualStatus
from schemas.events import TestRunFacts as RunFacts
from service.vendors.base import Delivery, dig
from service.vendors.reading import (
    as_key,
    as_mapping,
    as_name,
    as_time,
    body_id,
    header_text,
    read_object,
    texts_at,
)
from service.vendors.vibeview.options import VibeViewOptions
from service.vendors.vibeview.payloads import AppData, CaseRun, CreditData, Place, RunData
from service.vendors.vibeview.signing import delivery_headers

# The catalog of vendors.md §1.1. The billing names are assumed, which is why options can add to
# this table; the credit alert works without any of them, by polling.
EVENTS: Mapping[str, str] = {
    "run.started": "test_run.started",
    "run.passed": "test_run.passed",
    "run.failed": "test_run.failed",
    "run.error": "test_run.errored",
    "run.cancelled": "test_run.cancelled",
    "case.failed": "test_case.failed",
    "visual.regression_warning": "visual_regression.warned",
    "visual.regression_detected": "visual_regression.failed",
    "visual.run_completed_with_regressions": "visual_regression.warned",
    "visual.baseline_updated": "visual_regression.baseline_updated",
    "app.uploaded": "app.uploaded",
    "billing.credits_low": "credits.low",
    "billing.credits_depleted": "credits.depleted",
    "billing.topup_completed": "credits.restored",
}
_RUN_WARNING = "run.warning."
_RUN_FAMILIES = ("test_run.", "test_case.", "visual_regression.")
_TERMINAL = frozenset(
    {
        "test_run.passed",
        "test_run.failed",
        "test_run.errored",
        "test_run.cancelled",
    }
)
# A run that broke off compared only what it had reached: that is no proof of a clean page.
_COMPLETE = frozenset({"test_run.passed", "test_run.failed"})
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


def delivery_key(delivery: Delivery, options: VibeViewOptions) -> str:
    """Give the event's id, else the delivery's, else the body's digest.

    The event's id comes first: a redelivery may bring another delivery id.
    """
    found = (
        body_id(delivery, options.id_paths)
        or header_text(delivery, delivery_headers(options))
        or body_id(delivery, options.delivery_id_paths)
    )
    return as_key(found) if found else delivery.body_digest()


def normalise(delivery: Delivery, options: VibeViewOptions) -> list[EventDraft]:
    """Give the event, and the visual verdict of a finished run as a second one.

    Raises ValueError when the body is no JSON object or nothing names its event.
    """
    body = read_object(delivery.body)
    vendor_type = _vendor_type(delivery, options, body)
    data = as_mapping(dig(body, options.data_path)) or body
    time = next(filter(None, (as_time(dig(body, path)) for path in options.time_paths)), None)
    return [
        EventDraft(
            type=type_,
            vendor_type=vendor_type,
            subject=subject,
            time=time,
            facts=facts,
            payload=body,
            key="" if number == 0 else type_.partition(".")[0],
        )
        for number, (type_, subject, facts) in enumerate(
            _read(vendor_type, data, _metadata(body, options), body, options)
        )
    ]


def _vendor_type(delivery: Delivery, options: VibeViewOptions, body: Json) -> str:
    """Give the vendor's name of the event.

    The body goes before the header, since only the body is signed; but a body may have a `type`
    that names the kind of its data, so a known name goes before an unknown one.
    """
    header = header_text(delivery, (options.event_header,))
    names = [*texts_at(body, options.event_paths), *([header] if header else [])]
    if not names:
        message = "neither the body nor a header names the event"
        raise ValueError(message)
    known = (name for name in names if _is_known(name, options))
    return as_name(next(known, header or names[0]))


def _is_known(name: str, options: VibeViewOptions) -> bool:
    return (
        name in options.events
        or name in EVENTS
        or name.startswith((_RUN_WARNING, options.billing_prefix))
    )


def _metadata(body: Json, options: VibeViewOptions) -> dict[str, Json]:
    merged: dict[str, Json] = {}
    for path in reversed(options.metadata_paths):
        merged.update(as_mapping(dig(body, path)))
    return merged


_Read = tuple[str, str | None, dict[str, Json]]


def _read(
    vendor_type: str,
    data: dict[str, Json],
    metadata: dict[str, Json],
    body: dict[str, Json],
    options: VibeViewOptions,
) -> Iterator[_Read]:
    """Give type, subject and facts of every event in the body."""
    type_ = options.events.get(vendor_type) or EVENTS.get(vendor_type)
    if type_ == "app.uploaded":
        app = AppData.model_validate(data)
        yield type_, app.app_id, app.model_dump(mode="json")
    elif vendor_type.startswith(options.billing_prefix) or (type_ or "").startswith("credits."):
        credit = _credits(type_, data, body)
        yield type_ or f"vibeview.{vendor_type}", credit.account, credit.model_dump(mode="json")
    elif type_ is None and not vendor_type.startswith(_RUN_WARNING) and "run_id" not in data:
        yield f"vibeview.{vendor_type}", None, {}
    else:
        run = RunData.model_validate(data)
        type_ = _run_type(vendor_type, type_, run)
        facts = _facts(vendor_type, type_, run, metadata, (data, body))
        written = facts.model_dump(mode="json")
        yield type_ or f"vibeview.{vendor_type}", facts.run_id, written
        verdict = _verdict(facts.visual) if type_ in _TERMINAL else None
        if verdict and (verdict != "visual_regression.cleared" or type_ in _COMPLETE):
            yield verdict, facts.run_id, written


def _run_type(vendor_type: str, type_: str | None, run: RunData) -> str | None:
    if type_ == "test_run.failed" and run.status == "error":
        return "test_run.errored"
    if (
        vendor_type == "visual.run_completed_with_regressions"
        and _visual(vendor_type, run) == "fail"
    ):
        return "visual_regression.failed"
    return type_


def _verdict(visual: VisualStatus | None) -> str | None:
    return {
        "ok": "visual_regression.cleared",
        "warn": "visual_regression.warned",
        "fail": "visual_regression.failed",
        None: None,
    }[visual]


def _visual(vendor_type: str, run: RunData) -> VisualStatus | None:
    """Give the run's own verdict, else the worst of its cases, else what the event implies."""
    of_cases = {case.visual_regression_status for case in run.case_runs}
    worst = next((status for status in _WORST_FIRST if status in of_cases), None)
    return run.visual_regression_status or worst or _VISUAL_OF_EVENT.get(vendor_type)


def _facts(
    vendor_type: str,
    type_: str | None,
    run: RunData,
    metadata: dict[str, Json],
    elsewhere: tuple[dict[str, Json], ...],
) -> RunFacts:
    visual = _visual(vendor_type, run)
    places = [Place.model_validate(source) for source in (metadata, *elsewhere)]
    repository, branch, commit_sha, pr_number = (
        next((found for place in places if (found := getattr(place, name)) is not None), None)
        for name in ("repository", "branch", "commit_sha", "pr_number")
    )
    failing = [case for case in run.case_runs if case.status in _FAILING]
    if type_ == "test_case.failed":
        failing = [run]
    passed = sum(case.status == "passed" for case in run.case_runs)
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


def _credits(type_: str | None, data: dict[str, Json], body: dict[str, Json]) -> CreditsFacts:
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
