"""The poll `runs`: test runs that have ended.

The vendor has no list of runs, only the latest one. A run seen there is watched until it ends, so
that runs that overlap are all told; a run that began and was overtaken between two questions is not
seen. A failed run that heals later is told a second time as healed while it is still the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Options, PollAnswer
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.facts import run_draft, run_type
from service.vendors.checksum.payloads import TERMINAL, TestRun
from service.vendors.checksum.questions import NOT_FOUND
from service.vendors.reading import as_list, as_mapping, as_text, as_time

RUNS_AT_ONCE = 10
"""Watched runs that are asked for in one go: one call each."""
MOST_WATCHED = 200
MOST_TOLD = 500
_UNFINISHED = "unfinished"


class RunsOptions(Options):
    """Options of the poll `runs`."""

    strict: bool = Field(
        default=False,
        description="Counts a run as failed that passed with failures which are no bugs.",
    )
    report_first: bool = Field(
        default=True,
        description="Also tells the run that is the latest when the poll is asked for the first "
        "time.",
    )
    give_up: Duration = Field(
        default=timedelta(hours=6),
        description="After this time a run that has not ended is told once as "
        "`checksum.run_unfinished`.",
    )


def ask_runs(
    context: CallContext, options: RunsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell watched runs that have ended since the last question, once for each end."""
    client = ChecksumClient(context.http, context.options)
    known = as_mapping(position)
    since = {
        key: as_time(value) or context.now
        for key, value in as_mapping(known.get("watched")).items()
    }
    told = _texts(known.get("told"))
    left = [run_id for run_id in _texts(known.get("left")) if run_id in since]
    latest: TestRun | None = None
    if not left:
        latest = client.latest()
        if latest is not None and latest.id is not None:
            if position is None and not options.report_first and latest.status in TERMINAL:
                told.append(_mark(latest.id, latest))
            if _mark(latest.id, latest) not in told:
                since.setdefault(latest.id, context.now)
        left = sorted(since, key=lambda run_id: since[run_id])
    events: list[EventDraft] = []
    for run_id in left[:RUNS_AT_ONCE]:
        run = _results(client, run_id)
        if run is None:
            del since[run_id]
            continue
        if run.status is None and latest is not None and latest.id == run_id:
            run = run.model_copy(update={"status": latest.status})
        if run.status not in TERMINAL and context.now - since[run_id] < options.give_up:
            continue
        del since[run_id]
        mark = _mark(run_id, run)
        if mark not in told:
            told.append(mark)
            events.append(_event(run_id, run, mark, context, options))
    watched = sorted(since.items(), key=lambda item: item[1])[-MOST_WATCHED:]
    rest = left[RUNS_AT_ONCE:]
    return PollAnswer(
        events,
        {
            "watched": {key: at.isoformat() for key, at in watched},
            "told": told[-MOST_TOLD:],
            "left": rest,
        },
        more=bool(rest),
    )


def _texts(value: Json) -> list[str]:
    return [text for item in as_list(value) if (text := as_text(item)) is not None]


def _mark(run_id: str, run: TestRun) -> str:
    return f"{run_id}:{run.status if run.status in TERMINAL else _UNFINISHED}"


def _results(client: ChecksumClient, run_id: str) -> TestRun | None:
    try:
        return client.results(run_id, status="failed")
    except Refused as fault:
        if fault.status == NOT_FOUND:
            return None
        raise


def _event(
    run_id: str, run: TestRun, mark: str, context: CallContext, options: RunsOptions
) -> EventDraft:
    ended = run.status in TERMINAL
    type_ = run_type(run, strict=options.strict) if ended else None
    return run_draft(
        run if run.id is not None else run.model_copy(update={"id": run_id}),
        type_ or "checksum.run_unfinished",
        vendor_type=f"run.{run.status or 'unknown'}",
        payload=run.model_dump(mode="json", by_alias=True),
        repository=context.options.repository,
    ).model_copy(update={"key": f"run:{mark}"})
