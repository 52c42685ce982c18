"""The Slack twin: messages that can be edited, errors with HTTP 200, limits, buttons."""

import hashlib
import hmac
import json
from urllib.parse import parse_qs

import httpx
import pytest

from examples.twins.launch import TwinProcess
from tests.twins.conftest import Receiver

CHANNEL = "C0000000001"
BUTTON = {
    "type": "actions",
    "block_id": "decision",
    "elements": [
        {
            "type": "button",
            "action_id": "approve",
            "value": "opaque",
            "text": {"type": "plain_text", "text": "Approve"},
        }
    ],
}


def post(api: httpx.Client, **fields: object) -> dict[str, object]:
    answer = api.post("/chat.postMessage", json={"channel": CHANNEL, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_a_message_is_posted_edited_and_found_in_the_history(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    metadata = {"event_type": "alert", "event_payload": {"id": "a-1"}}
    posted = post(slack_api, text="open", blocks=[section("open")], metadata=metadata)
    assert (posted["ok"], posted["channel"]) == (True, CHANNEL)
    change = {"channel": CHANNEL, "ts": posted["ts"], "text": "resolved"}
    updated = slack_api.post("/chat.update", json=change).json()
    assert (updated["ok"], updated["ts"]) == (True, posted["ts"])
    wanted = {"channel": CHANNEL, "include_all_metadata": "true"}
    (found,) = slack_api.get("/conversations.history", params=wanted).json()["messages"]
    assert (found["text"], found["metadata"]) == ("resolved", metadata)
    assert "blocks" not in found
    assert (
        "metadata"
        not in slack_api.post("/conversations.history", data={"channel": CHANNEL}).json()[
            "messages"
        ][0]
    )
    assert len(slack.effects()) == 2


def test_times_are_unique_and_rise(slack: TwinProcess, slack_api: httpx.Client) -> None:
    slack.limit("message", rate_per_s=100, burst=100)
    times = [str(post(slack_api, text=str(n))["ts"]) for n in range(20)]
    assert times == sorted(set(times), key=float)


def test_forms_are_taken_like_json(slack: TwinProcess) -> None:
    fields = {
        "token": "xoxb-twin",
        "channel": "#qa-alerts",
        "text": "hi",
        "blocks": json.dumps([section("hi")]),
    }
    answer = httpx.post(f"{slack.url}/api/chat.postMessage", data=fields, trust_env=False).json()
    assert (answer["ok"], answer["message"]["blocks"]) == (True, [section("hi")])
    assert "xoxb-twin" not in str(slack.calls())


@pytest.mark.parametrize(
    ("headers", "error"),
    [({}, "not_authed"), ({"Authorization": "Bearer xoxb-wrong"}, "invalid_auth")],
)
def test_a_missing_or_wrong_token_is_told_with_http_200(
    slack: TwinProcess, headers: dict[str, str], error: str
) -> None:
    answer = httpx.post(
        f"{slack.url}/api/chat.postMessage",
        headers=headers,
        json={"token": "xoxb-twin", "channel": CHANNEL, "text": "x"},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"channel": "C404", "text": "x"}, "channel_not_found"),
        ({"channel": None, "text": "x"}, "channel_not_found"),
        ({"text": ""}, "no_text"),
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ({"blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": "text"}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_with_http_200(
    slack: TwinProcess, slack_api: httpx.Client, fields: dict[str, object], error: str
) -> None:
    assert post(slack_api, **fields)["error"] == error
    assert slack.effects() == []


def test_broken_json_and_unknown_methods_have_errors_of_their_own(slack_api: httpx.Client) -> None:
    kind = {"Content-Type": "application/json"}
    broken = slack_api.post("/chat.postMessage", content=b"{", headers=kind)
    assert broken.json()["error"] == "invalid_json"
    assert slack_api.post("/chat.shout", json={}).json()["error"] == "unknown_method"


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ({"id": "C2", "name": "closed", "is_archived": True}, "is_archived"),
        ({"id": "C2", "name": "private", "is_member": False}, "not_in_channel"),
    ],
)
def test_the_bot_posts_only_where_it_may(
    slack: TwinProcess, slack_api: httpx.Client, channel: dict[str, object], error: str
) -> None:
    slack.lever("channels", channel)
    assert post(slack_api, channel="C2", text="x")["error"] == error


def test_only_own_messages_that_exist_can_be_edited(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    foreign = slack.lever("messages", {"text": "hello"})
    assert isinstance(foreign, dict)
    update = {"channel": CHANNEL, "text": "x"}
    answers = [
        slack_api.post("/chat.update", json={**update, "ts": ts}).json()["error"]
        for ts in ("1.000001", foreign["ts"])
    ]
    assert answers == ["message_not_found", "cant_update_message"]
    ts = post(slack_api, text="mine")["ts"]
    named = slack_api.post("/chat.update", json={**update, "channel": "#qa-alerts", "ts": ts})
    assert named.json()["error"] == "channel_not_found"
    empty = slack_api.post("/chat.update", json={"channel": CHANNEL, "ts": ts}).json()
    assert empty["error"] == "no_text"


def test_the_history_comes_newest_first_in_pages(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    slack.limit("message", rate_per_s=100, burst=100)
    times = [str(post(slack_api, text=str(n))["ts"]) for n in range(5)]
    thread = post(slack_api, text="reply", thread_ts=times[0])
    assert thread["ok"] is True
    seen: list[str] = []
    cursor = ""
    while True:
        wanted = {"channel": CHANNEL, "limit": 2, "cursor": cursor}
        page = slack_api.get("/conversations.history", params=wanted).json()
        seen += [one["ts"] for one in page["messages"]]
        if not page["has_more"]:
            break
        cursor = page["response_metadata"]["next_cursor"]
    assert seen == list(reversed(times))
    newer = {"channel": CHANNEL, "oldest": times[3]}
    assert len(slack_api.get("/conversations.history", params=newer).json()["messages"]) == 1
    inclusive = newer | {"inclusive": "true"}
    assert len(slack_api.get("/conversations.history", params=inclusive).json()["messages"]) == 2
    wrong = slack_api.get("/conversations.history", params={"channel": CHANNEL, "limit": 1000})
    assert wrong.json()["error"] == "invalid_limit"


def test_more_than_one_message_a_second_is_429_after_the_burst(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    slack.limit("message", rate_per_s=0.5, burst=2)
    message = {"channel": CHANNEL, "text": "x"}
    answers = [slack_api.post("/chat.postMessage", json=message) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"ok": False, "error": "ratelimited"}
    assert answers[2].headers["retry-after"] == "2"
    assert len(slack.effects()) == 2
    slack.lever("channels", {"id": "C2", "name": "other"})
    assert post(slack_api, channel="C2", text="x")["ok"] is True
    slack.advance(2)
    assert post(slack_api, text="x")["ok"] is True


def test_who_calls_is_told(slack_api: httpx.Client) -> None:
    assert slack_api.post("/auth.test").json()["bot_id"] == "B0TWIN001"


def test_the_incoming_webhook_answers_text_and_posts_what_cannot_be_edited(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    address = f"{slack.url}/services/T000/B000/XXX"
    answer = httpx.post(address, json={"text": "hi"}, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "ok")
    form = httpx.post(address, data={"payload": json.dumps({"text": "hi"})}, trust_env=False)
    assert form.text == "ok"
    (newest, _) = slack_api.get("/conversations.history", params={"channel": CHANNEL}).json()[
        "messages"
    ]
    update = {"channel": CHANNEL, "ts": newest["ts"], "text": "x"}
    assert slack_api.post("/chat.update", json=update).json()["error"] == "cant_update_message"


@pytest.mark.parametrize(
    ("path", "content", "status", "text"),
    [
        ("/services/T000/B000/WRONG", b'{"text": "x"}', 404, "no_service"),
        ("/services/T000/B000/XXX", b"{", 400, "invalid_payload"),
        ("/services/T000/B000/XXX", b"{}", 400, "no_text"),
        ("/services/T000/B000/XXX", b'{"blocks": [1]}', 400, "invalid_blocks"),
    ],
)
def test_errors_of_the_incoming_webhook_are_text_with_a_status(
    slack: TwinProcess, path: str, content: bytes, status: int, text: str
) -> None:
    answer = httpx.post(f"{slack.url}{path}", content=content, trust_env=False)
    assert (answer.status_code, answer.text) == (status, text)


def test_an_incoming_webhook_of_an_archived_or_missing_channel(slack: TwinProcess) -> None:
    address = f"{slack.url}/services/T000/B000/XXX"
    slack.lever("channels", {"id": CHANNEL, "name": "qa-alerts", "is_archived": True})
    answer = httpx.post(address, json={"text": "x"}, trust_env=False)
    assert (answer.status_code, answer.text) == (410, "channel_is_archived")


def slack_signature(headers: dict[str, str], body: bytes, secret: bytes) -> str:
    content = b"v0:" + headers["x-slack-request-timestamp"].encode() + b":" + body
    return "v0=" + hmac.new(secret, content, hashlib.sha256).hexdigest()


def test_a_pressed_button_arrives_as_a_signed_form(
    slack: TwinProcess, slack_api: httpx.Client, receiver
) -> None:
    ts = post(slack_api, text="Approve?", blocks=[BUTTON])["ts"]
    (sent,) = slack.lever("press", {"action_id": "approve", "user": "U42"})  # type: ignore[misc]
    assert sent["status"] == 202
    headers, body = receiver.received[0]
    assert headers["x-slack-signature"] == slack_signature(headers, body, b"slack-signing-secret")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    payload = json.loads(parse_qs(body.decode())["payload"][0])
    (action,) = payload["actions"]
    assert (action["value"], action["block_id"]) == ("opaque", "decision")
    assert (payload["type"], payload["user"]["id"]) == ("block_actions", "U42")
    assert payload["container"]["message_ts"] == ts

    answers = [
        httpx.post(payload["response_url"], json={"text": "done"}, trust_env=False).status_code
        for _ in range(6)
    ]
    assert answers == [200] * 5 + [404]
    assert slack.state()["responses"] == [{"text": "done"}] * 5


def test_a_press_can_be_stale_badly_signed_repeated_or_impossible(
    slack: TwinProcess, slack_api: httpx.Client, receiver
) -> None:
    post(slack_api, text="Approve?", blocks=[BUTTON])
    press = {"action_id": "approve", "timestamp": 1531420618, "secret": "wrong", "repeat": 2}
    slack.lever("press", press)
    (headers, body), (_, again) = receiver.received
    assert body == again
    assert headers["x-slack-request-timestamp"] == "1531420618"
    assert headers["x-slack-signature"] == slack_signature(headers, body, b"wrong")
    with pytest.raises(RuntimeError, match="no message has a button"):
        slack.lever("press", {"action_id": "reject"})


def test_the_pressed_button_is_chosen_by_what_it_holds_and_may_be_gone(
    slack: TwinProcess, slack_api: httpx.Client, receiver: Receiver
) -> None:
    slack.set(receiver=receiver.url)
    first = post(slack_api, text="Approve?", blocks=[BUTTON])["ts"]
    other = {**BUTTON, "elements": [{**BUTTON["elements"][0], "value": "other"}]}  # type: ignore[index]
    post(slack_api, text="Approve?", blocks=[other])
    state = slack.state()
    assert [one["buttons"][0]["value"] for one in state["messages"]] == ["opaque", "other"]  # type: ignore[attr-defined]

    (sent,) = slack.lever("press", {"action_id": "approve", "holding": "opa"})  # type: ignore[misc]
    assert sent["payload"]["container"]["message_ts"] == first
    slack_api.post("/chat.update", json={"channel": CHANNEL, "ts": first, "text": "done"})
    with pytest.raises(RuntimeError, match="no message has a button"):
        slack.lever("press", {"action_id": "approve", "holding": "opa"})
    late = {"action_id": "approve", "holding": "opa", "late": True}
    (sent,) = slack.lever("press", late)  # type: ignore[misc]
    assert sent["payload"]["actions"][0]["value"] == "opaque"


def test_the_handshake_of_the_events_api(slack: TwinProcess, receiver) -> None:
    sent = slack.lever("url_verification", {"challenge": "c-1"})
    assert isinstance(sent, dict)
    assert (receiver.json()["type"], receiver.json()["challenge"]) == ("url_verification", "c-1")
    headers, body = receiver.received[0]
    assert headers["x-slack-signature"] == slack_signature(headers, body, b"slack-signing-secret")


def test_times_keep_rising_when_a_reset_sets_the_clock_back(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    slack.advance(1000)
    before = float(str(post(slack_api, text="before")["ts"]))
    slack.reset()
    assert float(str(post(slack_api, text="after")["ts"])) > before


def test_channels_come_in_pages_with_a_cursor(slack: TwinProcess, slack_api: httpx.Client) -> None:
    slack.lever("fill", {"channels": 5})
    slack.lever("channels", {"id": "C2", "name": "closed", "is_archived": True})
    found: list[str] = []
    asked = {"limit": "3", "exclude_archived": "true", "cursor": ""}
    while True:
        page = slack_api.get("/conversations.list", params=asked).json()
        found += [str(channel["id"]) for channel in page["channels"]]
        asked["cursor"] = page["response_metadata"]["next_cursor"]
        if not asked["cursor"]:
            break
    assert len(found) == len(set(found)) == 6
    assert "C2" not in found


def test_a_thread_comes_oldest_first_with_its_beginning(
    slack: TwinProcess, slack_api: httpx.Client
) -> None:
    first = post(slack_api, text="question")["ts"]
    slack.lever("fill", {"messages": 4, "thread_ts": first})
    asked = {"channel": CHANNEL, "ts": str(first), "limit": "3"}
    page = slack_api.get("/conversations.replies", params=asked).json()
    assert (page["has_more"], page["messages"][0]["ts"]) == (True, first)
    asked["cursor"] = page["response_metadata"]["next_cursor"]
    rest = slack_api.get("/conversations.replies", params=asked).json()
    assert (rest["has_more"], len(rest["messages"])) == (False, 2)
    gone = {"channel": CHANNEL, "ts": "1.000001"}
    answer = slack_api.get("/conversations.replies", params=gone).json()
    assert answer["error"] == "thread_not_found"


def test_an_answer_to_a_press_is_taken_for_half_an_hour(
    slack: TwinProcess, slack_api: httpx.Client, receiver: Receiver
) -> None:
    slack.set(receiver=receiver.url)
    post(slack_api, text="?", blocks=[BUTTON])
    (sent,) = slack.lever("press", {"action_id": "approve"})  # type: ignore[misc]
    url = sent["payload"]["response_url"]
    slack.advance(30 * 60 + 1)
    late = httpx.post(url, json={"text": "x"}, trust_env=False)
    assert (late.status_code, late.json()["error"]) == (404, "expired_url")


def test_an_event_is_sent_again_with_its_number(slack: TwinProcess, receiver: Receiver) -> None:
    slack.set(receiver=receiver.url, secret="shh")
    event = {"type": "app_mention", "user": "U1", "text": "hi", "channel": CHANNEL}
    slack.lever("events", {"event": event, "event_id": "Ev1", "repeat": 2})
    first, again = receiver.received
    assert first[1] == again[1]
    assert json.loads(first[1])["event_id"] == "Ev1"
    assert "x-slack-retry-num" not in first[0]
    assert again[0]["x-slack-retry-num"] == "1"
    base = b"v0:" + first[0]["x-slack-request-timestamp"].encode() + b":" + first[1]
    signature = hmac.new(b"shh", base, hashlib.sha256).hexdigest()
    assert first[0]["x-slack-signature"] == f"v0={signature}"


def test_a_slash_command_is_a_form(slack: TwinProcess, receiver: Receiver) -> None:
    slack.set(receiver=receiver.url)
    slack.lever("command", {"command": "/heal", "text": "run-1", "user": "U7"})
    fields = parse_qs(receiver.body().decode())
    assert (fields["command"], fields["text"], fields["user_id"]) == (["/heal"], ["run-1"], ["U7"])
    assert fields["trigger_id"]
    answer = httpx.post(fields["response_url"][0], json={"text": "x"}, trust_env=False)
    assert answer.status_code == 200
