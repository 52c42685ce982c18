"""Slack's handshake, buttons, slash commands and the Events API."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from service.errors import HandshakeError
from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Secret
from service.vendors.slack.options import SlackOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal

INCOMING = BY_NAME["slack"].incoming
OPTIONS = SlackOptions()
JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def sample(name: str) -> Delivery:
    """The recorded body, as it is."""
    raw = samples.read("slack", name)
    return make_delivery(JSON if raw.startswith(b"{") else FORM, raw)


def pressed(**changes: Any) -> Delivery:
    """A pressed button with something changed."""
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "container": {"message_ts": "1.1", "channel_id": "C1"},
        "trigger_id": "t1",
        "actions": [{"action_id": "approve", "value": "v", "action_ts": "2.2"}],
    }
    body = urlencode({"payload": json.dumps({**payload, **changes})}).encode()
    return make_delivery(FORM, body)


def key(delivery: Delivery) -> str:
    return INCOMING.delivery_key(delivery, OPTIONS)


def read(delivery: Delivery):
    return INCOMING.normalise(delivery, OPTIONS)


# --- handshake ----------------------------------------------------------------------------------


def test_the_challenge_is_given_back():
    answer = INCOMING.handshake(sample("url_verification"), OPTIONS)
    assert answer is not None
    assert answer.status == 200
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == {
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    }


def test_the_handshake_is_signed_like_everything_else():
    signed = INCOMING.sign(
        samples.read("slack", "url_verification"), "s", NOW, OPTIONS, event="", delivery_id="d"
    )
    INCOMING.verifier(OPTIONS, [Secret("s")])(as_delivery(signed), NOW)
    wrong = INCOMING.verifier(OPTIONS, [Secret("other")])
    assert refusal(wrong, as_delivery(signed)) == "signature_mismatch"


@pytest.mark.parametrize("challenge", [None, "", 7, ["x"], "x" * 1001])
def test_malformed_handshake(challenge):
    body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()
    with pytest.raises(HandshakeError):
        INCOMING.handshake(make_delivery(JSON, body), OPTIONS)


@pytest.mark.parametrize(
    "body",
    [
        b"{url_verification",
        b'["url_verification"]',
        b'{"type":"event_callback","event":{"text":"url_verification"}}',
        b"",
    ],
)
def test_what_is_no_handshake(body):
    assert INCOMING.handshake(make_delivery(JSON, body), OPTIONS) is None


def test_a_form_is_no_handshake():
    assert INCOMING.handshake(sample("block_actions"), OPTIONS) is None


# --- events -------------------------------------------------------------------------------------


def test_a_pressed_button():
    (draft,) = read(sample("block_actions"))
    assert draft.type == "slack.block_actions"
    assert draft.subject == "approve"
    assert draft.facts == {
        "user_id": "U2CERLKJA",
        "user_name": "dana",
        "channel_id": "CBR2V3XEX",
        "team_id": "T1DC2JH3J",
        "message_ts": "1777377900.000200",
        "action_id": "approve",
        "block_id": "decision",
        "value": "ref_01J8Z3",
    }
    assert draft.time is not None
    assert draft.time.isoformat().startswith("2026-04-28T12:06:01")


def test_a_chosen_option_is_the_value():
    assert read(sample("block_actions+select"))[0].facts["value"] == "high"


@pytest.mark.parametrize(("button", "approved"), [("approve", True), ("reject", False)])
def test_a_button_of_an_approval_is_its_decision(button, *, approved):
    (draft,) = read(sample(f"block_actions.hookwright_{button}"))
    assert (draft.type, draft.subject) == ("approval.decided", draft.facts["run_id"])
    assert draft.facts == {
        "run_id": "019a9e3c-7b1f-7c52-9d3e-5a4b8c2f1e60",
        "step": "go",
        "approved": approved,
        "by": "dana",
        "by_id": "U2CERLKJA",
        "asked_in": "CBR2V3XEX",
    }
    assert draft.fact.startswith("press:1777377900.000200:hookwright_")
    assert draft.time is not None


def decided(value: Any, **changes: Any) -> Delivery:
    """A press of Approve with this value."""
    action = {"action_id": "hookwright_approve", "value": value, "action_ts": "2.2"}
    return pressed(**{"actions": [action], **changes})


def test_who_has_no_name_decides_by_id():
    (draft,) = read(decided('{"run_id":"r","step":"go"}'))
    assert (draft.type, draft.facts["by"], draft.facts["by_id"]) == ("approval.decided", "U1", "U1")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "go",
        "[]",
        "{}",
        '{"run_id":"r"}',
        '{"run_id":"r","step":""}',
        '{"run_id":7,"step":"go"}',
        '{"run_id":"r","step":"go","approved":true}',
        '{"run_id":"r","step":"a\\u0000b\\n"}',
        '{"run_id":"r","step":"' + "x" * 501 + '"}',
    ],
)
def test_a_value_that_is_not_ours_decides_nothing(value):
    (draft,) = read(decided(value))
    assert (draft.type, draft.facts["action_id"]) == ("slack.block_actions", "hookwright_approve")


def test_who_may_decide_can_be_named():
    few = SlackOptions(approvers=["U7", "U1"])
    other = SlackOptions(approvers=["U7"])
    press = decided('{"run_id":"r","step":"go"}')
    assert [draft.type for draft in INCOMING.normalise(press, few)] == ["approval.decided"]
    assert [draft.type for draft in INCOMING.normalise(press, other)] == ["slack.block_actions"]
    nobody = decided('{"run_id":"r","step":"go"}', user={})
    assert [draft.type for draft in INCOMING.normalise(nobody, few)] == ["slack.block_actions"]


def test_only_a_pressed_button_decides():
    (draft,) = read(decided('{"run_id":"r","step":"go"}', type="view_submission"))
    assert draft.type == "slack.view_submission"


def test_several_elements_are_several_events():
    drafts = read(pressed(actions=[{"action_id": "a"}, {"action_id": "b"}]))
    assert [draft.facts["action_id"] for draft in drafts] == ["a", "b"]
    assert len({draft.key for draft in drafts}) == 2


@pytest.mark.parametrize(
    ("name", "subject", "message_ts", "timed"),
    [
        ("view_submission", "reason", None, False),
        ("view_closed", "reason", None, False),
        ("shortcut", "heal_latest", None, True),
        ("message_action", "heal_this", "1777377900.000200", True),
    ],
)
def test_other_interactions(name, subject, message_ts, timed):
    (draft,) = read(sample(name))
    assert (draft.type, draft.subject) == (f"slack.{name}", subject)
    assert (draft.facts["user_id"], draft.facts["user_name"]) == ("U2CERLKJA", "dana")
    assert draft.facts["message_ts"] == message_ts
    assert (draft.time is not None) is timed


def test_every_event_of_the_table_has_a_sample():
    assert set(samples.names("slack")) - {"url_verification", "block_actions+select"} == set(
        INCOMING.types
    ) - {"*"}


def test_a_slash_command():
    (draft,) = read(sample("slash_command"))
    assert (draft.type, draft.subject) == ("slack.slash_command", "/heal")
    assert draft.facts["text"] == "sr9def456y"


@pytest.mark.parametrize("sent", ["%00", "\x00", "%ED%A0%80", "%FF"])
def test_a_slash_command_with_odd_characters_can_be_stored(sent):
    raw = samples.read("slack", "slash_command").replace(b"sr9def456y", f"a{sent}b".encode())
    (draft,) = read(make_delivery(FORM, raw))
    text = draft.payload["text"]
    assert text == draft.facts["text"]
    assert "\x00" not in text
    assert set(text) == {"a", "b", "\ufffd"}


@pytest.mark.parametrize(
    ("name", "user", "channel"),
    [
        ("app_mention", "U2CERLKJA", "CBR2V3XEX"),
        ("message", "U2CERLKJA", "CBR2V3XEX"),
        ("reaction_added", "U2CERLKJA", None),
        ("reaction_removed", "U2CERLKJA", None),
    ],
)
def test_the_events_api(name, user, channel):
    (draft,) = read(sample(name))
    assert draft.type == f"slack.{name}"
    assert (draft.facts["user_id"], draft.facts["channel_id"]) == (user, channel)
    assert draft.time is not None


@pytest.mark.parametrize("name", [n for n in samples.names("slack") if n != "url_verification"])
def test_the_old_verification_token_is_left_out(name):
    assert b"token" in samples.read("slack", name)
    for draft in read(sample(name)):
        assert "token" not in draft.payload


# --- keys ---------------------------------------------------------------------------------------


def test_key_of_an_event_is_its_id():
    assert key(sample("app_mention")) == "Ev0MDYGDKJ"


def test_key_of_a_button_is_who_pressed_what_and_when():
    assert key(pressed()) == "1.1:approve:U1:2.2"
    assert key(pressed(trigger_id="t2")) == key(pressed())
    assert key(pressed(user={"id": "U2"})) != key(pressed())


def test_key_of_what_has_no_element_is_the_trigger():
    assert key(pressed(actions=[])) == "t1"
    assert key(sample("slash_command")) == "13345224609.738474920.8088930838d88f008e0"


def test_answer_is_200_without_a_body():
    assert (INCOMING.status_code, INCOMING.answer_body) == (200, False)


def test_tolerance_by_option():
    options = SlackOptions(tolerance_s=10)
    signed = INCOMING.sign(b"{}", "s", NOW, options, event="", delivery_id="d")
    verify = INCOMING.verifier(options, [Secret("s")])
    verify(as_delivery(signed), NOW)
    late = NOW.replace(second=11)
    assert refusal(verify, as_delivery(signed), late) == "stale"


# --- the library's own signatures ---------------------------------------------------------------

SECRET = "the-signing-secret-of-these-tests"


class FixedClock(Clock):
    """The library's clock, standing at the time of our vectors."""

    def now(self) -> float:
        return NOW.timestamp()


def library() -> SignatureVerifier:
    return SignatureVerifier(SECRET, FixedClock())


def signed_by_the_library(body: bytes, kind: list[tuple[str, str]]) -> Delivery:
    ts = str(int(NOW.timestamp()))
    signature = library().generate_signature(timestamp=ts, body=body)
    assert signature is not None
    own = [("X-Slack-Request-Timestamp", ts), ("X-Slack-Signature", signature)]
    return make_delivery([*kind, *own], body)


@pytest.mark.parametrize("name", samples.names("slack"))
def test_what_the_library_signs_is_accepted_and_refused_after_one_changed_byte(name):
    raw = samples.read("slack", name)
    delivery = signed_by_the_library(raw, JSON if raw.startswith(b"{") else FORM)
    verify = INCOMING.verifier(OPTIONS, [Secret(SECRET)])
    verify(delivery, NOW)
    for at in (0, len(raw) // 2, len(raw) - 1):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        altered = Delivery("s", delivery.headers, changed, NOW)
        assert refusal(verify, altered) == "signature_mismatch"


@pytest.mark.parametrize("name", samples.names("slack"))
def test_what_we_sign_is_accepted_by_the_library(name):
    signed = INCOMING.sign(
        samples.read("slack", name), SECRET, NOW, OPTIONS, event="", delivery_id="d1"
    )
    assert library().is_valid_request(signed.body, dict(signed.headers))
    assert not library().is_valid_request(signed.body + b"x", dict(signed.headers))


# --- facts --------------------------------------------------------------------------------------


def test_the_fact_of_an_event_is_its_id():
    assert read(sample("app_mention"))[0].fact == "event:Ev0MDYGDKJ"


def test_the_fact_of_a_press_is_who_pressed_what_and_when():
    assert read(pressed())[0].fact == "press:1.1:approve:U1:2.2"
    several = read(pressed(actions=[{"action_id": "a"}, {"action_id": "b"}]))
    assert len({draft.fact for draft in several}) == 2


def test_the_fact_of_a_command_is_its_trigger():
    trigger = "13345224609.738474920.8088930838d88f008e0"
    assert read(sample("slash_command"))[0].fact == f"command:{trigger}"


def test_what_has_no_id_has_no_fact():
    body = json.dumps({"type": "app_rate_limited", "team_id": "T1"}).encode()
    assert read(make_delivery(JSON, body))[0].fact == ""
    assert read(pressed(actions=[], trigger_id=None))[0].fact == ""


@pytest.mark.parametrize("name", [n for n in samples.names("slack") if n != "url_verification"])
def test_the_table_of_types_tells_what_the_samples_become(name):
    for draft in read(sample(name)):
        assert INCOMING.types[draft.vendor_type] == draft.type
    assert INCOMING.types["*"] == "slack.*"


@pytest.mark.parametrize("button", ["approve", "reject"])
def test_a_decision_can_be_sent_as_slack_would(button):
    name = f"block_actions.hookwright_{button}"
    raw = samples.read("slack", name)
    signed = INCOMING.sign(raw, SECRET, NOW, OPTIONS, event=name, delivery_id="7.5")
    (draft,) = read(as_delivery(signed))
    assert (draft.type, draft.facts["approved"]) == ("approval.decided", button == "approve")
