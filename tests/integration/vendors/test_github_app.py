"""A connection by the key of a GitHub App against GitHub's twin."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import Refused, Transient
from service.vendors.github import VENDOR
from service.vendors.github.client import GitHubClient
from service.vendors.github.credentials import GitHubCredentials
from tests.integration.vendors.conftest import Start
from tests.integration.vendors.github_app import (
    HEAD,
    KEY,
    OTHER_KEY,
    REPO,
    TOKENS,
    by_app,
    by_token,
    credentials,
    install,
    pem,
    public_pem,
)

RUN: dict[str, Any] = {"repo": REPO, "commit_sha": HEAD, "name": "qa", "external_id": "run-1"}


@pytest.fixture
def github(twin: Start) -> TwinProcess:
    return install(twin("github"))


def check_runs(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["check_runs"])


# --- tokens of the installation -------------------------------------------------------------------


def test_a_token_is_asked_for_once_and_kept(github: TwinProcess) -> None:
    caller = by_app(github)
    made = caller.outputs("github.comment", repo=REPO, pr_number=42, body="x")
    caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
    assert made.created
    assert len(github.calls(path=TOKENS)) == 1
    state: Any = github.state()
    assert state["comments"][0]["user"]["login"] == "hookwright-qa[bot]"


def test_threads_wait_for_one_token(github: TwinProcess) -> None:
    caller = by_app(github)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda _: caller.outputs("github.find_pull_request", repo=REPO, commit_sha=HEAD).found,
            range(16),
        )
    assert all(found)
    assert len(github.calls(path=TOKENS)) == 1


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_token_that_ended_is_renewed_once(github: TwinProcess, how: str) -> None:
    caller = by_app(github)
    caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
    if how == "revoked":
        github.lever("tokens/revoke")
    else:
        github.advance(3600)
    made = caller.outputs("github.comment", repo=REPO, pr_number=42, body="x")
    assert made.created
    assert len(github.calls(path=TOKENS)) == 2
    assert len(github.effects(method="POST", path="*/comments")) == 1


def test_a_token_that_is_never_taken_is_renewed_once_only(github: TwinProcess) -> None:
    caller = by_app(github)
    github.fault("status", path="*/pulls", status=401, body={"message": "Bad credentials"})
    with pytest.raises(Refused, match="Bad credentials") as caught:
        caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
    assert "app_id, private_key and installation_id" in (caught.value.hint or "")
    assert len(github.calls(path=TOKENS)) == 2
    assert len(github.calls(path="*/pulls")) == 2


def test_a_token_that_cannot_be_had_now_can_be_had_later(github: TwinProcess) -> None:
    caller = by_app(github)
    github.fault("status", path=TOKENS, status=502)
    with pytest.raises(Transient) as caught:
        caller.do("github.comment", repo=REPO, pr_number=42, body="x")
    assert caught.value.perhaps_done is False, "the comment was not even asked for"
    github.clear_faults()
    assert caller.outputs("github.comment", repo=REPO, pr_number=42, body="x").created


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"app_id": "999"}, "app_id and private_key belong together"),
        ({"private_key": pem(OTHER_KEY)}, "app_id and private_key belong together"),
        ({"installation_id": 77}, "no installation of this installation_id"),
    ],
)
def test_what_is_wrong_with_an_app_is_said_in_words(
    github: TwinProcess, other: dict[str, Any], word: str
) -> None:
    with pytest.raises(Refused) as caught:
        by_app(github, **other).do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
    assert word in (caught.value.hint or "")
    assert github.calls(path="*/pulls") == [], "no call is made without a token"


def test_the_check_names_the_app(github: TwinProcess) -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    told = "GitHub App hookwright-qa[bot], installation 5001"
    assert outgoing.check(by_app(github).context()) == told
    github.fault("status", path="/rate_limit", status=404)
    assert outgoing.check(by_app(github).context()) == told, "limits may be switched off"
    with pytest.raises(Refused):
        outgoing.check(by_app(github, installation_id=77).context())


def test_a_token_cannot_ask_as_the_app(github: TwinProcess) -> None:
    with pytest.raises(Refused, match="only the GitHub App itself") as caught:
        GitHubClient(by_token(github).context()).app()
    assert "installation_id" in (caught.value.hint or "")
    assert github.calls() == []


def test_neither_key_nor_token_is_shown(github: TwinProcess) -> None:
    caller = by_app(github)
    github.fault("status", path="*/pulls", status=404)
    with pytest.raises(Refused) as caught:
        caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
    shown = repr(caller.credentials) + repr(caught.value) + repr(caller.http)
    assert "PRIVATE KEY" not in shown
    assert "ghs_" not in shown


# --- the key as it is configured ------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        pem(),
        pem().replace("\n", "\\n"),
        pem().replace("\n", "\r\n"),
        pem().replace("\n", " "),
        f"\n  {pem()}\n\n",
    ],
)
def test_a_key_may_have_lost_its_line_breaks(github: TwinProcess, written: str) -> None:
    caller = by_app(github, private_key=written)
    assert caller.outputs("github.find_pull_request", repo=REPO, commit_sha=HEAD).found


def test_the_newer_form_of_a_key_is_taken_too() -> None:
    pkcs8 = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert GitHubCredentials.model_validate(credentials(private_key=pkcs8)).is_app


LOCKED = KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")
).decode()
CURVE = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("", "no PEM text"),
        ("MIIEow", "no PEM text"),
        (pem()[:450], "no PEM text"),
        (pem()[:100] + pem()[140:], "damaged or cut"),
        (public_pem(), "public key and no private key"),
        (LOCKED, "passphrase"),
        (CURVE, "RSA"),
    ],
)
def test_a_broken_key_is_told_in_words_and_not_shown(key: str, word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GitHubCredentials.model_validate(credentials(private_key=key))
    told = str(caught.value)
    assert word in told
    assert (key[40:80] or pem()) not in told


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "give a token, or app_id"),
        ({"token": "ghp_x", "app_id": "1"}, "not both"),
        ({"app_id": "1"}, "private_key and installation_id too"),
        ({"app_id": "1", "private_key": pem()}, "needs installation_id too"),
        ({"token": ""}, "at least 1"),
        (credentials(installation_id=0), "greater than or equal to 1"),
        (credentials(app_id="a b"), "pattern"),
    ],
)
def test_credentials_are_a_token_or_a_whole_app(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        GitHubCredentials.model_validate(given)
    assert GitHubCredentials.model_validate(credentials(app_id=51234)).app_id == "51234"


# --- check runs -----------------------------------------------------------------------------------

NOTE: dict[str, Any] = {"path": "src/cart.ts", "start_line": 3, "message": "null for guests"}


def test_a_check_run_is_begun_and_then_kept_up_to_date(github: TwinProcess) -> None:
    caller = by_app(github)
    begun = caller.outputs("github.check_run", **RUN, status="in_progress")
    assert begun.created
    ended: dict[str, Any] = {
        **RUN,
        "conclusion": "failure",
        "title": "1 of 12 failed",
        "summary": "The cart is `null`.",
        "annotations": [NOTE],
        "buttons": [{"label": "Heal", "description": "Let it be mended", "identifier": "heal"}],
    }
    done = caller.outputs("github.check_run", **ended)
    assert (done.id, done.created) == (begun.id, False)
    assert caller.outputs("github.check_run", **ended).unchanged
    (run,) = check_runs(github)
    assert (run["status"], run["conclusion"], run["external_id"]) == (
        "completed",
        "failure",
        "run-1",
    )
    assert run["annotations"][0]["end_line"] == 3
    assert run["actions"][0]["identifier"] == "heal"
    caller.do("github.check_run", **ended | {"summary": "The cart was `null`."})
    (run,) = check_runs(github)
    assert len(run["annotations"]) == 1, "GitHub adds annotations, so they are given once"


def test_a_check_run_whose_answer_was_lost_is_found_again(github: TwinProcess) -> None:
    caller = by_app(github)
    ended: dict[str, Any] = {**RUN, "conclusion": "success", "summary": "x", "annotations": [NOTE]}
    github.fault("drop_after", method="POST", path="*/check-runs", times=1)
    with pytest.raises(Transient) as caught:
        caller.do("github.check_run", **ended)
    assert caught.value.perhaps_done
    caller.do("github.check_run", **RUN | {"external_id": "other"}, conclusion="neutral")
    assert caller.outputs("github.check_run", **ended).created is False
    runs = check_runs(github)
    assert [(run["external_id"], len(run["annotations"])) for run in runs] == [
        ("run-1", 1),
        ("other", 0),
    ]


def test_a_check_run_that_is_gone_is_made_anew(github: TwinProcess) -> None:
    caller = by_app(github)
    first = caller.outputs("github.check_run", **RUN, status="queued")
    github.fault("status", method="PATCH", status=404, times=1)
    github.fault(
        "status", path="*/commits/*/check-runs", status=200, body={"check_runs": []}, times=1
    )
    again = caller.outputs("github.check_run", **RUN, conclusion="success")
    assert again.created
    assert again.id != first.id


def test_a_token_may_not_write_check_runs_and_is_told_what_may(github: TwinProcess) -> None:
    with pytest.raises(Refused, match="must authenticate via a GitHub App") as caught:
        by_token(github).do("github.check_run", **RUN, status="queued")
    assert "github.commit_status" in (caught.value.hint or "")
    assert check_runs(github) == []


@pytest.mark.parametrize(
    "params",
    [
        {"status": "completed"},
        {"status": "queued", "conclusion": "success"},
        {"conclusion": "success", "title": "x"},
        {"conclusion": "success", "commit_sha": "6dcb09b"},
        {"conclusion": "success", "summary": "x", "annotations": [NOTE] * 51},
        {"conclusion": "success", "buttons": [{"label": "x" * 21}]},
    ],
)
def test_parameters_of_check_runs_are_checked(github: TwinProcess, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        by_app(github).do("github.check_run", **RUN | params)
    assert github.calls() == []
