"""What failed at the terminal: why, what to do, and doing it after all, one or many."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from schemas.clock import utc_now
from schemas.tables import AlertRow, DeliveryRow
from schemas.upkeep_tables import BulkJobRow
from service.bulk import perform_bulk
from service.connections import Connections
from service.runtime import Runtime
from service.settings import Settings
from service.tokens import Role, create_token
from service.unit_of_work import reading, unit_of_work
from tests import commands
from tests.integration.api.conftest import (
    NOW,
    QUEUE,
    Installation,
    make_alert,
    make_delivery,
    make_event,
    make_rejection,
    make_run,
    make_source,
    make_workflow,
)
from tests.servers import wait_until

KEYS = ("k" * 40,)


@dataclass
class Terminal:
    """Commands against a served installation."""

    installation: Installation
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> str:
        return self._done(*arguments, code=code).stdout

    def told(self, *arguments: str, code: int = 0) -> str:
        """Give what a command told beside its answer."""
        return self._done(*arguments, code=code).stderr

    def _done(self, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
        done = commands.run(arguments, cwd=self.folder, env=self.environment, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def delivery(self, row: DeliveryRow) -> DeliveryRow:
        with reading(self.installation.database) as session:
            return session.get_one(DeliveryRow, row.id)


@pytest.fixture
def terminal(face: Installation, tmp_path: Path) -> Terminal:
    environment = {
        **{name: value for name, value in os.environ.items() if "HOOKWRIGHT" not in name},
        "COLUMNS": "200",
        "HOOKWRIGHT_URL": str(face.client.base_url).removesuffix("/api/v1/"),
        "HOOKWRIGHT_TOKEN": face.token_of(Role.OPERATOR),
    }
    return Terminal(face, tmp_path, environment)


def dead(key: str, source: Any, **more: Any) -> DeliveryRow:
    values = {
        "source_id": source.id,
        "source": "generic",
        "vendor": "generic",
        "state": "dead",
        "error": "KeyError while it was read",
        "fault": "flt_0a1b2c3d4e",
        "body": b'{"type": "build.failed"}',
    }
    return make_delivery(key, **{**values, **more})


def make_generic() -> Any:
    return make_source("generic", vendor="generic", options={"scheme": "none"})


def test_why_it_failed_and_what_to_do_stands_beside_it(terminal: Terminal) -> None:
    source = make_generic()
    row = dead("k1", source)
    event = make_event()
    workflow, version = make_workflow()
    failed = make_run(
        event,
        version,
        status="failed",
        ended_at=NOW,
        replay=2,
        started_by="ann",
        error={"step": "a", "code": "bug", "message": "it broke", "fault": "flt_ffffffffff"},
    )
    terminal.installation.save(source, row, event, workflow, version, failed)
    listed = terminal.run("delivery", "list", "--state", "dead")
    assert "KeyError while it was read (fault=flt_0a1b2c3d4e)" in listed
    shown = terminal.run("delivery", "show", str(row.id))
    assert f"hookwright delivery replay {row.id}" in shown
    assert "look in the log for fault=flt_0a1b2c3d4e" in shown
    runs = terminal.run("run", "list", "--status", "failed")
    assert "it broke (fault=flt_ffffffffff)" in runs
    assert "replay 2" in runs
    assert "replay 2 by ann" in terminal.run("run", "show", str(failed.id))
    assert "replay 2 by ann" in terminal.run("tail", "runs", "--limit", "1")


def test_one_is_replayed_and_what_was_read_before_only_when_it_is_meant(
    terminal: Terminal,
) -> None:
    source = make_generic()
    row = dead("k1", source)
    workflow, version = make_workflow("tells")
    version.document = {
        "name": "tells",
        "on": [{"event": "*"}],
        "steps": [{"id": "nap", "sleep": "1s"}],
    }
    terminal.installation.save(source, row, workflow, version)
    foretold = terminal.run("delivery", "replay", str(row.id), "--dry-run")
    assert foretold == "it would run 1 workflow (tells) for the first time\n"
    assert "its first run" in terminal.run("delivery", "replay", str(row.id)[:18])
    assert terminal.delivery(row).state == "ingested"

    terminal.run("delivery", "replay", str(row.id), code=2)
    assert terminal.delivery(row).replays == 1
    again = terminal.run("delivery", "replay", str(row.id), "--yes", "--only", "tells")
    assert "tells  replay 1" in again


def test_many_are_replayed_in_the_background_and_followed(terminal: Terminal) -> None:
    source = make_generic()
    rows = [dead(str(number), source) for number in range(3)]
    rows.append(dead("broken", source, body=b"{"))
    terminal.installation.save(source, *rows)
    terminal.installation.now[0] = utc_now() + timedelta(minutes=1)
    asked = ("delivery", "replay", "--state", "dead", "--source", "generic", "--since", "90d")
    assert terminal.run(*asked, "--dry-run") == "4 deliveries would be taken\n"
    worker = threading.Thread(target=work, args=(terminal.installation,))
    worker.start()
    told = terminal.run(*asked, "--rate", "100", code=1)
    worker.join()
    assert "3 of 4" in told
    assert "could not be done" in told
    assert str(rows[-1].id) in told
    assert terminal.run("delivery", "replay", "--state", "dead") == "there are no such deliveries\n"
    (job,) = json.loads(terminal.run("bulk", "list", "--json"))
    assert (job["kind"], job["state"], job["failed"]) == ("replay_deliveries", "failed", 1)
    assert "already" not in terminal.run("bulk", "show", job["id"][:18])


def work(installation: Installation) -> None:
    """Perform the one job in bulk, as a worker does."""

    def asked() -> BulkJobRow | None:
        with reading(installation.database) as session:
            return session.exec(select(BulkJobRow)).first()

    job = wait_until(asked, 30, what="the job was asked for")
    assert job is not None
    runtime = Runtime(
        database=installation.database,
        queue=QUEUE,
        settings=Settings(secret_keys=KEYS),
        connections=Connections(KEYS, private_addresses=True),
        clock=lambda: installation.now[0],
    )

    def wait(seconds: float) -> None:
        installation.now[0] += timedelta(seconds=seconds)

    perform_bulk(runtime, job.id, wait=wait)


@pytest.mark.parametrize(
    "arguments",
    [
        ("delivery", "replay"),
        ("delivery", "replay", "0197c9bb", "--state", "dead"),
        ("run", "retry"),
        ("run", "retry", "0197c9bb", "--workflow", "heal"),
        ("run", "retry", "--status", "succeeded"),
        ("delivery", "replay", "--state", "dead", "--rate", "0"),
    ],
)
def test_what_is_not_said_exactly_is_a_wrong_use(
    terminal: Terminal, arguments: tuple[str, ...]
) -> None:
    terminal.run(*arguments, code=2)


def test_many_runs_go_on_without_waiting_and_are_cancelled(terminal: Terminal) -> None:
    event = make_event()
    workflow, version = make_workflow()
    run = make_run(event, version, status="failed", ended_at=NOW)
    terminal.installation.save(event, workflow, version, run)
    terminal.installation.now[0] += timedelta(minutes=1)
    asked = ("run", "retry", "--status", "failed", "--workflow", "heal", "--no-wait")
    assert "hookwright bulk show" in terminal.run(*asked)
    (job,) = json.loads(terminal.run("bulk", "list", "--state", "pending", "--json"))
    assert terminal.run("bulk", "cancel", job["id"]) == "cancelled; 0 of 1 were tried\n"


def test_a_retry_that_is_done_says_begun_again(terminal: Terminal) -> None:
    job = BulkJobRow(
        kind="retry_runs",
        question={"filter": {}},
        per_second=10,
        state="succeeded",
        by="ann",
        total=3,
        done=2,
        skipped=1,
        created_at=NOW,
        ended_at=NOW,
    )
    terminal.installation.save(job)
    for said in (terminal.run("bulk", "list"), terminal.run("bulk", "show", str(job.id))):
        assert "succeeded" not in said
        assert "begun again" in said
    assert "2 of 3" in terminal.run("bulk", "show", str(job.id))


def test_a_list_that_goes_on_says_so_at_a_terminal(terminal: Terminal) -> None:
    terminal.installation.save(*(dead(f"k{number}", make_generic()) for number in range(3)))
    terminal.environment |= {"FORCE_COLOR": "1", "TERM": "dumb-with-width"}
    more = "there are more than these 2: --limit N"
    assert more in terminal.told("delivery", "list", "--limit", "2")
    assert more not in terminal.told("delivery", "list", "--limit", "2", "--json")
    assert more not in terminal.told("delivery", "list", "--limit", "3")
    del terminal.environment["FORCE_COLOR"]
    assert more not in terminal.told("delivery", "list", "--limit", "2")


def test_what_a_list_does_not_know_is_told(terminal: Terminal) -> None:
    refused = make_rejection(source="vibeview", reason="stale")
    event = make_event()
    workflow, version = make_workflow()
    run = make_run(event, version)
    terminal.installation.save(make_source(), refused, event, workflow, version, run)
    terminal.run("effect", "list", "--run", str(run.id)[:18])
    terminal.run("effect", "list", "--run", "ffff", code=1)
    terminal.run("rejection", "list", "--reason", "stale")
    said = terminal.told("rejection", "list", "--reason", "satle", code=1)
    assert "`satle`" in said
    assert "stale" in said
    said = terminal.told("delivery", "reverify", "--source", "vibeveiw", "--yes", code=1)
    assert "there is no source `vibeveiw`" in said
    assert "vibeview" in said


def test_an_alert_is_taken_on_and_resolved_by_its_key(terminal: Terminal) -> None:
    alert = make_alert("credits:vibeview")
    terminal.installation.save(alert)
    told = terminal.run("alert", "ack", "credits:vibeview", "--note", "on it")
    assert told == "Credit is low: acknowledged by test\n"
    with unit_of_work(terminal.installation.database, QUEUE) as work:
        _, token = create_token(work.session, label="bob", role=Role.OPERATOR, now=NOW)
    terminal.environment["HOOKWRIGHT_TOKEN"] = token
    # Who holds it keeps it, and nobody's note is lost.
    told = terminal.run("alert", "ack", "credits:vibeview", "--note", "me too")
    assert told == "Credit is low: acknowledged by test\n"
    assert "on it" in terminal.run("alert", "show", "credits:vibeview")
    resolved = terminal.run("alert", "resolve", str(alert.id)[:18], "--note", "paid")
    assert "resolved" in resolved
    with reading(terminal.installation.database) as session:
        details = session.get_one(AlertRow, alert.id).details
    assert (details["acknowledged_by"], details["resolved_by"]) == ("test", "bob")
    said = [("test", "on it"), ("bob", "me too"), ("bob", "paid")]
    assert [(one["by"], one["note"]) for one in details["notes"]] == said
    terminal.run("alert", "ack", "credits:vibeview", code=1)
    terminal.run("alert", "resolve", "nothing", code=1)
