"""Every call of GitHub's client against the twin: lists, limits, failures, refusals, issues."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import RateLimited, Refused, TimedOut, VendorBroken
from service.vendors.github import VENDOR
from service.vendors.github.client import GitHubClient
from service.vendors.github.hooks import HookClient, HookOptions, place_of
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.github_app import HEAD, REPO, TOKEN, by_app, by_token, install
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.github import BESIDE, LISTED

REST = f"/repos/{REPO}"
ISSUE: dict[str, Any] = {"repo": REPO, "marker": "bug-7", "title": "The cart is null"}


@pytest.fixture
def github(twin: Start) -> TwinProcess:
    return install(twin("github"))


@pytest.fixture
def caller(github: TwinProcess) -> Caller:
    return by_token(github)


@pytest.fixture
def client(caller: Caller) -> GitHubClient:
    return GitHubClient(caller.context())


def issues(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["issues"])


# --- every call -----------------------------------------------------------------------------------


def test_every_call_that_is_listed_is_made(github: TwinProcess) -> None:
    github.set(receiver="http://127.0.0.1:9/hooks/nobody")
    for hook in ("repository", "organization", "integration"):
        github.lever("happen", {"count": 1, "withheld": 1, "hook": hook})
    by_user, by_the_app = by_token(github), by_app(github)
    client = GitHubClient(by_user.context())
    assert client.user().login == "qa-bot"
    assert client.meta().hooks == ("127.0.0.1/32", "::1/128")
    assert client.rate_limits().rate.limit == 5000
    comment = client.create_comment(REPO, 42, "one")
    assert client.update_comment(REPO, comment.id, "two").body == "two"
    assert [one.id for one in client.comments(REPO, 42)] == [comment.id]
    client.delete_comment(REPO, comment.id)
    assert client.pull_request(REPO, 42).head.sha == HEAD
    assert [pull.number for pull in client.pull_requests_of(REPO, HEAD)] == [42]
    client.set_status(REPO, HEAD, {"state": "success", "context": "qa"})
    assert [status.context for status in client.statuses(REPO, HEAD)] == ["qa"]
    client.dispatch(REPO, "healed", {"run": "1"})
    issue = client.create_issue(REPO, {"title": "x"})
    assert client.update_issue(REPO, issue.number, {"state": "closed"}).state == "closed"
    assert [one.number for one in client.issues(REPO, state="all")] == [issue.number]
    app = GitHubClient(by_the_app.context())
    assert app.app().slug == "hookwright-qa"
    run = app.create_check_run(REPO, {"name": "qa", "head_sha": HEAD, "status": "queued"})
    app.update_check_run(REPO, run.id, {"conclusion": "success"})
    assert [one.conclusion for one in app.check_runs(REPO, HEAD, name="qa")] == ["success"]
    for options, who in (
        ({"repository": REPO, "hook_id": 1}, by_user),
        ({"organization": "acme-co", "hook_id": 2}, by_user),
        ({"app": True}, by_the_app),
    ):
        hooks, place = HookClient(who.context()), place_of(HookOptions.model_validate(options))
        (row,) = hooks.deliveries(place)
        full = hooks.delivery(place, row.id)
        assert (full.event, full.request.payload["action"]) == ("issues", "opened")
        hooks.redeliver(place, row.id)
    calls, known = github.calls(), (*LISTED, *BESIDE)
    assert (unmade(known, calls), unlisted(known, calls)) == ([], [])


# --- lists ----------------------------------------------------------------------------------------

MANY = 1005


def comments_of(github: TwinProcess, client: GitHubClient) -> list[int]:
    github.lever("comments", {"body": "x", "count": MANY})
    return [one.id for one in client.comments(REPO, 42)]


def issues_of(github: TwinProcess, client: GitHubClient) -> list[int]:
    github.lever("issues", {"count": MANY})
    return [one.number for one in client.issues(REPO)]


def pulls_of(github: TwinProcess, client: GitHubClient) -> list[int]:
    stacked = {"number": 101, "commits": [HEAD], "head_sha": "a" * 40, "count": MANY - 1}
    github.lever("pulls", stacked)
    return [one.number for one in client.pull_requests_of(REPO, HEAD)]


@pytest.mark.parametrize("read", [comments_of, issues_of, pulls_of])
def test_a_list_is_read_to_its_end_over_more_than_1000_rows(
    github: TwinProcess,
    client: GitHubClient,
    read: Callable[[TwinProcess, GitHubClient], list[int]],
) -> None:
    found = read(github, client)
    assert len(found) == len(set(found)) == MANY
    assert len(github.calls(method="GET")) == 11


def test_no_more_pages_are_read_than_are_wanted(github: TwinProcess, client: GitHubClient) -> None:
    github.lever("issues", {"count": 500})
    assert len(list(islice(client.issues(REPO), 150))) == 150
    assert len(github.calls()) == 2


def test_pages_are_read_at_our_own_address(github: TwinProcess, client: GitHubClient) -> None:
    """GitHub's links name GitHub's address, which may not be the one it is reached by."""
    github.lever("issues", {"count": 3})
    link = '<https://api.github.com/x?page=2&per_page=100>; rel="next", <https://x>; rel="last"'
    github.fault("slow", path=f"{REST}/issues", headers={"link": link}, times=1)
    assert len(list(client.issues(REPO))) == 3
    second: Any = github.calls()[1]
    assert (second["path"], second["query"]["page"]) == (f"{REST}/issues", "2")


def test_comments_can_be_those_changed_since(github: TwinProcess, client: GitHubClient) -> None:
    client.create_comment(REPO, 42, "old")
    github.advance(3600)
    new = client.create_comment(REPO, 42, "new")
    since = datetime.now(UTC) + timedelta(minutes=30)
    assert [one.id for one in client.comments(REPO, 42, since=since)] == [new.id]


# --- limits ---------------------------------------------------------------------------------------


def in_seconds(seconds: float) -> str:
    return str(int(time.time() + seconds))


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        (lambda: {"retry-after": "30"}, 30, 30),
        (
            lambda: {
                "retry-after": format_datetime(
                    datetime.now(UTC) + timedelta(seconds=30), usegmt=True
                )
            },
            25,
            31,
        ),
        (lambda: {"x-ratelimit-remaining": "0", "x-ratelimit-reset": in_seconds(30)}, 25, 31),
        (
            lambda: {"x-ratelimit-remaining": "0", "x-ratelimit-reset": in_seconds(30) + "000"},
            25,
            31,
        ),
        (lambda: {"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30, 30),
        (lambda: {"ratelimit": '"default";r=0;t=30'}, 30, 30),
        (
            lambda: {"retry-after": "5", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "99"},
            5,
            5,
        ),
    ],
)
def test_every_way_to_say_when_a_limit_ends_is_understood(
    github: TwinProcess,
    caller: Caller,
    status: int,
    headers: Callable[[], dict[str, str]],
    least: int,
    most: int,
) -> None:
    github.fault("status", path="*/comments", method="POST", status=status, headers=headers())
    client = GitHubClient(caller.context())
    with pytest.raises(RateLimited) as caught:
        client.create_comment(REPO, 42, "x")
    assert caught.value.perhaps_done is False
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after.total_seconds() <= most
    with pytest.raises(RateLimited):
        client.user()
    assert len(github.calls()) == 1, "a limit holds every call of this credential"


def test_new_content_keeps_its_own_pace_and_reads_go_on(
    github: TwinProcess, client: GitHubClient
) -> None:
    for number in range(80):
        client.create_comment(REPO, 42, str(number))
    with pytest.raises(RateLimited) as caught:
        client.create_comment(REPO, 42, "one too many")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > timedelta(seconds=30)
    assert len(github.effects()) == 80
    assert len(list(client.comments(REPO, 42))) == 80


def test_rates_tell_reads_writes_and_content_apart() -> None:
    assert VENDOR.outgoing is not None

    def names(method: str, path: str) -> set[str]:
        assert VENDOR.outgoing is not None
        rates = VENDOR.outgoing.rates
        return {rate.name for rate in rates if rate.covers is None or rate.covers(method, path)}

    first = VENDOR.outgoing.rates[0]
    assert (first.calls, first.seconds) == (5000, 3600)
    assert names("GET", f"{REST}/issues") == {"hour", "points"}
    assert names("POST", f"{REST}/issues") >= {"writes", "content", "content_hour"}
    assert names("POST", "/app/hook/deliveries/1/attempts") == {"hour", "points", "writes"}
    assert names("POST", "/app/installations/1/access_tokens") == {"hour", "points"}


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_survives_a_failure(github: TwinProcess, client: GitHubClient, status: int) -> None:
    github.fault("status", path=f"{REST}/pulls/42", status=status, times=1)
    assert client.pull_request(REPO, 42).number == 42
    assert len(github.calls()) == 2


@pytest.mark.parametrize("path", ["comments", "issues", "dispatches"])
def test_a_call_without_an_answer_is_in_doubt_and_made_once(
    github: TwinProcess, caller: Caller, path: str
) -> None:
    github.fault("slow", method="POST", path=f"*/{path}", delay_s=3, times=1)
    body = {"body": "x", "title": "x", "event_type": "x"}
    where = f"{REST}/issues/42/comments" if path == "comments" else f"{REST}/{path}"
    with pytest.raises(TimedOut) as caught:
        caller.http.request("POST", where, json=body, timeout_s=0.3)
    assert caught.value.perhaps_done is True
    assert len(github.calls(method="POST")) == 1


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_dispatch_is_never_repeated(github: TwinProcess, caller: Caller, mode: str) -> None:
    github.fault(mode, method="POST", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("github.dispatch", repo=REPO, event_type="healed")
    assert caught.value.perhaps_done is True
    assert len(github.calls(method="POST")) == 1


# --- refusals -------------------------------------------------------------------------------------


def refusal_of(client: GitHubClient) -> Refused:
    with pytest.raises(Refused) as caught:
        client.create_comment(REPO, 42, "x")
    return caught.value


def test_a_wrong_token_is_told_in_words(github: TwinProcess) -> None:
    github.set(key="ghp_another")
    told = refusal_of(GitHubClient(by_token(github).context()))
    assert told.status == 401
    assert "mistyped, expired or revoked" in (told.hint or "")
    assert TOKEN not in repr(told) + str(told.hint)


@pytest.mark.parametrize("status", [403, 404])
def test_what_a_token_may_not_do_is_told_with_the_permission(
    github: TwinProcess, client: GitHubClient, status: int
) -> None:
    body = {"message": "Resource not accessible by personal access token"}
    github.fault("status", method="POST", status=status, body=body)
    told = refusal_of(client)
    assert told.status == status
    assert "Issues" in (told.hint or "")
    assert len(github.calls()) == 1, "a permission does not come by trying again"


def test_a_repository_that_was_renamed_is_followed_by_reads_alone(
    github: TwinProcess, client: GitHubClient
) -> None:
    moved = {"location": f"{github.url}{REST}/pulls/42"}
    github.fault("status", path="/repos/old/name/*", status=301, headers=moved)
    assert client.pull_request("old/name", 42).number == 42
    with pytest.raises(Refused, match="301"):
        client.create_comment("old/name", 42, "x")


# --- actions --------------------------------------------------------------------------------------


def test_a_pull_request_is_read(github: TwinProcess, caller: Caller) -> None:
    found = caller.outputs("github.pull_request", repo=REPO, number=42)
    assert (found.state, found.merged, found.head_branch) == ("open", False, "feature/checkout")
    assert found.url == "https://github.com/acme-co/webapp/pull/42"
    with pytest.raises(Refused, match="Not Found"):
        caller.outputs("github.pull_request", repo=REPO, number=43)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme-co/webapp/pull/42",
        "https://github.example/acme-co/webapp/pull/42/files?w=1",
    ],
)
def test_a_pull_request_is_read_by_its_address(caller: Caller, url: str) -> None:
    found = caller.outputs("github.pull_request", url=url)
    assert (found.repo, found.number, found.head_branch) == (REPO, 42, "feature/checkout")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"repo": REPO},
        {"number": 42},
        {"url": "https://github.com/acme-co/webapp/issues/42"},
        {"url": "https://github.com/acme-co/webapp/pull/x"},
        {"url": "ftp://github.com/acme-co/webapp/pull/42"},
    ],
)
def test_a_pull_request_is_named_somehow(caller: Caller, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        caller.do("github.pull_request", **wrong)


def test_a_dispatch_starts_workflows(github: TwinProcess, caller: Caller) -> None:
    done = caller.do(
        "github.dispatch", repo=REPO, event_type="healed", client_payload={"run": "tr1"}
    )
    assert done.changed
    state: Any = github.state()
    assert state["dispatches"] == [
        {"repo": REPO, "event_type": "healed", "client_payload": {"run": "tr1"}}
    ]


@pytest.mark.parametrize(
    "params",
    [
        {"event_type": ""},
        {"event_type": "x" * 101},
        {"event_type": "x", "client_payload": {str(n): n for n in range(11)}},
        {"event_type": "x", "client_payload": {"a": "b" * 65_536}},
    ],
)
def test_what_github_would_not_take_is_not_sent(
    github: TwinProcess, caller: Caller, params: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        caller.do("github.dispatch", repo=REPO, **params)
    assert github.calls() == []


def test_one_issue_is_kept_for_one_matter(github: TwinProcess, caller: Caller) -> None:
    made = caller.outputs("github.issue", **ISSUE, body="Seen in run 1.", labels=["bug"])
    assert made.created
    assert made.url == f"https://github.com/{REPO}/issues/{made.number}"
    assert caller.do("github.issue", **ISSUE, body="Seen in run 1.").changed is False
    again = caller.outputs("github.issue", **ISSUE, body="Seen in runs 1 and 2.")
    assert (again.number, again.created) == (made.number, False)
    other = caller.outputs("github.issue", **ISSUE | {"marker": "bug-8"})
    assert other.created
    shown = {one["number"]: one for one in issues(github)}
    assert shown[made.number]["body"].startswith("<!-- hookwright:bug-7 -->\nSeen in runs 1 and 2")
    assert shown[made.number]["labels"] == [{"name": "bug"}]
    assert len(shown) == 2


def test_an_issue_whose_answer_was_lost_is_found_again(github: TwinProcess, caller: Caller) -> None:
    github.lever("issues", {"count": 120, "body": "<!-- hookwright:bug-7 -->\nnot ours"})
    github.fault("drop_after", method="POST", path="*/issues", times=1)
    with pytest.raises(VendorBroken):
        caller.do("github.issue", **ISSUE, body="x")
    github.lever("issues", {"count": 120})
    found = caller.outputs("github.issue", **ISSUE, body="x")
    assert found.unchanged
    assert caller.outputs("github.issue", **ISSUE, body="y").number == found.number
    assert len(github.effects(method="POST")) == 1


def test_an_issue_of_an_app_is_found_where_github_does_not_list_by_bot(
    github: TwinProcess,
) -> None:
    caller = by_app(github)
    made = caller.outputs("github.issue", **ISSUE, body="x")
    caller.references.clear()
    github.lever("issues", {"count": 150, "body": "<!-- hookwright:bug-7 -->\nnot ours"})
    github.fault("status", method="GET", path="*/issues", status=200, body=[], times=1)
    again = caller.outputs("github.issue", **ISSUE, body="y")
    assert (again.number, again.created) == (made.number, False)


def test_who_closed_an_issue_is_not_overruled_unless_told(
    github: TwinProcess, caller: Caller
) -> None:
    made = caller.outputs("github.issue", **ISSUE, body="x")
    GitHubClient(caller.context()).update_issue(REPO, made.number, {"state": "closed"})
    assert caller.outputs("github.issue", **ISSUE, body="y").state == "closed"
    assert caller.outputs("github.issue", **ISSUE, body="y", reopen=True).state == "open"
    done = caller.outputs("github.issue", **ISSUE, body="Gone in run 9.", state="closed")
    assert (done.state, done.number) == ("closed", made.number)
    assert issues(github)[0]["state_reason"] == "completed"


def test_nothing_is_opened_only_to_be_closed(github: TwinProcess, caller: Caller) -> None:
    for more in ({"state": "closed"}, {"create": False}):
        done = caller.do("github.issue", **ISSUE, **more)
        assert (done.changed, done.outputs.model_dump()["number"]) == (False, None)
    assert issues(github) == []


def test_an_issue_that_is_gone_is_opened_anew(github: TwinProcess, caller: Caller) -> None:
    caller.do("github.issue", **ISSUE, body="x")
    github.fault("status", method="PATCH", path="*/issues/*", status=410, times=1)
    github.fault("status", method="GET", path="*/issues", status=200, body=[], times=1)
    assert caller.outputs("github.issue", **ISSUE, body="y").created


def test_targets_are_one_for_one_thing(caller: Caller) -> None:
    def target(name: str, **params: Any) -> str | None:
        action = caller.action(name)
        assert action.target is not None
        return action.target(action.params.model_validate(params), caller.options)

    assert target("github.issue", **ISSUE) == "acme-co/webapp:issue:bug-7"
    run = {"repo": "Acme-Co/WebApp", "commit_sha": HEAD.upper(), "conclusion": "success"}
    assert target("github.check_run", **run) == f"acme-co/webapp@{HEAD}:hookwright:"
