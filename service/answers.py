"""Answers from outside for steps that wait for them: a decision, an event, a called run's end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.jobs import AdvanceRun
from schemas.workflow import StepStatus
from service.store import doubts as store
from service.store.runs import ACTIVE
from service.unit_of_work import UnitOfWork


def give_answer(
    work: UnitOfWork,
    run_id: UUID,
    step: str,
    answer: Mapping[str, Any],
    *,
    now: datetime,
    asked: Mapping[str, Any] | None = None,
) -> bool:
    """Give a waiting step its answer and let its run (or branch) go on.

    False when it does not wait any more, or has been answered: the first answer counts. `asked`:
    what the step has recorded as its output so far, if the answer is to that question alone. Steps
    of `on_cancel` are answered as well; one that a cancel is about to end takes no answer.
    """
    run = store.lock_run(work.session, run_id)
    if run is None or run.status not in ACTIVE:
        return False
    row = store.steps_of(work.session, run_id).get(step)
    if row is None or row.status != StepStatus.WAITING or row.answer is not None:
        return False
    if asked is not None and row.output != asked:
        return False
    row.answer = dict(answer)
    run.due_at = now
    work.ring(AdvanceRun(run_id))
    return True
