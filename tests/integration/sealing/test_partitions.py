"""Partitions on PostgreSQL: made ahead, and dropped when all of their rows may go."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from schemas.config import Retention
from schemas.partitioned import PARTITIONED
from schemas.run_tables import RunRow
from schemas.tables import DeliveryRow, EventRow
from service import retention
from service.db import Database
from service.evidence_report import What
from service.partitioning import make_partitions
from service.retention import KEY_COST_S, KEYS_AT_ONCE, Remover
from service.retention_rules import POLICY, plain_retention
from service.store import partitions
from service.store.deliveries import store_events
from service.store.policies import set_policy
from service.unit_of_work import unit_of_work
from tests.integration.sealing.sealed_house import SealedHouse, id_at

DAY = datetime(2026, 11, 2, tzinfo=UTC)
"""The day of whose rows the tests tell; the installation's time is before it."""
NOON = DAY + timedelta(hours=12)
LATER = timedelta(days=40)
BODY = "UPDATE deliveries SET body = :v WHERE id = :id"
SETTLE = "UPDATE deliveries SET state = 'ingested'"


@pytest.fixture
def house(postgres_database: Database, tmp_path: Path) -> Iterator[SealedHouse]:
    house = SealedHouse(postgres_database, data_dir=tmp_path)
    with postgres_database.engine.begin() as connection:
        for table in PARTITIONED:
            assert partitions.make_partition(connection, table, DAY, DAY + partitions.DAY) is None
    house.now = NOON
    yield house
    # As it was lent.
    house.tamper("DELETE FROM runs")
    with unit_of_work(postgres_database, house.bell) as work:
        for table in PARTITIONED:
            for partition in partitions.partitions_of(work.session, table):
                partitions.drop(work.session, table, partition)


def names(house: SealedHouse) -> list[str]:
    with house.database.engine.connect() as connection:
        return [
            partition.name
            for table in PARTITIONED
            for partition in partitions.partitions_of(connection, table)
        ]


def settled(house: SealedHouse, count: int) -> list[DeliveryRow]:
    """Store deliveries of the day that were read, and seal them."""
    rows = house.receive(count)
    house.close()
    house.tamper(SETTLE)
    return rows


def remove(house: SealedHouse, remover: Remover | None = None) -> None:
    """Let retention work until a round is over."""
    remover = remover or Remover(rest_times=0, large_bytes=0)
    for _ in range(50):
        if not remover.remove_portion(house.runtime):
            return
    message = "a round of removing does not end"
    raise AssertionError(message)


def archive_what_goes(house: SealedHouse) -> None:
    with unit_of_work(house.database, house.bell) as work:
        set_policy(work.session, POLICY, plain_retention(Retention(archive=True)), now=house.now)


def archived(data_dir: Path) -> list[str]:
    """Give the ids of the deliveries that were archived."""
    (file,) = (data_dir / "archive").glob("deliveries-*")
    return [json.loads(line)["id"] for line in gzip.decompress(file.read_bytes()).splitlines()]


def wrong(house: SealedHouse) -> list[tuple[What, str | None]]:
    return [(finding.what, finding.id) for finding in house.verify()[0]]


def left(house: SealedHouse) -> set[str]:
    return {str(row.id) for row in house.rows(DeliveryRow)}


def test_a_partition_goes_as_a_whole_when_its_time_is_over(house: SealedHouse) -> None:
    rows = settled(house, 1200)
    (younger,) = house.receive(1, at=house.now)
    with unit_of_work(house.database, house.bell) as work:
        store_events(work.session, [event(house, "told")])
    house.now = DAY + timedelta(days=30, hours=18)
    remove(house)
    assert len(house.rows(DeliveryRow)) == 1201, "the time of the day's last hours is not over"
    house.now += timedelta(hours=6)
    remove(house)
    assert names(house) == []
    assert left(house) == {str(younger.id)}
    assert wrong(house) == []
    assert house.verify()[1].tables["deliveries"].removed == 1200
    for keys, many in (("delivery_keys", 1), ("event_keys", 0)):
        assert house.look_at(f"SELECT count(*) FROM {keys}") == many  # noqa: S608  # above
    # What is stored of that day now is there for the first time.
    house.store(rows[0])
    assert wrong(house) == [(What.ADDED, str(rows[0].id))]


def test_others_have_the_machine_when_keys_were_forgotten(house: SealedHouse) -> None:
    settled(house, 1200)
    house.now = DAY + timedelta(days=31)
    clock = [0.0]  # so long as nothing but this says so, no portion takes any time
    house.runtime.monotonic = lambda: clock[0]
    remover = Remover(rest_times=10, large_bytes=0)
    while house.look_at("SELECT count(*) FROM delivery_keys"):
        assert remover.remove_portion(house.runtime)
    assert all(remover.remove_portion(house.runtime) for _ in range(20)), "it goes on at once"
    goes_on = True
    while goes_on and clock[0] < 60:
        clock[0] += 10 * KEYS_AT_ONCE * KEY_COST_S
        goes_on = remover.remove_portion(house.runtime)
    assert not goes_on, "it never comes to the end"


def test_rows_that_are_sealed_only_later_are_signed_for(house: SealedHouse) -> None:
    house.receive(3)
    house.tamper(SETTLE)
    house.now += LATER
    remover = Remover(rest_times=0, large_bytes=0)
    assert remover.remove_portion(house.runtime)
    house.seal()
    remove(house, remover)
    assert names(house) == []
    assert wrong(house) == []
    assert house.verify()[1].tables["deliveries"].removed == 3


def event(house: SealedHouse, key: str) -> EventRow:
    moment = min(house.now, NOON)
    return EventRow(
        id=id_at(moment),
        dedupe_key=key,
        type="go",
        vendor="robot",
        vendor_type="go",
        time=moment,
        received_at=moment,
        correlation_id=id_at(moment),
    )


def test_where_one_row_must_stay_its_neighbours_go_singly(house: SealedHouse) -> None:
    rows = settled(house, 9)
    house.tamper(BODY, v=b"forged", id=rows[2].id)
    house.tamper("UPDATE deliveries SET state = 'received' WHERE id = :id", id=rows[7].id)
    altered, waiting = str(rows[2].id), str(rows[7].id)
    house.now += LATER
    remove(house)
    assert left(house) == {altered, waiting}
    assert wrong(house) == [(What.ALTERED, altered)]


@pytest.mark.parametrize("how", ["altered", "removed", "put there"])
def test_what_happens_to_rows_until_they_are_dropped_is_told(house: SealedHouse, how: str) -> None:
    rows = settled(house, 9)
    house.now += LATER
    remover = Remover(rest_times=0, large_bytes=0)
    assert remover.remove_portion(house.runtime)  # all rows were looked at
    one = rows[4]
    if how == "altered":
        house.tamper(BODY, v=b"forged", id=one.id)
    elif how == "removed":
        house.tamper("DELETE FROM deliveries WHERE id = :id", id=one.id)
    else:
        (one,) = house.receive(1, at=NOON - timedelta(hours=1))
        house.tamper(SETTLE)
    remove(house, remover)
    what = {"altered": What.ALTERED, "removed": What.MISSING, "put there": What.ADDED}[how]
    assert wrong(house) == [(what, str(one.id))]
    assert left(house) == (set() if how == "removed" else {str(one.id)})


def test_a_forged_removal_is_not_signed_for(house: SealedHouse) -> None:
    rows = settled(house, 9)
    house.now += LATER
    house.remove([rows[0].id])
    remover = Remover(rest_times=0, large_bytes=0)
    assert remover.remove_portion(house.runtime)
    signed = house.look_at("SELECT removed FROM seals WHERE number = 1")
    house.tamper("UPDATE seals SET removed = :v WHERE number = 1", v=signed[:-2] + b"\x03\x00")
    remove(house, remover)
    assert len(left(house)) == 8
    assert What.SEAL in {what for what, _ in wrong(house)}


def test_a_partition_that_others_use_is_dropped_later(house: SealedHouse) -> None:
    settled(house, 3)
    house.now += LATER
    remover = Remover(rest_times=0, large_bytes=0)
    with house.database.engine.begin() as holder:
        holder.execute(text("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE"))
        for _ in range(3):
            assert remover.remove_portion(house.runtime)
        assert len(left(house)) == 3
    # Another process goes on from the beginning.
    remove(house)
    assert names(house) == []
    assert wrong(house) == []


def test_a_partition_that_somebody_keeps_open_holds_nothing_else_up(
    house: SealedHouse, tmp_path: Path
) -> None:
    archive_what_goes(house)
    rows = settled(house, 3)
    with unit_of_work(house.database, house.bell) as work:
        store_events(work.session, [event(house, "told")])
    house.now += LATER
    with capture_logs() as log, house.database.engine.connect() as dump:
        dump.execute(text("SELECT count(*) FROM deliveries"))
        remover = Remover(rest_times=0, large_bytes=0)
        remove(house, remover)
        held = [line["partition"] for line in log if line["event"] == "partition_held"]
        assert held == ["deliveries_20261102"]
        assert (len(left(house)), house.rows(EventRow)) == (3, [])
        remove(house, remover)
    remove(house, remover)
    # It was gone through, and archived, once in all.
    assert archived(tmp_path) == [str(row.id) for row in rows]
    assert names(house) == []
    assert wrong(house) == []


def test_events_that_runs_need_stay(house: SealedHouse) -> None:
    house.workflow("name: one\non: [{event: go}]\nsteps: [{id: rest, sleep: 366d}]")
    needed, other = event(house, "needed"), event(house, "other")
    with unit_of_work(house.database, house.bell) as work:
        store_events(work.session, [needed, other])
        (version,) = work.session.execute(text("SELECT id FROM workflow_versions")).scalars()
        run = RunRow(
            event_id=needed.id,
            workflow_version_id=version,
            workflow="one",
            status="waiting",
            correlation_id=needed.id,
            created_at=house.now,
        )
        work.session.add(run)
    house.now += LATER
    remove(house)
    assert [row.dedupe_key for row in house.rows(EventRow)] == ["needed"]
    house.tamper("DELETE FROM runs")
    remove(house)
    assert names(house) == []


def test_a_partition_is_archived_before_it_goes(house: SealedHouse, tmp_path: Path) -> None:
    archive_what_goes(house)
    rows = settled(house, 5)
    house.now += LATER
    remover = Remover(rest_times=0, large_bytes=0)
    (tmp_path / "archive").write_text("it cannot be written")
    assert not remover.remove_portion(house.runtime)
    (tmp_path / "archive").unlink()
    remove(house, remover)
    assert names(house) == []
    assert archived(tmp_path) == [str(row.id) for row in rows]


def test_keys_are_forgotten_by_whoever_goes_on(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEYS_AT_ONCE", 2)
    rows = settled(house, 5)
    house.now += LATER
    remover = Remover(rest_times=0, large_bytes=0)
    while names(house)[0].startswith("deliveries"):
        assert remover.remove_portion(house.runtime)
    # They are known until their keys are forgotten, and then they are new.
    house.store(*rows)
    assert left(house) == set()
    assert remover.remove_portion(house.runtime)
    assert house.look_at("SELECT count(*) FROM delivery_keys") == 3
    remove(house)
    house.store(*rows)
    assert len(left(house)) == 5


# --- made ahead -------------------------------------------------------------------------------


def test_partitions_are_there_for_the_days_to_come(house: SealedHouse) -> None:
    house.now = DAY + timedelta(days=3, hours=1)
    make_partitions(house.runtime)
    first = ["20261102", "20261105"]
    assert names(house) == [f"{table}_{day}" for table in PARTITIONED for day in first]
    house.receive(3, at=house.now + timedelta(days=3))
    assert house.look_at("SELECT count(*) FROM deliveries_20261105") == 3
    house.now = DAY + timedelta(days=8)
    make_partitions(house.runtime)
    assert len(names(house)) == 4, "they are made for two days and more"
    house.now += timedelta(hours=1)
    make_partitions(house.runtime)
    assert names(house)[2] == "deliveries_20261112"


def test_a_partition_is_of_a_day_where_many_rows_come(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MANY_A_DAY", 5)
    house.receive(5, at=house.now)
    make_partitions(house.runtime)
    days = ["20261102", "20261103", "20261104"]
    assert names(house) == [
        *(f"deliveries_{day}" for day in days),
        *(f"events_{day}" for day in days[:2]),
    ]


def test_rows_that_nobody_made_a_partition_for_are_left_where_they_are(house: SealedHouse) -> None:
    house.now += timedelta(days=2)
    rows = house.receive(2, at=house.now)
    with capture_logs() as logs:
        make_partitions(house.runtime)
    told = [(line["table"], line["rows"]) for line in logs if line["event"] == "partition_missing"]
    assert told == [("deliveries", 2)]
    assert house.look_at("SELECT count(*) FROM deliveries_rest") == 2
    assert names(house)[1] == "deliveries_20261105"
    assert left(house) == {str(row.id) for row in rows}


def test_who_has_the_table_is_not_disturbed(house: SealedHouse) -> None:
    house.now += timedelta(days=5)
    with house.database.engine.begin() as holder:
        holder.execute(text("LOCK TABLE deliveries, events IN SHARE ROW EXCLUSIVE MODE"))
        make_partitions(house.runtime)
    assert len(names(house)) == 2


def test_who_led_before_takes_nothing_back_from_who_leads_now(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEYS_AT_ONCE", 2)
    rows = settled(house, 5)
    house.now += LATER
    slow, next_one = (Remover(rest_times=0, large_bytes=0) for _ in range(2))
    asked = iter(range(100))

    def now() -> float:
        # Between what it reads and what it writes, another process takes the lead.
        if next(asked) == 1:
            while names(house)[0].startswith("deliveries"):
                assert next_one.remove_portion(house.runtime)
        return 0.0

    slow.remove_portion(replace(house.runtime, monotonic=now))
    remove(house)
    assert house.look_at("SELECT count(*) FROM delivery_keys") == 0
    house.store(*rows)
    assert len(left(house)) == 5


def test_a_clock_that_was_far_ahead_keeps_no_partition_from_being_made(house: SealedHouse) -> None:
    now = house.now
    house.now = DAY + timedelta(days=4000)
    make_partitions(house.runtime)
    assert len(names(house)) == 4
    house.now = now + timedelta(days=3)
    make_partitions(house.runtime)
    assert len(names(house)) == 6, names(house)
    house.receive(3, at=house.now + timedelta(days=1))
    assert house.look_at("SELECT count(*) FROM deliveries_rest") == 0
