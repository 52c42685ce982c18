"""The poll `runs`: test runs that have ended.

The vendor has no list of runs, only the latest one. A run seen there is watched until it ends, so
that runs that overlap are all told; so is every run we started ourselves, where the vendor gave its
id. A run of somebody else that began and was overtaken between two questions is not seen. A failed
run that heals later is told a second time as healed while it is still the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Options, PollAnswer
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.facts import run_draft, run_type
from service.vendors.checksum.healing import DISPATCHING
from service.vendors.checksum.payloads import TERMINAL, TestRun
from service.vendors.checksum.questions import NOT_FOUND
from service.vendors.reading import as_mapping, as_text, as_texts, as_time

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


@dataclass(slots=True)
class _Position:
    """What is known between two questions.

    `since` are the watched runs with the time they were first seen, `told` the ends that were told,
    `left` the rest of this pass and `ours` the runs we started (None: never looked at).
    """

    since: dict[str, datetime]
    told: list[str]
    left: list[str]
    ours: list[str] | None

    @classmethod
    def read(cls, position: Mapping[str, Json] | None, now: datetime) -> _Position:
        known = as_mapping(position)
        watched = as_mapping(known.get("watched"))
        since = {key: as_time(value) or now for key, value in watched.items()}
        return cls(
            since=since,
            told=list(as_texts(known.get("told"))),
            left=[run_id for run_id in as_texts(known.get("left")) if run_id in since],
            ours=list(as_texts(known.get("ours"))) if "ours" in known else None,
        )

    def write(self) -> dict[str, Json]:
        watched = sorted(self.since.items(), key=lambda item: item[1])[-MOST_WATCHED:]
        return {
            "watched": {key: at.isoformat() for key, at in watched},
            "told": self.told[-MOST_TOLD:],
            "left": self.left,
            "ours": self.ours,
        }


def ask_runs(
    context: CallContext, options: RunsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell watched runs that have ended since the last question, once for each end."""
    client = ChecksumClient(context.http, context.options)
    at = _Position.read(position, context.now)
    latest: TestRun | None = None
    if not at.left:
        latest = client.latest()
        _begin_pass(context, at, latest, is_silent=position is None and not options.report_first)
    events: list[EventDraft] = []
    for run_id in at.left[:RUNS_AT_ONCE]:
        run = _results(client, run_id)
        if run is None:
            del at.since[run_id]
            continue
        if run.status is None and latest is not None and latest.id == run_id:
            run = run.model_copy(update={"status": latest.status})
        if run.status not in TERMINAL and context.now - at.since[run_id] < options.give_up:
            continue
        del at.since[run_id]
        mark = _mark(run_id, run)
        if mark not in at.told:
            at.told.append(mark)
            events.append(_event(run_id, run, mark, context, options))
    at.left = at.left[RUNS_AT_ONCE:]
    return PollAnswer(events, at.write(), more=bool(at.left))


def _begin_pass(
    context: CallContext, at: _Position, latest: TestRun | None, *, is_silent: bool
) -> None:
    """Watch the latest run and those we have started since, and line up all that are watched."""
    if latest is not None and latest.id is not None:
        if is_silent and latest.status in TERMINAL:
            at.told.append(_mark(latest.id, latest))
        if _mark(latest.id, latest) not in at.told:
            at.since.setdefault(latest.id, context.now)
    ours = _started_by_us(context)
    # What we had started before the poll was first asked is no news.
    if at.ours is not None:
        for run_id in set(ours).difference(at.ours):
            at.since.setdefault(run_id, context.now)
    at.ours = ours
    at.left = sorted(at.since, key=lambda run_id: at.since[run_id])


def _started_by_us(context: CallContext) -> list[str]:
    found = (
        as_text(reference.get("run_id"))
        for action in DISPATCHING
        for reference in context.earlier(action)
    )
    return sorted({run_id for run_id in found if run_id is not None})


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
