"""What helps to connect, through the API: testing a connection, identifying a kept request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.twins.launch import TwinProcess
from schemas.configured_tables import ConnectionRow
from service.secretbox import SecretBox
from service.settings import Settings
from service.source_secrets import seal_secrets
from service.tokens import Role
from service.vendors import BY_NAME
from service.vendors.base import Secret
from tests.integration.api.conftest import (
    ADMIN,
    NOW,
    Installation,
    make_delivery,
    make_rejection,
    make_source,
)
from tests.integration.api.test_conventions import is_problem
from tests.integration.api.test_deciding import post
from tests.twin_forks import start_twin

KEY = "k" * 40
SECRET = "the-secret-of-the-source"
TOKEN = "ghp_twintokentwintoken"
BODY = b'{"event": "run.failed"}'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        admin_token=ADMIN,
        secret_keys=(KEY,),
        allow_private_addresses="true",
    )


@pytest.fixture(scope="module")
def github() -> Iterator[TwinProcess]:
    with start_twin("github") as twin:
        twin.set(key=TOKEN, login="qa-bot")
        yield twin


def make_connection(base_url: str | None, token: str = TOKEN, **more: Any) -> ConnectionRow:
    return ConnectionRow(
        name=more.pop("name", "github"),
        vendor=more.pop("vendor", "github"),
        base_url=base_url,
        credentials=SecretBox([KEY]).seal({"token": token}),
        updated_at=NOW,
        **more,
    )


def signed(secret: str = SECRET) -> list[list[str]]:
    incoming = BY_NAME["vibeview"].incoming
    assert incoming is not None
    options = incoming.options.model_validate({"scheme": "t-v1"})
    made = incoming.sign(BODY, secret, NOW, options, event="run.failed", delivery_id="d-1")
    return [[name.lower(), value] for name, value in made.headers], made.body  # type: ignore[return-value]


def make_kept(face: Installation) -> tuple[str, str]:
    """Store a source, and a delivery and a rejection that were signed otherwise than it expects."""
    headers, body = signed()
    source = make_source()
    source.secrets = seal_secrets(SecretBox([KEY]), [Secret(SECRET)])
    delivery = make_delivery(headers=headers, body=body)
    rejection = make_rejection(headers=headers, body=body, body_bytes=len(body))
    face.save(source, delivery, rejection)
    return str(delivery.id), str(rejection.id)


# --- connections --------------------------------------------------------------------------------


def test_a_vendor_says_who_we_are(api: Installation, github: TwinProcess) -> None:
    api.save(make_connection(github.url))
    answer = post(api, "/connections/github/test")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["ok"], told["error"], told["base_url"]) == (True, None, github.url)
    assert "qa-bot" in told["who"]
    assert TOKEN not in answer.text


def test_wrong_credentials_are_an_answer_that_says_what_to_do(
    face: Installation, github: TwinProcess
) -> None:
    face.save(make_connection(github.url, token="ghp_wrongwrongwrongwrong"))
    told = post(face, "/connections/github/test").json()
    assert (told["ok"], told["who"]) == (False, None)
    assert told["error"]["code"] == "refused"
    assert told["error"]["hint"]
    assert "ghp_wrong" not in str(told)


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (make_connection("http://127.0.0.1:9"), "unreachable", "can this machine reach GitHub"),
        (make_connection(None, vendor="nobody"), "configuration", ""),
    ],
    ids=["nothing there", "unknown vendor"],
)
def test_what_cannot_be_asked_is_an_answer_too(
    face: Installation, row: ConnectionRow, code: str, words: str
) -> None:
    face.save(row)
    told = post(face, "/connections/github/test").json()
    assert (told["ok"], told["error"]["code"]) == (False, code)
    assert words in (told["error"]["hint"] or "")


def test_only_operators_test_connections_that_exist(face: Installation) -> None:
    is_problem(post(face, "/connections/github/test", role=Role.VIEWER), 403)
    is_problem(post(face, "/connections/github/test"), 404)
    is_problem(face.client.post("/connections/x/test", headers={"Authorization": ""}), 401)


# --- identify -----------------------------------------------------------------------------------


def identify(face: Installation, path: str, body: Any) -> dict[str, Any]:
    answer: httpx.Response = post(face, f"{path}/identify", body)
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_kept_request_is_compared_with_its_sources_own_secrets(api: Installation) -> None:
    delivery, rejection = make_kept(api)
    for path in (f"/deliveries/{delivery}", f"/rejections/{rejection}"):
        (best, *_) = identify(api, path, {})["matches"]
        assert (best["vendor"], best["scheme"]) == ("vibeview", "t-v1")
        assert "options: {scheme: t-v1}" in best["configuration"]
        assert best["time"]["accepted_now"] is True


def test_or_with_secrets_that_are_given(face: Installation) -> None:
    _, rejection = make_kept(face)
    wrong = identify(face, f"/rejections/{rejection}", {"secrets": ["another"]})
    assert wrong["matches"] == []
    assert wrong["near_misses"][0]["header"] == "x-vibeview-signature"
    both = identify(face, f"/rejections/{rejection}", {"secrets": ["another", SECRET]})
    assert both["matches"][0]["secret"] == 1


def test_the_lines_to_write_have_the_name_of_the_source(api: Installation) -> None:
    delivery, rejection = make_kept(api)
    source = api.get(f"/deliveries/{delivery}")["source"]
    for path in (f"/deliveries/{delivery}", f"/rejections/{rejection}"):
        assert f"  - name: {source}\n" in identify(api, path, {})["matches"][0]["configuration"]


@pytest.mark.parametrize(
    ("digest", "words"),
    [("ab" * 32, "token in the path was wrong or missing"), (None, "nothing after it")],
)
def test_a_wrong_token_in_the_path_is_said_and_nothing_else(
    face: Installation, digest: str | None, words: str
) -> None:
    row = make_rejection(source="quiet", reason="wrong_path_token", headers=[], body=b"")
    source = make_source("quiet", vendor="checkview")
    source.path_token_sha256 = digest
    face.save(source, row)
    (note,) = identify(face, f"/rejections/{row.id}", {"secrets": [SECRET]})["notes"]
    assert words in note
    assert "/hooks/quiet" in note


def test_what_was_not_kept_is_said(face: Installation) -> None:
    row = make_rejection(
        headers=[["x-gitlab-token", "[redacted]"]], body=BODY[:3], body_bytes=len(BODY)
    )
    face.save(row)
    notes = identify(face, f"/rejections/{row.id}", {"secrets": [SECRET]})["notes"]
    assert "only 3 of 23 bytes" in notes[0]
    assert "x-gitlab-token was struck out" in notes[1]


@pytest.mark.parametrize(
    "body", [{"secrets": []}, {"secrets": [""]}, {"secret": "x"}, {"secrets": 1}]
)
def test_a_question_that_makes_no_sense_is_a_problem(face: Installation, body: Any) -> None:
    _, rejection = make_kept(face)
    is_problem(post(face, f"/rejections/{rejection}/identify", body), 422)


def test_without_a_source_a_secret_is_needed(face: Installation) -> None:
    row = make_rejection(source="gone")
    face.save(row)
    problem = is_problem(post(face, f"/rejections/{row.id}/identify", {}), 422)
    assert "no source `gone`" in problem["detail"]


def test_only_operators_compare_secrets(face: Installation) -> None:
    delivery, _ = make_kept(face)
    is_problem(post(face, f"/deliveries/{delivery}/identify", {}, role=Role.VIEWER), 403)


def test_a_source_is_read_by_name(face: Installation) -> None:
    face.save(make_source())
    found = face.get("/sources/vibeview")
    assert (found["name"], found["url"].endswith("/hooks/vibeview")) == ("vibeview", True)
    assert "secret" not in str(found)
    is_problem(face.client.get("/sources/nobody"), 404)


def test_every_test_asks_the_vendor_itself_and_keeps_its_limit(
    face: Installation, github: TwinProcess
) -> None:
    """No answer is remembered, and asking again and again is no way around a limit."""
    face.save(make_connection(github.url, options={"per_minute": 2}))
    before = len(github.calls())
    answers = [post(face, "/connections/github/test").json() for _ in range(3)]
    assert [answer["ok"] for answer in answers] == [True, True, False]
    assert answers[2]["error"]["code"] == "rate_limited"
    assert len(github.calls()) == before + 2
