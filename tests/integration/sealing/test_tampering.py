from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from schemas.evidence_tables import SealRow
from schemas.tables import DeliveryRow
from service.db import Database
from service.evidence_report import Finding, Question, What
from service.seal_head import read_head
from tests.integration.sealing.sealed_house import SealedHouse


def told(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.what.value, finding.id) for finding in findings]


def test_what_nobody_touched_is_good(house: SealedHouse) -> None:
    house.receive(30)
    house.act(reason="é", numbers=[1, 2.0, 1e30, 0.1], deep={"b": None, "a": True})
    house.close()
    house.receive(3)
    findings, summary = house.verify()
    assert findings == []
    assert summary.tables["deliveries"].sealed == 30
    assert summary.tables["deliveries"].unsealed == 3
    assert summary.tables["audit_events"].sealed == 1
    assert summary.good
    assert read_head(house.settings.data_dir) == summary.head


def test_an_empty_database_is_good(house: SealedHouse) -> None:
    assert house.seal() == 0
    findings, summary = house.verify()
    assert findings == []
    assert summary.head is None


def flipped(value: Any, dice: random.Random) -> Any:
    """Give a value with one byte changed."""
    if isinstance(value, str):
        place = dice.randrange(len(value))
        other = dice.choice(
            [sign for sign in "abcdefghijklmnopq0123456789" if sign != value[place]]
        )
        return value[:place] + other + value[place + 1 :]
    place = dice.randrange(len(value))
    return value[:place] + bytes([value[place] ^ dice.randint(1, 255)]) + value[place + 1 :]


@pytest.mark.parametrize("seed", range(2))
def test_one_altered_byte_in_any_column_of_any_row_is_found(house: SealedHouse, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  # not for secrets
    rows = house.receive(40, seed=seed)
    house.seal()
    for column in ("body", "delivery_key", "source", "vendor", "headers", "received_at"):
        row = dice.choice(rows)
        good = value_of(house, row, column)
        changed = changed_value(column, good, dice)
        cast = {"headers": "CAST(:v AS jsonb)", "received_at": "CAST(:v AS timestamptz)"}
        mark = ":v" if house.database.is_sqlite else cast.get(column, ":v")
        set_it = f"UPDATE deliveries SET {column} = {mark} WHERE id = :id"  # noqa: S608  # names above
        assert house.tamper(set_it, v=changed, id=row.id) == 1
        findings, _ = house.verify()
        assert told(findings) == [("altered", str(row.id))], (column, good, changed)
        assert findings[0].table == "deliveries"
        assert findings[0].time is not None
        assert house.tamper(set_it, v=good, id=row.id) == 1
    assert house.verify()[0] == []


def value_of(house: SealedHouse, row: DeliveryRow, column: str) -> Any:
    kept = column if house.database.is_sqlite or column == "body" else f"CAST({column} AS text)"
    return house.look_at(f"SELECT {kept} FROM deliveries WHERE id = :id", id=row.id)  # noqa: S608  # above


def changed_value(column: str, good: Any, dice: random.Random) -> Any:
    if column == "headers":
        # JSON stays JSON: PostgreSQL would not take it otherwise.
        return good.replace("json", flipped("json", dice), 1)
    if column == "received_at":
        return good.replace(good[11:13], f"{(int(good[11:13]) + 1) % 24:02}", 1)
    return flipped(good, dice)


def test_one_byte_among_thousands_of_rows_is_found(house: SealedHouse) -> None:
    dice = random.Random(7)  # noqa: S311  # not for secrets
    rows = house.receive(1200)
    house.seal()
    row = dice.choice(rows)
    changed = flipped(row.body, dice)
    house.tamper("UPDATE deliveries SET body = :v WHERE id = :id", v=changed, id=row.id)
    findings, summary = house.verify()
    assert told(findings) == [("altered", str(row.id))]
    assert summary.tables["deliveries"].sealed == 1200


@pytest.mark.parametrize("closed", [False, True])
def test_a_removed_row_is_named(house: SealedHouse, *, closed: bool) -> None:
    rows = house.receive(20)
    (house.close if closed else house.seal)()
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[7].id)
    findings, _ = house.verify()
    assert told(findings) == [("missing", str(rows[7].id))]
    assert findings[0].seal == 1


def test_a_row_put_into_closed_time_is_named(house: SealedHouse) -> None:
    began = house.now
    house.receive(5)
    house.close()
    (forged,) = house.receive(1, at=began - timedelta(seconds=1))
    findings, _ = house.verify()
    assert told(findings) == [("added", str(forged.id))]
    house.close()
    assert told(house.verify()[0]) == [("added", str(forged.id))], "no later look takes it in"


def test_two_rows_that_changed_places_are_both_named(house: SealedHouse) -> None:
    first, second = house.receive(2)
    house.seal()
    bodies = "UPDATE deliveries SET body = :body WHERE id = :id"
    house.tamper(bodies, body=second.body, id=first.id)
    house.tamper(bodies, body=first.body, id=second.id)
    assert told(house.verify()[0]) == [("altered", str(first.id)), ("altered", str(second.id))]


def test_a_row_that_took_another_id_is_told_as_removed(house: SealedHouse) -> None:
    first, _ = house.receive(2)
    house.seal()
    other = type(first.id)(int=first.id.int ^ 1)
    house.tamper("UPDATE deliveries SET id = :other WHERE id = :id", other=other, id=first.id)
    assert told(house.verify()[0]) == [("missing", str(first.id))]


def test_an_audit_event_is_guarded_whole(house: SealedHouse) -> None:
    row = house.act(reason="fine")
    house.seal()
    house.tamper('UPDATE audit_events SET "by" = :by', by="bob")
    (finding,) = house.verify()[0]
    assert (finding.what, finding.table, finding.id) == (What.ALTERED, "audit_events", str(row.id))
    assert finding.source == "bob"


def test_what_changes_legitimately_is_not_covered(house: SealedHouse) -> None:
    house.receive(2)
    house.seal()
    house.tamper("UPDATE deliveries SET state = 'dead', error = 'x', failures = 3, replays = 1")
    assert house.verify()[0] == []


# --- seals --------------------------------------------------------------------------------------


def sealed_in_three(house: SealedHouse) -> list[SealRow]:
    for _ in range(3):
        house.receive(4)
        house.seal()
    with house.database.session(read_only=True) as session:
        return list(session.exec(select(SealRow).order_by(col(SealRow.number))))


@pytest.mark.parametrize("column", ["leaves", "root", "previous", "signature"])
def test_a_changed_seal_is_named(house: SealedHouse, column: str) -> None:
    seals = sealed_in_three(house)
    dice = random.Random(1)  # noqa: S311  # not for secrets
    changed = flipped(getattr(seals[1], column), dice)
    set_it = f"UPDATE seals SET {column} = :v WHERE number = 2"  # noqa: S608  # names above
    house.tamper(set_it, v=changed)
    findings, _ = house.verify()
    assert {finding.seal for finding in findings} == {2}
    assert findings[0].what is What.SEAL


@pytest.mark.parametrize(
    "change", ["count = 3", "covers = 'audit_events'", "key_id = 'x'", "number = 9"]
)
def test_whatever_a_seal_says_is_signed(house: SealedHouse, change: str) -> None:
    sealed_in_three(house)
    house.tamper(f"UPDATE seals SET {change} WHERE number = 2")  # noqa: S608  # above
    assert any(finding.what is What.SEAL for finding in house.verify()[0])


@pytest.mark.parametrize(
    "change",
    [
        "seals SET number = 'x'",
        "seals SET number = 2.5",
        "seals SET count = 'x'",
        "seals SET covers = x'ff'",
        "seals SET removed = 'x'",
        "seals SET sealed_at = '0001-01-01 00:00:00.000000'",
        "sealing_keys SET public = 'x'",
    ],
)
def test_what_no_seal_can_hold_is_told(
    sqlite_database: Database, tmp_path: Path, change: str
) -> None:
    """SQLite keeps whatever somebody puts into a column."""
    house = SealedHouse(sqlite_database, data_dir=tmp_path)
    sealed_in_three(house)
    house.tamper(f"UPDATE {change} WHERE rowid = 1")
    assert What.SEAL in {finding.what for finding in house.verify()[0]}


def test_a_seal_taken_out_of_the_middle_is_named(house: SealedHouse) -> None:
    sealed_in_three(house)
    house.tamper("DELETE FROM seals WHERE number = 2")
    findings, _ = house.verify()
    assert [finding.detail for finding in findings] == ["seal 2 is missing"]


def test_seals_taken_off_the_end_are_missed_by_who_saw_them(house: SealedHouse) -> None:
    rows = house.receive(4)
    house.seal()
    house.receive(4)
    house.seal()
    head = read_head(house.settings.data_dir)
    assert head is not None
    house.tamper("DELETE FROM seals WHERE number = 2")
    house.tamper("DELETE FROM deliveries WHERE id > :id", id=rows[-1].id)
    assert house.verify()[0] == [], "the database alone cannot know"
    (finding,) = house.verify(Question(expected=(head,)))[0]
    assert finding.seal == 2
    # Sealing goes on, and what was seen is not forgotten over it.
    house.receive(4)
    house.seal()
    assert read_head(house.settings.data_dir) == head
    (finding,) = house.verify(Question(expected=(head,)))[0]
    assert finding.seal == 2


def test_seals_that_changed_places_are_named(house: SealedHouse) -> None:
    sealed_in_three(house)
    for old, new in ((1, 9), (2, 1), (9, 2)):
        house.tamper(f"UPDATE seals SET number = {new} WHERE number = {old}")  # noqa: S608  # above
    findings, _ = house.verify()
    assert {finding.seal for finding in findings} == {1, 2}


def test_all_seals_taken_away_are_missed(house: SealedHouse) -> None:
    sealed_in_three(house)
    house.tamper("DELETE FROM seals")
    assert [finding.what for finding in house.verify()[0]] == [What.SEAL]


def test_a_chain_made_anew_with_another_key_does_not_pass(house: SealedHouse) -> None:
    sealed_in_three(house)
    public = house.look_at("SELECT public FROM sealing_keys")
    head = read_head(house.settings.data_dir)
    assert head is not None
    house.tamper("DELETE FROM seals")
    house.tamper("DELETE FROM sealing_keys")
    house.tamper("UPDATE deliveries SET body = :v", v=b"forged")
    house.seal()
    assert house.verify()[0] == [], "who may write everything may begin anew"
    assert house.verify(Question(public_keys=(public,)))[0] != []
    assert house.verify(Question(expected=(head,)))[0] != []
