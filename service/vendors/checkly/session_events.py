"""Test sessions as events. The list has no status: it is derived, by a rule that options can turn.

Session webhooks do not exist, so these events come from polls and records alone.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from schemas.events import Counts, EventDraft, FailedTest, Json, Suite, TestRunFacts
from service.vendors.base import Options
from service.vendors.checkly.answers import (
    CANCELLED,
    FAILED,
    PASSED,
    RUNNING,
    SessionDetail,
    SessionEntry,
)
from service.vendors.reading import as_key

MOST_FAILED_TESTS = 200
EVENTS = {
    RUNNING: "test_run.started",
    FAILED: "test_run.failed",
    CANCELLED: "test_run.cancelled",
    PASSED: "test_run.passed",
}
_REPOSITORY = re.compile(r"[/:]([^/:\s]+/[^/:\s]+?)(?:\.git)?/?$")


class SessionRule(Options):
    """How the status of a test session follows from its lists of checks."""

    order: tuple[Literal["running", "failed", "cancelled", "passed"], ...] = Field(
        default=("running", "failed", "cancelled"),
        description="The first of these lists that has checks is the status; without one, the "
        "session passed.",
    )
    open_is_running: bool = Field(
        default=True,
        description="Whether a session without an end is running, whatever its lists say.",
    )


def status_of(session: SessionEntry, rule: SessionRule) -> str:
    """Give `running`, `failed`, `cancelled` or `passed`."""
    if rule.open_is_running and session.stopped_at is None:
        return RUNNING
    return next((status for status in rule.order if getattr(session, status)), PASSED)


def session_fact(session_id: str, status: str) -> str:
    """Give the identity of a test session's having come to a status."""
    return as_key(f"session:{session_id}:{status}")


def session_event(
    session: SessionEntry, raw: Json, status: str, detail: SessionDetail | None = None
) -> EventDraft:
    """Give the event of a session that has come to this status.

    `detail`, where it was asked for, adds the address of the session, the results that failed and
    the groups of their errors.
    """
    is_running = status == RUNNING
    begun = session.started_at or session.created_at
    ended = None if is_running else session.stopped_at or session.updated_at
    fact = session_fact(session.id, status) if session.id else ""
    return EventDraft(
        type=EVENTS[status],
        vendor_type=f"test_session.{status}",
        subject=session.id,
        time=begun if is_running else ended,
        facts=_facts(session, status, begun, ended, detail).model_dump(mode="json"),
        payload=raw,
        key=fact,
        fact=fact,
    )


def _facts(
    session: SessionEntry,
    status: str,
    begun: datetime | None,
    ended: datetime | None,
    detail: SessionDetail | None,
) -> TestRunFacts:
    return TestRunFacts(
        run_id=session.id,
        status=status,
        url=detail.link if detail else None,
        suite=Suite(name=session.name),
        counts=Counts(passed=len(session.passed), failed=len(session.failed)),
        failed_tests=_failed_tests(session, detail),
        repository=repository_of(session.repo_url),
        branch=session.branch_name,
        commit_sha=session.commit_id,
        duration_ms=_milliseconds(begun, ended),
        metadata=_metadata(session, detail),
    )


def _failed_tests(session: SessionEntry, detail: SessionDetail | None) -> tuple[FailedTest, ...]:
    if detail is None:
        return tuple(FailedTest(id=id_) for id_ in session.failed[:MOST_FAILED_TESTS])
    failing = [result for result in detail.results if result.is_failing]
    return tuple(
        FailedTest(id=result.check_id, title=result.name, url=result.result_link)
        for result in failing[:MOST_FAILED_TESTS]
    )


def _metadata(session: SessionEntry, detail: SessionDetail | None) -> dict[str, Json]:
    told: dict[str, Json] = {
        "provider": session.provider,
        "environment": session.environment,
        "project_id": session.project_id,
        "commit_owner": session.commit_owner,
        "commit_message": session.commit_message,
        "invoker": session.invoker.get("name"),
        "error_group_ids": list(detail.error_group_ids) if detail else None,
    }
    return {name: value for name, value in told.items() if value}


def repository_of(url: str | None) -> str | None:
    """Give `owner/name` of a repository's address; None when it has no such end."""
    found = _REPOSITORY.search(url or "")
    return found[1] if found else None


def _milliseconds(begun: datetime | None, ended: datetime | None) -> int | None:
    if begun is None or ended is None:
        return None
    return max((ended - begun) // timedelta(milliseconds=1), 0)
