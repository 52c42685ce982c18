"""An installation in one test: real database, a clock the test moves, a vendor the test scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import SQLModel, col, select

from schemas.configured_tables import ConnectionRow, SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.events import EventDraft
from schemas.ids import new_id
from schemas.jobs import AdvanceRun, Job
from schemas.run_tables import AttemptRow, RunRow, StepRow
from schemas.tables import DeliveryRow, EffectRow
from service.connections import Connections
from service.db import Database
from service.ingest import ingest_deliveries
from service.queue import MOST_WAITING
from service.runs import advance_run
from service.runtime import Runtime
from service.secretbox import SecretBox
from service.settings import Settings
from service.store.keys import DELIVERIES, store_once
from service.store.marks import bump_mark
from service.store.runs import ACTIVE
from service.vendors.base import (
    Action,
    CallContext,
    Delivery,
    Done,
    Guide,
    Incoming,
    Options,
    Outgoing,
    Outputs,
    Params,
    Rate,
    Safety,
    Signed,
    Vendor,
)
from service.workflows.document import parse_document

KEYS = ("k" * 40,)
START = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Anything(Params):
    """Parameters of every scripted action."""

    name: str = "x"


class Made(Outputs):
    """Outputs of every scripted action."""

    value: int | None = None
    ready: bool | None = None


class NoCredentials(BaseModel):
    """The scripted vendor asks for none."""


class Script:
    """What the scripted vendor does: one answer a call, the last one repeated."""

    def __init__(self) -> None:
        self.answers: list[Any] = [Done(Made(value=1, ready=True), reference={"id": 1})]
        self.look_ups: list[Any] = []
        self.calls: list[CallContext] = []

    def perform(self, context: CallContext, _params: Anything) -> Done:
        self.calls.append(context)
        return self._next(self.answers)

    def look_up(self, _context: CallContext, _params: Anything) -> Done | None:
        return self._next(self.look_ups)

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def scripted_vendor(script: Script) -> Vendor:
    """A vendor whose events say their own type and whose actions follow the script."""

    def normalise(delivery: Delivery, _options: Options) -> list[EventDraft]:
        body = delivery.json()
        if body.get("raise"):
            raise RuntimeError(body["raise"])
        return [
            EventDraft(
                type=item["type"],
                vendor_type=item["type"],
                subject=item.get("subject"),
                facts=item.get("facts", {}),
                payload=item,
                key=str(number),
                fact=item.get("fact", ""),
            )
            for number, item in enumerate(body["events"])
        ]

    def sign(body: bytes, *_: Any, **__: Any) -> Signed:
        return Signed((), body)

    def action(name: str, safety: Safety, **more: Any) -> Action:
        return Action(
            name=f"robot.{name}",
            summary=name,
            params=Anything,
            outputs=Made,
            perform=script.perform,
            safety=safety,
            **more,
        )

    return Vendor(
        name="robot",
        title="Robot",
        guide=Guide(pages=(), configuration=""),
        incoming=Incoming(
            options=Options,
            verifier=lambda _options, _secrets: lambda _delivery, _now: None,
            delivery_key=lambda delivery, _options: delivery.body_digest(),
            normalise=normalise,
            sign=sign,
        ),
        outgoing=Outgoing(
            base_url="http://127.0.0.1:9",
            credentials=NoCredentials,
            options=Options,
            headers=lambda _credentials, _options: {},
            rates=(Rate(calls=600),),
        ),
        actions=(
            action("read", Safety.READ),
            action("keyed", Safety.VENDOR_KEY, key_lasts=timedelta(hours=1)),
            action("upsert", Safety.FIND_AND_UPDATE, target=lambda params, _options: params.name),
            action("once", Safety.ONCE),
            action("looked_up", Safety.ONCE, look_up=script.look_up),
            action("natural", Safety.NATURAL_KEY, key=lambda params: params.name),
        ),
    )


class Bell:
    """A queue that remembers what was rung."""

    def __init__(self) -> None:
        self.rung: list[Job] = []

    def ring(self, jobs: Sequence[Job]) -> None:
        self.rung.extend(jobs)

    def room(self, job: type[Job]) -> int:
        return MOST_WAITING[job]

    def ping(self) -> None:
        """Always there."""


class Installation:
    """A runtime with one source and one connection of the scripted vendor."""

    def __init__(
        self, database: Database, *, vendors: Mapping[str, Vendor] | None = None, **settings: Any
    ) -> None:
        self.database = database
        self.vendors = vendors or {}
        self.script = Script()
        self.bell = Bell()
        self.now = START
        self.settings = Settings(secret_keys=KEYS, **settings)
        self.runtime = self.another_worker()
        self.source_id = new_id()
        box = SecretBox(KEYS)
        self.store(
            SourceRow(
                id=self.source_id,
                name="robot",
                vendor="robot",
                secrets=box.seal([]),
                updated_at=START,
            ),
            ConnectionRow(name="robot", vendor="robot", credentials=box.seal({}), updated_at=START),
        )

    def another_worker(self) -> Runtime:
        """A second process on the same database."""
        vendor = scripted_vendor(self.script)
        return Runtime(
            database=self.database,
            queue=self.bell,
            settings=self.settings,
            connections=Connections(KEYS, private_addresses=True),
            vendors={"robot": vendor, **self.vendors},
            clock=lambda: self.now,
            jitter=lambda: 1.0,
        )

    def store(self, *rows: SQLModel) -> None:
        with self.database.turn_to_write(), self.database.session() as session:
            session.add_all(row for row in rows if not isinstance(row, DeliveryRow))
            store_once(session, DELIVERIES, [row for row in rows if isinstance(row, DeliveryRow)])
            session.commit()

    def workflow(self, text: str, **vars_: Any) -> None:
        """Apply a workflow document."""
        document = parse_document(text, filename="test.yaml", catalogue=None)
        workflow_id, version_id = new_id(), new_id()
        with self.database.turn_to_write(), self.database.session() as session:
            session.add(
                WorkflowRow(
                    id=workflow_id,
                    name=document.name,
                    current_version_id=version_id,
                    updated_at=START,
                )
            )
            session.flush()
            session.add(
                WorkflowVersionRow(
                    id=version_id,
                    workflow_id=workflow_id,
                    number=1,
                    digest="0",
                    document=document.model_dump(mode="json"),
                    vars=vars_,
                    source_text=text,
                    created_at=START,
                )
            )
            bump_mark(session, "workflows")
            session.commit()

    def deliver(self, *events: dict[str, Any], body: bytes | None = None) -> UUID:
        """Store a delivery as the door does."""
        row = DeliveryRow(
            source_id=self.source_id,
            source="robot",
            vendor="robot",
            delivery_key=str(new_id()),
            received_at=self.now,
            headers=[],
            body=json.dumps({"events": events}).encode() if body is None else body,
            due_at=self.now + timedelta(seconds=5),
        )
        delivery_id = row.id
        self.store(row)
        return delivery_id

    def ingest(self, *ids: UUID) -> list[UUID]:
        """Ingest deliveries; gives the runs that were rung for."""
        before = len(self.bell.rung)
        ingest_deliveries(self.runtime, ids)
        return [job.run_id for job in self.bell.rung[before:] if isinstance(job, AdvanceRun)]

    def start(self, **event: Any) -> UUID:
        """Deliver one event that starts one run."""
        (run_id,) = self.ingest(self.deliver({"type": "go", **event}))
        return run_id

    def advance(self, run_id: UUID, *, until: Callable[[RunRow], bool] | None = None) -> RunRow:
        """Carry a run on, moving the clock to each due time, until it ends or rests for ever."""
        for _ in range(200):
            advance_run(self.runtime, run_id)
            run = self.run(run_id)
            if run.due_at is None or (until is not None and until(run)):
                return run
            self.now = max(self.now, run.due_at)
        message = f"the run did not end: {run}"
        raise AssertionError(message)

    def carry_on(self, *, most: int = 2000) -> int:
        """Carry every run and branch on as often as it is rung for or due, moving the clock.

        Ends when nothing is rung for any more and nothing has a due time; gives how many jobs.
        """
        done = 0
        while done < most:
            jobs, self.bell.rung = self.bell.rung, []
            runs = list(dict.fromkeys(job.run_id for job in jobs if isinstance(job, AdvanceRun)))
            if not runs:
                active = col(RunRow.status).in_(ACTIVE)
                due = [row for row in self.rows(RunRow, active) if row.due_at is not None]
                if not due:
                    return done
                first = min(due, key=lambda row: row.due_at)
                # A lease that ends at this moment is still good.
                self.now = max(self.now, first.due_at + timedelta(milliseconds=1))
                runs = [first.id]
            for run_id in runs:
                advance_run(self.runtime, run_id)
                done += 1
        message = f"still going on after {most} jobs"
        raise AssertionError(message)

    def carry_on_rung(self, *, most: int = 2000) -> None:
        """Carry on every run and branch that is rung for, at this time."""
        for _ in range(most):
            jobs, self.bell.rung = self.bell.rung, []
            if not jobs:
                return
            for run_id in dict.fromkeys(job.run_id for job in jobs if isinstance(job, AdvanceRun)):
                advance_run(self.runtime, run_id)
        message = f"still rung for after {most} rounds"
        raise AssertionError(message)

    def steps(self, step: str) -> list[StepRow]:
        return self.rows(StepRow, StepRow.step == step)

    def effects(self, run_id: UUID) -> list[EffectRow]:
        return sorted(self.rows(EffectRow, EffectRow.run_id == run_id), key=lambda row: row.id)

    def every_effect(self) -> list[EffectRow]:
        return sorted(self.rows(EffectRow), key=lambda row: row.id)

    def attempts_of(self, run_id: UUID, step: str) -> list[AttemptRow]:
        row = self.step(run_id, step)
        return sorted(self.rows(AttemptRow, AttemptRow.step_id == row.id), key=lambda a: a.number)

    def run(self, run_id: UUID) -> RunRow:
        (row,) = self.rows(RunRow, RunRow.id == run_id)
        return row

    def step(self, run_id: UUID, step: str) -> StepRow:
        (row,) = self.rows(StepRow, StepRow.run_id == run_id, StepRow.step == step)
        return row

    def step_count(self, run_id: UUID) -> int:
        return len(self.rows(StepRow, StepRow.run_id == run_id))

    def attempts(self, run_id: UUID) -> list[AttemptRow]:
        return sorted(
            self.rows(AttemptRow, AttemptRow.run_id == run_id), key=lambda row: row.number
        )

    def rows(self, model: type[Any], *conditions: Any) -> list[Any]:
        with self.database.session(read_only=True) as session:
            return list(session.exec(select(model).where(*conditions)).all())
