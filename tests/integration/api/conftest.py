from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from schemas.configured_tables import SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.run_tables import AttemptRow, RunRow, StepRow, WaitRow
from schemas.tables import AlertRow, DeliveryRow, EffectRow, EventRow, RejectionRow
from service.db import Database
from service.queue import DramatiqQueue, make_broker
from service.settings import Settings
from service.store import schema
from service.tokens import Role, create_token
from service.unit_of_work import unit_of_work
from service.web import health
from service.web.app import create_api, create_behind
from service.web.deps import Parts
from service.web.front import App, Application
from service.web.health import HealthFace
from service.web.limits import Limiter
from tests.servers import NO_AUTHORITIES

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ADMIN = "hw_admin_of_the_environment"
QUEUE = DramatiqQueue(make_broker(None))
_IDLE: list[FastAPI] = []
"""APIs that no test uses now. To make one, and to let it find its first route, takes 0.2 s."""


@dataclass
class Installation:
    """A served database: its client has a viewer's token."""

    database: Database
    client: httpx.Client
    token: str
    now: list[datetime]

    def save(self, *rows: Any) -> None:
        with unit_of_work(self.database, QUEUE) as work:
            for row in rows:
                work.session.add(row)
                work.session.flush()

    def token_of(self, role: Role, **more: Any) -> str:
        with unit_of_work(self.database, QUEUE) as work:
            _, token = create_token(work.session, label="test", role=role, now=NOW, **more)
        return token

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        admin_token=ADMIN,
        public_url="https://hooks.example",
        secret_keys=("k" * 40,),
    )


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[..., str]]:
    """`serve(database)` serves the API alone and gives its address."""
    ends: list[Callable[[], None]] = []

    def start(database: Database, **parts: Any) -> str:
        made = Parts(settings, database, parts.get("queue", QUEUE), parts.get("clock", lambda: NOW))
        api = _IDLE.pop() if _IDLE else create_api(made)
        api.state.parts = made
        behind: Future[App] = Future()
        behind.set_result(create_behind(made, limiter=parts.get("limiter"), api=api))
        probes = HealthFace(health.Parts(made.database, made.queue, made.clock))
        app = Application(None, probes, behind)
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="on", ws="none", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(10)
            listening.close()
            _IDLE.append(api)

        ends.append(end)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for end in ends:
        end()


@contextmanager
def installed(database: Database, serve: Callable[..., str]) -> Iterator[Installation]:
    now = [NOW]
    url = serve(database, clock=lambda: now[0], limiter=Limiter(limit=1000))
    with unit_of_work(database, QUEUE) as work:
        _, token = create_token(work.session, label="viewer", role=Role.VIEWER, now=NOW)
    with httpx.Client(
        base_url=f"{url}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        verify=NO_AUTHORITIES,
    ) as client:
        yield Installation(database, client, token, now)


@pytest.fixture
def api(database: Database, serve: Callable[..., str]) -> Iterator[Installation]:
    """An installation on each kind of database: for what depends on the database."""
    with installed(database, serve) as found:
        yield found


@pytest.fixture
def face(sqlite_database: Database, serve: Callable[..., str]) -> Iterator[Installation]:
    """An installation on SQLite: for what the HTTP face does by itself."""
    with installed(sqlite_database, serve) as found:
        yield found


@pytest.fixture
def migrated(empty_sqlite_url: str) -> Iterator[Database]:
    database = Database(empty_sqlite_url)
    schema.upgrade(database)
    yield database
    database.dispose()


def make_source(name: str = "vibeview", **more: Any) -> SourceRow:
    return SourceRow(
        name=name,
        vendor=more.pop("vendor", "vibeview"),
        secrets=b"sealed-and-secret",
        path_token_sha256="a" * 64,
        from_file=True,
        updated_at=NOW,
        **more,
    )


def make_delivery(key: str = "key", **more: Any) -> DeliveryRow:
    values: dict[str, Any] = {
        "source_id": UUID(int=1),
        "source": "vibeview",
        "vendor": "vibeview",
        "delivery_key": key,
        "received_at": NOW,
        "headers": [["content-type", "application/json"], ["x-vibeview-signature", "sha256=ab"]],
        "body": b'{"event": "run.failed"}',
    }
    return DeliveryRow(**{**values, **more})


def make_event(key: str = "key", **more: Any) -> EventRow:
    values: dict[str, Any] = {
        "dedupe_key": key,
        "type": "test_run.failed",
        "vendor": "vibeview",
        "vendor_type": "run.failed",
        "source": "vibeview",
        "subject": "run_1",
        "time": NOW,
        "received_at": NOW,
        "facts": {"run_id": "run_1"},
        "payload": {"event": "run.failed"},
        "correlation_id": UUID(int=2),
    }
    return EventRow(**{**values, **more})


def make_workflow(name: str = "heal") -> tuple[WorkflowRow, WorkflowVersionRow]:
    row = WorkflowRow(name=name, from_file=True, updated_at=NOW)
    version = WorkflowVersionRow(
        workflow_id=row.id,
        number=3,
        digest="d" * 64,
        document={"name": name, "description": "Heals.", "on": [], "steps": []},
        vars={"every": "15s"},
        source_text=f"name: {name}\n",
        created_at=NOW,
    )
    row.current_version_id = version.id
    return row, version


def make_run(event: EventRow, version: WorkflowVersionRow, **more: Any) -> RunRow:
    values: dict[str, Any] = {
        "event_id": event.id,
        "workflow_version_id": version.id,
        "workflow": "heal",
        "status": "waiting",
        "correlation_id": event.correlation_id,
        "created_at": NOW,
        "started_at": NOW,
    }
    return RunRow(**{**values, **more})


def make_story() -> list[Any]:
    """A run in the middle of its work, with all that can belong to one."""
    delivery = make_delivery()
    event = make_event(delivery_id=delivery.id)
    workflow, version = make_workflow()
    run = make_run(event, version)
    heal = StepRow(
        run_id=run.id,
        step="heal",
        position=0,
        action="checksum.auto_heal",
        status="succeeded",
        attempts=2,
        output={"batch_id": "b1"},
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=3),
    )
    healed = StepRow(run_id=run.id, step="healed", position=1, status="waiting", polls=4)
    tries = [
        AttemptRow(
            step_id=heal.id,
            run_id=run.id,
            number=1,
            status="failed",
            started_at=NOW,
            ended_at=NOW,
            error={"code": "timed_out", "message": "no answer"},
        ),
        AttemptRow(
            step_id=heal.id,
            run_id=run.id,
            number=2,
            status="succeeded",
            started_at=NOW,
            ended_at=NOW,
        ),
    ]
    wait = WaitRow(run_id=run.id, step="healed", kind="poll", since=NOW, due_at=NOW)
    effect = EffectRow(
        key="run:heal",
        run_id=run.id,
        step="heal",
        action="checksum.auto_heal",
        connection="checksum",
        state="made",
        reference={"batch_id": "b1"},
        calls=2,
        intended_at=NOW,
        made_at=NOW,
    )
    return [delivery, event, workflow, version, run, heal, healed, *tries, wait, effect]


def make_alert(key: str = "credits:vibeview", **more: Any) -> AlertRow:
    values: dict[str, Any] = {
        "key": key,
        "state": "open",
        "severity": "warning",
        "title": "Credit is low",
        "details": {"remaining_micro": 4},
        "opened_at": NOW,
        "changed_at": NOW,
    }
    return AlertRow(**{**values, **more})


def make_rejection(**more: Any) -> RejectionRow:
    values: dict[str, Any] = {
        "source": "vibeview",
        "received_at": NOW,
        "reason": "signature_mismatch",
        "headers": [["authorization", "Bearer abc"]],
        "body": b"\xff\xfe",
        "body_bytes": 2,
    }
    return RejectionRow(**{**values, **more})
