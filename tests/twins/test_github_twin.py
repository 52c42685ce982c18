"""The GitHub twin: comments, pull requests of a commit, limits, hooks."""

import hashlib
import hmac
import json

import httpx
import pytest

from examples.twins.launch import TwinProcess
from tests.twins.conftest import Receiver

COMMENTS = "/repos/acme-co/webapp/issues/42/comments"
COMMENT = "/repos/acme-co/webapp/issues/comments/{}"
HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


def test_who_calls_is_told(github_api: httpx.Client) -> None:
    assert github_api.get("/user").json()["login"] == "qa-bot"
    token = {"Authorization": "token ghp_twin"}
    assert github_api.get("/user", headers=token).status_code == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Requires authentication"),
        ({"Authorization": "Bearer wrong"}, "Bad credentials"),
        ({"Authorization": "Basic ghp_twin"}, "Bad credentials"),
    ],
)
def test_a_missing_or_wrong_token_is_401(
    github: TwinProcess, headers: dict[str, str], message: str
) -> None:
    answer = httpx.get(f"{github.url}/user", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.json()["message"] == message
    assert "documentation_url" in answer.json()


def test_a_call_without_user_agent_is_403(github: TwinProcess) -> None:
    headers = {"Authorization": "Bearer ghp_twin", "User-Agent": ""}
    answer = httpx.get(f"{github.url}/user", headers=headers, trust_env=False)
    assert answer.status_code == 403
    assert "User-Agent" in answer.text


def test_a_comment_lives_from_creation_to_deletion(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    created = github_api.post(COMMENTS, json={"body": "<!-- marker -->\nfirst"})
    assert created.status_code == 201
    comment = created.json()
    assert comment["user"]["login"] == "qa-bot"
    address = COMMENT.format(comment["id"])
    edited = github_api.patch(address, json={"body": "second"})
    assert (edited.status_code, edited.json()["body"]) == (200, "second")
    assert github_api.get(address).json()["body"] == "second"
    assert github_api.delete(address).status_code == 204
    assert github_api.get(address).status_code == 404
    assert github_api.patch(address, json={"body": "third"}).status_code == 404
    assert [call["method"] for call in github.effects()] == ["POST", "PATCH", "DELETE"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"body": "x" * 65536}, 201),
        ({"body": "x" * 65537}, 422),
        ({"body": "  "}, 422),
        ({"body": 1}, 422),
        ({}, 422),
    ],
)
def test_a_comment_needs_text_of_at_most_65536_characters(
    github_api: httpx.Client, body: object, status: int
) -> None:
    answer = github_api.post(COMMENTS, json=body)
    assert answer.status_code == status
    assert len(github_api.get(COMMENTS).json()) == int(status == 201)


def test_a_body_that_is_too_long_is_told_in_the_vendors_shape(github_api: httpx.Client) -> None:
    told = github_api.post(COMMENTS, json={"body": "x" * 65537}).json()
    assert told["message"] == "Validation Failed"
    assert told["errors"][0]["field"] == "body"
    assert "is too long" in told["errors"][0]["message"]
    assert github_api.post(COMMENTS, content=b"{").status_code == 400


def test_unknown_repositories_and_issues_are_404(github_api: httpx.Client) -> None:
    for path in ("/repos/acme-co/other/issues/42/comments", COMMENTS.replace("42", "43")):
        assert github_api.post(path, json={"body": "x"}).status_code == 404
    assert github_api.get("/nowhere").json()["message"] == "Not Found"


def test_comments_come_in_pages_with_links(github_api: httpx.Client) -> None:
    ids = [github_api.post(COMMENTS, json={"body": str(n)}).json()["id"] for n in range(5)]
    seen: list[int] = []
    address: str | None = f"{COMMENTS}?per_page=2"
    while address:
        answer = github_api.get(address)
        seen += [one["id"] for one in answer.json()]
        address = answer.links.get("next", {}).get("url")
    assert seen == ids == sorted(ids)
    assert "link" not in github_api.get(COMMENTS).headers
    assert github_api.get(f"{COMMENTS}?per_page=2&page=9").json() == []


def test_comments_since_a_time_are_those_changed_after_it(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    old = github_api.post(COMMENTS, json={"body": "old"}).json()
    github.advance(3600)
    new = github_api.post(COMMENTS, json={"body": "new"}).json()
    found = github_api.get(COMMENTS, params={"since": new["created_at"]}).json()
    assert [one["id"] for one in found] == [new["id"]]
    github_api.patch(COMMENT.format(old["id"]), json={"body": "edited"})
    assert len(github_api.get(COMMENTS, params={"since": new["created_at"]}).json()) == 2


def test_an_unchanged_list_is_304_and_costs_nothing(github_api: httpx.Client) -> None:
    github_api.post(COMMENTS, json={"body": "x"})
    first = github_api.get(COMMENTS)
    condition = {"If-None-Match": first.headers["etag"]}
    again = github_api.get(COMMENTS, headers=condition)
    assert again.status_code == 304
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"]
    github_api.post(COMMENTS, json={"body": "y"})
    changed = github_api.get(COMMENTS, headers=condition)
    assert changed.status_code == 200
    assert int(changed.headers["x-ratelimit-used"]) == int(first.headers["x-ratelimit-used"]) + 2


def test_only_own_comments_can_be_edited(github: TwinProcess, github_api: httpx.Client) -> None:
    foreign = github.lever("comments", {"body": "<!-- marker -->"})
    assert isinstance(foreign, dict)
    assert github_api.get(COMMENTS).json()[0]["user"]["login"] == "octocat"
    assert github_api.patch(COMMENT.format(foreign["id"]), json={"body": "x"}).status_code == 403


def test_somebody_can_delete_a_comment(github: TwinProcess, github_api: httpx.Client) -> None:
    comment_id = github_api.post(COMMENTS, json={"body": "x"}).json()["id"]
    github.lever(f"comments/{comment_id}", method="DELETE")
    assert github_api.patch(COMMENT.format(comment_id), json={"body": "y"}).status_code == 404
    with pytest.raises(RuntimeError, match="404"):
        github.lever(f"comments/{comment_id}", method="DELETE")


def test_pull_requests_of_a_commit(github: TwinProcess, github_api: httpx.Client) -> None:
    github.lever(
        "pulls",
        {
            "repo": "acme-co/api",
            "number": 7,
            "head_sha": "a" * 40,
            "commits": ["b" * 40],
            "branch": "fix",
        },
    )
    github.lever("commits", {"repo": "acme-co/api", "sha": "c" * 40})
    address = "/repos/acme-co/api/commits/{}/pulls"
    for sha in ("a" * 40, "b" * 40, "a" * 7):
        found = github_api.get(address.format(sha)).json()
        assert [(one["number"], one["head"]["ref"]) for one in found] == [(7, "fix")]
    assert github_api.get(address.format("c" * 40)).json() == []
    unknown = github_api.get(address.format("d" * 40))
    assert unknown.status_code == 422
    assert unknown.json()["message"].startswith("No commit found for SHA")
    shown = github_api.get("/repos/acme-co/api/pulls/7").json()
    assert shown["head"]["sha"] == "a" * 40
    assert github_api.get("/repos/acme-co/api/pulls/8").status_code == 404


def test_a_commit_takes_statuses(github_api: httpx.Client) -> None:
    address = f"/repos/acme-co/webapp/statuses/{HEAD}"
    status = {"state": "success", "context": "hookwright", "description": "x" * 140}
    assert github_api.post(address, json=status).status_code == 201
    too_long = status | {"description": "x" * 141}
    assert github_api.post(address, json=too_long).status_code == 422
    assert github_api.post(address, json={"state": "green"}).status_code == 422
    listed = github_api.get(f"/repos/acme-co/webapp/commits/{HEAD}/statuses").json()
    assert [one["state"] for one in listed] == ["success"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"event_type": "healed", "client_payload": {"run": "1"}}, 204),
        ({"event_type": ""}, 422),
        ({"event_type": "x" * 101}, 422),
        ({"event_type": "x", "client_payload": {str(n): n for n in range(11)}}, 422),
        ({"event_type": "x", "client_payload": {"a": "b" * 65536}}, 422),
    ],
)
def test_dispatches_are_checked(
    github: TwinProcess, github_api: httpx.Client, body: object, status: int
) -> None:
    answer = github_api.post("/repos/acme-co/webapp/dispatches", json=body)
    assert answer.status_code == status
    assert len(github.effects()) == int(status == 204)


def test_check_runs_are_for_apps(github_api: httpx.Client) -> None:
    answer = github_api.post("/repos/acme-co/webapp/check-runs", json={"name": "x"})
    assert answer.status_code == 403


def test_the_hourly_limit_is_told_in_headers_and_ends_in_403(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.limit("primary", limit=2)
    first = github_api.get("/user")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == (
        "2",
        "1",
    )
    github_api.get("/user")
    refused = github_api.get("/user")
    assert refused.status_code == 403
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "retry-after" not in refused.headers
    assert "rate limit exceeded" in refused.json()["message"]
    assert int(refused.headers["x-ratelimit-reset"]) > 0
    assert github_api.get("/rate_limit").json()["rate"]["remaining"] == 0
    github.advance(3600)
    assert github_api.get("/user").status_code == 200


def test_the_secondary_limit_on_new_content_carries_retry_after(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.limit("content", limit=1)
    assert github_api.post(COMMENTS, json={"body": "1"}).status_code == 201
    refused = github_api.post(COMMENTS, json={"body": "2"})
    assert refused.status_code == 403
    assert "secondary rate limit" in refused.json()["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert github_api.get(COMMENTS).status_code == 200


def test_writes_cost_five_points_a_minute_and_reads_one(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.limit("points", limit=6)
    assert github_api.post(COMMENTS, json={"body": "1"}).status_code == 201
    assert github_api.post(COMMENTS, json={"body": "2"}).status_code == 403
    assert github_api.get(COMMENTS).status_code == 200
    assert github_api.get(COMMENTS).status_code == 403


def test_a_webhook_is_signed_over_its_raw_body(github: TwinProcess, receiver) -> None:
    payload = {"action": "opened", "number": 42, "title": "ä"}
    github.lever("send", {"event": "pull_request", "payload": payload, "guid": "g-1"})
    headers = receiver.headers()
    assert (headers["x-github-event"], headers["x-github-delivery"]) == ("pull_request", "g-1")
    assert receiver.json() == payload
    for name, algorithm in (("sha256", hashlib.sha256), ("sha1", hashlib.sha1)):
        expected = hmac.new(b"github-webhook-secret", receiver.body(), algorithm).hexdigest()
        sent = headers["x-hub-signature-256" if name == "sha256" else "x-hub-signature"]
        assert sent == f"{name}={expected}"


def test_a_delivery_that_failed_is_not_retried_but_can_be_sent_again_under_its_guid(
    github: TwinProcess, github_api: httpx.Client, receiver
) -> None:
    receiver.answers = [503]
    github.lever("send", {"event": "ping"})
    address = "/repos/acme-co/webapp/hooks/1/deliveries"
    (row,) = github_api.get(address).json()
    assert (row["status_code"], row["redelivery"]) == (503, False)
    assert len(receiver.received) == 1
    assert github_api.post(f"{address}/{row['id']}/attempts").status_code == 202
    newest = github_api.get(address).json()[0]
    assert (newest["guid"], newest["status_code"], newest["redelivery"]) == (row["guid"], 202, True)
    assert receiver.received[0][1] == receiver.received[1][1]
    shown = github_api.get(f"{address}/{newest['id']}").json()
    assert shown["request"]["headers"]["X-GitHub-Delivery"] == row["guid"]
    assert github_api.get(address.replace("hooks/1", "hooks/2")).status_code == 404


def test_a_delivery_older_than_three_days_is_not_sent_again(
    github: TwinProcess, github_api: httpx.Client
) -> None:
    github.lever("send", {"event": "ping"})
    address = "/repos/acme-co/webapp/hooks/1/deliveries"
    (row,) = github_api.get(address).json()
    github.advance(3 * 24 * 3600 + 1)
    assert github_api.post(f"{address}/{row['id']}/attempts").status_code == 422


def test_the_same_delivery_can_be_sent_many_times_at_once(github: TwinProcess, receiver) -> None:
    sent = github.lever("send", {"event": "push", "repeat": 20})
    assert isinstance(sent, list)
    assert {one["status_code"] for one in sent} == {202}
    assert len(receiver.received) == 20
    assert len({headers["x-github-delivery"] for headers, _ in receiver.received}) == 1


def test_sending_needs_a_receiver_and_tells_when_nobody_is_there(github: TwinProcess) -> None:
    github.set(receiver=None)
    with pytest.raises(RuntimeError, match="no receiver"):
        github.lever("send", {"event": "ping"})
    sent = github.lever("send", {"event": "ping", "receiver": "http://127.0.0.1:9/"})
    assert isinstance(sent, list)
    assert sent[0]["status_code"] == 0


def test_a_deployment_is_told_and_its_commit_takes_a_status(
    github: TwinProcess, github_api: httpx.Client, receiver: Receiver
) -> None:
    github.set(receiver=receiver.url)
    sha = "9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4938271605"
    github.lever("deployments", {"sha": sha, "environment": "staging", "guid": "g-7"})
    headers, _ = receiver.received[0]
    assert (headers["x-github-event"], headers["x-github-delivery"]) == ("deployment_status", "g-7")
    body = receiver.json()
    assert (body["action"], body["repository"]["full_name"]) == ("created", "acme-co/webapp")
    assert (body["deployment"]["sha"], body["deployment"]["environment"]) == (sha, "staging")
    status = body["deployment_status"]
    assert (status["state"], status["environment_url"]) == ("success", "https://example.com")
    github.lever("deployments", {"sha": sha, "environment": "staging", "state": "inactive"})
    again = json.loads(receiver.received[1][1])
    assert again["deployment"]["id"] == body["deployment"]["id"]
    path = f"/repos/acme-co/webapp/statuses/{sha}"
    assert github_api.post(path, json={"state": "success"}).status_code == 201
