"""What a backtest plays: a document that was given, beside the present version of its name.

Lives here: finding both, and the bounds of one that is played while somebody waits for the answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.configured_tables import WorkflowRow
from schemas.document import Document
from schemas.events import Json
from schemas.saving import BacktestRequest
from service.actions import AnyAction
from service.backtest import Candidate, backtest
from service.backtest_report import Report
from service.db import Database, Session
from service.errors import Unavailable
from service.saving import check_document
from service.store import applied, details, runs
from service.unit_of_work import reading
from service.versions import Versions
from service.workflows.document import merge_vars

MOST_EVENTS = 10_000
"""Events that are played for one request."""
MOST_TIME = timedelta(seconds=20)
"""How long one request plays; what a single run takes more is added."""
SPAN = timedelta(days=7)
AT_ONCE = 2
"""Requests that play at the same time in one process."""
ASK_AGAIN = timedelta(seconds=10)
_PLACES = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Beside:
    """The present version of a name, and the documents that can be called."""

    present: Candidate | None
    documents: Mapping[str, Document]
    vars: Mapping[str, Json]


def read_beside(session: Session, name: str) -> Beside:
    """Give what a document of this name is compared with. A disabled workflow has no present."""
    opened = Versions(runs.current_versions)
    rows = {row.name: version for row, version in runs.current_versions(session)}
    versions = {each: opened.open(each, version) for each, version in rows.items()}
    documents = {each: version.document for each, version in versions.items()}
    row = rows.get(name)
    if row is None:
        return Beside(None, documents, {})
    version = versions[name]
    present = Candidate(version.document, version.vars, row.created_at)
    return Beside(present, documents, row.vars)


def play_request(
    database: Database,
    actions: Mapping[str, AnyAction],
    name: str,
    request: BacktestRequest,
    *,
    now: datetime,
) -> Report:
    """Play a document, or the present version, over stored events for somebody who waits.

    The report's `events_left` tells how many events there were beyond the bounds. Raises NotFound,
    DocumentError, Unavailable when others play.
    """
    with _place(), reading(database) as session:
        beside = read_beside(session, name)
        return backtest(
            session,
            _candidate(session, name, request, beside),
            beside.present,
            since=request.since or (request.until or now) - SPAN,
            until=request.until or now,
            actions=actions,
            workflows=beside.documents,
            examples=request.examples,
            enough=_Bound(),
        )


def note_of(report: Report) -> str | None:
    """Say what was left out of a report for a request; None when nothing was."""
    if not report.events_left:
        return None
    return (
        f"the first {report.events:,} events were played and {report.events_left:,} were not; "
        "`hookwright workflow backtest FILE` plays any number"
    )


def _candidate(session: Session, name: str, request: BacktestRequest, beside: Beside) -> Candidate:
    if request.document is None:
        _, version = details.read_workflow(session, name)
        document = Document.model_validate(version.document)
        values: Mapping[str, Json] = version.vars if request.vars is None else request.vars
        return Candidate(document, merge_vars(document, values))
    rows = applied.rows_by_name(session, WorkflowRow)
    rows.pop(name, None)
    values = beside.vars if request.vars is None else request.vars
    # What the present version is given need not be known to the new one.
    checked = {} if request.vars is None else request.vars
    member = check_document(session, name, request.document, checked, list(rows.values()))
    return Candidate(member.document, merge_vars(member.document, values))


class _Bound:
    """Says when one request has played enough."""

    def __init__(self) -> None:
        self._until = time.monotonic() + MOST_TIME.total_seconds()

    def __call__(self, played: int) -> bool:
        return played >= MOST_EVENTS or time.monotonic() > self._until


@contextmanager
def _place() -> Iterator[None]:
    if not _PLACES.acquire(blocking=False):
        raise Unavailable("others are playing backtests here", retry_after=ASK_AGAIN)
    try:
        yield
    finally:
        _PLACES.release()
