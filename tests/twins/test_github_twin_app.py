"""The GitHub twin's app: web tokens, installations, check runs, issues, the hooks' records."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from examples.twins.launch import TwinProcess
from tests.vendors.key_pairs import rsa_key

REPO = "/repos/acme-co/webapp"
HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
TOKENS = "/app/installations/5001/access_tokens"
KEY = rsa_key()
OTHER_KEY = rsa_key()
RECORD = {
    "repository": f"{REPO}/hooks/1/deliveries",
    "organization": "/orgs/acme-co/hooks/2/deliveries",
    "integration": "/app/hook/deliveries",
}


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def web_token(key: rsa.RSAPrivateKey = KEY, **claims: Any) -> str:
    now = int(time.time())
    told = {"iat": now - 60, "exp": now + 300, "iss": "51234"} | claims
    signed = f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{encoded(told)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def app(github: TwinProcess) -> TwinProcess:
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    github.set(app_public_key=public.decode())
    return github


def installation(api: httpx.Client) -> dict[str, str]:
    return bearer(api.post(TOKENS, headers=bearer(web_token())).json()["token"])


def test_the_app_speaks_for_itself_alone(app: TwinProcess, github_api: httpx.Client) -> None:
    assert github_api.get("/app", headers=bearer(web_token())).json()["slug"] == "hookwright-qa"
    assert github_api.get("/app").status_code == 401, "a person's token is no web token"
    assert github_api.get("/user", headers=bearer(web_token())).status_code == 401
    assert app.effects() == []


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"iss": "1"}, "Issuer"),
        ({"iat": int(time.time()) + 3600}, "Issued at"),
        ({"exp": int(time.time()) - 1}, "Expiration time"),
        ({"exp": int(time.time()) + 3600}, "too far in the future"),
    ],
)
def test_claims_are_checked(
    app: TwinProcess, github_api: httpx.Client, claims: dict[str, Any], word: str
) -> None:
    refused = github_api.get("/app", headers=bearer(web_token(**claims)))
    assert (refused.status_code, word in refused.json()["message"]) == (401, True)
    assert len(app.calls()) == 1


def test_a_web_token_of_another_key_is_refused(app: TwinProcess, github_api: httpx.Client) -> None:
    for token in (web_token(OTHER_KEY), "a.b.c", "x", web_token()[:-8]):
        assert github_api.get("/app", headers=bearer(token)).status_code == 401
    app.set(app_public_key="")
    assert github_api.get("/app", headers=bearer(web_token())).status_code == 401


def test_tokens_of_an_installation_end(app: TwinProcess, github_api: httpx.Client) -> None:
    headers = installation(github_api)
    assert github_api.get(f"{REPO}/issues", headers=headers).status_code == 200
    assert github_api.get("/user", headers=headers).status_code == 403
    app.advance(3600)
    assert github_api.get(f"{REPO}/issues", headers=headers).status_code == 401
    headers = installation(github_api)
    app.lever("tokens/revoke")
    assert github_api.get(f"{REPO}/issues", headers=headers).status_code == 401
    other = TOKENS.replace("5001", "5002")
    assert github_api.post(other, headers=bearer(web_token())).status_code == 404


def test_only_an_app_writes_check_runs(app: TwinProcess, github_api: httpx.Client) -> None:
    headers = installation(github_api)
    body = {"name": "qa", "head_sha": HEAD, "status": "in_progress", "external_id": "run-1"}
    assert github_api.post(f"{REPO}/check-runs", json=body).status_code == 403
    made = github_api.post(f"{REPO}/check-runs", json=body, headers=headers)
    assert (made.status_code, made.json()["app"]["slug"]) == (201, "hookwright-qa")
    address = f"{REPO}/check-runs/{made.json()['id']}"
    note = {"path": "a.py", "start_line": 1, "end_line": 1, "message": "x"}
    output = {"title": "1 failed", "summary": "x", "annotations": [note]}
    for _ in range(2):
        done = github_api.patch(
            address, json={"conclusion": "failure", "output": output}, headers=headers
        ).json()
    assert (done["status"], done["output"]["annotations_count"]) == ("completed", 2)
    listed = github_api.get(
        f"{REPO}/commits/{HEAD}/check-runs", params={"check_name": "qa"}, headers=headers
    ).json()
    assert [run["external_id"] for run in listed["check_runs"]] == ["run-1"]
    too_much = body | {"output": output | {"annotations": [note] * 51}}
    assert github_api.post(f"{REPO}/check-runs", json=too_much, headers=headers).status_code == 422


def test_issues_are_opened_listed_and_changed(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.lever("issues", {"count": 3})
    made = github_api.post(f"{REPO}/issues", json={"title": "Broken", "body": "x"}).json()
    assert (made["number"], made["user"]["login"]) == (46, "qa-bot"), "after pull request 42"
    mine = github_api.get(f"{REPO}/issues", params={"creator": "qa-bot"}).json()
    assert [one["number"] for one in mine] == [46]
    everything = github_api.get(f"{REPO}/issues").json()
    assert ["pull_request" in one for one in everything] == [False] * 4 + [True]
    closed = github_api.patch(f"{REPO}/issues/46", json={"state": "closed"}).json()
    assert (closed["state"], closed["title"]) == ("closed", "Broken")
    assert len(github_api.get(f"{REPO}/issues").json()) == 4
    assert len(github_api.get(f"{REPO}/issues", params={"state": "all"}).json()) == 5
    assert github_api.post(f"{REPO}/issues/46/comments", json={"body": "y"}).status_code == 201
    assert github_api.post(f"{REPO}/issues", json={}).status_code == 422


def pages(api: httpx.Client, address: str, headers: dict[str, str]) -> list[list[dict[str, Any]]]:
    found = []
    next_: str | None = f"{address}?per_page=2"
    while next_:
        answer = api.get(next_, headers=headers)
        found.append(answer.json())
        next_ = answer.links.get("next", {}).get("url")
    return found


@pytest.mark.parametrize("hook", RECORD)
def test_every_hook_has_a_record_in_pages_by_cursor(
    app: TwinProcess, github_api: httpx.Client, receiver: Any, hook: str
) -> None:
    told: Any = app.lever("happen", {"count": 5, "withheld": 2, "hook": hook})
    assert (len(told["sent"]), len(told["withheld"])) == (3, 2)
    assert len(receiver.received) == 3
    target = {headers["x-github-hook-installation-target-type"] for headers, _ in receiver.received}
    assert target == {hook}
    headers = bearer(web_token()) if hook == "integration" else {}
    first, *_ = found = pages(github_api, RECORD[hook], headers)
    assert [len(page) for page in found] == [2, 2, 1]
    rows = [row for page in found for row in page]
    assert {row["guid"] for row in rows} == {*told["sent"], *told["withheld"]}
    assert {row["status_code"] for row in rows} == {202, 502}
    address = f"{RECORD[hook]}/{first[0]['id']}"
    assert github_api.get(address, headers=headers).json()["guid"] == first[0]["guid"]
    assert github_api.post(f"{address}/attempts", headers=headers).status_code == 202
    assert len(receiver.received) == 4


def test_rows_that_come_meanwhile_do_not_move_the_pages(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.lever("happen", {"count": 4})
    first = github_api.get(f"{RECORD['repository']}?per_page=2")
    github.lever("happen", {"count": 3})
    second = github_api.get(first.links["next"]["url"]).json()
    ids = [row["id"] for row in [*first.json(), *second]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 4
    assert github_api.get(f"{RECORD['repository']}?cursor=v2_x").status_code == 422


@pytest.mark.parametrize(("fate", "status"), [("failed", 502), ("silent", 0), ("lost", 200)])
def test_what_is_withheld_is_in_the_record_as_it_is_told(
    github: TwinProcess, github_api: httpx.Client, receiver: Any, fate: str, status: int
) -> None:
    told: Any = github.lever("happen", {"count": 1, "withheld": 1, "fate": fate, "age_s": 3600})
    (row,) = github_api.get(RECORD["repository"]).json()
    assert (row["guid"], row["status_code"]) == (told["withheld"][0], status)
    assert receiver.received == []
    full = github_api.get(f"{RECORD['repository']}/{row['id']}").json()
    assert full["request"]["payload"]["issue"]["number"] == 1
    assert full["request"]["headers"]["X-GitHub-Delivery"] == row["guid"]
