"""Rows whose time is over go, with all that belongs to them; what is still needed stays."""

from __future__ import annotations

import gzip
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

from schemas.clock import utc_now
from schemas.config import ArchiveConfig, Retention
from schemas.evidence_tables import AuditEventRow
from schemas.run_tables import AttemptRow, RunRow, SpreadRow, StepRow
from schemas.states import AlertState, DeliveryState
from schemas.tables import AlertRow, DeliveryRow, EffectRow, EventRow, PayloadRow
from schemas.upkeep_tables import LeaseRow, TokenRow
from schemas.workflow import RunStatus
from service.db import Database
from service.errors import Refused
from service.retention import Remover
from service.retention_progress import Progress, current_progress
from service.retention_rules import POLICY, longest_look_back, plain_retention
from service.store.payloads import LARGE_BYTES
from service.store.policies import set_policy
from service.unit_of_work import reading, unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made

WORKFLOW = """
name: one
on: [{event: go}]
steps:
  - {id: note, uses: robot.once, with: {name: note}}
  - {id: comment, uses: robot.upsert, with: {name: comment}}
  - {id: heal, uses: robot.natural, with: {name: heal}}
"""
LOOP = """
name: loop
on: [{event: go}]
steps:
  - id: each
    for_each: event.payload.numbers
    as: number
    steps:
      - id: both
        parallel:
          - - {id: left, uses: robot.once, with: {name: "n ${{ number }}"}}
          - - {id: right, uses: robot.read}
"""


@pytest.fixture
def installation(database: Database) -> Installation:
    return at_present(Installation(database))


def at_present(installation: Installation) -> Installation:
    """Ids bear the time of the machine, so the rest has to begin there as well."""
    installation.now = utc_now()
    return installation


def keep(installation: Installation, **kept: Any) -> None:
    """Say for how long rows are kept, as the configuration does."""
    with unit_of_work(installation.database, installation.bell) as work:
        set_policy(work.session, POLICY, plain_retention(Retention(**kept)), now=installation.now)


def remove(installation: Installation, *, remover: Remover | None = None) -> int:
    """Remove what may go now, portion by portion, until a round is over; gives how many."""
    remover = remover or Remover(rest_times=0)
    for portions in range(1, 500):
        if not remover.remove_portion(installation.runtime):
            return portions
    message = "a round of removing does not end"
    raise AssertionError(message)


def later(installation: Installation, *, days: float) -> None:
    installation.now += timedelta(days=days)


def counts(installation: Installation, *models: type[SQLModel]) -> list[int]:
    return [len(installation.rows(model)) for model in models]


def progress(installation: Installation) -> Progress:
    with reading(installation.database) as session:
        return current_progress(session)


def test_each_kind_goes_when_its_time_is_over(installation: Installation) -> None:
    now = installation.now
    installation.workflow(WORKFLOW)
    installation.start(text="x" * LARGE_BYTES)
    installation.ingest(installation.deliver({"type": "unknown"}))
    installation.deliver({"type": "waiting"})
    installation.carry_on()
    installation.store(
        AuditEventRow(at=now, by="somebody", role="admin", action="run.cancel", details={}),
        LeaseRow(name="target:x", owner="dead", until=now),
    )
    assert counts(installation, DeliveryRow, EventRow, RunRow, StepRow) == [3, 2, 1, 3]

    later(installation, days=31)
    remove(installation)
    # What was not read yet waits for ever, and the run's event stays with the run.
    (waiting,) = installation.rows(DeliveryRow)
    assert waiting.state == DeliveryState.RECEIVED
    assert counts(installation, EventRow, PayloadRow, RunRow) == [1, 1, 1]
    assert progress(installation).removed == {"deliveries": 2, "events": 1}

    later(installation, days=60)
    remove(installation)
    tables = (RunRow, StepRow, AttemptRow, EventRow, PayloadRow, LeaseRow)
    assert counts(installation, *tables) == [0, 0, 0, 0, 0, 0]
    # The comment is found again by its effect, and the heal is not begun again.
    assert [row.step for row in installation.every_effect()] == ["comment", "heal"]
    assert counts(installation, AuditEventRow) == [1]

    later(installation, days=300)
    remove(installation)
    assert counts(installation, EffectRow, AuditEventRow, DeliveryRow) == [0, 0, 1]


def test_an_effect_that_a_newer_one_took_over_goes_with_its_run(
    installation: Installation,
) -> None:
    installation.workflow(WORKFLOW)
    for _ in range(2):
        installation.start()
        installation.carry_on()
        installation.now += timedelta(seconds=1)
    later(installation, days=100)
    remove(installation)
    first, second = installation.every_effect()
    assert (first.step, second.step) == ("heal", "comment")


def test_what_has_not_ended_or_is_in_doubt_stays(installation: Installation) -> None:
    installation.workflow(WORKFLOW)
    installation.workflow("name: two\non: [{event: go}]\nsteps: [{id: rest, sleep: 366d}]")
    installation.script.answers = [RuntimeError("the answer was cut off")]
    first, second = installation.ingest(installation.deliver({"type": "go"}))
    for run_id in (first, second):
        installation.advance(run_id, until=lambda run: run.status == RunStatus.WAITING)
    doubtful = next(row for row in installation.every_effect() if row.step == "note")
    # Whoever ends a run in doubt has not settled what is in doubt.
    with unit_of_work(installation.database, installation.bell) as work:
        run = work.session.get_one(RunRow, doubtful.run_id)
        run.status, run.ended_at = RunStatus.CANCELLED, installation.now
    later(installation, days=330)
    remove(installation)
    assert {row.id for row in installation.rows(RunRow)} == {first, second}
    assert counts(installation, EventRow, EffectRow) == [1, 1]
    with unit_of_work(installation.database, installation.bell) as work:
        work.session.get_one(EffectRow, doubtful.id).state = "not_made"
    remove(installation)
    assert [row.id for row in installation.rows(RunRow)] == (
        [second] if doubtful.run_id == first else [first]
    )


def test_a_run_with_many_branches_goes_portion_by_portion(installation: Installation) -> None:
    installation.workflow(LOOP)
    installation.start(numbers=list(range(4)))
    installation.carry_on()
    assert counts(installation, RunRow) == [13]
    later(installation, days=100)
    remover = Remover(rest_times=0)
    remover._rows["runs"] = 5
    assert remover.remove_portion(installation.runtime)  # the delivery
    assert remover.remove_portion(installation.runtime)
    # First those branches that have none themselves.
    assert counts(installation, RunRow) == [8]
    assert {row.path for row in installation.rows(RunRow)} >= {None, "each[0]", "each[3]"}
    remove(installation, remover=remover)
    tables = (RunRow, StepRow, AttemptRow, SpreadRow, EffectRow, EventRow)
    assert counts(installation, *tables) == [0] * 6


def test_a_run_that_is_retried_meanwhile_stays(installation: Installation) -> None:
    installation.workflow("name: one\non: [{event: go}]\nsteps: [{id: note, uses: robot.once}]")
    installation.script.answers = [Refused("no", status=400), Done(Made(value=1))]
    run_id = installation.start()
    installation.carry_on()
    later(installation, days=100)
    with unit_of_work(installation.database, installation.bell) as work:
        run = work.session.get_one(RunRow, run_id)
        assert run.status == RunStatus.FAILED
        run.status, run.ended_at = RunStatus.RUNNING, None
    remove(installation)
    assert counts(installation, RunRow, EventRow) == [1, 1]


def test_alerts_and_tokens_go_when_they_have_ended(installation: Installation) -> None:
    now = installation.now

    def alert(key: str, state: AlertState) -> AlertRow:
        resolved_at = now if state is AlertState.RESOLVED else None
        return AlertRow(
            key=key,
            state=state,
            severity="warning",
            title=key,
            details={},
            opened_at=now,
            changed_at=now,
            resolved_at=resolved_at,
        )

    def token(label: str, **ended: Any) -> TokenRow:
        return TokenRow(
            label=label, role="viewer", prefix=label, sha256=label, created_at=now, **ended
        )

    installation.store(
        alert("open", AlertState.OPEN),
        alert("over", AlertState.RESOLVED),
        token("good"),
        token("revoked", revoked_at=now),
        token("expired", expires_at=now),
    )
    later(installation, days=400)
    remove(installation)
    assert [row.key for row in installation.rows(AlertRow)] == ["open"]
    assert [row.label for row in installation.rows(TokenRow)] == ["good"]


def test_others_have_the_machine_between_two_portions(installation: Installation) -> None:
    installation.ingest(*(installation.deliver({"type": "x"}) for _ in range(2)))
    later(installation, days=100)
    seconds = itertools.count()
    installation.runtime.monotonic = lambda: float(next(seconds))
    remover = Remover(rest_times=3)
    assert remover.remove_portion(installation.runtime)
    assert counts(installation, DeliveryRow, EventRow) == [0, 2]
    took = next(seconds)
    rests = [remover.remove_portion(installation.runtime) for _ in range(took)]
    assert rests == [True] * took
    assert counts(installation, EventRow) == [2]
    for _ in range(6 * took):
        remover.remove_portion(installation.runtime)
    assert counts(installation, EventRow) == [0]


def test_no_record_is_compared_further_back_than_deliveries_are_kept(
    installation: Installation,
) -> None:
    with reading(installation.database) as session:
        assert longest_look_back(session) == timedelta(days=27)
    keep(installation, deliveries=timedelta(days=10))
    with reading(installation.database) as session:
        assert longest_look_back(session) == timedelta(days=9)


# --- archives ---------------------------------------------------------------------------------


def lines(directory: Path, kind: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(directory.glob(f"{kind}-*.jsonl.gz")):
        assert path.stat().st_mode & 0o777 == 0o600
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found += [json.loads(line) for line in file]
    return found


@pytest.fixture
def archiving(database: Database, tmp_path: Path) -> Installation:
    installation = at_present(Installation(database, data_dir=tmp_path))
    keep(installation, archive=True)
    return installation


def test_what_goes_is_archived_whole(archiving: Installation, tmp_path: Path) -> None:
    day = archiving.now.date().isoformat()
    archiving.workflow(WORKFLOW)
    text = "x" * LARGE_BYTES
    run_id = archiving.start(text=text)
    binary = archiving.deliver(body=b"\xff\x00")
    archiving.ingest(binary)
    archiving.carry_on()
    later(archiving, days=100)
    remove(archiving)
    assert counts(archiving, DeliveryRow, RunRow, EventRow) == [0, 0, 0]

    directory = tmp_path / "archive"
    assert sorted(path.name for path in directory.iterdir()) == [
        f"{kind}-{day}.jsonl.gz" for kind in ("deliveries", "events", "runs")
    ]
    first, second = lines(directory, "deliveries")
    assert json.loads(first["body"])["events"] == [{"type": "go", "text": text}]
    assert (second["id"], second["body_base64"]) == (str(binary), "/wA=")
    (event,) = lines(directory, "events")
    assert event["payload"]["text"] == text
    (run,) = lines(directory, "runs")
    assert (run["id"], run["event_id"]) == (str(run_id), event["id"])
    assert [step["step"] for step in run["steps"]] == ["note", "comment", "heal"]
    assert run["steps"][0]["attempts"][0]["status"] == "succeeded"
    assert [effect["action"] for effect in run["effects"]] == [
        "robot.once",
        "robot.upsert",
        "robot.natural",
    ]


def test_nothing_goes_that_cannot_be_archived(archiving: Installation, tmp_path: Path) -> None:
    archiving.ingest(archiving.deliver({"type": "go"}))
    later(archiving, days=100)
    # A file where the directory would be fails for root as well, as a full disk does.
    (tmp_path / "archive").write_text("")
    assert not Remover(rest_times=0).remove_portion(archiving.runtime)
    assert counts(archiving, DeliveryRow) == [1]
    stuck = progress(archiving)
    assert "cannot be written" in (stuck.error or "")
    since = archiving.now
    later(archiving, days=1)
    Remover(rest_times=0).remove_portion(archiving.runtime)
    assert progress(archiving).failing_since == since

    keep(archiving, archive=ArchiveConfig(directory="elsewhere"))
    remove(archiving)
    assert counts(archiving, DeliveryRow) == [0]
    assert len(lines(tmp_path / "elsewhere", "deliveries")) == 1
    assert progress(archiving).error is None


def test_two_at_once_archive_every_row_and_garble_nothing(
    archiving: Installation, tmp_path: Path
) -> None:
    ids = [archiving.deliver({"type": "x", "number": number}) for number in range(30)]
    archiving.ingest(*ids)
    later(archiving, days=100)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: remove(archiving) > 1, range(2))) == [True, True]
    assert counts(archiving, DeliveryRow, EventRow) == [0, 0]
    assert {line["id"] for line in lines(tmp_path / "archive", "deliveries")} == {
        str(id_) for id_ in ids
    }
