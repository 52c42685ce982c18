"""Checksum's runs, bugs and heals as events in our words, the same from a poll and from a webhook.

The `fact` of an event is `run:<uuid>:<status>`, `bug:<id>:<status>` or `heal:<batch>:<state>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from schemas.events import BugFacts, Counts, EventDraft, FailedTest, HealFacts, Json
from schemas.events import TestRunFacts as RunFacts
from service.vendors.checksum.payloads import (
    TERMINAL,
    Batch,
    BugRow,
    TestResult,
    TestRun,
    run_url,
)
from service.vendors.reading import as_key

MOST_FAILED_TESTS = 200

_RUN_EVENTS: Mapping[str, str] = {
    "queued": "test_run.started",
    "running": "test_run.started",
    "passed": "test_run.passed",
    "healed": "test_run.healed",
    "failed": "test_run.failed",
    "process-error": "test_run.errored",
    "cancelled": "test_run.cancelled",
}


def run_type(run: TestRun, *, strict: bool) -> str | None:
    """Give the event that a run's status is, or None for a status that is not known.

    The vendor's own samples show `passed` with failures: `strict` counts those as failed, unless
    all of them are bugs.
    """
    status = run.status or "unknown"
    if strict and status in {"passed", "healed"} and run.failed - run.bug > 0:
        return "test_run.failed"
    return _RUN_EVENTS.get(status)


def run_fact(run: TestRun, type_: str) -> str:
    """Give the identity of a run's beginning or end; none without an id."""
    told = type_.removeprefix("test_run.")
    state = told if told == "started" else run.status or told
    return as_key(f"run:{run.id.lower()}:{state}") if run.id else ""


def run_draft(
    run: TestRun,
    type_: str,
    *,
    vendor_type: str,
    payload: Json,
    repository: str | None,
    time: datetime | None = None,
) -> EventDraft:
    """Give the event of a run. `time` goes before the run's own times."""
    url = run_url(run.id) if run.id else None
    facts = RunFacts(
        run_id=run.id,
        status=run.status,
        url=url,
        counts=Counts(passed=run.passed, failed=run.failed, recovered=run.recovered, bug=run.bug),
        failed_tests=tuple(
            _failed_test(test, url) for test in run.tests if test.status in {None, "failed"}
        )[:MOST_FAILED_TESTS],
        repository=repository,
        branch=run.branch,
        commit_sha=run.commit_sha,
        pr_number=run.pr_number,
        duration_ms=_duration_ms(run),
    )
    ended = run.status in TERMINAL
    return EventDraft(
        type=type_,
        vendor_type=vendor_type,
        subject=run.id,
        time=time or (run.finished_at if ended else run.created_at),
        facts=facts.model_dump(mode="json"),
        payload=payload,
        fact=run_fact(run, type_) if type_.startswith("test_run.") else "",
    )


def _failed_test(test: TestResult, url: str | None) -> FailedTest:
    return FailedTest(
        id=test.checksum_test_id,
        title=test.test_title,
        file=test.test_file_path,
        error=test.error_message,
        url=url,
    )


def _duration_ms(run: TestRun) -> int | None:
    if run.duration_ms is not None or not (run.created_at and run.finished_at):
        return run.duration_ms
    return max(int((run.finished_at - run.created_at) / timedelta(milliseconds=1)), 0)


def bug_draft(
    row: BugRow,
    type_: str,
    *,
    vendor_type: str,
    payload: Json,
    repository: str | None,
    fact: str,
    time: datetime | None = None,
) -> EventDraft:
    """Give the event of a bug. `time` goes before the bug's own times."""
    facts = BugFacts(
        bug_id=row.id,
        title=row.title,
        status=row.status,
        severity=row.severity,
        url=row.url,
        tags=row.tags,
        run_id=row.test_run_id,
        repository=repository,
    )
    return EventDraft(
        type=type_,
        vendor_type=vendor_type,
        subject=row.id,
        time=time or (row.created_at if type_ == "bug.found" else row.updated_at),
        facts=facts.model_dump(mode="json"),
        payload=payload,
        fact=fact,
    )


def bug_fact(row: BugRow) -> str:
    """Give the identity of a bug in its present status; none without an id.

    A bug may come back to a status: where the vendor says when it was changed, that is part of a
    change's identity.
    """
    return as_key(f"bug:{row.id}:{row.status or 'unknown'}") if row.id else ""


def changed_bug_fact(row: BugRow) -> str:
    """Give the identity of a bug's change; none when nothing tells it from an earlier one."""
    if not row.id or row.updated_at is None:
        return ""
    return as_key(f"{bug_fact(row)}:{row.updated_at.isoformat()}")


def heal_type(batch: Batch, *, ended: bool) -> str:
    """Give the event that a heal's progress is."""
    if not ended:
        return "heal.started"
    return "heal.failed" if batch.failed_count or batch.status == "failed" else "heal.completed"


def heal_draft(
    batch: Batch,
    type_: str,
    *,
    vendor_type: str,
    payload: Json,
    repository: str | None,
    time: datetime | None = None,
) -> EventDraft:
    """Give the event of a heal.

    One that ended well and made no pull request is a normal end: the fault is then not in the
    tests, and a bug of the application is suspected.
    """
    urls = batch.pr_urls()
    facts = HealFacts(
        batch_id=batch.batch_id,
        run_id=batch.test_run_id,
        status=batch.status,
        sessions=batch.session_count(),
        completed=batch.completed_count,
        failed=batch.failed_count,
        pr_urls=urls,
        bug_suspected=type_ == "heal.completed" and not urls,
        url=run_url(batch.test_run_id) if batch.test_run_id else None,
        repository=repository,
    )
    return EventDraft(
        type=type_,
        vendor_type=vendor_type,
        subject=batch.batch_id,
        time=time,
        facts=facts.model_dump(mode="json"),
        payload=payload,
        fact=heal_fact(batch.batch_id, type_) if type_.startswith("heal.") else "",
    )


def heal_fact(batch_id: str | None, type_: str) -> str:
    """Give the identity of a heal's beginning or end; none without an id."""
    return as_key(f"heal:{batch_id}:{type_.removeprefix('heal.')}") if batch_id else ""
