"""Retention beside seals: what is not as it was sealed is neither removed nor archived."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from schemas.config import Retention
from schemas.tables import DeliveryRow
from service.evidence_report import What
from service.retention import Remover
from service.retention_rules import POLICY, plain_retention
from service.store.policies import set_policy
from service.unit_of_work import unit_of_work
from tests.integration.sealing.sealed_house import SealedHouse

BODY = "UPDATE deliveries SET body = :v WHERE id = :id"


def settled(house: SealedHouse, count: int) -> list[DeliveryRow]:
    """Store deliveries that were read, and seal them."""
    rows = house.receive(count)
    house.close()
    house.tamper("UPDATE deliveries SET state = 'ingested'")
    return rows


def let_retention_work(house: SealedHouse) -> list[str]:
    """Let the time of all rows pass, and a round; gives the ids that are told as altered."""
    house.now += timedelta(days=40)
    remover = Remover(rest_times=0)
    with capture_logs() as logs:
        for _ in range(50):
            if not remover.remove_portion(house.runtime):
                return [
                    id_
                    for line in logs
                    if line["event"] == "sealed_row_altered" and line["log_level"] == "error"
                    for id_ in line["ids"]
                ]
    message = "a round of removing does not end"
    raise AssertionError(message)


def wrong(house: SealedHouse) -> list[tuple[What, str | None]]:
    return [(finding.what, finding.id) for finding in house.verify()[0]]


def left(house: SealedHouse) -> set[str]:
    return {str(row.id) for row in house.rows(DeliveryRow)}


def test_altered_rows_stay_and_their_neighbours_go(house: SealedHouse) -> None:
    rows = settled(house, 9)
    body, header = sorted(str(row.id) for row in (rows[2], rows[7]))
    house.tamper(BODY, v=b"forged", id=rows[2].id)
    to_json = "{}" if house.database.is_sqlite else "CAST({} AS jsonb)"
    forged = to_json.format("replace(CAST(headers AS text), 'json', 'jsom')")
    house.tamper(f"UPDATE deliveries SET headers = {forged} WHERE id = :id", id=rows[7].id)  # noqa: S608  # above
    for _ in range(2):
        assert let_retention_work(house) == [body, header], "told once in a round"
        assert left(house) == {body, header}
        assert wrong(house) == [(What.ALTERED, body), (What.ALTERED, header)]
    assert house.verify()[1].tables["deliveries"].removed == 7


def test_an_altered_row_is_not_archived(house: SealedHouse, tmp_path: Path) -> None:
    with unit_of_work(house.database, house.bell) as work:
        set_policy(work.session, POLICY, plain_retention(Retention(archive=True)), now=house.now)
    rows = settled(house, 4)
    house.tamper(BODY, v=b"forged", id=rows[1].id)
    altered = str(rows[1].id)
    assert let_retention_work(house) == [altered]
    (file,) = (tmp_path / "archive").glob("deliveries-*")
    archived = [json.loads(line)["id"] for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert archived == [str(row.id) for row in rows if row is not rows[1]]
    assert left(house) == {altered}
    assert wrong(house) == [(What.ALTERED, altered)]


def test_a_row_that_was_put_into_closed_time_stays(house: SealedHouse) -> None:
    settled(house, 3)
    (forged,) = house.receive(1, at=house.now - timedelta(days=2))
    house.tamper("UPDATE deliveries SET state = 'ingested'")
    assert let_retention_work(house) == [str(forged.id)]
    assert wrong(house) == [(What.ADDED, str(forged.id))]


def test_rows_of_a_seal_whose_list_was_altered_stay(house: SealedHouse) -> None:
    """Whoever alters a row can write its new hash into the list too."""
    rows = settled(house, 3)
    leaves = house.look_at("SELECT leaves FROM seals WHERE number = 1")
    house.tamper(BODY, v=b"forged", id=rows[0].id)
    house.tamper("UPDATE seals SET leaves = :v WHERE number = 1", v=leaves[:-1] + b"\x00")
    let_retention_work(house)
    assert len(left(house)) == 3
    assert What.SEAL in {what for what, _ in wrong(house)}


def test_a_forged_removal_is_not_signed_for(house: SealedHouse) -> None:
    """What stands there of removed rows is signed anew with each row that goes."""
    rows = house.receive(9)
    house.close()
    house.remove([rows[0].id])
    signed = house.look_at("SELECT removed FROM seals WHERE number = 1")
    house.tamper("UPDATE seals SET removed = :v WHERE number = 1", v=signed[:-2] + b"\x01\x01")
    house.tamper("DELETE FROM deliveries WHERE id = :id", id=rows[8].id)
    house.remove([rows[1].id])
    assert (What.MISSING, str(rows[8].id)) in wrong(house)
    assert str(rows[1].id) in left(house)
