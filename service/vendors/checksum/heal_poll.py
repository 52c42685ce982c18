"""The poll `heal_batches`: heals that begin and end.

The vendor lists no heals. Watched are those that we began (`checksum.auto_heal`), and those that
runs we started with an `autoHeal` block began by themselves, where the run's status names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Options, PollAnswer
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.facts import heal_draft, heal_type
from service.vendors.checksum.healing import healing_references, state_of
from service.vendors.checksum.payloads import Batch
from service.vendors.checksum.questions import NOT_FOUND
from service.vendors.reading import as_list, as_mapping, as_text, as_time

BATCHES_AT_ONCE = 10
RUNS_AT_ONCE = 10
"""Runs that are asked for the heal they have begun, in one pass: one or two calls each."""
MOST_DONE = 1000
HEAL_NAMED_WITHIN = timedelta(minutes=30)
"""A run that ended failed names the heal it has begun within this time, or never."""


class HealBatchesOptions(Options):
    """Options of the poll `heal_batches`."""

    report_first: bool = Field(
        default=False,
        description="Also tells heals that had ended when the poll is asked for the first time.",
    )
    give_up: Duration = Field(
        default=timedelta(hours=24),
        description="After this time a heal that has not ended is told once as "
        "`checksum.heal_unfinished`.",
    )


@dataclass(slots=True)
class _Position:
    """What is known between two questions; `is_first` when nothing is.

    `watched` has for each batch since when it is watched and what was told of it; `done` are
    batches and runs of which nothing is expected any more; `runs` are those that may yet name a
    batch, with the time they were first and last asked; `left` is the rest of this pass.
    """

    is_first: bool
    watched: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, position: Mapping[str, Json] | None) -> _Position:
        known = as_mapping(position)
        return cls(
            is_first=position is None,
            watched={
                key: as_mapping(value) for key, value in as_mapping(known.get("watched")).items()
            },
            done=[text for one in as_list(known.get("done")) if (text := as_text(one))],
            runs={key: as_mapping(value) for key, value in as_mapping(known.get("runs")).items()},
            left=[text for one in as_list(known.get("left")) if (text := as_text(one))],
        )

    def write(self) -> dict[str, Json]:
        return {
            "watched": self.watched,
            "done": self.done[-MOST_DONE:],
            "runs": self.runs,
            "left": self.left,
        }

    def watch(self, batch_id: str, now: datetime) -> None:
        """Watch a batch; one that is there at the first question may have ended long ago."""
        if batch_id not in self.watched and batch_id not in self.done:
            self.watched[batch_id] = {"since": now.isoformat(), "quiet": self.is_first}


def ask_heal_batches(
    context: CallContext, options: HealBatchesOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every heal that has begun or ended since the last question, each once."""
    client = ChecksumClient(context.http, context.options)
    at = _Position.read(position)
    if not at.left:
        for reference in context.earlier("checksum.auto_heal"):
            batch_id = as_text(reference.get("batch_id"))
            if batch_id is not None:
                at.watch(batch_id, context.now)
        _find_begun_by_runs(client, context, at)
        at.left = list(at.watched)
    events: list[EventDraft] = []
    for batch_id in at.left[:BATCHES_AT_ONCE]:
        entry = at.watched.get(batch_id)
        if entry is not None:
            events += _look(client, context, options, at, batch_id, entry)
    at.left = at.left[BATCHES_AT_ONCE:]
    return PollAnswer(events, at.write(), more=bool(at.left))


def _look(
    client: ChecksumClient,
    context: CallContext,
    options: HealBatchesOptions,
    at: _Position,
    batch_id: str,
    entry: dict[str, Any],
) -> Iterator[EventDraft]:
    """Tell what has become of one heal, and note it."""
    try:
        batch = client.heal(batch_id)
    except Refused as fault:
        if fault.status != NOT_FOUND:
            raise
        _finish(at, batch_id)
        return
    batch = batch.model_copy(update={"batch_id": batch_id})
    is_late = context.now - (as_time(entry.get("since")) or context.now) >= options.give_up
    is_silent = entry.get("quiet") is True and not options.report_first
    if batch.all_terminal or is_late:
        _finish(at, batch_id)
        if batch.all_terminal and is_silent:
            return
    if entry.get("begun") is not True:
        yield _event(batch, "heal.started", context)
        entry.update(begun=True, quiet=False)
    if batch.all_terminal:
        yield _event(batch, heal_type(batch, ended=True), context)
    elif is_late:
        yield _event(batch, "checksum.heal_unfinished", context)


def _finish(at: _Position, batch_id: str) -> None:
    at.watched.pop(batch_id, None)
    at.done.append(batch_id)


def _find_begun_by_runs(client: ChecksumClient, context: CallContext, at: _Position) -> None:
    """Watch the heals that our own runs have begun, asking first whom we asked longest ago."""
    known = {
        name: reference
        for reference in healing_references(context)
        if (name := as_text(reference.get("run_id")) or as_text(reference.get("name")))
        and f"run:{name}" not in at.done
    }
    at.runs = {name: at.runs.get(name, {}) for name in known}
    for name in sorted(known, key=lambda one: str(at.runs[one].get("asked", "")))[:RUNS_AT_ONCE]:
        entry = at.runs[name]
        entry["asked"] = context.now.isoformat()
        state = state_of(client, known[name])
        if state is not None and not state.terminal:
            continue
        if state is not None and state.heal_batch_id is not None:
            at.watch(state.heal_batch_id, context.now)
        elif state is not None and state.status == "failed":
            ended = as_time(entry.setdefault("ended", context.now.isoformat())) or context.now
            if context.now - ended < HEAL_NAMED_WITHIN:
                continue
        del at.runs[name]
        at.done.append(f"run:{name}")


def _event(batch: Batch, type_: str, context: CallContext) -> EventDraft:
    draft = heal_draft(
        batch,
        type_,
        vendor_type=f"heal.{batch.status or 'unknown'}",
        payload=batch.model_dump(mode="json", by_alias=True),
        repository=context.options.repository,
    )
    word = type_.rpartition(".")[2]
    return draft.model_copy(update={"key": f"heal:{batch.batch_id}:{word}"})
