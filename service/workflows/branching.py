"""How the end of a branch counts for the `parallel` or `for_each` that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from schemas.document import EachStep, Step
from schemas.events import Json
from schemas.workflow import RunError, RunStatus, Tally
from service.workflows.decisions import Finish
from service.workflows.waiting import is_settled, may_begin

MOST_RESULT_BYTES = 1024 * 1024
"""What `collect` may give altogether."""


class AfterBranch(StrEnum):
    """What follows when a branch has ended."""

    BEGIN_NEXT = "begin_next"
    """The branch of number `tally.begun` begins."""
    GO_ON = "go_on"
    """It was the last one: what it belongs to goes on."""
    NOTHING = "nothing"
    """Others are under way."""


def count_end(tally: Tally, ended: Finish, path: str) -> Tally:
    """Give the tally with a branch that has ended like this. `path`: the branch's (`each[3]`)."""
    match ended.status:
        case RunStatus.SUCCEEDED:
            return tally.model_copy(update={"succeeded": tally.succeeded + 1})
        case RunStatus.FAILED:
            counted: dict[str, Any] = {"failed": tally.failed + 1}
            if tally.first_error is None and ended.error is not None:
                counted["first_error"] = located(ended.error, path)
            return tally.model_copy(update=counted)
        case _:
            return tally.model_copy(update={"cancelled": tally.cancelled + 1})


def after_branch(step: Step, tally: Tally, *, cancelled: bool) -> AfterBranch:
    """Say what follows once a branch is counted. `cancelled`: the whole run shall end."""
    if not cancelled and may_begin(step, tally):
        return AfterBranch.BEGIN_NEXT
    if is_settled(step, tally) or (cancelled and not tally.under_way):
        return AfterBranch.GO_ON
    return AfterBranch.NOTHING


def collects(step: Step, *, cancelled: bool) -> bool:
    """Say whether what the branches gave is kept when the last of them has ended."""
    return isinstance(step, EachStep) and step.collect is not None and not cancelled


def gather_results(outputs: Iterable[Json]) -> dict[str, Any]:
    """Give the answer for a `for_each` that collects: what its branches gave, in their order.

    `complete` is false when there was more than MOST_RESULT_BYTES, and the rest was left out.
    """
    results: list[Json] = []
    size = 0
    for output in outputs:
        size += len(json.dumps(output))
        if size > MOST_RESULT_BYTES:
            return {"results": results, "complete": False}
        results.append(output)
    return {"results": results, "complete": True}


def located(error: RunError, path: str) -> RunError:
    """Say in which branch it happened."""
    return error.model_copy(update={"step": f"{path}.{error.step}"}) if path else error
