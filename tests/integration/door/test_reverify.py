"""What was refused is accepted once its source is corrected, as the door would have done."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from schemas.clock import utc_now
from schemas.configured_tables import SourceRow
from schemas.evidence_tables import AuditEventRow
from schemas.reverifying import ReverifyQuestion, ReverifyReport
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, RejectionRow
from service import reverify as module
from service.db import Database
from service.errors import NotFound
from service.reverify import reverify
from service.source_secrets import seal_secrets
from service.store.sources import bump_sources_mark
from service.tokens import Caller, Role
from service.vendors import BY_NAME
from service.vendors.base import Secret
from tests.integration.door.receiver import (
    BODY,
    BOX,
    BellBook,
    Receiver,
    add_source,
    receiving,
    sign_standard,
)
from tests.servers import wait_until
from tests.vendors.test_conformance import CASES, Case

CALLER = Caller("ann", Role.OPERATOR, None)
WRONG = "what-the-vendor-has-0123456789"


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


def again(database: Database, bell: BellBook, **asked: Any) -> ReverifyReport:
    question = ReverifyQuestion(**asked)
    return reverify(database, bell, BY_NAME, BOX, question, CALLER, utc_now())


def correct(database: Database, name: str = "github", *secrets: str) -> None:
    with database.session() as session:
        row = session.exec(select(SourceRow).where(SourceRow.name == name)).one()
        row.secrets = seal_secrets(BOX, [Secret(secret) for secret in secrets or (WRONG,)])
        session.add(row)
        bump_sources_mark(session)
        session.commit()


def refused(receiver: Receiver, many: int) -> Sequence[RejectionRow]:
    wait_until(lambda: len(receiver.rejections()) >= many, what=f"{many} rejections")
    return receiver.rejections()


def audits(database: Database) -> Sequence[AuditEventRow]:
    with database.session(read_only=True) as session:
        return session.exec(select(AuditEventRow).order_by(col(AuditEventRow.id))).all()


def test_after_the_secret_is_corrected_what_was_refused_is_stored_once(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    for ident in ("d-1", "d-2", "d-3"):
        assert receiver.send(ident, secret=WRONG).status_code == 401
    assert receiver.send("forged", secret="somebody's").status_code == 401
    first, *_ = refused(receiver, 4)
    assert again(database, bell).not_authentic == {"signature_mismatch": 4}
    correct(database)
    # The vendor sends one of them again by itself.
    wait_until(lambda: receiver.send("d-2", secret=WRONG).status_code == 202)

    foreseen = again(database, bell, dry_run=True)
    assert (foreseen.accepted, foreseen.duplicates) == (2, 1)
    assert len(receiver.rows()) == 1
    report = again(database, bell, source="github")

    assert (report.accepted, report.duplicates) == (2, 1)
    assert report.not_authentic == {"signature_mismatch": 1}
    kept = {row.rejection_id: row for row in receiver.rows()}
    delivery = kept[first.id]
    assert (delivery.delivery_key, delivery.body, delivery.state) == ("d-1", BODY, "received")
    assert delivery.received_at == first.received_at
    assert ["x-github-delivery", "d-1"] in delivery.headers
    assert delivery.id in bell.rung()
    by_id = {row.id: row for row in receiver.rejections()}
    assert by_id[first.id].delivery_id == delivery.id
    assert by_id[first.id].accepted_at is not None
    (audit,) = audits(database)
    assert (audit.by, audit.action, audit.subject) == ("ann", "rejection.reverify", "github")
    assert audit.details == {"asked": {"source": "github"}, "accepted": 2, "duplicates": 1}
    # Whoever sends it now is told that it is here.
    assert receiver.send("d-1", secret=WRONG).json() == {
        "id": str(delivery.id),
        "status": "duplicate",
    }
    rest = again(database, bell)
    assert (rest.accepted, rest.duplicates, len(rest.results)) == (0, 0, 1)
    assert again(database, bell, ids=[first.id]).already == 1


def test_two_who_ask_at_once_store_it_once(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    for number in range(60):
        receiver.send(f"d-{number}", secret=WRONG)
    refused(receiver, 60)
    correct(database)
    reports: list[ReverifyReport] = []
    threads = [
        threading.Thread(target=lambda: reports.append(again(database, bell))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.accepted for report in reports) == 60
    assert sum(report.duplicates for report in reports) == 0
    assert len(receiver.rows()) == 60
    assert all(row.delivery_id is not None for row in receiver.rejections())


@on_sqlite
def test_portions_go_on_after_one_another(
    receiver: Receiver, database: Database, bell: BellBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PORTION", 3)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    for number in range(8):
        receiver.send(f"d-{number}", secret=WRONG)
    refused(receiver, 8)
    correct(database)
    accepted, cursor, calls = 0, None, 0
    while calls == 0 or cursor is not None:
        report = again(database, bell, source="github", cursor=cursor)
        accepted, cursor, calls = accepted + report.accepted, report.next_cursor, calls + 1
    assert (accepted, calls) == (8, 3)
    assert [row.delivery_key for row in receiver.rows()] == [f"d-{n}" for n in range(8)]


@on_sqlite
def test_the_filter_narrows(receiver: Receiver, database: Database, bell: BellBook) -> None:
    receiver.send("d-1", secret=WRONG)
    receiver.post(headers={"x-github-delivery": "d-2"})
    row = next(row for row in refused(receiver, 2) if row.reason == "signature_mismatch")
    correct(database)
    assert again(database, bell, reason="missing_header").not_authentic == {"missing_header": 1}
    assert again(database, bell, since=utc_now()).results == []
    assert again(database, bell, until=row.received_at).results == []
    assert again(database, bell, source="other").results == []
    assert again(database, bell, since=row.received_at, ids=[row.id]).accepted == 1


@on_sqlite
def test_the_present_for_a_signed_time_is_when_it_came(database: Database, bell: BellBook) -> None:
    secret = "whsec_" + "B" * 32
    came = utc_now() - timedelta(days=2)
    with database.session() as session:
        add_source(session, "std", "generic", secrets=(Secret(secret),))
        for ident, ago in (("fresh", timedelta(0)), ("replayed", timedelta(hours=1))):
            signed = sign_standard(b"{}", secret, came - ago, ident)
            row = RejectionRow(
                source="std",
                received_at=came,
                reason="signature_mismatch",
                headers=[[name.lower(), value] for name, value in signed.headers],
                body=signed.body,
                body_bytes=len(signed.body),
                complete=True,
            )
            session.add(row)
        session.commit()
    report = again(database, bell, source="std")
    assert (report.accepted, report.not_authentic) == (1, {"stale": 1})
    with database.session(read_only=True) as session:
        (delivery,) = session.exec(select(DeliveryRow)).all()
    assert (delivery.delivery_key, delivery.received_at) == ("fresh", came)


def test_a_source_that_was_made_later_and_a_mistyped_name(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    assert receiver.send("d-1", path="/hooks/later", secret=WRONG).status_code == 404
    assert receiver.send("d-2", path="/hooks/githbu").status_code == 404
    refused(receiver, 2)
    assert again(database, bell).no_source == 2
    with database.session() as session:
        add_source(session, "later", secrets=(Secret(WRONG),))
    assert again(database, bell, source="later").accepted == 1
    with pytest.raises(NotFound):
        again(database, bell, **{"as": "githbu"})
    report = again(database, bell, **{"source": "githbu", "as": "github"})
    assert report.accepted == 1
    assert {(row.source, row.delivery_key) for row in receiver.rows()} == {
        ("later", "d-1"),
        ("github", "d-2"),
    }


@on_sqlite
def test_only_the_right_token_of_a_path_proves(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    unsigned = {"scheme": "none", "id_headers": ["X-Id"]}
    for number, token in enumerate(["right", "wrong", ""]):
        path = f"/hooks/late/{token}" if token else "/hooks/late"
        receiver.post(path, headers={"x-id": str(number)})
    refused(receiver, 3)
    with database.session() as session:
        add_source(session, "late", "generic", secrets=(), path_token="right", options=unsigned)
    report = again(database, bell)
    assert (report.accepted, report.not_authentic) == (1, {"wrong_path_token": 2})
    assert [row.delivery_key for row in receiver.rows()] == ["0"]


@on_sqlite
def test_one_that_our_code_cannot_judge_does_not_hinder_the_others(
    receiver: Receiver, database: Database, bell: BellBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ident in ("poison", "good"):
        receiver.send(ident, secret=WRONG)
    refused(receiver, 2)
    correct(database)
    monkeypatch.setattr(
        "service.reverify.storable_key", lambda name: name if name == "good" else 1 / 0
    )
    report = again(database, bell)
    assert (report.accepted, report.not_authentic) == (1, {"failed": 1})
    monkeypatch.undo()
    assert again(database, bell).accepted == 1


@on_sqlite
def test_what_is_closed_cut_or_a_handshake_stays_refused(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    with database.session() as session:
        add_source(session, "slack", "slack")
        add_source(session, "asleep", secrets=(Secret(WRONG),), enabled=False)
    slack = BY_NAME["slack"].incoming
    assert slack is not None
    body = b'{"type": "url_verification", "challenge": "c"}'
    signed = slack.sign(body, WRONG, utc_now(), slack.options(), event="", delivery_id="1")
    wait_until(lambda: receiver.post("/hooks/slack", body=b"x").status_code == 401)
    receiver.post("/hooks/slack", body=signed.body, headers=signed.headers)
    wait_until(lambda: receiver.send("d-1", path="/hooks/asleep").status_code == 404)
    receiver.send("d-2", secret=WRONG)
    long = [("x-many", "x" * 5_000)] * 4
    receiver.post(headers=[*long, ("x-hub-signature-256", "sha256=" + "0" * 64)])
    refused(receiver, 5)
    with database.session() as session:
        row = session.exec(select(RejectionRow).where(RejectionRow.body == BODY)).first()
        assert row is not None
    for name in ("slack", "github"):
        correct(database, name)
    report = again(database, bell)
    assert (report.accepted, report.incomplete, report.handshakes) == (1, 1, 1)
    assert report.not_authentic == {"disabled": 1, "missing_header": 1}


def test_a_duplicate_of_one_that_gave_no_event_is_tried_anew_as_at_the_door(
    receiver: Receiver, database: Database, bell: BellBook
) -> None:
    receiver.send("d-1", secret=WRONG)
    refused(receiver, 1)
    correct(database)
    wait_until(lambda: receiver.send("d-1", secret=WRONG).status_code == 202)
    with database.session() as session:
        row = session.exec(select(DeliveryRow)).one()
        row.state = DeliveryState.DEAD
        session.add(row)
        session.commit()
    wait_until(bell.rung)  # behind the answer
    bell.jobs.clear()
    assert again(database, bell).duplicates == 1
    (row,) = receiver.rows()
    assert (row.state, row.rejection_id, bell.rung()) == ("received", None, [row.id])


def test_of_every_vendor_what_was_refused_is_accepted_later(
    sqlite_url: str, bell: BellBook
) -> None:
    """Also where the only proof is a token in a header, which nobody may read meanwhile."""
    cases: list[Case] = [param.values[0] for param in CASES]
    database = Database(sqlite_url)
    signed = {f"s{number}": case for number, case in enumerate(cases) if case.is_signed}
    with database.session() as session:
        for name, case in signed.items():
            add_source(
                session,
                name,
                case.name,
                secrets=(Secret(case.keys.public),),
                options=case.options.model_dump(mode="json", exclude_unset=True),
            )
    with receiving(database, bell) as receiver:
        sent = {name: case.send(other_secret=True, now=utc_now()) for name, case in signed.items()}
        for name, delivery in sent.items():
            headers = [(n, v) for n, v in delivery.headers.items if n not in {"host", "accept"}]
            path = f"/hooks/{name}"
            assert receiver.post(path, body=delivery.body, headers=headers).status_code == 401, name
        rows = refused(receiver, len(sent))
        assert {row.source for row in rows} == set(sent)
        assert all(row.complete for row in rows)
        for refusal in rows:
            assert signed[refusal.source].other_keys.public not in repr(refusal.headers)
        for name, case in signed.items():
            correct(database, name, case.other_keys.public)
        report = again(database, bell)
        assert report.not_authentic == {}
        handshakes = len(sent) - len(receiver.rows())
        assert (report.accepted, report.handshakes) == (len(receiver.rows()), handshakes)
        assert handshakes <= 1
        for row in receiver.rows():
            case = signed[row.source]
            assert row.delivery_key == case.key(sent[row.source])
            assert case.other_keys.public not in repr(row.headers)
    database.dispose()
