"""Refused requests are kept within bounds, and keeping them costs deliveries nothing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from sqlmodel import col, func, select

from schemas.clock import utc_now
from schemas.tables import METADATA, RejectionRow
from service.db import Database
from service.quarantine import (
    HEAP_BYTES,
    HEAP_REFUSALS,
    MAX_HEADER_CHARS,
    ROWS_A_BATCH,
    Quarantine,
    Refused,
)
from service.store.rejections import MAX_BODY_BYTES, Bounds
from tests.integration.door.receiver import BellBook, Receiver, sign_github
from tests.servers import wait_until


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> object:
        return self.now


def refused(
    number: int = 0,
    *,
    source: str = "github",
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = (("x-one", "1"),),
) -> Refused:
    return Refused(
        source=source,
        reason="signature_mismatch",
        detail="no live secret gives this signature",
        remote="192.0.2.7",
        request_id="r-1",
        received_at=utc_now() + timedelta(microseconds=number),
        body=str(number).encode() if body is None else body,
        headers=headers,
    )


def rows(database: Database) -> list[RejectionRow]:
    with database.session(read_only=True) as session:
        return list(session.exec(select(RejectionRow).order_by(col(RejectionRow.received_at))))


def count(database: Database) -> int:
    with database.session(read_only=True) as session:
        return session.exec(select(func.count()).select_from(RejectionRow)).one()


@pytest.fixture
def small(database: Database) -> Iterator[Quarantine]:
    bounds = Bounds(rows=40, size=10 * 1024 * 1024, source_share=0.5)
    quarantine = Quarantine(database, BellBook(), bounds=bounds)
    quarantine.start()
    yield quarantine
    quarantine.stop()


def test_rows_are_bounded_in_all_and_for_each_source(small: Quarantine, database: Database) -> None:
    for number in range(5):
        small.keep(refused(number, source="quiet"))
    for number in range(60):
        small.keep(refused(number, source="noisy"))
    wait_until(lambda: count(database) == 25)
    kept = rows(database)
    assert sum(row.source == "quiet" for row in kept) == 5
    noisy = [row.body for row in kept if row.source == "noisy"]
    assert noisy == [str(number).encode() for number in range(40, 60)]  # the newest


def test_bytes_are_bounded(database: Database) -> None:
    bounds = Bounds(size=10 * 66 * 1024, source_share=1)
    quarantine = Quarantine(database, BellBook(), bounds=bounds)
    quarantine.start()
    for number in range(30):
        quarantine.keep(refused(number, body=bytes([number]) * MAX_BODY_BYTES * 2))
    quarantine.stop()
    kept = rows(database)
    assert len(kept) == 10
    assert {len(row.body) for row in kept} == {MAX_BODY_BYTES}
    assert {row.body_bytes for row in kept} == {MAX_BODY_BYTES * 2}


def test_headers_count_as_bytes_of_the_table(database: Database) -> None:
    quarantine = Quarantine(database, BellBook(), bounds=Bounds(size=90_000, source_share=1))
    quarantine.start()
    for number in range(30):
        quarantine.keep(refused(number, headers=[("x-big", "a" * 8_000)]))
    quarantine.stop()
    assert 9 <= count(database) <= 10


def test_headers_are_cut_and_a_signature_behind_them_stays(
    small: Quarantine, database: Database
) -> None:
    headers = [("x-big", "a" * 30_000), ("x-signature", "s" * 100)]
    small.keep(refused(1, headers=[*headers, *[("x-more", "b" * 1000)] * 30]))
    wait_until(lambda: count(database) == 1)
    (row,) = rows(database)
    assert sum(len(name) + len(value) for name, value in row.headers) <= MAX_HEADER_CHARS
    assert ["x-signature", "s" * 100] in row.headers
    assert len(row.headers) > 10


def test_headers_count_in_the_bound_of_memory(database: Database) -> None:
    quarantine = Quarantine(database, BellBook())
    body = b"a" * (HEAP_BYTES // 50)
    for number in range(60):
        quarantine.keep(refused(number, body=body, headers=[("x", "b" * (HEAP_BYTES // 50))]))
    held = quarantine._heap
    weight = sum(len(one.body) + sum(len(a) + len(b) for a, b in one.headers) for one in held)
    assert HEAP_BYTES * 0.9 < weight <= HEAP_BYTES
    quarantine.start()
    quarantine.stop()


def test_after_a_failed_commit_an_equal_refusal_is_stored(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'late.db'}")
    quarantine = Quarantine(database, BellBook())
    quarantine.start()
    with structlog.testing.capture_logs() as said:
        quarantine.keep(refused(1))  # there is no table yet
        wait_until(lambda: any(line["event"] == "quarantine_not_stored" for line in said))
    METADATA.create_all(database.engine)
    quarantine.keep(refused(1))
    wait_until(lambda: [row.count for row in rows(database)] == [1])
    quarantine.stop()
    database.dispose()


def test_the_old_goes(database: Database) -> None:
    clock = Clock()
    quarantine = Quarantine(database, BellBook(), clock=clock)  # type: ignore[arg-type]
    quarantine.start()
    quarantine.keep(refused(1))
    wait_until(lambda: count(database) == 1)
    clock.now += timedelta(days=8)
    quarantine.keep(refused(2))
    wait_until(lambda: [row.body for row in rows(database)] == [])
    quarantine.stop()


def test_equal_refusals_are_counted(small: Quarantine, database: Database) -> None:
    for _ in range(3):
        small.keep(refused(1))
    small.keep(refused(2))
    wait_until(lambda: count(database) == 2)
    for _ in range(4):
        small.keep(refused(1))
    wait_until(lambda: sorted(row.count for row in rows(database)) == [1, 7])


def test_a_flood_is_bounded_in_memory_and_in_the_table(database: Database) -> None:
    quarantine = Quarantine(database, BellBook())
    for number in range(HEAP_REFUSALS * 4):
        quarantine.keep(refused(number))
    assert len(quarantine._heap) == HEAP_REFUSALS
    quarantine.start()
    quarantine.stop()
    assert count(database) == ROWS_A_BATCH


def test_texts_that_cannot_be_stored_are_made_storable(
    small: Quarantine, database: Database
) -> None:
    odd = refused(1, source="odd")
    small.keep(
        Refused(
            source=odd.source,
            reason=odd.reason,
            detail="\x00\ud800" + "x" * 1000,
            remote="r" * 1000,
            request_id="",
            received_at=odd.received_at,
            body=b"\x00",
            headers=[("x", "\x00")],
        )
    )
    wait_until(lambda: count(database) == 1)
    (row,) = rows(database)
    assert (len(row.detail), len(row.remote), row.headers) == (500, 200, [["x", "\ufffd"]])


def test_secrets_do_not_reach_it_but_signatures_do(receiver: Receiver) -> None:
    signed = sign_github(secret="wrong")
    signature = dict(signed.headers)["X-Hub-Signature-256"]
    secrets = [
        ("Authorization", "Bearer abc"),
        ("Cookie", "a=b"),
        ("X-Gitlab-Token", "tok"),
        ("X-Plain", "gh-secret-0123456789abcdef"),  # the source's own secret under any name
    ]
    receiver.post(headers=[*signed.headers, *secrets])
    (row,) = wait_until(receiver.rejections)
    kept = dict(row.headers)
    assert kept["x-hub-signature-256"] == signature
    assert {kept[name.lower()] for name, _ in secrets} == {"[redacted]"}


def test_unknown_names_share_one_bucket(receiver: Receiver) -> None:
    for number in range(30):
        assert receiver.post(f"/hooks/guess-{number}").status_code == 404
    wait_until(lambda: sum(row.count for row in receiver.rejections()) == 30)
    (row,) = receiver.rejections()
    assert (row.source, row.reason) == ("-", "unknown_source")
    assert row.detail == "nothing is received at 'guess-0'"
    assert {source for source, _ in receiver.door.counts} == {"-"}


def test_what_is_refused_can_be_verified_again_with_the_right_secret(receiver: Receiver) -> None:
    """The quarantine holds everything a verifier asks for."""
    body = gzip.compress(b"any bytes")
    receiver.send(body=body, secret="the-right-one")
    (row,) = wait_until(receiver.rejections)
    assert row.body == body
    assert row.body_bytes == len(body)
    signature = dict(sign_github(body=body, secret="the-right-one").headers)["X-Hub-Signature-256"]
    assert ["x-hub-signature-256", signature] in row.headers
