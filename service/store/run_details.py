"""A run with everything that happened in it: steps, branches, what it called and waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import case, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from schemas.api_runs import BranchQuestion
from schemas.configured_tables import WorkflowVersionRow
from schemas.run_tables import AttemptRow, RunEventRow, RunRow, SpreadRow, StepRow, WaitRow
from schemas.tables import EffectRow, EventRow
from schemas.workflow import RunStatus, WaitKind
from service.errors import NotFound
from service.paging import Page
from service.store.details import read
from service.store.listing import page_of
from service.store.payloads import output_of
from service.store.runs import ACTIVE

MOST_SHOWN = 20
"""How many failed and active branches, called runs and further events a run is shown with."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A wait of a run or of one of its branches, and what is asked when it is for a decision."""

    row: WaitRow
    question: str | None = None


@dataclass(frozen=True, slots=True)
class RunStory:
    """A run (or branch) and everything that happened in it.

    `root` is the run itself unless the story is that of a branch. `attempts` and `outputs` are by
    the step's id, `waits` by the run's or branch's. Of branches there are the failed ones and those
    under way, of everything that may be long the first MOST_SHOWN.
    """

    row: RunRow
    root: RunRow
    version: WorkflowVersionRow
    event: EventRow
    events: Sequence[EventRow]
    steps: Sequence[StepRow]
    attempts: dict[UUID, list[AttemptRow]]
    outputs: dict[UUID, Any]
    effects: Sequence[EffectRow]
    waits: dict[UUID, Waiting]
    spreads: Sequence[SpreadRow]
    branches: Sequence[RunRow]
    parent: RunRow | None = None
    caller: RunRow | None = None
    called: Sequence[RunRow] = field(default=())

    @property
    def wait(self) -> Waiting | None:
        """Why the run itself stands still."""
        return self.waits.get(self.row.id)


def read_run(session: Session, ident: UUID) -> RunStory:
    """Give a run or a branch with everything that happened in it. Raises NotFound."""
    row = read(session, RunRow, ident)
    root = row if row.root_id is None else read(session, RunRow, row.root_id)
    if root.event_id is None:
        raise NotFound
    attempts: dict[UUID, list[AttemptRow]] = {}
    for attempt in session.exec(
        select(AttemptRow).where(AttemptRow.run_id == ident).order_by(col(AttemptRow.number))
    ):
        attempts.setdefault(attempt.step_id, []).append(attempt)
    steps = session.exec(
        select(StepRow).where(StepRow.run_id == ident).order_by(col(StepRow.position))
    ).all()
    spreads = session.exec(select(SpreadRow).where(SpreadRow.run_id == ident)).all()
    branches = _worth_showing(session, row) if spreads else ()
    return RunStory(
        row=row,
        root=root,
        version=read(session, WorkflowVersionRow, row.workflow_version_id),
        event=read(session, EventRow, root.event_id),
        events=session.exec(
            select(EventRow)
            .join(RunEventRow, col(RunEventRow.event_id) == col(EventRow.id))
            .where(RunEventRow.run_id == root.id, EventRow.id != root.event_id)
            .order_by(col(EventRow.id))
            .limit(MOST_SHOWN)
        ).all(),
        steps=steps,
        attempts=attempts,
        outputs={step.id: output_of(session, step) for step in steps},
        effects=session.exec(
            select(EffectRow).where(EffectRow.run_id == ident).order_by(col(EffectRow.id))
        ).all(),
        waits=waits_of(session, [ident, *(branch.id for branch in branches)]),
        spreads=spreads,
        branches=branches,
        parent=None if row.parent_id is None else read(session, RunRow, row.parent_id),
        caller=None if row.caller_id is None else session.get(RunRow, row.caller_id),
        called=session.exec(
            select(RunRow)
            .where(RunRow.caller_id == ident)
            .order_by(col(RunRow.id).desc())
            .limit(MOST_SHOWN)
        ).all(),
    )


def list_branches(session: Session, run_id: UUID, question: BranchQuestion) -> Page[RunRow]:
    """Give the branches of a run's (or branch's) own steps, newest first. Raises NotFound."""
    read(session, RunRow, run_id)
    statement = select(RunRow).where(RunRow.parent_id == run_id)
    if question.step is not None:
        statement = statement.where(RunRow.container == question.step)
    if question.status is not None:
        statement = statement.where(RunRow.status == question.status)
    return page_of(session, statement, RunRow, question, of=str(run_id))


def waits_of(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, Waiting]:
    """Give the waits of these runs and branches, by their ids."""
    rows = session.exec(select(WaitRow).where(col(WaitRow.run_id).in_(run_ids))).all()
    return {row.run_id: Waiting(row, _question(session, row)) for row in rows}


def waiting_under(
    session: Session, root_ids: Sequence[UUID], kind: WaitKind
) -> list[tuple[RunRow, Waiting]]:
    """Give the waits of a kind of these runs and their branches, each with its run or branch."""
    found = session.exec(
        select(RunRow, WaitRow)
        .join(WaitRow, col(WaitRow.run_id) == col(RunRow.id))
        .where(
            WaitRow.kind == kind,
            (col(RunRow.id).in_(root_ids)) | (col(RunRow.root_id).in_(root_ids)),
        )
        .order_by(col(WaitRow.since))
        .limit(MOST_SHOWN * max(1, len(root_ids)))
    ).all()
    return [(run, Waiting(wait, _question(session, wait))) for run, wait in found]


def subjects_of(session: Session, run_ids: Collection[UUID]) -> dict[UUID, str]:
    """Say what began these runs or branches, by their ids: an event's subject, or its type."""
    root = aliased(RunRow)
    found = session.exec(
        select(RunRow.id, EventRow.type, EventRow.subject)
        .join(root, col(root.id) == func.coalesce(RunRow.root_id, RunRow.id))
        .join(EventRow, col(EventRow.id) == col(root.event_id))
        .where(col(RunRow.id).in_(run_ids))
    )
    return {run_id: subject or type_ for run_id, type_, subject in found}


def _worth_showing(session: Session, row: RunRow) -> Sequence[RunRow]:
    """Give branches of a run that failed or are under way, at any depth of a run."""
    belongs = RunRow.parent_id == row.id if row.root_id is not None else RunRow.root_id == row.id
    wanted = (RunStatus.FAILED.value, *ACTIVE)
    waits_for_person = case((col(RunRow.status) == RunStatus.FAILED, 0), else_=1)
    return session.exec(
        select(RunRow)
        .where(belongs, col(RunRow.status).in_(wanted))
        .order_by(waits_for_person, col(RunRow.id))
        .limit(MOST_SHOWN)
    ).all()


def _question(session: Session, wait: WaitRow) -> str | None:
    if wait.kind != WaitKind.APPROVAL:
        return None
    step = session.exec(
        select(StepRow).where(StepRow.run_id == wait.run_id, StepRow.step == wait.step)
    ).first()
    text = (step.output or {}).get("text") if step is not None else None
    if text is None:
        asked = session.exec(
            select(EffectRow.params)
            .where(
                EffectRow.run_id == wait.run_id,
                EffectRow.step == wait.step,
                col(EffectRow.action).like("%.ask_approval"),
            )
            .order_by(col(EffectRow.id).desc())
            .limit(1)
        ).first()
        text = (asked or {}).get("text")
    return None if text is None else str(text)
