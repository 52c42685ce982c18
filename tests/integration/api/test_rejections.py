"""Refused requests over the API: why they were refused, and accepting them after all."""

from __future__ import annotations

from typing import Any

from schemas.configured_tables import SourceRow
from schemas.tables import RejectionRow
from service.secretbox import SecretBox
from service.source_secrets import seal_secrets
from service.tokens import Role
from service.vendors import BY_NAME
from service.vendors.base import Secret
from tests.integration.api.conftest import NOW, Installation, make_rejection

BOX = SecretBox(["k" * 40])
SECRET = "the-secret-of-the-sender"


def source(*secrets: str) -> SourceRow:
    return SourceRow(
        name="hub",
        vendor="github",
        secrets=seal_secrets(BOX, [Secret(secret) for secret in secrets]),
        options={},
        limits={},
        updated_at=NOW,
    )


def refusal(ident: str = "d-1", **more: Any) -> RejectionRow:
    incoming = BY_NAME["github"].incoming
    assert incoming is not None
    signed = incoming.sign(b"{}", SECRET, NOW, incoming.options(), event="ping", delivery_id=ident)
    values: dict[str, Any] = {
        "source": "hub",
        "headers": [[name.lower(), value] for name, value in signed.headers],
        "body": signed.body,
        "body_bytes": len(signed.body),
        "complete": True,
    }
    return make_rejection(**{**values, **more})


def post(face: Installation, role: Role, **asked: Any) -> Any:
    return face.client.post(
        "/rejections/reverify",
        json=asked,
        headers={"Authorization": f"Bearer {face.token_of(role)}"},
    )


def test_why_is_found_out_when_somebody_looks_and_then_kept(face: Installation) -> None:
    row = refusal()
    face.save(source("another-secret"), row)
    (listed,) = face.get("/rejections", source="hub")["data"]
    assert (listed["cause"], listed["diagnosis"], listed["complete"]) == (None, None, True)
    found = face.get(f"/rejections/{row.id}")
    assert found["cause"] == "wrong_secret"
    assert "hookwright delivery reverify --source hub" in found["diagnosis"]
    (listed,) = face.get("/rejections", cause="wrong_secret")["data"]
    assert listed["diagnosis"] == found["diagnosis"]


def test_what_was_sent_to_a_name_is_found_by_it(face: Installation) -> None:
    face.save(refusal(source="-", address="hubb"), refusal())
    assert [row["address"] for row in face.get("/rejections", source="hubb")["data"]] == ["hubb"]


def test_an_operator_verifies_again_and_a_viewer_does_not(face: Installation) -> None:
    rows = [refusal(f"d-{number}") for number in range(2)]
    face.save(source(SECRET), *rows)
    assert post(face, Role.VIEWER).status_code == 403
    answer = post(face, Role.OPERATOR, source="hub", dry_run=True).json()
    assert (answer["accepted"], answer["next_cursor"]) == (2, None)
    assert face.get("/deliveries")["data"] == []
    answer = post(face, Role.OPERATOR, ids=[str(rows[0].id)]).json()
    (result,) = answer["results"]
    assert (result["outcome"], result["rejection_id"]) == ("accepted", str(rows[0].id))
    (delivery,) = face.get("/deliveries")["data"]
    assert (delivery["id"], delivery["rejection_id"]) == (result["delivery_id"], str(rows[0].id))
    found = face.get(f"/rejections/{rows[0].id}")
    assert (found["delivery_id"], found["cause"]) == (delivery["id"], "corrected")


def test_wrong_questions_are_refused(face: Installation) -> None:
    wrong: list[dict[str, Any]] = [
        {"source": "hub", "no_such": 1},
        {"ids": []},
        {"since": "yesterday"},
        {"cursor": "none of ours"},
    ]
    for asked in wrong:
        assert post(face, Role.OPERATOR, **asked).status_code == 422
    assert post(face, Role.OPERATOR, **{"as": "nobody"}).status_code == 404
