"""The doctor names what is wrong, and what to do now, on both databases; it changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from schemas.clock import utc_now
from schemas.configured_tables import PollRow, SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.ids import new_id
from schemas.reconciliation_tables import GapRow, ReconciliationRow
from schemas.run_tables import RunRow
from schemas.states import DeliveryState, EffectState, GapState, ReconciliationState
from schemas.tables import DeliveryRow, EffectRow, RejectionRow
from schemas.upkeep_tables import LeaseRow, TokenRow
from service.apply import apply_configuration
from service.configuration import read_configuration
from service.db import Database
from service.doctor.examination import examine
from service.doctor.verdicts import Grade, Verdict
from service.queue import UnheardQueue
from service.retention_progress import PROGRESS, Progress
from service.secretbox import SecretBox
from service.settings import Settings, load_usable_settings
from service.store.policies import set_policy
from service.store.schema import _scripts
from service.unit_of_work import unit_of_work
from tests.servers import free_port

KEY = "a-key-that-is-long-enough-for-tests"
CONFIGURATION = """\
sources:
  - {name: shots, vendor: vibeview, secrets: [{value: first-secret}]}
connections:
  - {name: shots, vendor: vibeview, credentials: {api_token: {value: tok_one}}}
"""


class Patient:
    """An installation that is looked at."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        data_dir = folder / "data"
        data_dir.mkdir(mode=0o700)
        self.file = folder / "hookwright.yaml"
        self.settings = Settings(
            database_url=database_url,
            data_dir=data_dir,
            config=self.file,
            secret_keys=(KEY,),
            public_url="https://hooks.example.com",
        )
        self.database = Database(database_url)
        with self.database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
            (head,) = _scripts().get_heads()
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
        self.apply(CONFIGURATION)
        now = utc_now()
        self.store(LeaseRow(name="scheduler", owner="host:7:x", until=now + timedelta(seconds=5)))

    def apply(self, written: str) -> None:
        self.file.write_text(written)
        apply_configuration(
            read_configuration(self.file, {}),
            database=self.database,
            queue=UnheardQueue(),
            box=SecretBox([KEY]),
            now=utc_now(),
        )

    def store(self, *rows: SQLModel) -> None:
        with unit_of_work(self.database, UnheardQueue()) as work:
            for row in rows:
                work.session.add(row)
                work.session.flush()

    def examined(
        self, faults: Mapping[str, str] | None = None, **settings: Any
    ) -> dict[str, list[Verdict]]:
        """What is said of each thing."""
        found: dict[str, list[Verdict]] = {}
        known = self.settings.model_copy(update=settings)
        beat = self.folder / "worker.alive"
        for part in examine(known, {}, utc_now, heartbeat_file=beat, faults=faults or {}):
            for verdict in part.verdicts:
                found.setdefault(verdict.name, []).append(verdict)
        return found

    def complaints(self, **settings: Any) -> dict[str, str]:
        """What is not good, as `grade: says`; each has something to do."""
        bad = [
            verdict
            for verdicts in self.examined(**settings).values()
            for verdict in verdicts
            if verdict.grade is not Grade.GOOD and verdict.name not in PECULIAR
        ]
        assert all(verdict.to_do for verdict in bad)
        return {
            name: "; ".join(f"{one.grade}: {one.says}" for one in bad if one.name == name)
            for name in dict.fromkeys(verdict.name for verdict in bad)
        }


PECULIAR = frozenset({"durability", "Redis", "disk", "open files"})
"""What is peculiar to the machine of the tests, and to servers that need not survive a crash."""


@pytest.fixture(params=["sqlite", "postgres"])
def patient(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Patient]:
    found = Patient(request.getfixturevalue(f"{request.param}_url"), tmp_path)
    yield found
    found.database.dispose()


@pytest.fixture
def on_sqlite(sqlite_url: str, tmp_path: Path) -> Iterator[Patient]:
    found = Patient(sqlite_url, tmp_path)
    yield found
    found.database.dispose()


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Patient]:
    found = Patient(postgres_url, tmp_path)
    yield found
    found.database.dispose()


def delivery(state: DeliveryState, **more: Any) -> DeliveryRow:
    return DeliveryRow(
        **{
            "source_id": new_id(),
            "source": "other",
            "vendor": "vibeview",
            "delivery_key": str(new_id()),
            "received_at": utc_now(),
            "headers": [],
            "body": b"{}",
            "state": state,
            **more,
        }
    )


def test_a_sound_installation_is_left_in_peace(patient: Patient) -> None:
    patient.store(delivery(DeliveryState.INGESTED))
    assert patient.complaints() == {}
    said = patient.examined()
    assert said["workers"][0].says == "at work; host (process 7) leads"
    assert said["applied"][0].says == "the database says what the file declares"
    assert said["retention"][0].says == "deliveries 30 d, runs 90 d"


def test_everything_that_waits_for_somebody_is_told_with_what_to_do(patient: Patient) -> None:
    now = utc_now()
    hour = timedelta(hours=1)
    old = now - timedelta(days=1)
    workflow_id, version_id = new_id(), new_id()
    patient.store(
        WorkflowRow(id=workflow_id, name="one", enabled=False, updated_at=now),
        WorkflowVersionRow(
            id=version_id,
            workflow_id=workflow_id,
            number=1,
            digest="0",
            document={},
            vars={},
            source_text="",
            created_at=now,
        ),
        delivery(DeliveryState.DEAD),
        delivery(DeliveryState.RECEIVED, received_at=now - hour),
        *(
            RunRow(
                workflow_version_id=version_id,
                workflow="one",
                status=status,
                correlation_id=new_id(),
                created_at=now - hour,
            )
            for status in ("failed", "pending")
        ),
        EffectRow(
            key="x",
            step="note",
            action="slack.message",
            connection="slack",
            state=EffectState.IN_DOUBT,
            params={},
            intended_at=now,
        ),
        GapRow(
            source_id=new_id(),
            source="shots",
            record="r",
            reference="1",
            vendor_type="x",
            time=now,
            state=GapState.OPEN,
            entry={},
            reconciliation_id=new_id(),
            found_at=now,
            changed_at=now,
        ),
        PollRow(
            name="credit",
            connection="shots",
            poll="credit_balance",
            every_seconds=60,
            due_at=now,
            failures=5,
            error="refused: 401",
            updated_at=now,
        ),
        RejectionRow(
            source="shots",
            received_at=now,
            reason="wrong_secret",
            headers=[],
            body=b"",
            body_bytes=0,
            count=9,
        ),
        ReconciliationRow(
            source_id=new_id(),
            source="shots",
            vendor="vibeview",
            by="schedule",
            since=old,
            until=now,
            state=ReconciliationState.FAILED,
            error="the vendor is away",
            created_at=now,
            ended_at=now,
        ),
        TokenRow(
            label="grafana",
            role="viewer",
            prefix="hw_x",
            sha256="y",
            created_at=now,
            expires_at=now + timedelta(days=3, hours=1),
        ),
    )
    with unit_of_work(patient.database, UnheardQueue()) as work:
        stuck = Progress(error="the archive is full", failing_since=now - 3 * hour)
        set_policy(work.session, PROGRESS, stuck.model_dump(mode="json"), now=now)
        work.session.get_one(LeaseRow, "scheduler").until = now - hour
    said = patient.complaints()
    assert said.pop("workers").startswith("fail: none has been at work for 1 h")
    assert said.pop("deliveries") == "fail: 1 waiting, the first for 1 h"
    assert said.pop("runs") == "fail: 1 waiting, the first for 1 h"
    assert said.pop("retention") == "fail: nothing was removed for 3 h: the archive is full"
    assert said.pop("failures") == (
        "warn: 1 dead delivery; warn: 1 run failed in the last 24 h; warn: 1 effect in doubt; "
        "warn: 1 webhook that never came"
    )
    assert said.pop("polls") == "warn: credit failed 5 times in a row: refused: 401"
    refused = "fail: shots refused all of 9 requests in the last hour: wrong_secret"
    assert refused in said.pop("sources")
    assert said.pop("reconciling") == "warn: shots could not be compared: the vendor is away"
    assert said.pop("tokens") == "warn: `grafana` ends in 3 d"
    assert set(said) <= {"applied"}


def test_a_file_that_was_not_applied_and_secrets_of_another_key_are_told(
    patient: Patient,
) -> None:
    changed = CONFIGURATION.replace("first-secret", "second-secret")
    patient.file.write_text(
        changed + "  - {name: chat, vendor: slack, credentials: {bot_token: {value: xoxb}}}\n"
    )
    said = patient.complaints(public_url=None)
    assert said["applied"] == (
        "warn: the file says something else than the database: source shots, connection chat"
    )
    assert said["public address"].startswith("warn: ")

    box = SecretBox([KEY])
    patient.store(
        SourceRow(name="bare", vendor="vibeview", secrets=box.seal([]), updated_at=utc_now())
    )
    patient.file.write_text("sources: [{name: shots, vendor: vibevue}]")
    said = patient.complaints(secret_keys=("another-key-that-is-long-enough-to-be",))
    assert said["file"].startswith("fail: 1 fault in ")
    assert said["stored secrets"].endswith("opens: source bare, source shots, connection shots")
    assert "sources" not in said
    assert patient.complaints()["sources"] == "fail: without secret, so answered 404: bare"


def test_a_database_that_is_not_there_ends_what_depends_on_it(
    on_sqlite: Patient, tmp_path: Path
) -> None:
    away = f"postgresql://postgres@127.0.0.1:{free_port()}/hookwright"
    redis = f"redis://127.0.0.1:{free_port()}/0"
    said = on_sqlite.complaints(database_url=away)
    assert said["database"].startswith("fail: the PostgreSQL database 127.0.0.1:")
    seen = on_sqlite.examined(database_url=f"sqlite:///{tmp_path / 'none.db'}", redis_url=redis)
    assert seen["database"][0].says.endswith("none.db is not there")
    assert seen["Redis"][0].grade is Grade.FAIL
    assert "workers" not in said
    assert not (tmp_path / "none.db").exists()
    assert on_sqlite.complaints(database_url=f"sqlite:///{_empty_file(tmp_path)}") == {
        "tables": "fail: not those of this release"
    }


def _empty_file(folder: Path) -> Path:
    path = folder / "empty.db"
    path.touch()
    return path


def test_a_damaged_or_shared_file_is_told(on_sqlite: Patient) -> None:
    path = Path(str(on_sqlite.database.url.database))
    on_sqlite.store(*(delivery(DeliveryState.INGESTED, body=os.urandom(9000)) for _ in range(30)))
    with on_sqlite.database.engine.begin() as connection:
        root = connection.execute(
            text("SELECT rootpage FROM sqlite_master WHERE name = 'ix_deliveries_source_state_id'")
        ).scalar_one()
    on_sqlite.database.dispose()
    page = 4096
    with path.open("r+b") as file:
        file.seek((root - 1) * page + 8)
        file.write(b"\x7f" * 200)
    path.parent.chmod(0o755)
    on_sqlite.settings.data_dir.chmod(0o755)
    said = on_sqlite.complaints()
    assert said["integrity"].startswith("fail: ")
    assert "can be read by others" in said["data directory"]


def test_a_server_that_keeps_nothing_is_told(on_postgres: Patient) -> None:
    url = str(on_postgres.settings.database_url)
    asked = "-c%20default_transaction_read_only=on"
    said = on_postgres.examined(database_url=f"{url}?options={asked}")
    (durability,) = said["durability"]
    # As tests/servers.py starts it.
    assert durability.grade is Grade.FAIL
    assert durability.says.startswith("fsync and full_page_writes off: what was answered 202")
    assert said["role"][0].says == "it is read-only (default_transaction_read_only)"
    assert said["writing"][0].grade is Grade.FAIL
    assert said["Redis"][0].grade is Grade.WARN
    for name in ("its clock", "connections"):
        assert said[name][0].grade is Grade.GOOD


def test_an_archive_that_cannot_be_written_is_told_before_anything_has_to_go(
    on_sqlite: Patient,
) -> None:
    """A file where a directory has to be stops the superuser as well."""
    there = on_sqlite.folder / "a-file"
    there.write_text("")
    archive = f"retention: {{archive: {{directory: {there / 'archive'}}}}}\n"
    on_sqlite.apply(CONFIGURATION + archive)
    (said,) = on_sqlite.examined()["archive"]
    assert said.grade is Grade.FAIL
    assert said.says == f"{there / 'archive'} cannot be written: Not a directory"
    assert said.to_do is not None
    assert "nothing is removed" in said.to_do
    there.unlink()
    assert "archive" not in on_sqlite.complaints()
    assert not there.exists()


def test_a_named_configuration_that_is_not_there_and_wrong_variables_are_faults(
    on_sqlite: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOKWRIGHT_CONFIG", "elsewhere.yaml")
    monkeypatch.setenv("HOOKWRIGHT_SECRET_KEYS", "short")
    monkeypatch.setenv("HOOKWRIGHT_PORT", "many")
    usable, faults = load_usable_settings()
    assert usable.port == 8080
    on_sqlite.settings = usable.model_copy(
        update={name: getattr(on_sqlite.settings, name) for name in ("database_url", "data_dir")}
    )
    said = on_sqlite.complaints(faults=faults)
    assert said["file"] == "fail: elsewhere.yaml is not there"
    assert said["secret keys"] == (
        "fail: HOOKWRIGHT_SECRET_KEYS: every key needs at least 32 characters"
    )
    assert "fail: HOOKWRIGHT_PORT: must be a whole number" in said["environment"]
    assert "stored secrets" not in said
