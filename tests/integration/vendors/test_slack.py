"""Slack's client and actions against its twin."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import Bug, Permanent, RateLimited, Refused, TimedOut, VendorBroken
from service.http import AddressGuard, VendorHttp
from service.vendors.slack import VENDOR
from service.vendors.slack.client import SlackClient, answer_press, post_to_webhook
from service.vendors.slack.web import GuardedWebClient
from service.workflows.catalogue import ActionSignature
from service.workflows.parameters import check_parameters
from tests.integration.vendors.conftest import Caller, Start
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.slack import LISTED

TOKEN = "xoxb-twin-token"
CHANNEL = "C0000000001"


@pytest.fixture
def slack(twin: Start) -> TwinProcess:
    process = twin("slack")
    process.set(key=TOKEN)
    process.limit("message", rate_per_s=1000, burst=1000)
    return process


def caller_of(twin: TwinProcess, **options: Any) -> Caller:
    caller = Caller(
        VENDOR, f"{twin.url}/api", {"bot_token": TOKEN}, {"channel": CHANNEL, **options}
    )
    caller.now = datetime.now(UTC)
    return caller


@pytest.fixture
def caller(slack: TwinProcess) -> Caller:
    return caller_of(slack)


@pytest.fixture
def hook(slack: TwinProcess) -> Caller:
    settings: Any = slack.set()
    url = slack.url + str(settings["webhook_path"])
    return Caller(VENDOR, f"{slack.url}/api", {"webhook_url": url})


def messages(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["messages"])


def texts(twin: TwinProcess) -> list[str]:
    return [message["text"] for message in messages(twin)]


# --- messages -------------------------------------------------------------------------------------


def test_a_message_is_posted_with_our_key_beside_it(slack: TwinProcess, caller: Caller) -> None:
    done = caller.do("slack.message", text="hello", key="k", blocks=[{"type": "divider"}])
    posted = done.outputs.model_dump()
    assert (posted["created"], posted["channel"]) == (True, CHANNEL)
    call: Any = slack.calls(path="*/chat.postMessage")[0]
    assert call["body"]["metadata"] == {
        "event_type": "hookwright_effect",
        "event_payload": {"key": "run:step:0"},
    }
    assert texts(slack) == ["hello"]


def test_a_kept_message_is_edited_in_place(slack: TwinProcess, caller: Caller) -> None:
    opened = caller.outputs("slack.message", text="low", key="alert", blocks=[{"type": "divider"}])
    worse = caller.outputs("slack.message", text="lower", key="alert")
    resolved = caller.outputs("slack.message", text="resolved", key="alert")
    assert (worse.updated, resolved.updated) == (True, True)
    assert {opened.ts, worse.ts, resolved.ts} == {opened.ts}
    assert texts(slack) == ["resolved"]
    assert not messages(slack)[0].get("blocks"), "blocks of an earlier text are cleared"


def test_the_same_content_is_not_sent_again(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.message", text="low", key="alert")
    again = caller.do("slack.message", text="low", key="alert")
    assert again.outputs.model_dump()["unchanged"] is True
    assert again.changed is False
    assert len(slack.calls()) == 1


def test_messages_without_key_are_messages_of_their_own(slack: TwinProcess, caller: Caller) -> None:
    for _ in range(2):
        assert caller.outputs("slack.message", text="hi").created
    assert texts(slack) == ["hi", "hi"]


def test_keys_are_kept_apart_by_channel(slack: TwinProcess, caller: Caller) -> None:
    slack.lever("channels", {"id": "C0000000002", "name": "other"})
    caller.do("slack.message", text="a", key="k")
    assert caller.outputs("slack.message", text="b", key="k", channel="C0000000002").created
    assert len(messages(slack)) == 2


def test_a_message_that_is_gone_is_posted_anew(slack: TwinProcess, caller: Caller) -> None:
    first = caller.outputs("slack.message", text="a", key="k")
    for error in ("message_not_found", "cant_update_message", "edit_window_closed"):
        body = {"ok": False, "error": error}
        slack.fault("status", path="*/chat.update", status=200, body=body, times=1)
        again = caller.outputs("slack.message", text=f"b {error}", key="k")
        assert again.created
        assert again.ts != first.ts
    assert len(messages(slack)) == 4


def test_update_only_posts_nothing_anew(slack: TwinProcess, caller: Caller) -> None:
    done = caller.do("slack.message", text="resolved", key="k", update_only=True)
    assert done.outputs.model_dump()["skipped"] is True
    assert (done.reference, messages(slack)) == (None, [])
    caller.do("slack.message", text="open", key="k")
    assert caller.outputs("slack.message", text="resolved", key="k", update_only=True).updated
    body = {"ok": False, "error": "message_not_found"}
    slack.fault("status", path="*/chat.update", status=200, body=body, times=1)
    assert caller.outputs("slack.message", text="more", key="k", update_only=True).skipped


def test_older_news_does_not_replace_newer(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.message", text="restored", key="k", as_of=caller.now)
    older = caller.now - timedelta(seconds=1)
    assert caller.outputs("slack.message", text="low", key="k", as_of=older).skipped
    assert texts(slack) == ["restored"]


def test_an_answer_goes_into_its_thread(slack: TwinProcess, caller: Caller) -> None:
    parent = caller.outputs("slack.message", text="a")
    caller.do("slack.message", text="b", thread_ts=parent.ts)
    assert messages(slack)[1]["thread_ts"] == parent.ts


def test_long_texts_and_many_blocks_are_cut(slack: TwinProcess, caller: Caller) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 5000}}
    caller.do("slack.message", text="y" * 9000, blocks=[section] * 60)
    posted = messages(slack)[0]
    assert len(posted["text"]) == 4000
    assert posted["blocks"][-1]["type"] == "context"


def test_a_message_is_edited_by_channel_and_ts(slack: TwinProcess, caller: Caller) -> None:
    posted = caller.outputs("slack.message", text="a")
    assert caller.outputs("slack.update", ts=posted.ts, text="b").ts == posted.ts
    assert texts(slack) == ["b"]
    with pytest.raises(Refused, match="gone"):
        caller.do("slack.update", ts="1.000001", text="c")


def test_targets_name_channel_and_key(caller: Caller) -> None:
    action = caller.action("slack.message")
    assert action.target is not None
    kept = action.params.model_validate({"text": "x", "key": "k"})
    assert action.target(kept, caller.options) == f"{CHANNEL}:k"
    assert action.target(action.params.model_validate({"text": "x"}), caller.options) is None


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ("not_in_channel", "invite the bot"),
        ("channel_not_found", "channel's id"),
        ("is_archived", "archived"),
        ("invalid_auth", "bot_token"),
        ("token_revoked", "bot_token"),
        ("invalid_blocks", "Block Kit"),
        ("msg_too_long", None),
        ("something_new", None),
    ],
)
def test_errors_that_come_with_200_are_refusals_with_a_hint(
    slack: TwinProcess, caller: Caller, error: str, hint: str | None
) -> None:
    body = {"ok": False, "error": error}
    slack.fault("status", path="*/chat.postMessage", status=200, body=body, times=1)
    with pytest.raises(Refused, match=error) as caught:
        caller.do("slack.message", text="x")
    assert (hint or "") in (caught.value.hint or "")


def test_a_missing_scope_is_named(slack: TwinProcess, caller: Caller) -> None:
    body = {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "x"}
    slack.fault("status", path="*/chat.postMessage", status=200, body=body, times=1)
    with pytest.raises(Refused) as caught:
        caller.do("slack.message", text="x")
    assert "chat:write" in (caught.value.hint or "")


def test_the_twins_own_refusals(slack: TwinProcess, caller: Caller) -> None:
    slack.lever("channels", {"id": "C0000000003", "name": "out", "is_member": False})
    with pytest.raises(Refused, match="not_in_channel"):
        caller.do("slack.message", text="x", channel="C0000000003")
    with pytest.raises(Refused, match="channel_not_found"):
        caller.do("slack.message", text="x", channel="C0000000009")
    wrong = Caller(VENDOR, f"{slack.url}/api", {"bot_token": "xoxb-wrong-wrong"}, {"channel": "C"})
    with pytest.raises(Refused, match="invalid_auth") as caught:
        wrong.do("slack.message", text="x")
    assert "wrong-wrong" not in repr(caught.value) + repr(wrong.credentials)


def test_a_limit_with_200_and_one_with_429(slack: TwinProcess, caller: Caller) -> None:
    body = {"ok": False, "error": "ratelimited"}
    slack.fault("status", path="*/chat.postMessage", status=200, body=body, times=1)
    with pytest.raises(RateLimited) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.retry_after == timedelta(seconds=30)
    headers = {"retry-after": "9"}
    slack.fault("status", path="*/chat.postMessage", status=429, headers=headers, times=1)
    with pytest.raises(RateLimited) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("error", "doubt"),
    [("service_unavailable", False), ("internal_error", True), ("fatal_error", True)],
)
def test_errors_of_slack_itself_may_pass(
    slack: TwinProcess, caller: Caller, error: str, *, doubt: bool
) -> None:
    body = {"ok": False, "error": error}
    slack.fault("status", path="*/chat.postMessage", status=200, body=body, times=1)
    with pytest.raises(VendorBroken, match=error) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.perhaps_done is doubt


@pytest.mark.parametrize(("status", "doubt"), [(500, True), (502, True), (503, False)])
def test_whether_a_5xx_was_performed_is_looked_up_unless_the_service_was_away(
    slack: TwinProcess, caller: Caller, status: int, *, doubt: bool
) -> None:
    slack.fault("status", path="*/chat.postMessage", status=status, times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.perhaps_done is doubt


@pytest.mark.parametrize("mode", ["drop_after", "garbage", "truncate"])
def test_a_post_whose_answer_is_lost_is_perhaps_done(
    slack: TwinProcess, caller: Caller, mode: str
) -> None:
    slack.fault(mode, path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.perhaps_done is True
    assert len(messages(slack)) == 1


def test_an_edit_whose_answer_is_lost_is_not_in_doubt(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.message", text="a", key="k")
    slack.fault("drop_after", path="*/chat.update", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("slack.message", text="b", key="k")
    assert caught.value.perhaps_done is False


def test_a_message_needs_a_channel(slack: TwinProcess) -> None:
    caller = Caller(VENDOR, f"{slack.url}/api", {"bot_token": TOKEN})
    with pytest.raises(Permanent, match="no channel"):
        caller.do("slack.message", text="x")


# --- looking up -----------------------------------------------------------------------------------


def test_a_lost_answer_is_looked_up_by_its_key(slack: TwinProcess, caller: Caller) -> None:
    slack.fault("drop_after", path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken):
        caller.do("slack.message", text="a")
    found = caller.look_up("slack.message", text="a")
    assert found is not None
    assert found.outputs.model_dump()["ts"] == messages(slack)[0]["ts"]
    assert caller.look_up("slack.message", text="a", effect="another:step:0") is None


def test_a_call_that_never_arrived_is_certainly_not_done(
    slack: TwinProcess, caller: Caller
) -> None:
    slack.fault("drop_before", path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken):
        caller.do("slack.message", text="a")
    assert caller.look_up("slack.message", text="a") is None


def test_the_look_up_goes_through_all_pages(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.message", text="mine")
    for number in range(210):
        slack.lever("messages", {"text": f"talk {number}"})
    assert caller.look_up("slack.message", text="mine") is not None


@pytest.mark.parametrize("error", ["missing_scope", "channel_not_found", "not_in_channel"])
def test_a_channel_that_may_not_be_read_leaves_the_doubt(
    slack: TwinProcess, caller: Caller, error: str
) -> None:
    body = {"ok": False, "error": error}
    slack.fault("status", path="*/conversations.history", status=200, body=body, times=1)
    with pytest.raises(Refused, match=error):
        caller.look_up("slack.message", text="a")


def test_an_edit_that_cannot_be_looked_up_is_simply_made_again(
    slack: TwinProcess, caller: Caller
) -> None:
    caller.do("slack.message", text="a", key="k")
    body = {"ok": False, "error": "missing_scope"}
    slack.fault("status", path="*/conversations.history", status=200, body=body, times=2)
    assert caller.look_up("slack.message", text="b", key="k", effect="other:step:0") is None
    with pytest.raises(Refused):
        caller.look_up("slack.message", text="b", key="another")


# --- channels that are given by name --------------------------------------------------------------


@pytest.fixture
def by_name(slack: TwinProcess) -> Caller:
    return caller_of(slack, channel="#qa-alerts")


def lose(twin: TwinProcess, caller: Caller, **params: Any) -> None:
    """Post a message whose answer is lost."""
    twin.fault("drop_after", path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken):
        caller.do("slack.message", effect="second:step:0", **params)


def list_channels(twin: TwinProcess, *channels: dict[str, Any], cursor: str = "") -> None:
    """Answer the next list of channels with these."""
    body = {"ok": True, "channels": channels, "response_metadata": {"next_cursor": cursor}}
    twin.fault("status", path="*/conversations.list", status=200, body=body, times=1)


@pytest.mark.parametrize("name", ["#qa-alerts", "qa-alerts", "#QA-Alerts"])
def test_a_second_message_to_a_named_channel_is_looked_up_by_the_id_of_the_first(
    slack: TwinProcess, by_name: Caller, name: str
) -> None:
    first = by_name.do("slack.message", text="a")
    assert first.reference is not None
    assert (first.reference["channel"], first.reference["asked"]) == (CHANNEL, "#qa-alerts")
    lose(slack, by_name, text="b")
    found = by_name.look_up("slack.message", text="b", channel=name, effect="second:step:0")
    assert found is not None
    posted = found.outputs.model_dump()
    assert (posted["channel"], posted["ts"]) == (CHANNEL, messages(slack)[1]["ts"])
    assert by_name.look_up("slack.message", text="c", effect="third:step:0") is None
    assert slack.calls(path="*/conversations.list") == []
    assert texts(slack) == ["a", "b"]


def test_a_message_that_was_looked_up_by_name_can_be_edited(
    slack: TwinProcess, by_name: Caller
) -> None:
    by_name.do("slack.message", text="a")
    lose(slack, by_name, text="open", key="k")
    found = by_name.look_up("slack.message", text="open", key="k", effect="second:step:0")
    assert found is not None
    assert found.reference is not None
    by_name.references["#qa-alerts:k"] = found.reference
    assert by_name.outputs("slack.message", text="resolved", key="k").updated
    assert texts(slack) == ["a", "resolved"]


def test_a_kept_message_of_an_older_version_tells_the_id_of_its_channel(
    slack: TwinProcess, by_name: Caller
) -> None:
    lose(slack, by_name, text="open", key="k")
    by_name.references["#qa-alerts:k"] = {"channel": CHANNEL, "ts": "1.000001"}
    found = by_name.look_up("slack.message", text="open", key="k", effect="second:step:0")
    assert found is not None


def test_the_id_of_another_channel_is_not_taken(slack: TwinProcess, by_name: Caller) -> None:
    slack.lever("channels", {"id": "C0000000002", "name": "other"})
    by_name.do("slack.message", text="a", channel="#other")
    lose(slack, by_name, text="b")
    found = by_name.look_up("slack.message", text="b", effect="second:step:0")
    assert found is not None
    assert found.outputs.model_dump()["channel"] == CHANNEL
    assert len(slack.calls(path="*/conversations.list")) == 1


def test_the_first_message_to_a_named_channel_is_looked_up_in_the_list_of_channels(
    slack: TwinProcess, by_name: Caller
) -> None:
    lose(slack, by_name, text="a")
    list_channels(slack, {"id": "C0000000009", "name": "general"}, cursor="next")
    list_channels(slack, {"id": CHANNEL, "name": "qa-alerts"})
    found = by_name.look_up("slack.message", text="a", effect="second:step:0")
    assert found is not None
    assert found.outputs.model_dump()["channel"] == CHANNEL
    queries: list[Any] = [call["query"] for call in slack.calls(path="*/conversations.list")]
    assert [query.get("cursor") for query in queries] == [None, "next"]


def test_a_name_that_is_in_no_list_leaves_the_doubt(slack: TwinProcess, by_name: Caller) -> None:
    lose(slack, by_name, text="a")
    list_channels(slack, {"id": "C0000000009", "name": "general"})
    with pytest.raises(Refused, match="no channel #qa-alerts") as caught:
        by_name.look_up("slack.message", text="a", effect="second:step:0")
    assert "id" in (caught.value.hint or "")


def test_a_list_without_end_is_left(slack: TwinProcess, by_name: Caller) -> None:
    lose(slack, by_name, text="a")
    body = {"ok": True, "channels": [], "response_metadata": {"next_cursor": "again"}}
    slack.fault("status", path="*/conversations.list", status=200, body=body)
    with pytest.raises(Refused, match="more channels"):
        by_name.look_up("slack.message", text="a", effect="second:step:0")
    assert len(slack.calls(path="*/conversations.list")) == 10


def test_a_missing_scope_for_the_list_is_named(slack: TwinProcess, by_name: Caller) -> None:
    lose(slack, by_name, text="a")
    body = {"ok": False, "error": "missing_scope", "needed": "channels:read"}
    slack.fault("status", path="*/conversations.list", status=200, body=body, times=1)
    with pytest.raises(Refused) as caught:
        by_name.look_up("slack.message", text="a", effect="second:step:0")
    assert "channels:read" in (caught.value.hint or "")


# --- incoming webhook -----------------------------------------------------------------------------


def test_a_webhook_posts_and_cannot_edit(slack: TwinProcess, hook: Caller) -> None:
    first = hook.outputs("slack.message", text="a", key="k")
    assert (first.created, first.ts, first.channel) == (True, None, None)
    assert hook.outputs("slack.message", text="b", key="k").created
    assert hook.outputs("slack.message", text="b", key="k").unchanged
    assert hook.outputs("slack.message", text="c", key="k", update_only=True).skipped
    assert texts(slack) == ["a", "b"]
    with pytest.raises(Permanent, match="cannot be edited"):
        hook.do("slack.update", ts="1.000001", text="x", channel="C")
    with pytest.raises(Refused, match="looked up"):
        hook.look_up("slack.message", text="a")


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [(404, "no_service", "webhook_url"), (410, "channel_is_archived", "archived")],
)
def test_webhook_errors_are_plain_text_and_the_address_stays_secret(
    slack: TwinProcess, hook: Caller, status: int, body: str, hint: str
) -> None:
    slack.fault("status", path="/services/*", status=status, body=body, times=1)
    with pytest.raises(Refused, match=body) as caught:
        hook.do("slack.message", text="a")
    assert hint in (caught.value.hint or "")
    shown = f"{caught.value!r} {hook.credentials!r} {hook.http!r}"
    assert "B000" not in shown


def test_a_webhook_that_does_not_say_ok_is_perhaps_done(slack: TwinProcess, hook: Caller) -> None:
    slack.fault("status", path="/services/*", status=200, body="maybe", times=1)
    with pytest.raises(VendorBroken) as caught:
        hook.do("slack.message", text="a")
    assert caught.value.perhaps_done is True


def test_the_check_names_bot_and_workspace(caller: Caller, hook: Caller) -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    assert outgoing.check(caller.context()) == "bot hookwright in the workspace Twin"
    assert "incoming webhook" in outgoing.check(hook.context())


@pytest.mark.parametrize(
    "credentials",
    [{}, {"bot_token": "x", "webhook_url": "https://x"}, {"webhook_url": "x"}, {"bot_token": ""}],
)
def test_exactly_one_credential_is_taken(credentials: dict[str, str]) -> None:
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    with pytest.raises(ValidationError):
        outgoing.credentials.model_validate(credentials)


# --- answers to presses ---------------------------------------------------------------------------

BUTTONS = [
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
            }
        ],
    }
]


@pytest.fixture
def response_url(slack: TwinProcess, caller: Caller) -> str:
    """The address at which a press may be answered; the press itself goes nowhere."""
    caller.do("slack.message", text="Approve?", blocks=BUTTONS, effect="question:step:0")
    press = {"action_id": "approve", "receiver": "http://127.0.0.1:9/", "secret": "s"}
    sent: Any = slack.lever("press", press)
    return str(sent[0]["payload"]["response_url"])


def answers(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["responses"])


def test_a_press_is_answered_five_times_and_no_more(
    slack: TwinProcess, caller: Caller, response_url: str
) -> None:
    left = []
    for number in range(5):
        caller.time.sleep(6)
        told = caller.outputs("slack.respond", response_url=response_url, text=f"step {number}")
        left.append(told.answers_left)
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(Permanent, match="five times"):
        caller.do("slack.respond", response_url=response_url, text="one more")
    assert len(answers(slack)) == 5
    assert answers(slack)[0] == {
        "text": "step 0",
        "response_type": "ephemeral",
        "replace_original": False,
        "delete_original": False,
    }
    calls: list[Any] = slack.calls(path="/actions/*")
    assert all("authorization" not in call["headers"] for call in calls)


def test_an_answer_may_replace_or_delete_the_original(
    slack: TwinProcess, caller: Caller, response_url: str
) -> None:
    caller.do(
        "slack.respond",
        response_url=response_url,
        text="Approved",
        blocks=[{"type": "divider"}],
        response_type="in_channel",
        replace_original=True,
    )
    caller.do("slack.respond", response_url=response_url, delete_original=True)
    first, second = answers(slack)
    assert (first["replace_original"], first["response_type"]) == (True, "in_channel")
    assert (second["delete_original"], "text" in second) == (True, False)
    with pytest.raises(Permanent, match="says nothing"):
        caller.do("slack.respond", response_url=response_url)


def test_an_address_that_is_used_up_or_too_old_is_told_in_words(
    slack: TwinProcess, caller: Caller, response_url: str
) -> None:
    slack.advance(31 * 60)
    with pytest.raises(Refused, match="expired_url") as caught:
        caller.do("slack.respond", response_url=response_url, text="late")
    assert "30 minutes" in (caught.value.hint or "")
    code = response_url.rpartition("/")[2]
    assert code not in f"{caught.value!r} {caught.value.hint} {caller.references}"


def test_the_address_of_a_press_is_kept_out_of_what_is_stored(caller: Caller) -> None:
    """Whoever reads it may answer in our name for half an hour."""
    address = "https://hooks.slack.com/actions/T1/2/secret-code"
    action = caller.action("slack.respond")
    params = action.params.model_validate({"response_url": address, "text": "Done"})
    stored = json.dumps(params.model_dump(mode="json"))
    assert "Done" in stored
    assert "secret-code" not in f"{stored} {params!r}"
    assert action.target is not None
    assert "secret-code" not in str(action.target(params, caller.options))


@pytest.mark.parametrize("address", ["hooks.slack.com/x", "https://a b", "ftp://x/y", "", 4])
def test_the_address_of_a_press_is_an_address(caller: Caller, address: object) -> None:
    with pytest.raises(ValidationError):
        caller.do("slack.respond", response_url=address, text="x")


def test_a_workflow_gives_the_address_of_a_press_as_text() -> None:
    action = next(one for one in VENDOR.actions if one.name == "slack.respond")
    signature = ActionSignature(action.name, action.params, action.outputs)
    written = {"response_url": "${{ event.payload.response_url }}", "text": "x"}
    assert list(check_parameters(signature, written)) == []
    literal = {"response_url": "https://hooks.slack.com/x", "text": "x"}
    assert list(check_parameters(signature, literal)) == []


def test_an_answer_that_slack_refuses_with_200_is_refused(
    slack: TwinProcess, caller: Caller, response_url: str
) -> None:
    body = {"ok": False, "error": "invalid_blocks"}
    slack.fault("status", path="/actions/*", status=200, body=body, times=1)
    with pytest.raises(Refused, match="invalid_blocks"):
        caller.do("slack.respond", response_url=response_url, text="x")


# --- the client -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["history", "thread", "channels"])
def test_more_than_a_thousand_rows_come_once_each(
    slack: TwinProcess, caller: Caller, way: str
) -> None:
    client = SlackClient(caller.http)
    parent: str | None = None
    if way == "thread":
        parent = str(caller.outputs("slack.message", text="question").ts)
    wanted = {"channels": 1200} if way == "channels" else {"messages": 1200, "thread_ts": parent}
    slack.lever("fill", wanted)
    if way == "channels":
        found = [channel.id for channel in client.channels()]
        assert len(found) == len(set(found)) == 1201
        assert len(slack.calls(path="*/conversations.list")) == 2
        return
    times = [str(one.ts) for one in client.messages(CHANNEL, thread_ts=parent)]
    in_order = sorted(times, key=float, reverse=way == "history")
    assert times == in_order
    assert len(set(times)) == len(times) == (1201 if parent else 1200)
    assert len(slack.calls(path="*/conversations.*")) == 7 if parent else 6


def test_a_page_in_the_middle_that_is_limited_or_broken_is_asked_again(
    slack: TwinProcess, caller: Caller
) -> None:
    slack.lever("fill", {"messages": 1200})
    headers = {"retry-after": "1"}
    slack.fault("status", path="*/conversations.history", status=502, skip=1, times=1)
    slack.fault(
        "status", path="*/conversations.history", status=429, headers=headers, skip=2, times=1
    )
    assert len(list(SlackClient(caller.http).messages(CHANNEL))) == 1200


def test_a_read_is_tried_again_after_a_5xx(slack: TwinProcess, caller: Caller) -> None:
    slack.fault("status", path="*/conversations.list", status=500, times=2)
    assert [one.id for one in SlackClient(caller.http).channels()] == [CHANNEL]
    assert len(slack.calls(path="*/conversations.list")) == 3


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7),
        ({"ratelimit-reset": "8"}, 8),
        ({"x-ratelimit-reset": "soon"}, 60),
        ({}, 60),
    ],
)
def test_a_429_holds_for_as_long_as_it_says(
    slack: TwinProcess, caller: Caller, headers: dict[str, str], wait: int
) -> None:
    slack.fault("status", path="*/chat.postMessage", status=429, headers=headers, times=1)
    with pytest.raises(RateLimited) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.retry_after == timedelta(seconds=wait)
    assert caught.value.perhaps_done is False


def test_a_429_whose_reset_is_a_time_of_day(slack: TwinProcess, caller: Caller) -> None:
    at = str(int(datetime.now(UTC).timestamp()) + 40)
    headers = {"x-ratelimit-reset": at}
    slack.fault("status", path="*/chat.postMessage", status=429, headers=headers, times=1)
    with pytest.raises(RateLimited) as caught:
        caller.do("slack.message", text="x")
    assert caught.value.retry_after is not None
    assert 30 < caught.value.retry_after.total_seconds() <= 40


def test_a_message_whose_answer_comes_too_late_is_sent_once_and_in_doubt(
    slack: TwinProcess, caller: Caller
) -> None:
    slack.fault("slow", path="*/chat.postMessage", delay_s=3, times=1)
    with hasty(slack) as http, pytest.raises(TimedOut) as caught:
        SlackClient(http).post_message(channel=CHANNEL, text="x")
    assert caught.value.perhaps_done is True
    assert len(slack.calls(path="*/chat.postMessage")) == 1
    assert texts(slack) == ["x"]
    slack.fault("slow", path="*/chat.update", delay_s=3, times=1)
    with hasty(slack) as http, pytest.raises(TimedOut) as caught:
        SlackClient(http).update_message(channel=CHANNEL, ts=messages(slack)[0]["ts"], text="y")
    assert caught.value.perhaps_done is False, "an edit may be made again"


def hasty(twin: TwinProcess) -> VendorHttp:
    """A client that waits for an answer for a fifth of a second."""
    return VendorHttp(
        base_url=f"{twin.url}/api",
        headers={"Authorization": f"Bearer {TOKEN}"},
        guard=AddressGuard(allow_private=True),
        timeout_s=0.2,
    )


def test_no_more_than_five_messages_within_five_seconds(slack: TwinProcess, caller: Caller) -> None:
    sent: list[float] = []
    client = SlackClient(caller.http)
    monotonic = caller.time.timing().monotonic
    while len(sent) < 23:
        try:
            client.post_message(channel=CHANNEL, text=f"{len(sent)}")
        except RateLimited as fault:
            caller.time.sleep((fault.retry_after or timedelta()).total_seconds())
        else:
            sent.append(monotonic())
    assert all(later - earlier > 5 for earlier, later in zip(sent, sent[5:], strict=False))
    assert len(messages(slack)) == 23


def test_the_rate_of_messages_is_an_option(slack: TwinProcess) -> None:
    caller = caller_of(slack, per_minute=600)
    client = SlackClient(caller.http)
    for number in range(30):
        client.post_message(channel=CHANNEL, text=str(number))
    assert caller.time.skipped == 0


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "token_expired", "not_authed"])
def test_a_token_that_is_refused_cannot_be_renewed_and_says_so(
    slack: TwinProcess, caller: Caller, error: str
) -> None:
    body = {"ok": False, "error": error}
    slack.fault("status", path="*/auth.test", status=200, body=body, times=1)
    outgoing = VENDOR.outgoing
    assert outgoing is not None
    assert outgoing.check is not None
    with pytest.raises(Refused, match=error) as caught:
        outgoing.check(caller.context())
    assert "cannot be renewed" in (caught.value.hint or "")
    assert len(slack.calls(path="*/auth.test")) == 1


def test_the_library_never_goes_around_our_transport(slack: TwinProcess, caller: Caller) -> None:
    client = GuardedWebClient(caller.http)
    pages = iter(client.conversations_list(limit=1))
    slack.lever("fill", {"channels": 3})
    assert len(next(pages)["channels"]) == 1
    pages = iter(client.conversations_list(limit=1))
    next(pages)
    with pytest.raises(Bug, match="cursor"):
        next(pages)
    with pytest.raises(Bug):
        client.api_call("files.upload", files={"file": b"x"})
    assert len(slack.calls(path="*/conversations.list")) == 2


def test_a_message_of_a_thread_can_be_shown_in_the_channel(
    slack: TwinProcess, caller: Caller
) -> None:
    parent = caller.outputs("slack.message", text="question")
    caller.do(
        "slack.message", text="answer", thread_ts=parent.ts, reply_broadcast=True, effect="b:0:0"
    )
    call: Any = slack.calls(path="*/chat.postMessage")[1]
    assert (call["body"]["thread_ts"], call["body"]["reply_broadcast"]) == (parent.ts, True)
    client = SlackClient(caller.http)
    found = [one.ts for one in client.messages(CHANNEL, thread_ts=parent.ts)]
    assert (len(found), found[0]) == (2, parent.ts)
    assert caller.look_up("slack.message", text="answer", thread_ts=parent.ts, effect="b:0:0"), (
        "found in its thread"
    )


def test_every_listed_call_is_made(slack: TwinProcess, caller: Caller, response_url: str) -> None:
    client = SlackClient(caller.http)
    posted = client.post_message(channel=CHANNEL, text="a", unfurl_links=True)
    assert client.update_message(channel=CHANNEL, ts=posted.ts, text="b") is not None
    client.identity()
    list(client.messages(CHANNEL))
    list(client.messages(CHANNEL, thread_ts=posted.ts))
    list(client.channels())
    settings: Any = slack.set()
    post_to_webhook(caller.http, slack.url + str(settings["webhook_path"]), text="c")
    answer_press(caller.http, response_url, text="d")
    calls = [{**one, "path": str(one["path"]).removeprefix("/api")} for one in slack.calls()]
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])
