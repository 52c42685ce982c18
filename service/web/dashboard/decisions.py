"""Decisions that wait for somebody: the newest runs first, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from pydantic import ValidationError

from schemas.api_runs import RunQuestion
from schemas.run_tables import RunRow
from schemas.statistics import CountOut
from schemas.workflow import WaitKind
from service.db import Session
from service.errors import Invalid
from service.store import run_details
from service.store.counting import count_runs
from service.store.listing import list_runs
from service.store.run_details import Waiting

ON_A_PAGE = 20
"""So many runs are on a page."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A step that asks somebody."""

    run: RunRow
    waiting: Waiting

    @property
    def path(self) -> str:
        """The step's name as people read it."""
        step = self.waiting.row.step
        return f"{self.run.path}.{step}" if self.run.path else step


@dataclass(frozen=True, slots=True)
class FoundDecisions:
    """A page of decisions, the newest runs first. `more` is the address of those after them.

    `count` is how many runs wait for one.
    """

    rows: Sequence[Decision]
    count: CountOut
    subjects: Mapping[UUID, str]
    here: str
    more: str | None


def find_decisions(session: Session, cursor: str | None, now: datetime) -> FoundDecisions:
    """Give a page of the decisions that wait. Raises Invalid for a cursor that is none."""
    try:
        question = RunQuestion(waiting_for=WaitKind.APPROVAL, limit=ON_A_PAGE, cursor=cursor)
    except ValidationError as error:
        raise Invalid("this address leads to no page of decisions") from error
    found = list_runs(session, question)
    waiting = waits_of(session, found.rows, WaitKind.APPROVAL)
    rows = [Decision(run, wait) for run, wait in waiting]
    is_all = cursor is None and not found.has_more
    return FoundDecisions(
        rows,
        CountOut(count=len(found.rows), estimated=False)
        if is_all
        else count_runs(session, question, now),
        run_details.subjects_of(session, {decision.run.id for decision in rows}),
        _address(cursor),
        _address(found.next_cursor) if found.has_more else None,
    )


def _address(cursor: str | None) -> str:
    return "/decisions" if cursor is None else f"/decisions?{urlencode({'cursor': cursor})}"


def waits_of(
    session: Session, runs: Sequence[RunRow], kind: WaitKind
) -> list[tuple[RunRow, Waiting]]:
    """Give the waits of runs and their branches, in the order of the runs."""
    found = run_details.waiting_under(session, [run.id for run in runs], kind)
    order = {run.id: number for number, run in enumerate(runs)}
    return sorted(found, key=lambda one: order[one[0].run_id])
