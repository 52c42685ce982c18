"""Runs as the API shows them: what they wait for in words, how far their branches have come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from schemas import api
from schemas.api_events import EventOut
from schemas.api_runs import (
    AttemptOut,
    BranchOut,
    CallRef,
    RunDetail,
    RunOut,
    SpreadOut,
    StepOut,
    WaitOut,
)
from schemas.effect_lists import EffectEntry, EffectOut
from schemas.run_tables import RunRow, SpreadRow, StepRow
from schemas.tables import EffectRow
from schemas.workflow import WaitKind
from service.store.run_details import RunStory, Waiting

_WORDS: Mapping[str, str] = {
    WaitKind.RETRY: "tries again",
    WaitKind.POLL: "asks again",
    WaitKind.SLEEP: "sleeps",
    WaitKind.EVENT: "waits for another event",
    WaitKind.APPROVAL: "waits for a decision",
    WaitKind.CALL: "waits for the run it called",
    WaitKind.BRANCHES: "waits for its branches",
    WaitKind.TARGET: "waits until another run has changed the same thing",
    WaitKind.PERSON: "waits for a person: whether it took effect is unknown",
    WaitKind.GATHERING: "has not begun: more events may join it",
    WaitKind.QUEUE: "has not begun: another run of its key is under way",
    WaitKind.THROTTLE: "has not begun: enough runs of its key began lately",
}


def listed(row: RunRow, waiting: Sequence[tuple[RunRow, Waiting]] = ()) -> RunOut:
    """Give a run as it stands in lists, with those of these waits that are its own."""
    own = [wait_out(run, wait) for run, wait in waiting if run.run_id == row.id]
    return RunOut(**_run(row, row), waits=own)


def branch(row: RunRow, waits: Mapping[Any, Waiting]) -> BranchOut:
    """Give a branch as it stands in lists."""
    names = ("id", "status", "error", "output", "item", "started_at", "ended_at")
    wait = waits.get(row.id)
    return BranchOut(
        **{name: getattr(row, name) for name in names},
        path=row.path or "",
        step=row.container or "",
        number=row.number or 0,
        wait=None if wait is None else wait_out(row, wait),
    )


def run_detail(story: RunStory) -> RunDetail:
    """Give a run with everything that happened in it."""
    row = story.row
    wait = story.wait
    return RunDetail(
        **_run(row, story.root),
        version=story.version.number,
        description=story.version.document.get("description", ""),
        event=EventOut.model_validate(story.event),
        events=[api.EventRef.model_validate(event) for event in story.events],
        steps=[_step(story, step) for step in story.steps],
        wait=None if wait is None else wait_out(row, wait, story),
        effects=[EffectOut.model_validate(effect) for effect in story.effects],
        output=row.output,
        path=row.path,
        item=row.item,
        parent=None if story.parent is None else api.RunRef.model_validate(story.parent),
        root_id=story.root.id,
        called_by=None if story.caller is None else _call(story.caller, row.caller_step),
        calls=[_call(called, called.caller_step) for called in story.called],
        spreads=[_spread(spread) for spread in story.spreads],
        branches=[branch(one, story.waits) for one in story.branches],
    )


def wait_out(run: RunRow, wait: Waiting, story: RunStory | None = None) -> WaitOut:
    """Give why a run or branch stands still. The `story` makes the words more exact."""
    row = wait.row
    words = None if story is None else _exactly(story, wait)
    return WaitOut(
        run_id=run.id,
        path=run.path,
        step=row.step,
        kind=row.kind,
        words=words or _WORDS.get(row.kind, f"waits ({row.kind})"),
        question=wait.question,
        since=row.since,
        due_at=row.due_at,
    )


def effect(row: EffectRow, runs: Mapping[UUID, RunRow]) -> EffectEntry:
    """Give an effect with the run it belongs to, if that is there yet."""
    run = None if row.run_id is None else runs.get(row.run_id)
    known = EffectOut.model_validate(row).model_dump()
    return EffectEntry(
        **known,
        key=row.key,
        run_id=None if run is None else run.run_id,
        workflow=None if run is None else run.workflow,
        path=f"{run.path}.{row.step}" if run is not None and run.path else row.step,
    )


def _exactly(story: RunStory, wait: Waiting) -> str | None:
    row = wait.row
    if row.kind == WaitKind.EVENT:
        awaited = _awaited(story.version.document, row.step)
        return None if awaited is None else f"waits for {awaited}"
    if row.kind == WaitKind.BRANCHES:
        for spread in story.spreads:
            if spread.step == row.step:
                done = spread.succeeded + spread.failed + spread.cancelled
                under_way = spread.begun - done
                return f"{done:,} of {spread.total:,} done, {under_way:,} under way"
    return None


def _awaited(document: Mapping[str, Any], step: str) -> str | None:
    """Find the awaited type in the plain document, however deep the step stands."""
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if value.get("id") == step and isinstance(value.get("wait_for"), Mapping):
                return str(value["wait_for"].get("event"))
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return None


def _run(row: RunRow, root: RunRow) -> dict[str, Any]:
    own = {"event_id", "waits"}
    values = {name: getattr(row, name) for name in RunOut.model_fields if name not in own}
    return values | {"event_id": root.event_id}


def _step(story: RunStory, row: StepRow) -> StepOut:
    values = {name: getattr(row, name) for name in StepOut.model_fields}
    values["output"] = story.outputs.get(row.id)
    values["attempts"] = [
        AttemptOut.model_validate(attempt) for attempt in story.attempts.get(row.id, ())
    ]
    return StepOut(**values)


def _spread(row: SpreadRow) -> SpreadOut:
    names = ("step", "total", "begun", "succeeded", "failed", "cancelled")
    values = {name: getattr(row, name) for name in names}
    ended = row.succeeded + row.failed + row.cancelled
    return SpreadOut(**values, under_way=row.begun - ended)


def _call(row: RunRow, step: str | None) -> CallRef:
    return CallRef(**api.RunRef.model_validate(row).model_dump(), step=step or "")
