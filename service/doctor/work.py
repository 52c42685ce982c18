"""What the doctor sees of the work: is anybody at it, does it keep up, what has failed?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from schemas.ids import made_at
from service.db import Session
from service.doctor.verdicts import Verdict, count, fail, good, span, warn
from service.retention_progress import KINDS, current_progress
from service.retention_rules import current_retention, kept
from service.store import condition, seals
from service.store.condition import Waiting
from service.store.failures import count_failures
from service.store.retention import find_portion

LEADER = "scheduler"
LATE = timedelta(seconds=30)
TOO_LATE = timedelta(minutes=5)
OFTEN = 3
"""Failures in a row after which a poll is told of."""
LATELY = timedelta(hours=1)
MANY_REFUSED = 3
TOKEN_ENDS = timedelta(days=14)
DAY = timedelta(days=1)
SEALED_WITHIN = timedelta(minutes=15)
ROWS_LOOKED_AT = 1000
NO_ID = UUID(int=0)


def look_at_work(session: Session, now: datetime) -> Iterator[Verdict]:
    """Judge whether work is done, and in time."""
    yield _leader(session, now)
    yield _backlog("deliveries", condition.waiting_deliveries(session), now, "delivery list")
    yield _backlog("runs", condition.waiting_runs(session), now, "run list")
    yield _seals(session, now)
    yield _retention(session, now)


def _leader(session: Session, now: datetime) -> Verdict:
    name = "workers"
    held = condition.lease(session, LEADER)
    to_do = "start `hookwright up`, or `hookwright work` beside `hookwright serve`"
    if held is None:
        return fail(name, "none is at work: what is received waits", to_do)
    if held.until < now - LATE:
        return fail(name, f"none has been at work for {span(now - held.until)}", to_do)
    host, _, process = held.owner.partition(":")
    return good(name, f"at work; {host} (process {process.partition(':')[0]}) leads")


def _backlog(name: str, waiting: Waiting, now: datetime, listed: str) -> Verdict:
    if waiting.since is None:
        return good(name, "none waits")
    age = now - waiting.since
    says = f"{waiting.count:,} waiting, the first for {span(max(age, timedelta()))}"
    to_do = (
        f"is a worker at it (see above)? `hookwright {listed}` shows them; more workers or "
        "HOOKWRIGHT_WORKER_THREADS do more at once"
    )
    if age > TOO_LATE:
        return fail(name, says, to_do)
    return warn(name, says, to_do) if age > LATE else good(name, says)


def _seals(session: Session, now: datetime) -> Verdict:
    name = "seals"
    newest = seals.newest_of(session, "deliveries")
    behind = condition.first_delivery_behind(session, NO_ID if newest is None else newest.last_id)
    if behind is not None and now - made_at(behind) > SEALED_WITHIN:
        return warn(
            name,
            f"deliveries of the last {span(now - made_at(behind))} are not sealed yet",
            "the leading worker seals them; its log says `chore_put_off` or `chore_faulty` when "
            "it cannot",
        )
    return good(name, "up to date" if newest is not None else "nothing to seal yet")


def _retention(session: Session, now: datetime) -> Verdict:
    name = "retention"
    progress = current_progress(session)
    retention = current_retention(session)
    if progress.error is not None and progress.failing_since is not None:
        return fail(
            name,
            f"nothing was removed for {span(now - progress.failing_since)}: {progress.error}",
            "make room for the archive or let it be written, or set `retention.archive: false`",
        )
    for kind in KINDS:
        # The rows of a day may wait for the last of them, to go together.
        before = now - kept(retention)[kind.name] - 2 * DAY
        found = find_portion(session, kind, after=NO_ID, before=before, limit=ROWS_LOOKED_AT)
        if found.ids:
            return warn(
                name,
                f"there are {kind.name.replace('_', ' ')} whose time was over two days ago",
                "a worker removes them in the background, oldest first; if this stays, look for "
                "`chore_put_off`, `partition_held` and `sealed_row_altered` in its log",
            )
    kept_for = f"deliveries {span(retention.deliveries)}, runs {span(retention.runs)}"
    archived = "" if retention.archive_directory is None else ", archived before they go"
    return good(name, f"{kept_for}{archived}")


def look_at_failures(session: Session, now: datetime) -> Iterator[Verdict]:
    """Judge what has failed and waits for somebody."""
    found = count_failures(session, now=now)
    lines = (
        (found.dead_deliveries, "dead delivery", "dead deliveries", "delivery list --state dead"),
        (
            found.malformed_deliveries,
            "delivery that is not as documented",
            "deliveries that are not as documented",
            "delivery list --state malformed",
        ),
        (
            found.failed_runs,
            "run failed in the last 24 h",
            "runs failed in the last 24 h",
            "run list --status failed",
        ),
        (
            found.effects_in_doubt,
            "effect in doubt",
            "effects in doubt",
            "effect list --state in_doubt",
        ),
        (
            found.open_gaps,
            "webhook that never came",
            "webhooks that never came",
            "reconcile --last",
        ),
    )
    told = [line for line in lines if line[0]]
    for number, one, many, command in told:
        yield warn("failures", count(number, one, many), f"`hookwright {command}` shows them")
    if not told:
        yield good("failures", "nothing waits for somebody")
    yield from _failing_vendors(session, now)
    for token in condition.ending_tokens(session, now=now, within=TOKEN_ENDS):
        if token.expires_at is not None:
            yield warn(
                "tokens",
                f"`{token.label}` ends in {span(token.expires_at - now)}",
                f"`hookwright token create --label {token.label}-2` makes another",
            )


def _failing_vendors(session: Session, now: datetime) -> Iterator[Verdict]:
    for poll in condition.failing_polls(session, least=OFTEN):
        yield warn(
            "polls",
            f"{poll.name} failed {poll.failures} times in a row: {poll.error or 'unknown'}",
            f"`hookwright connection test {poll.connection}` asks whether the account is good",
        )
    for one in condition.refusing_sources(session, since=now - LATELY, least=MANY_REFUSED):
        yield fail(
            "sources",
            f"{one.source} refused all of {one.count:,} requests in the last hour: {one.reason}",
            f"`hookwright source show {one.source}` says what the vendor needs; after correcting, "
            "`hookwright delivery reverify` takes what was refused",
        )
    for row in condition.failed_reconciliations(session, since=now - DAY):
        yield warn(
            "reconciling",
            f"{row.source} could not be compared: {row.error or 'unknown'}",
            f"`hookwright reconcile --source {row.source}` tries again",
        )
