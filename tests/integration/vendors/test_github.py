"""GitHub's client and actions against its twin."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import Permanent, RateLimited, Refused, TimedOut, VendorBroken
from service.vendors.github import VENDOR
from tests.integration.vendors.conftest import Caller, Start

TOKEN = "ghp_twintokentwintoken"
REPO = "acme-co/webapp"
HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
COMMENT: dict[str, Any] = {"repo": REPO, "pr_number": 42, "marker": "visual"}
LINE = "<!-- hookwright:visual -->"


@pytest.fixture
def github(twin: Start) -> TwinProcess:
    process = twin("github")
    process.set(key=TOKEN, login="qa-bot")
    return process


def caller_of(twin: TwinProcess, **options: Any) -> Caller:
    return Caller(VENDOR, twin.url, {"token": TOKEN}, {"per_minute": 6000, **options})


@pytest.fixture
def caller(github: TwinProcess) -> Caller:
    return caller_of(github)


def comments(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["comments"])


def bodies(twin: TwinProcess) -> list[str]:
    return [comment["body"] for comment in comments(twin)]


# --- sticky comment -------------------------------------------------------------------------------


def test_a_comment_is_made_once_and_then_kept_up_to_date(
    github: TwinProcess, caller: Caller
) -> None:
    made = caller.outputs("github.comment", **COMMENT, body="one")
    assert made.created
    assert made.url.startswith("https://github.com/acme-co/webapp/pull/42#issuecomment-")
    same = caller.do("github.comment", **COMMENT, body="one")
    assert same.changed is False
    changed = caller.outputs("github.comment", **COMMENT, body="two")
    assert (changed.updated, changed.comment_id) == (True, made.comment_id)
    assert bodies(github) == [f"{LINE}\ntwo\n"]
    assert len(github.effects(path="*/comments*")) == 2
    assert len(github.calls(method="GET", path="*/comments")) == 2, "before and after it is made"


def test_what_is_known_is_not_searched_or_asked_again(github: TwinProcess, caller: Caller) -> None:
    for number in range(3):
        caller.do("github.comment", repo=REPO, pr_number=42, marker=f"m{number}", body="x")
    assert len(github.calls(path="/user")) == 1
    assert len(comments(github)) == 3


def test_markers_keep_comments_apart_even_with_odd_names(
    github: TwinProcess, caller: Caller
) -> None:
    for marker in ("visual:Login Flow", "visual:Login-Flow", "visual:Login Flow"):
        caller.do("github.comment", repo=REPO, pr_number=42, marker=marker, body=marker)
    assert len(comments(github)) == 2


def test_a_comment_whose_answer_was_lost_is_found_again(
    github: TwinProcess, caller: Caller
) -> None:
    github.fault("drop_after", method="POST", path="*/comments", times=1)
    with pytest.raises(VendorBroken):
        caller.do("github.comment", **COMMENT, body="one")
    assert len(comments(github)) == 1
    again = caller.do("github.comment", **COMMENT, body="one")
    assert again.outputs.model_dump()["unchanged"] is True
    assert caller.outputs("github.comment", **COMMENT, body="two").updated
    assert len(comments(github)) == 1


def test_the_search_goes_through_all_pages(github: TwinProcess, caller: Caller) -> None:
    for number in range(130):
        github.lever("comments", {"body": f"talk {number}"})
    caller.do("github.comment", **COMMENT, body="one")
    caller.references.clear()
    github_calls = len(github.calls(method="GET", path="*/comments"))
    found = caller.outputs("github.comment", **COMMENT, body="two")
    assert found.updated
    assert len(github.calls(method="GET", path="*/comments")) - github_calls == 2


def test_a_deleted_comment_is_made_anew(github: TwinProcess, caller: Caller) -> None:
    made = caller.outputs("github.comment", **COMMENT, body="one")
    github.lever(f"comments/{made.comment_id}", method="DELETE")
    again = caller.outputs("github.comment", **COMMENT, body="two")
    assert again.created
    assert again.comment_id != made.comment_id
    assert len(comments(github)) == 1


def test_a_comment_of_somebody_else_with_our_marker_is_left_alone(
    github: TwinProcess, caller: Caller
) -> None:
    github.lever("comments", {"body": f"{LINE}\nmine", "login": "mallory"})
    assert caller.outputs("github.comment", **COMMENT, body="ours").created
    assert bodies(github)[0] == f"{LINE}\nmine"


def test_a_marker_inside_our_own_other_comment_does_not_count(
    github: TwinProcess, caller: Caller
) -> None:
    caller.do("github.comment", repo=REPO, pr_number=42, marker="other", body=f"see {LINE}")
    caller.references.clear()
    assert caller.outputs("github.comment", **COMMENT, body="x").created


@pytest.mark.parametrize("status", [403, 404])
def test_without_identity_the_marker_alone_decides_and_foreign_ones_are_passed_over(
    github: TwinProcess, caller: Caller, status: int
) -> None:
    github.fault("status", path="/user", status=status)
    github.lever("comments", {"body": f"{LINE}\nmine", "login": "mallory"})
    assert caller.outputs("github.comment", **COMMENT, body="ours").created
    caller.references.clear()
    assert caller.outputs("github.comment", **COMMENT, body="ours, newer").updated
    assert bodies(github) == [f"{LINE}\nmine", f"{LINE}\nours, newer\n"]


def test_the_login_can_be_given_as_an_option(github: TwinProcess) -> None:
    caller = caller_of(github, login="QA-Bot")
    caller.do("github.comment", **COMMENT, body="one")
    caller.references.clear()
    assert caller.outputs("github.comment", **COMMENT, body="two").updated
    assert github.calls(path="/user") == []


def test_older_news_does_not_replace_newer(github: TwinProcess, caller: Caller) -> None:
    newer, older = caller.now, caller.now - timedelta(minutes=1)
    caller.do("github.comment", **COMMENT, body="new", as_of=newer.isoformat())
    skipped = caller.do("github.comment", **COMMENT, body="old", as_of=older.isoformat())
    assert skipped.outputs.model_dump()["skipped"] is True
    assert skipped.changed is False
    assert bodies(github) == [f"{LINE}\nnew\n"]
    caller.do("github.comment", **COMMENT, body="no time")
    still = caller.outputs("github.comment", **COMMENT, body="old", as_of=older.isoformat())
    assert still.skipped, "a body without a time keeps the time that was known"
    assert caller.outputs("github.comment", **COMMENT, body="new", as_of=newer).updated


def test_the_same_text_at_a_later_time_moves_the_time(caller: Caller) -> None:
    caller.do("github.comment", **COMMENT, body="x", as_of=caller.now)
    later = caller.now + timedelta(hours=1)
    assert caller.outputs("github.comment", **COMMENT, body="x", as_of=later).unchanged
    between = caller.now + timedelta(minutes=30)
    assert caller.outputs("github.comment", **COMMENT, body="y", as_of=between).skipped


def test_without_create_only_what_is_there_is_updated(github: TwinProcess, caller: Caller) -> None:
    done = caller.do("github.comment", **COMMENT, body="clear", create=False)
    assert done.outputs.model_dump()["skipped"] is True
    assert (done.reference, done.changed) == (None, False)
    assert comments(github) == []
    caller.do("github.comment", **COMMENT, body="drift")
    assert caller.outputs("github.comment", **COMMENT, body="clear", create=False).updated


# --- two installations with databases of their own ------------------------------------------------


def not_seeing(twin: TwinProcess) -> None:
    """The next search is answered as of before the other installation wrote its comment."""
    twin.fault("status", method="GET", path="*/comments", status=200, body=[], times=1)


def test_two_installations_at_once_end_with_one_comment(github: TwinProcess) -> None:
    callers = [caller_of(github), caller_of(github)]
    github.fault("slow", method="GET", path="*/comments", delay_s=1.0, times=2)
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(one.do, "github.comment", **COMMENT, body="one") for one in callers]
        ids = {one.result().outputs.model_dump()["comment_id"] for one in made}
    assert len(github.effects(method="POST", path="*/comments")) == 2, "both found none"
    assert [comment["id"] for comment in comments(github)] == list(ids)
    for number, one in enumerate(callers):
        assert one.outputs("github.comment", **COMMENT, body=f"later {number}").updated
    assert bodies(github) == [f"{LINE}\nlater 1\n"]


def test_the_older_comment_is_brought_up_to_date_and_ours_deleted(
    github: TwinProcess, caller: Caller
) -> None:
    first = caller_of(github).outputs("github.comment", **COMMENT, body="theirs")
    not_seeing(github)
    done = caller.do("github.comment", **COMMENT, body="ours")
    outputs = done.outputs.model_dump()
    assert (outputs["comment_id"], outputs["updated"]) == (first.comment_id, True)
    assert (outputs["created"], done.changed) == (False, True)
    assert bodies(github) == [f"{LINE}\nours\n"]
    assert len(github.effects(method="DELETE")) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_without_identity_the_author_of_the_new_comment_is_who_we_are(
    github: TwinProcess, caller: Caller, status: int
) -> None:
    github.fault("status", path="/user", status=status)
    github.lever("comments", {"body": f"{LINE}\nmine", "login": "mallory"})
    first = caller_of(github).outputs("github.comment", **COMMENT, body="theirs")
    not_seeing(github)
    assert caller.outputs("github.comment", **COMMENT, body="ours").comment_id == first.comment_id
    assert bodies(github) == [f"{LINE}\nmine", f"{LINE}\nours\n"]


@pytest.mark.parametrize(("method", "path"), [("GET", "*/comments"), ("DELETE", "*/comments/*")])
def test_what_could_not_be_tidied_is_tidied_next_time(
    github: TwinProcess, caller: Caller, method: str, path: str
) -> None:
    first = caller_of(github).outputs("github.comment", **COMMENT, body="theirs")
    not_seeing(github)
    github.fault("status", method=method, path=path, status=500)
    made = caller.outputs("github.comment", **COMMENT, body="ours")
    assert made.created
    assert len(comments(github)) == 2
    github.clear_faults()
    later = caller.outputs("github.comment", **COMMENT, body="ours")
    assert later.comment_id == first.comment_id
    assert bodies(github) == [f"{LINE}\nours\n"]


def test_an_older_comment_that_goes_away_meanwhile_leaves_ours(
    github: TwinProcess, caller: Caller
) -> None:
    caller_of(github).do("github.comment", **COMMENT, body="theirs")
    not_seeing(github)
    github.fault("status", method="PATCH", path="*/comments/*", status=404)
    assert caller.outputs("github.comment", **COMMENT, body="ours").created
    assert github.effects(method="DELETE") == []


# --- limits and names -----------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_cut(github: TwinProcess, caller: Caller) -> None:
    assert caller.outputs("github.comment", **COMMENT, body="```\n" + "x\n" * 60_000).created
    assert len(bodies(github)[0]) <= 65_536


def test_targets_are_one_for_one_comment(caller: Caller) -> None:
    action = caller.action("github.comment")
    assert action.target is not None
    one = action.params.model_validate({**COMMENT, "body": "x", "repo": "Acme-Co/WebApp"})
    assert action.target(one, caller.options) == "acme-co/webapp#42:visual"


# --- errors ---------------------------------------------------------------------------------------


def test_a_pull_request_that_is_not_there_is_refused_with_a_hint(caller: Caller) -> None:
    with pytest.raises(Refused, match="Not Found") as caught:
        caller.do("github.comment", repo=REPO, pr_number=999, body="x")
    assert "permission" in (caught.value.hint or "")


def test_a_wrong_token_is_refused_and_not_shown(github: TwinProcess) -> None:
    caller = Caller(VENDOR, github.url, {"token": "ghp_wrongwrongwrong"})
    with pytest.raises(Refused, match="Bad credentials") as caught:
        caller.do("github.comment", **COMMENT, body="x")
    assert "wrongwrong" not in repr(caught.value) + repr(caller.credentials)


def test_the_api_version_is_pinned_and_we_name_ourselves(
    github: TwinProcess, caller: Caller
) -> None:
    caller.do("github.comment", **COMMENT, body="x")
    call: Any = github.calls()[0]
    assert call["headers"]["x-github-api-version"] == "2022-11-28"
    assert call["headers"]["accept"] == "application/vnd.github+json"
    assert call["headers"]["user-agent"].startswith("Hookwright")


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, {"message": "slow"}, 7),
        (403, {"retry-after": "8"}, {"message": "slow"}, 8),
        (403, {}, {"message": "You have exceeded a secondary rate limit"}, 60),
        (429, {}, {"message": "slow"}, 60),
    ],
)
def test_limits_are_limits_whatever_their_status(
    github: TwinProcess,
    caller: Caller,
    status: int,
    headers: dict[str, str],
    body: dict[str, str],
    seconds: int,
) -> None:
    more: dict[str, Any] = {"status": status, "headers": headers, "body": body}
    github.fault("status", method="POST", path="*/comments", **more)
    with pytest.raises(RateLimited) as caught:
        caller.do("github.comment", **COMMENT, body="x")
    assert caught.value.retry_after == timedelta(seconds=seconds)


def test_the_last_call_of_an_hour_holds_the_next(github: TwinProcess, caller: Caller) -> None:
    github.limit("primary", limit=2)
    try:
        caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
        caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
        before = len(github.calls())
        with pytest.raises(RateLimited):
            caller.do("github.find_pull_request", repo=REPO, commit_sha=HEAD)
        assert len(github.calls()) == before, "no call is wasted on a limit that is known"
    finally:
        github.limit("primary", limit=5000)


def test_a_permission_that_is_missing_is_no_limit(github: TwinProcess, caller: Caller) -> None:
    body = {"message": "Resource not accessible by personal access token"}
    github.fault("status", method="POST", path="*/comments", status=403, body=body, times=1)
    with pytest.raises(Refused) as caught:
        caller.do("github.comment", **COMMENT, body="x")
    assert caught.value.status == 403


def test_reads_survive_a_short_failure(github: TwinProcess, caller: Caller) -> None:
    github.fault("status", method="GET", path="*/comments", status=502, times=1)
    github.fault("drop_before", method="GET", path="*/pulls", times=1)
    assert caller.outputs("github.comment", **COMMENT, body="x").created
    assert caller.outputs("github.find_pull_request", repo=REPO, commit_sha=HEAD).found


def test_updates_are_never_in_doubt(github: TwinProcess, caller: Caller) -> None:
    caller.do("github.comment", **COMMENT, body="one")
    github.fault("drop_after", method="PATCH", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("github.comment", **COMMENT, body="two")
    assert caught.value.perhaps_done is False


# --- pull requests and statuses -------------------------------------------------------------------


def test_an_open_pull_request_goes_before_a_closed_one(github: TwinProcess, caller: Caller) -> None:
    github.lever("pulls", {"number": 50, "state": "closed"})
    found = caller.outputs("github.find_pull_request", repo=REPO, commit_sha=HEAD.upper())
    assert (found.found, found.number, found.state) == (True, 42, "open")
    assert found.head_branch == "feature/checkout"
    assert found.url == "https://github.com/acme-co/webapp/pull/42"


def test_the_pull_request_that_ends_in_the_commit_goes_first(
    github: TwinProcess, caller: Caller
) -> None:
    stacked = {"number": 51, "head_sha": "a" * 40, "commits": [HEAD]}
    github.lever("pulls", stacked)
    assert caller.outputs("github.find_pull_request", repo=REPO, commit_sha=HEAD).number == 42


@pytest.mark.parametrize("known", [True, False])
def test_a_commit_without_pull_request_gives_none(
    github: TwinProcess, caller: Caller, *, known: bool
) -> None:
    sha = "b" * 40
    if known:
        github.lever("commits", {"repo": REPO, "sha": sha})
    found = caller.outputs("github.find_pull_request", repo=REPO, commit_sha=sha)
    assert (found.found, found.number) == (False, None)


def test_a_status_is_put_and_not_repeated(github: TwinProcess, caller: Caller) -> None:
    status = {"repo": REPO, "commit_sha": HEAD, "context": "qa"}
    first = caller.outputs("github.commit_status", **status, state="pending", description="x" * 300)
    assert first.unchanged is False
    again = caller.outputs("github.commit_status", **status, state="pending", description="x" * 300)
    assert again.unchanged is True
    caller.do("github.commit_status", **status, state="success", target_url="https://x.example.com")
    state: Any = github.state()
    assert [one["state"] for one in state["statuses"]] == ["pending", "success"]
    assert len(state["statuses"][0]["description"]) == 140


@pytest.mark.parametrize(
    "params",
    [
        {"repo": "no-owner", "pr_number": 1, "body": "x"},
        {"repo": "a/b/c", "pr_number": 1, "body": "x"},
        {"repo": REPO, "pr_number": 0, "body": "x"},
        {"repo": REPO, "pr_number": 1, "body": " "},
    ],
)
def test_parameters_are_checked(caller: Caller, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        caller.do("github.comment", **params)


def test_a_repository_that_would_climb_is_refused(caller: Caller) -> None:
    with pytest.raises(Permanent):
        caller.do("github.comment", repo="../user", pr_number=1, body="x")


def test_the_check_names_the_account(github: TwinProcess, caller: Caller) -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    assert outgoing.check(caller.context()) == "account qa-bot"


def asked_who(github: TwinProcess, **options: Any) -> str:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    return outgoing.check(caller_of(github, **options).context())


def test_the_check_knows_a_token_of_an_installation(github: TwinProcess) -> None:
    body = {"message": "Resource not accessible by integration"}
    github.fault("status", path="/user", status=403, body=body)
    assert asked_who(github) == "a token of a GitHub App's installation, which is no account's"


@pytest.mark.parametrize(
    "said", ["Resource not accessible by personal access token", "Your address is not allowed"]
)
def test_the_check_fails_for_a_token_that_may_not_ask(github: TwinProcess, said: str) -> None:
    github.fault("status", path="/user", status=403, body={"message": said})
    with pytest.raises(Refused, match="does not let it ask whose it is") as caught:
        asked_who(github)
    assert caught.value.status == 403
    assert said in caught.value.message
    assert "permission" in str(caught.value.hint)


def test_the_check_takes_the_login_of_the_options_where_github_does_not_tell(
    github: TwinProcess,
) -> None:
    github.fault("status", path="/user", status=403)
    assert asked_who(github, login="qa-bot").startswith("account qa-bot, as the option")


def test_the_check_asks_although_the_options_name_a_login(github: TwinProcess) -> None:
    github.set(key="ghp_another")
    with pytest.raises(Refused) as caught:
        asked_who(github, login="qa-bot")
    assert caught.value.status == 401


def test_the_check_fails_where_no_account_is_named(github: TwinProcess) -> None:
    github.fault("status", path="/user", status=200, body={"ok": True})
    with pytest.raises(Refused, match="without naming an account") as caught:
        asked_who(github)
    assert "base_url" in str(caught.value.hint)


def test_a_slow_answer_times_out(github: TwinProcess, caller: Caller) -> None:
    github.fault("slow", method="POST", path="*/comments", delay_s=3, times=1)
    with pytest.raises(TimedOut) as caught:
        caller.http.request(
            "POST", f"/repos/{REPO}/issues/42/comments", json={"body": "x"}, timeout_s=0.3
        )
    assert caught.value.perhaps_done is True
