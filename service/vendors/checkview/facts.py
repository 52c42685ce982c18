"""A CheckView run in our words: its status, the event it is, its facts.

Webhook, poll and record come through here, so that one fact is one event whichever way it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from schemas.events import Counts, EventDraft, FailedTest, Json, Suite, TestRunFacts
from service.vendors.checkview.options import Outcome
from service.vendors.checkview.payloads import TestRun
from service.vendors.reading import as_key, as_name

OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {name: name for name in get_args(Outcome)} | {"errored": "error", "canceled": "cancelled"}
)
ENDS: Mapping[Outcome, str] = MappingProxyType(
    {
        "passed": "test_run.passed",
        "failed": "test_run.failed",
        "error": "test_run.errored",
        "cancelled": "test_run.cancelled",
    }
)
TYPES: Mapping[Outcome, str] = MappingProxyType({"running": "test_run.started", **ENDS})
UNKNOWN = "unknown"


def outcome_of(status: str | None, more: Mapping[str, Outcome]) -> Outcome | None:
    """Give a status in our words; None for one that we do not know."""
    if status is None:
        return None
    return more.get(status) or OUTCOMES.get(status.strip().lower())


def has_ended(run: TestRun, more: Mapping[str, Outcome]) -> bool:
    """Say whether a run is over: by its status, or by its end where the status tells nothing."""
    outcome = outcome_of(run.status, more)
    return outcome in ENDS if outcome else run.finished_at is not None


def fact_of(run_id: str, status: str) -> str:
    """Give the identity of the fact that a run has this status."""
    return as_key(f"run:{run_id}:{status}")


def run_facts(run: TestRun, status: str) -> TestRunFacts:
    """Give the facts of a run. A flow is one test, so it is what passed or failed."""
    failed = status in {"failed", "error"}
    flow, website = run.test_flow, run.website
    failure = FailedTest(id=flow.id, title=flow.name, error=run.error, url=run.url)
    places = {"website_id": website.id, "website_url": website.url}
    return TestRunFacts(
        run_id=run.id,
        status=status,
        url=run.url,
        suite=Suite(id=flow.id, name=flow.name),
        counts=Counts(passed=int(status == "passed"), failed=int(failed)),
        failed_tests=(failure,) if failed else (),
        duration_ms=run.lasted_ms,
        metadata={name: value for name, value in places.items() if value is not None},
    )


def event_of(run: TestRun, more: Mapping[str, Outcome]) -> EventDraft:
    """Give the event that a run of the API is; it has an id there."""
    outcome = outcome_of(run.status, more)
    status = outcome or as_name(run.status or UNKNOWN)
    name = f"test_run.{status}"
    payload: Json = run.model_dump(mode="json")
    return EventDraft(
        type=TYPES.get(outcome, f"checkview.{name}") if outcome else f"checkview.{name}",
        vendor_type=name,
        subject=run.id,
        time=run.finished_at or run.started_at,
        facts=run_facts(run, outcome or UNKNOWN).model_dump(mode="json"),
        payload=payload,
        key=fact_of(run.id or "", status),
        fact=fact_of(run.id or "", status),
    )
