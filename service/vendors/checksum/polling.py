"""What must be asked of Checksum, since it sends no webhooks: runs and bugs.

The vendor has no list of runs, only the latest one. A run seen there is watched until it ends, so
that runs that overlap are all told; a run that began and was overtaken between two questions is not
seen. A failed run that heals later is told a second time as healed while it is still the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import Field

from schemas.config import Duration
from schemas.events import BugFacts, Counts, EventDraft, FailedTest, Json, TestRunFacts
from service.errors import Refused
from service.vendors.base import CallContext, Options, Poll, PollAnswer
from service.vendors.checksum.client import ChecksumClient, ChecksumOptions
from service.vendors.checksum.payloads import TERMINAL, BugRow, TestRun, run_url
from service.vendors.checksum.questions import NOT_FOUND
from service.vendors.reading import as_list, as_mapping, as_text, as_time, as_whole

MOST_WATCHED = 20
MOST_TOLD = 200
MOST_BUGS_KEPT = 5000
MOST_FAILED_TESTS = 200
_UNFINISHED = "unfinished"

_EVENTS = {
    "passed": "test_run.passed",
    "healed": "test_run.healed",
    "failed": "test_run.failed",
    "process-error": "test_run.errored",
    "cancelled": "test_run.cancelled",
}


class RunsOptions(Options):
    """Options of the poll `runs`.

    `strict`: a run with failures that are no bugs counts as failed although the vendor calls it
    passed. `report_first`: also tell the run that is the latest when the poll is asked for the
    first time. `give_up`: after this time a run that has not ended is told once as
    `checksum.run_unfinished` and watched no longer.
    """

    strict: bool = False
    report_first: bool = True
    give_up: Duration = timedelta(hours=6)


def ask_runs(
    context: CallContext, options: RunsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every watched run that has ended since the last question, once for each end."""
    client = ChecksumClient(context.http, context.options)
    known = as_mapping(position)
    since = {key: as_time(value) or context.now for key, value in _mapping(known, "watched")}
    told = [text for item in as_list(known.get("told")) if (text := as_text(item)) is not None]
    latest = client.latest()
    if latest is not None and latest.id is not None:
        if position is None and not options.report_first and latest.status in TERMINAL:
            told.append(f"{latest.id}:{latest.status}")
        if not _is_told(latest, told):
            since.setdefault(latest.id, context.now)
    events: list[EventDraft] = []
    for run_id, first_seen in list(since.items()):
        run = _results(client, run_id)
        if run is None:
            del since[run_id]
            continue
        if run.status is None and latest is not None and latest.id == run_id:
            run = run.model_copy(update={"status": latest.status})
        status = run.status or "unknown"
        ended = status in TERMINAL
        if not ended and context.now - first_seen < options.give_up:
            continue
        del since[run_id]
        mark = f"{run_id}:{status if ended else _UNFINISHED}"
        if mark not in told:
            told.append(mark)
            events.append(_run_event(run_id, run, mark, context, options))
    watched = sorted(since.items(), key=lambda item: item[1])[-MOST_WATCHED:]
    return PollAnswer(
        events,
        {"watched": {key: at.isoformat() for key, at in watched}, "told": told[-MOST_TOLD:]},
    )


def _is_told(run: TestRun, told: list[str]) -> bool:
    if run.status in TERMINAL:
        return f"{run.id}:{run.status}" in told
    return f"{run.id}:{_UNFINISHED}" in told


def _mapping(known: Mapping[str, Json], name: str) -> list[tuple[str, Json]]:
    return list(as_mapping(known.get(name)).items())


def _results(client: ChecksumClient, run_id: str) -> TestRun | None:
    try:
        return client.results(run_id, status="failed")
    except Refused as fault:
        if fault.status == NOT_FOUND:
            return None
        raise


def event_type(run: TestRun, *, strict: bool) -> str:
    """Give the event a run's end is. The vendor's own samples show `passed` with failures."""
    status = run.status or "unknown"
    if strict and status in {"passed", "healed"} and run.failed - run.bug > 0:
        return "test_run.failed"
    return _EVENTS.get(status, "checksum.run_unfinished")


def _run_event(
    run_id: str, run: TestRun, mark: str, context: CallContext, options: RunsOptions
) -> EventDraft:
    connection: ChecksumOptions = context.options
    url = run_url(run_id)
    duration = run.duration_ms
    if duration is None and run.created_at and run.finished_at:
        duration = _milliseconds(run.created_at, run.finished_at)
    facts = TestRunFacts(
        run_id=run_id,
        status=run.status,
        url=url,
        counts=Counts(passed=run.passed, failed=run.failed, recovered=run.recovered, bug=run.bug),
        failed_tests=tuple(
            FailedTest(
                id=test.checksum_test_id,
                title=test.test_title,
                file=test.test_file_path,
                error=test.error_message,
                url=url,
            )
            for test in run.tests
            if test.status in {None, "failed"}
        )[:MOST_FAILED_TESTS],
        repository=connection.repository,
        branch=run.branch,
        commit_sha=run.commit_sha,
        pr_number=run.pr_number,
        duration_ms=duration,
    )
    return EventDraft(
        type=event_type(run, strict=options.strict),
        vendor_type=f"run.{run.status or 'unknown'}",
        subject=run_id,
        time=run.finished_at,
        facts=facts.model_dump(mode="json"),
        payload=run.model_dump(mode="json", by_alias=True),
        key=f"run:{mark}",
    )


def _milliseconds(start: datetime, end: datetime) -> int:
    return max(int((end - start) / timedelta(milliseconds=1)), 0)


class BugsOptions(Options):
    """Options of the poll `bugs`: which bugs, and whether those that are there already are told."""

    status: str | None = None
    severity: str | None = None
    tags: tuple[str, ...] = ()
    project: str | None = None
    collection_name: str | None = None
    report_existing: bool = Field(default=False)


def ask_bugs(
    context: CallContext, options: BugsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every new bug (`bug.found`) and every change of status or severity (`bug.changed`)."""
    client = ChecksumClient(context.http, context.options)
    kept = dict(_mapping(as_mapping(position), "bugs"))
    tells = position is not None or options.report_existing
    events: list[EventDraft] = []
    found = client.bugs(
        status=options.status,
        severity=options.severity,
        tags=options.tags,
        project=options.project,
        collection_name=options.collection_name,
    )
    for row in found:
        if row.id is None:
            continue
        state = f"{row.status}|{row.severity}"
        before = as_mapping(kept.pop(row.id, None))
        # Changes are numbered, so that a bug that returns to an earlier state is told again; from
        # the present second on, so that a poll added anew gives no number twice.
        number = as_whole(before.get("changes")) or int(context.now.timestamp())
        if not before:
            key = f"bug:{row.id}:found"
        elif before.get("state") != state:
            number += 1
            key = f"bug:{row.id}:{number}:{state}"
        else:
            key = ""
        if tells and key:
            events.append(_bug_event(row, key, context, is_new=not before))
        kept[row.id] = {"state": state, "changes": number}
    return PollAnswer(events, {"bugs": dict(list(kept.items())[-MOST_BUGS_KEPT:])})


def _bug_event(row: BugRow, key: str, context: CallContext, *, is_new: bool) -> EventDraft:
    connection: ChecksumOptions = context.options
    facts = BugFacts(
        bug_id=row.id,
        title=row.title,
        status=row.status,
        severity=row.severity,
        url=row.url,
        tags=row.tags,
        run_id=row.test_run_id,
        repository=connection.repository,
    )
    return EventDraft(
        type="bug.found" if is_new else "bug.changed",
        vendor_type=f"bug.{row.status or 'unknown'}",
        subject=row.id,
        time=row.created_at if is_new else row.updated_at,
        facts=facts.model_dump(mode="json"),
        payload=row.model_dump(mode="json", by_alias=True),
        key=key,
    )


POLLS = (
    Poll(
        name="runs",
        summary="Test runs that have ended",
        options=RunsOptions,
        ask=ask_runs,
    ),
    Poll(
        name="bugs",
        summary="Bugs of the health dashboard that are new or have changed",
        options=BugsOptions,
        ask=ask_bugs,
    ),
)
