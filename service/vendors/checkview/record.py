"""CheckView's own record: its list of test runs, to be compared with what reached us."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field

from schemas.config import Duration
from schemas.events import Json
from service.vendors.base import CallContext, Options, Record, Recorded, RecordPage, Window
from service.vendors.checkview.client import CheckViewClient
from service.vendors.checkview.facts import event_of, has_ended, outcome_of
from service.vendors.checkview.options import CheckViewConnectionOptions
from service.vendors.checkview.payloads import TestRun
from service.vendors.reading import as_mapping, as_text, as_texts
from service.vendors.trail import follow

End = Literal["passed", "failed", "error", "cancelled"]


class RecordOptions(Options):
    """Options of the record `test_runs`."""

    ends: tuple[End, ...] = Field(
        default=("passed", "failed", "error"),
        description="Which ends should have reached us. With another frequency at the vendor than "
        "every pass and fail, name failed and error alone, or passes that were never sent count as "
        "missed.",
    )
    longest_run: Duration = Field(
        default=timedelta(hours=2),
        description="How long before its end a run may have been made.",
    )


def read_test_runs(
    context: CallContext,
    options: RecordOptions,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give one page of the runs that ended within the window, newest first."""
    connection: CheckViewConnectionOptions = context.options
    known = as_mapping(position)
    page = CheckViewClient(context.http, connection).test_runs_page(as_text(known.get("cursor")))
    entries = tuple(_entries(page.rows, options, window, connection))
    dated = [run.listed_at for run in page.rows if run.listed_at is not None]
    is_past = bool(dated) and dated[-1] < window.since - options.longest_run
    read = None if page.next is None else follow(as_texts(known.get("read")), page.next)
    if read is None or is_past:
        return RecordPage(entries)
    return RecordPage(entries, {"cursor": page.next, "read": list(read)})


def _entries(
    runs: Iterable[TestRun],
    options: RecordOptions,
    window: Window,
    connection: CheckViewConnectionOptions,
) -> Iterator[Recorded]:
    """Give the runs that count and whose end lies in the window; one without a time never does."""
    for run in runs:
        time = run.finished_at or run.listed_at
        if time is None or not window.since <= time < window.until:
            continue
        outcome = outcome_of(run.status, connection.statuses)
        # An end that we do not know is no reason to keep quiet about it.
        if has_ended(run, connection.statuses) and (outcome is None or outcome in options.ends):
            event = event_of(run, connection.statuses)
            yield Recorded(
                reference=event.fact, time=time, vendor_type=event.vendor_type, events=(event,)
            )


RECORDS = (
    Record(
        name="test_runs",
        summary="Test runs that have ended, by the list of runs",
        options=RecordOptions,
        read=read_test_runs,
    ),
)
