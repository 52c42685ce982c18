"""Refused requests are kept within bounds, and keeping them costs deliveries nothing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from sqlmodel import col, func, select

from schemas.clock import utc_now
from schemas.config import Limits
from schemas.tables import METADATA, RejectionRow
from service.db import Database
from service.diagnosing import diagnose_next
from service.door_sources import LiveSource
from service.quarantine import (
    BURST_ROWS,
    GLIMPSE_BYTES,
    HEAP_BYTES,
    HEAP_REFUSALS,
    Quarantine,
)
from service.refused import MAX_HEADER_CHARS, Refused, restore, row_of
from service.runtime import make_runtime
from service.secretbox import SecretBox
from service.settings import Settings
from service.store.rejections import Bounds
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from tests.integration.door.receiver import (
    BODY,
    BOX,
    BellBook,
    Receiver,
    add_source,
    sign_github,
)
from tests.servers import wait_until

KEY_OF_BOX = "a-key-for-tests-0123456789abcdef-0123456789"


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> object:
        return self.now


def live(name: str) -> LiveSource:
    return LiveSource(id=uuid4(), name=name, vendor="github", closed=None, limits=Limits())


def refused(
    number: int = 0,
    *,
    source: str | None = "github",
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = (("x-one", "1"),),
    **more: Any,
) -> Refused:
    sent = str(number).encode() if body is None else body
    values: dict[str, Any] = {
        "source": None if source is None else live(source),
        "reason": "signature_mismatch",
        "detail": "no live secret gives this signature",
        "remote": "192.0.2.7",
        "request_id": "r-1",
        "received_at": utc_now() + timedelta(microseconds=number),
        "body": sent,
        "size": len(sent),
        "headers": headers,
    }
    return Refused(**{**values, **more})


def rows(database: Database) -> list[RejectionRow]:
    with database.session(read_only=True) as session:
        return list(session.exec(select(RejectionRow).order_by(col(RejectionRow.received_at))))


def count(database: Database) -> int:
    with database.session(read_only=True) as session:
        return session.exec(select(func.count()).select_from(RejectionRow)).one()


@pytest.fixture
def small(database: Database) -> Iterator[Quarantine]:
    bounds = Bounds(rows=40, size=10 * 1024 * 1024, source_share=0.5)
    quarantine = Quarantine(database, BellBook(), BOX, bounds=bounds)
    quarantine.start()
    yield quarantine
    quarantine.stop()


def test_rows_are_bounded_in_all_and_for_each_source(small: Quarantine, database: Database) -> None:
    for number in range(5):
        small.keep(refused(number, source="quiet"))
    for number in range(60):
        small.keep(refused(number, source="noisy"))
    small.stop()
    kept = rows(database)
    assert len(kept) == 25
    assert sum(row.source == "quiet" for row in kept) == 5
    noisy = [row.body for row in kept if row.source == "noisy"]
    assert noisy == [str(number).encode() for number in range(40, 60)]  # the newest


def test_bytes_are_bounded(database: Database) -> None:
    bounds = Bounds(size=10 * 66 * 1024, source_share=1)
    quarantine = Quarantine(database, BellBook(), BOX, bounds=bounds)
    quarantine.start()
    for number in range(30):
        quarantine.keep(refused(number, body=bytes([number]) * 64 * 1024))
    quarantine.stop()
    assert len(rows(database)) == 10


@on_sqlite
def test_a_body_for_which_there_is_no_room_is_cut_to_a_glimpse(database: Database) -> None:
    quarantine = Quarantine(database, BellBook(), BOX)
    size = HEAP_BYTES // 16
    for number in range(9):
        quarantine.keep(refused(number, body=bytes([number]) * size))
    quarantine.keep(refused(9, source="other", body=bytes([9]) * size))
    quarantine.start()
    quarantine.stop()
    kept = rows(database)
    assert [len(row.body) for row in kept] == [*[size] * 7, *[GLIMPSE_BYTES] * 2, size]
    assert [row.complete for row in kept] == [*[True] * 7, False, False, True]
    assert {row.body_bytes for row in kept} == {size}


@on_sqlite
def test_a_flood_is_a_burst_and_then_a_trickle(database: Database) -> None:
    now = [0.0]
    quarantine = Quarantine(database, BellBook(), BOX, monotonic=lambda: now[0])
    taken = []
    for second in range(20):
        now[0] = float(second)
        for number in range(HEAP_REFUSALS):
            quarantine.keep(refused(second * 1000 + number))
        taken.append(len(quarantine._heap))
        quarantine._heap.clear()
        quarantine._rooms["github"].waiting_rows = 0
    assert taken[:4] == [HEAP_REFUSALS // 2] * 4
    assert sum(taken[:4]) == BURST_ROWS
    assert set(taken[6:]) == {2}
    assert quarantine.has_room("other")
    quarantine.start()
    quarantine.stop()


@on_sqlite
def test_equal_refusals_use_up_no_room(database: Database) -> None:
    quarantine = Quarantine(database, BellBook(), BOX)
    quarantine.start()
    for _ in range(200):
        quarantine.keep(refused(1))
    wait_until(lambda: [row.count for row in rows(database)] == [200])
    assert quarantine._rooms["github"].rows == pytest.approx(BURST_ROWS - 1, abs=0.5)
    quarantine.stop()


def test_headers_count_as_bytes_of_the_table(database: Database) -> None:
    quarantine = Quarantine(database, BellBook(), BOX, bounds=Bounds(size=90_000, source_share=1))
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


@on_sqlite
def test_headers_count_in_the_bound_of_memory(database: Database) -> None:
    quarantine = Quarantine(database, BellBook(), BOX)
    big = [("x-a", "b" * 8_000), ("x-c", "d" * 8_000)]
    for number in range(HEAP_REFUSALS):
        for source in ("one", "two", "three"):
            quarantine.keep(refused(number, source=source, body=b"a" * 40_000, headers=big))
    held = quarantine._heap
    weight = sum(len(one.body) + sum(len(a) + len(b) for a, b in one.headers) for one in held)
    assert HEAP_BYTES * 0.9 < weight <= HEAP_BYTES
    assert len(held) < HEAP_REFUSALS
    quarantine.start()
    quarantine.stop()


def test_after_a_failed_commit_an_equal_refusal_is_stored(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'late.db'}")
    quarantine = Quarantine(database, BellBook(), BOX)
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
    quarantine = Quarantine(database, BellBook(), BOX, clock=clock)  # type: ignore[arg-type]
    quarantine.start()
    quarantine.keep(refused(1))
    wait_until(lambda: count(database) == 1)
    clock.now += timedelta(days=8)
    quarantine.keep(refused(2))
    quarantine.stop()
    assert count(database) == 0


def test_equal_refusals_are_counted(small: Quarantine, database: Database) -> None:
    for _ in range(3):
        small.keep(refused(1))
    small.keep(refused(2))
    wait_until(lambda: count(database) == 2)
    for _ in range(4):
        small.keep(refused(1))
    wait_until(lambda: sorted(row.count for row in rows(database)) == [1, 7])


def test_texts_that_cannot_be_stored_are_made_storable(
    small: Quarantine, database: Database
) -> None:
    small.keep(
        refused(
            detail="\x00\ud800" + "x" * 1000,
            remote="r" * 1000,
            body=b"\x00",
            headers=[("x", "\x00")],
        )
    )
    wait_until(lambda: count(database) == 1)
    (row,) = rows(database)
    assert (len(row.detail), len(row.remote), row.headers) == (500, 200, [["x", "\ufffd"]])
    assert not row.complete  # a signature over that header could not be recomputed


@on_sqlite
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


@on_sqlite
def test_what_is_struck_out_is_kept_sealed(receiver: Receiver) -> None:
    sent = [("Authorization", "Bearer abc"), ("X-Acme-Auth", "plain-token"), ("X-Id", "7")]
    receiver.post("/hooks/github/path-token", headers=sent)
    (row,) = wait_until(receiver.rejections)
    assert row.reason == "wrong_path_token"
    assert dict(row.headers)["x-acme-auth"] == "[redacted]"
    for secret in (b"Bearer abc", b"plain-token", b"path-token"):
        assert secret not in repr(row.model_dump()).encode()
    whole = restore(row, BOX)
    assert whole is not None
    assert whole.token == "path-token"
    assert {(name.lower(), value) for name, value in sent} <= set(whole.headers)
    assert restore(row, SecretBox(["another key"])) is None


@on_sqlite
def test_a_wrong_token_is_as_secret_as_the_right_one(
    receiver: Receiver, database: Database
) -> None:
    """Once it is configured it is the right one."""
    token = {"scheme": "custom", "algorithm": "token-equality", "encoding": "text"}
    with database.session() as session:
        add_source(session, "in-house", "generic", options={**token, "signature_header": "X-Proof"})
    proof = {"x-proof": "the-wrong-one"}
    wait_until(lambda: receiver.post("/hooks/in-house", headers=proof).status_code == 401)
    (row,) = wait_until(lambda: [row for row in receiver.rejections() if row.source == "in-house"])
    assert dict(row.headers)["x-proof"] == "[redacted]"
    whole = restore(row, BOX)
    assert whole is not None
    assert ("x-proof", "the-wrong-one") in whole.headers


@on_sqlite
def test_a_name_that_would_command_a_terminal_is_made_harmless(receiver: Receiver) -> None:
    receiver.post("/hooks/%1b%5d0;gone%07", body=b"x")
    (row,) = wait_until(receiver.rejections)
    assert row.address == "\ufffd]0;gone\ufffd"


@on_sqlite
def test_unknown_names_share_one_bucket(receiver: Receiver) -> None:
    for number in range(30):
        assert receiver.post(f"/hooks/guess-{number}").status_code == 404
    wait_until(lambda: sum(row.count for row in receiver.rejections()) == 30)
    (row,) = receiver.rejections()
    assert (row.source, row.address, row.reason) == ("-", "guess-0", "unknown_source")
    assert row.detail == "nothing is received at 'guess-0'"
    assert {source for source, _ in receiver.door.counts} == {"-"}


@on_sqlite
def test_what_came_where_nothing_is_received_is_kept_whole(
    receiver: Receiver, database: Database
) -> None:
    with database.session() as session:
        add_source(session, "closed", secrets=())
        add_source(session, "asleep", enabled=False)
    wait_until(lambda: receiver.post("/hooks/closed").status_code == 404)
    wait_until(lambda: receiver.post("/hooks/asleep").status_code == 404)
    receiver.client.request("OPTIONS", "/hooks/nobody", content=b"asks")
    wait_until(lambda: len(receiver.rejections()) >= 3)
    kept = {row.address or row.source: row for row in receiver.rejections()}
    assert {name: kept[name].complete for name in ("closed", "asleep", "nobody")} == {
        "closed": True,
        "asleep": True,
        "nobody": False,
    }
    assert kept["asleep"].body == BODY


@on_sqlite
def test_one_body_under_two_delivery_ids_is_two_refusals(receiver: Receiver) -> None:
    for ident in ("one", "two", "two"):
        receiver.send(ident, secret="wrong")
    wait_until(lambda: sum(row.count for row in receiver.rejections()) == 3)
    assert sorted(row.count for row in receiver.rejections()) == [1, 2]


def test_what_is_refused_can_be_verified_again_with_the_right_secret(receiver: Receiver) -> None:
    """The quarantine holds everything a verifier asks for."""
    body = gzip.compress(b"any bytes")
    receiver.send(body=body, secret="the-right-one")
    (row,) = wait_until(receiver.rejections)
    assert row.body == body
    assert row.body_bytes == len(body)
    signature = dict(sign_github(body=body, secret="the-right-one").headers)["X-Hub-Signature-256"]
    assert ["x-hub-signature-256", signature] in row.headers


def test_of_a_flood_one_is_looked_into(
    receiver: Receiver, database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, secret_keys=(KEY_OF_BOX,))
    runtime = make_runtime(settings, database, BellBook())
    for number in range(5):
        receiver.send(str(number), secret="wrong")
    receiver.post("/hooks/githubb")
    wait_until(lambda: len(receiver.rejections()) == 6)
    with structlog.testing.capture_logs() as said:
        assert diagnose_next(runtime)
        assert not diagnose_next(runtime)
        assert not diagnose_next(runtime)
    causes = {row.cause: row.diagnosis for row in receiver.rejections() if row.cause}
    assert set(causes) == {"wrong_secret", "unknown_source"}
    assert "did you mean `github`?" in (causes["unknown_source"] or "").lower()
    told = [
        (line["cause"], line["log_level"]) for line in said if line["event"] == "refusal_explained"
    ]
    assert sorted(told) == [("unknown_source", "info"), ("wrong_secret", "warning")]


@on_sqlite
def test_a_fault_of_ours_in_looking_is_told_and_not_met_again(
    database: Database, tmp_path: Path
) -> None:
    runtime = make_runtime(
        Settings(data_dir=tmp_path, secret_keys=(KEY_OF_BOX,)), database, BellBook()
    )
    runtime.vendors = {**BY_NAME, "github": faulty(BY_NAME["github"])}
    with database.session() as session:
        add_source(session)
        for source in ("github", "other"):
            row = row_of(refused(body=b"x", source=source), BOX)
            session.add(row)
        session.commit()
    with structlog.testing.capture_logs() as said:
        assert diagnose_next(runtime)
        assert not diagnose_next(runtime)
    assert "refusal_not_explained" in {line["event"] for line in said}
    assert [row.cause for row in rows(database)] == ["unexplained"] * 2


def faulty(vendor: Vendor) -> Vendor:
    def verify(_delivery: object, _now: object) -> None:
        raise RuntimeError

    assert vendor.incoming is not None
    return replace(vendor, incoming=replace(vendor.incoming, verifier=lambda *_: verify))
