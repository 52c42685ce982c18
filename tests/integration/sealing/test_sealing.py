"""What is sealed, when, and by whom; what retention removes stays told apart from what is gone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import col, select
from structlog.testing import capture_logs

from schemas.evidence_tables import SealingKeyRow, SealRow
from schemas.tables import DeliveryRow
from service import sealing
from service.db import Database
from service.errors import ConfigurationError, Invalid
from service.evidence_report import Question, What
from service.seal_form import digest_of, key_id_of, note_removed_rows, sign
from service.sealing import (
    BATCH_ROWS,
    BURST,
    CLOSED,
    FEW_ROWS,
    GATHER,
    HORIZON,
    LATE,
    SELDOM,
    change_key,
    replace_lost_key,
    seal_rows,
    warn_of_closed_key,
)
from service.sealing_keys import current_key
from service.secretbox import SecretBox
from service.unit_of_work import unit_of_work
from tests.integration.engine.installation import KEYS
from tests.integration.sealing.sealed_house import SealedHouse, hashes_of_odd_rows


def seals(house: SealedHouse) -> list[SealRow]:
    with house.database.session(read_only=True) as session:
        return list(session.exec(select(SealRow).order_by(col(SealRow.number))))


def test_young_rows_wait(house: SealedHouse) -> None:
    house.receive(3)
    assert house.seal(after=HORIZON - timedelta(seconds=1)) == 0
    assert house.seal(after=timedelta(seconds=2)) == 0, "they wait for others"
    assert house.seal(after=GATHER) == 1
    assert [(seal.covers, seal.count) for seal in seals(house)] == [("deliveries", 3)]


def test_a_row_is_guarded_before_it_is_half_a_minute_old(house: SealedHouse) -> None:
    rows = house.receive(1)
    house.seal(after=timedelta(seconds=20))
    house.now += timedelta(seconds=1)
    rows += house.receive(FEW_ROWS)
    house.seal(after=timedelta(seconds=20))
    for row in (rows[0], rows[-1]):
        house.tamper("UPDATE deliveries SET body = :v WHERE id = :id", v=b"x", id=row.id)
    assert {finding.id for finding in house.verify()[0]} == {str(rows[0].id), str(rows[-1].id)}


def test_a_few_rows_now_and_then_do_not_wait(house: SealedHouse) -> None:
    for number in range(1, 7):
        house.receive(1)
        house.seal(after=timedelta(seconds=25))
        made = [seal.count for seal in seals(house) if seal.covers == "deliveries"]
        assert made == [1] * number


def test_a_trickle_makes_a_seal_a_minute_and_a_burst(house: SealedHouse) -> None:
    minutes = 15
    for _ in range(minutes * 4):
        house.receive(1)
        house.seal(after=timedelta(seconds=15))
    made = [seal for seal in seals(house) if seal.covers == "deliveries"]
    assert BURST < len(made) <= BURST + minutes
    waiting = minutes * 4 - sum(seal.count for seal in made)
    assert waiting * timedelta(seconds=15) <= HORIZON + SELDOM


def test_many_rows_make_whole_batches(house: SealedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH_ROWS", 10)
    house.receive(25)
    assert house.seal() == 3
    assert [seal.count for seal in seals(house)] == [10, 10, 5]
    assert house.verify()[0] == []
    assert BATCH_ROWS == 1000


def test_large_rows_make_small_batches(house: SealedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH_BYTES", 1000)
    house.receive(10)
    house.seal()
    assert [seal.count for seal in seals(house)] == [3, 3, 3, 1]
    assert house.verify()[0] == []


def test_rows_that_came_late_are_sealed_later(house: SealedHouse) -> None:
    """A slow commit and another machine's clock put rows behind what is sealed already."""
    began = house.now
    house.receive(5)
    house.seal()
    house.receive(2, at=began - timedelta(seconds=1))
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].unsealed) == ([], 2)
    house.seal(after=LATE.after + LATE.gather)
    findings, summary = house.verify()
    assert findings == []
    counted = summary.tables["deliveries"]
    assert (counted.sealed, counted.late, counted.unsealed) == (7, 2, 0)
    house.receive(1, at=began - timedelta(seconds=1))
    house.seal(after=CLOSED.after + CLOSED.gather)
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].late) == ([], 3)
    (altered,) = house.receive(1, at=began - timedelta(seconds=1))
    assert [finding.id for finding in house.verify()[0]] == [str(altered.id)]


def test_a_late_row_is_guarded_like_any_other(house: SealedHouse) -> None:
    began = house.now
    house.receive(3)
    house.seal()
    (late,) = house.receive(1, at=began - timedelta(seconds=1))
    house.close()
    house.tamper("UPDATE deliveries SET body = :v WHERE id = :id", v=b"x", id=late.id)
    assert [finding.id for finding in house.verify()[0]] == [str(late.id)]


def test_a_clock_that_goes_back_raises_no_alarm(house: SealedHouse) -> None:
    house.receive(3)
    house.seal()
    house.now -= timedelta(hours=1)
    house.receive(4)
    house.seal()
    house.now += timedelta(hours=2)
    house.receive(1)
    house.close()
    findings, summary = house.verify()
    assert findings == []
    assert summary.tables["deliveries"].sealed == 8
    assert summary.notes == []
    house.receive(1)
    house.seal()
    house.now -= timedelta(minutes=30)
    house.act()
    house.tamper("UPDATE audit_events SET id = id")
    house.now += timedelta(minutes=20)
    house.seal()
    assert "clock went back" in house.verify()[1].notes[0]


def test_two_sealers_make_one_chain(house: SealedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH_ROWS", 5)
    house.receive(60)
    house.now += timedelta(minutes=5)
    runtimes = [house.runtime, house.another_worker()]
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            while seal_rows(runtimes[number]):
                pass
        except Exception as error:  # noqa: BLE001  # told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sum(seal.count for seal in seals(house)) == 60
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].sealed) == ([], 60)


def test_who_dies_before_the_commit_leaves_nothing(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.receive(3)
    house.now += timedelta(minutes=5)
    with monkeypatch.context() as broken:
        broken.setattr(sealing, "digest_of", lambda _seal: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            seal_rows(house.runtime)
    house.seal()
    assert house.verify()[1].tables["deliveries"].sealed == 3


def test_what_retention_removed_is_no_loss(house: SealedHouse) -> None:
    rows = house.receive(20)
    house.seal()
    house.remove([row.id for row in rows[:15]])
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].removed) == ([], 15)
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[17].id)
    assert [finding.id for finding in house.verify()[0]] == [str(rows[17].id)]


def test_a_seal_gives_up_its_list_when_all_its_rows_are_removed(house: SealedHouse) -> None:
    rows = house.receive(9)
    house.seal()
    for part in (rows[:4], rows[4:]):
        house.remove([row.id for row in part])
    (seal,) = seals(house)
    assert seal.leaves == b""
    assert seal.pruned_at == house.now
    house.receive(2)
    house.seal()
    findings, summary = house.verify()
    assert findings == []
    assert (summary.tables["deliveries"].removed, summary.tables["deliveries"].sealed) == (9, 2)


def test_late_and_young_rows_can_be_removed_too(house: SealedHouse) -> None:
    began = house.now
    rows = house.receive(3)
    house.seal()
    rows += house.receive(2, at=began - timedelta(seconds=1))
    house.close()
    rows += house.receive(2)
    house.remove([row.id for row in rows])
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].removed) == ([], 5)


def test_a_removal_cannot_be_forged(house: SealedHouse) -> None:
    rows = house.receive(9)
    house.seal()
    house.remove([rows[0].id])
    signed = seals(house)[0].removed
    assert signed is not None
    house.tamper("UPDATE seals SET removed = :v", v=signed[:-1] + b"\x01")
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[8].id)
    findings, _ = house.verify()
    assert {finding.what for finding in findings} == {What.SEAL, What.MISSING}
    house.tamper("UPDATE seals SET removed = :v, leaves = :none", v=signed, none=b"")
    assert "list of rows is missing" in house.verify()[0][0].detail


def test_a_key_that_no_seal_vouches_for_removes_nothing(house: SealedHouse) -> None:
    """Whoever writes to the database can put a key there, and has its private half."""
    rows = house.receive(9)
    house.seal()
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    with unit_of_work(house.database, house.bell) as work:
        work.session.add(
            SealingKeyRow(id=key_id_of(public), public=public, private=b"", created_at=house.now)
        )
        note_removed_rows(work.session.exec(select(SealRow)).one(), [4], key_id_of(public), key)
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[4].id)
    told = [(finding.what, finding.id) for finding in house.verify()[0]]
    assert told == [(What.SEAL, None), (What.MISSING, str(rows[4].id))]


def test_a_removed_row_that_is_there_again_is_told(house: SealedHouse) -> None:
    rows = house.receive(3)
    house.seal()
    house.remove([rows[1].id])
    house.store(DeliveryRow(**rows[1].model_dump()))
    (finding,) = house.verify()[0]
    assert (finding.what, finding.id) == (What.ADDED, str(rows[1].id))


def test_rows_that_retention_removes_meanwhile_are_not_sealed(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = house.receive(4)
    house.now += timedelta(minutes=5)
    write = sealing._write

    def after_removal(*arguments: object) -> object:
        monkeypatch.setattr(sealing, "_write", write)
        house.remove([rows[0].id])
        return write(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(sealing, "_write", after_removal)
    house.seal(after=timedelta())
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].sealed) == ([], 3)


def test_the_key_can_be_changed(house: SealedHouse) -> None:
    house.receive(3)
    house.seal()
    first = house.look_at("SELECT public FROM sealing_keys")
    with unit_of_work(house.database, house.bell) as work:
        new = change_key(work.session, SecretBox(KEYS), now=house.now)
    rows = house.receive(3)
    house.seal()
    house.remove([rows[0].id])
    findings, summary = house.verify(Question(public_keys=(first,)))
    assert findings == []
    assert summary.key_ids[-1] == new
    assert len(summary.key_ids) == 2
    house.tamper("UPDATE seals SET root = :v WHERE covers = 'sealing_keys'", v=b"x" * 32)
    findings, _ = house.verify(Question(public_keys=(first,)))
    assert [finding.seal for finding in findings] == [2, 3]


def test_a_key_that_was_replaced_signs_nothing_more(house: SealedHouse) -> None:
    """Somebody has read it: that is why it was replaced."""
    house.receive(3)
    house.seal()
    with house.database.session(read_only=True) as session:
        stolen = current_key(session, SecretBox(KEYS), seals(house)[0], now=house.now)
    with unit_of_work(house.database, house.bell) as work:
        change_key(work.session, SecretBox(KEYS), now=house.now)
    rows = house.receive(3)
    house.seal()
    with unit_of_work(house.database, house.bell) as work:
        third = work.session.get_one(SealRow, 3)
        note_removed_rows(third, [0], stolen.id, stolen.private)
        forged = SealRow(**third.model_dump(exclude={"removed"}))
        forged.number, forged.previous, forged.key_id = 4, digest_of(third), stolen.id
        sign(forged, stolen.private)
        work.session.add(forged)
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[0].id)
    findings, _ = house.verify()
    assert [finding.seal for finding in findings if finding.what is What.SEAL] == [4, 3]
    assert str(rows[0].id) in {finding.id for finding in findings}


def test_without_its_key_nothing_is_sealed_and_nothing_removed(house: SealedHouse) -> None:
    rows = house.receive(3)
    house.seal()
    house.settings = house.settings.model_copy(update={"secret_keys": ("another" * 6,)})
    house.runtime = house.another_worker()
    house.receive(3)
    with pytest.raises(ConfigurationError):
        house.seal()
    with pytest.raises(ConfigurationError):
        house.remove([rows[0].id])
    findings, summary = house.verify()
    assert (findings, summary.tables["deliveries"].unsealed) == ([], 3)


def test_a_lost_key_is_replaced_and_told_until_the_new_one_is_known(house: SealedHouse) -> None:
    rows = house.receive(3)
    house.seal()
    first = house.look_at("SELECT public FROM sealing_keys")
    with pytest.raises(Invalid), unit_of_work(house.database, house.bell) as work:
        replace_lost_key(work.session, SecretBox(KEYS), now=house.now)
    house.settings = house.settings.model_copy(update={"secret_keys": ("another" * 6,)})
    house.runtime = house.another_worker()
    with capture_logs() as logs:
        warn_of_closed_key(house.runtime)
    assert [line["event"] for line in logs] == ["sealing_key_not_opened"]
    with unit_of_work(house.database, house.bell) as work:
        box = SecretBox(house.settings.required_secret_keys())
        new = replace_lost_key(work.session, box, now=house.now)
    rows += house.receive(3)
    house.seal()
    house.remove([rows[0].id, rows[3].id])
    (finding,) = house.verify(Question(public_keys=(first,)))[0]
    assert (finding.what, finding.seal) == (What.KEY_LOST, 2)
    assert "the key was lost at 2026-11-" in finding.detail
    assert [finding.what for finding in house.verify()[0]] == [What.KEY_LOST]
    second = house.look_at("SELECT public FROM sealing_keys WHERE id = :key", key=new)
    findings, summary = house.verify(Question(public_keys=(first, second)))
    assert findings == []
    assert "the key was lost" in summary.notes[0]
    assert summary.tables["deliveries"].removed == 2
    with capture_logs() as logs:
        warn_of_closed_key(house.runtime)
    assert logs == []


def test_both_databases_hash_a_row_alike(sqlite_url: str, postgres_url: str) -> None:
    databases = [Database(sqlite_url), Database(postgres_url)]
    try:
        first, second = (hashes_of_odd_rows(database) for database in databases)
    finally:
        for database in databases:
            database.dispose()
    assert first == second
    assert len(set(first)) == len(first) > 5
