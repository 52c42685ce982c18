"""Approvals in Slack against its twin: asked, pressed, closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from service.errors import Permanent, Refused, VendorBroken
from service.vendors.slack import VENDOR
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.inbox import Inbox, open_inbox

TOKEN = "xoxb-twin-token"
SECRET = "the-signing-secret-of-these-tests"
CHANNEL = "C0000000001"
RUN = "019a9e3c-7b1f-7c52-9d3e-5a4b8c2f1e60"
STEP = {"run_id": RUN, "step": "go"}


@pytest.fixture
def slack(twin: Start) -> TwinProcess:
    process = twin("slack")
    process.set(key=TOKEN, secret=SECRET)
    process.limit("message", rate_per_s=1000, burst=1000)
    return process


@pytest.fixture
def caller(slack: TwinProcess) -> Caller:
    made = Caller(VENDOR, f"{slack.url}/api", {"bot_token": TOKEN}, {"channel": CHANNEL})
    made.now = datetime.now(UTC)
    return made


@pytest.fixture
def hook(slack: TwinProcess) -> Caller:
    settings: Any = slack.set()
    url = slack.url + str(settings["webhook_path"])
    return Caller(VENDOR, f"{slack.url}/api", {"webhook_url": url})


@pytest.fixture
def inbox(slack: TwinProcess) -> Iterator[Inbox]:
    with open_inbox(VENDOR, secret=SECRET) as found:
        slack.set(receiver=found.url)
        yield found


def messages(twin: TwinProcess) -> list[dict[str, Any]]:
    state: Any = twin.state()
    return list(state["messages"])


def shown(message: dict[str, Any]) -> str:
    """Every text of a message's blocks, one a line."""
    texts: list[str] = []
    for block in message["blocks"]:
        texts += [block["text"]["text"]] if "text" in block else []
        found = [one.get("text") for one in block.get("elements", [])]
        texts += [text["text"] if isinstance(text, dict) else text for text in found]
    return "\n".join(texts)


# --- asking ---------------------------------------------------------------------------------------


def test_a_question_has_two_buttons_that_name_the_step(slack: TwinProcess, caller: Caller) -> None:
    asked = caller.outputs("slack.ask_approval", **STEP, text="Stop *sales-agent*?")
    (message,) = messages(slack)
    assert (asked.channel, asked.ts, asked.created) == (CHANNEL, message["ts"], True)
    assert message["text"] == "Stop *sales-agent*?"
    assert [(one["action_id"], one["text"]["text"]) for one in message["buttons"]] == [
        ("hookwright_approve", "Approve"),
        ("hookwright_reject", "Reject"),
    ]
    assert {one["value"] for one in message["buttons"]} == {f'{{"run_id":"{RUN}","step":"go"}}'}


def test_a_question_says_where_else_and_until_when_it_is_decided(
    slack: TwinProcess, caller: Caller
) -> None:
    url = "https://hooks.example/approvals/7?a=1&b=2"
    caller.do("slack.ask_approval", **STEP, text="Go?", url=url, expires_at="<5 p.m.>")
    text = shown(messages(slack)[0])
    assert "<https://hooks.example/approvals/7?a=1&amp;b=2|Decide in Hookwright>" in text
    assert "open until &lt;5 p.m.&gt;" in text
    assert f"step go of run {RUN}" in text


def test_a_question_is_asked_once_for_its_step(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    again = caller.do("slack.ask_approval", **STEP, text="Go?", effect="run:step:1")
    changed = caller.outputs("slack.ask_approval", **STEP, text="Go now?", effect="run:step:2")
    assert again.changed is False
    assert (changed.created, len(messages(slack))) == (False, 1)
    assert "Go now?" in shown(messages(slack)[0])
    caller.do("slack.ask_approval", run_id=RUN, step="other", text="Go?")
    assert len(messages(slack)) == 2


def test_a_question_whose_message_is_gone_is_asked_anew(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    body = {"ok": False, "error": "message_not_found"}
    slack.fault("status", path="*/chat.update", status=200, body=body, times=1)
    assert caller.outputs("slack.ask_approval", **STEP, text="Go now?").created
    assert len(messages(slack)) == 2


def test_a_lost_answer_is_looked_up(slack: TwinProcess, caller: Caller) -> None:
    slack.fault("drop_after", path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken) as caught:
        caller.do("slack.ask_approval", **STEP, text="Go?")
    assert caught.value.perhaps_done is True
    found = caller.look_up("slack.ask_approval", **STEP, text="Go?")
    assert found is not None
    assert found.outputs.model_dump()["ts"] == messages(slack)[0]["ts"]
    other = caller.look_up("slack.ask_approval", **STEP, text="Go?", effect="other:step:0")
    assert other is None


def test_an_edit_in_doubt_is_made_again(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    assert caller.look_up("slack.ask_approval", **STEP, text="Go now?") is None
    assert len(slack.calls(path="*/conversations.history")) == 0


def test_a_long_question_is_cut(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="x" * 9000)
    (message,) = messages(slack)
    assert len(message["blocks"][0]["text"]["text"]) == 3000
    assert len(message["buttons"]) == 2


def test_the_longest_names_fit_into_a_button(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", run_id='"' * 100, step="\\" * 500, text="Go?")
    assert len(messages(slack)[0]["buttons"]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"run_id": ""},
        {"step": ""},
        {"step": "a\nb"},
        {"step": "x" * 501},
        {"text": " "},
        {"url": "javascript:alert(1)"},
        {"url": "https://a|b>"},
    ],
)
def test_what_cannot_be_asked(caller: Caller, wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        caller.do("slack.ask_approval", **{**STEP, "text": "Go?", **wrong})


def test_a_question_needs_a_channel(slack: TwinProcess) -> None:
    caller = Caller(VENDOR, f"{slack.url}/api", {"bot_token": TOKEN})
    with pytest.raises(Permanent, match="no channel"):
        caller.do("slack.ask_approval", **STEP, text="Go?")


# --- pressing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("button", "approved"), [("approve", True), ("reject", False)])
def test_a_press_comes_back_as_the_decision(
    slack: TwinProcess, caller: Caller, inbox: Inbox, button: str, *, approved: bool
) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    press = {"action_id": f"hookwright_{button}", "user": "U42", "username": "dana", "repeat": 2}
    slack.lever("press", press)
    (event,) = inbox.events()
    assert (event.type, event.subject) == ("approval.decided", RUN)
    assert event.facts == {
        **STEP,
        "approved": approved,
        "by": "dana",
        "by_id": "U42",
        "asked_in": CHANNEL,
    }


def test_a_press_is_of_the_question_that_is_meant(
    slack: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    for number in range(3):
        step = f"each[{number}]/go"
        caller.do("slack.ask_approval", run_id=RUN, step=step, text="Go?", effect=step)
    slack.lever("press", {"action_id": "hookwright_approve", "holding": "each[1]/"})
    assert [event.facts["step"] for event in inbox.events()] == ["each[1]/go"]


def test_a_forged_press_is_refused(slack: TwinProcess, caller: Caller, inbox: Inbox) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    slack.lever("press", {"action_id": "hookwright_approve", "secret": "wrong"})
    assert (inbox.refused, inbox.events()) == (1, [])


# --- closing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        ({"outcome": "approved", "by": "dana"}, "Approved by dana"),
        ({"outcome": "rejected", "by": "<@U1>", "note": "not now"}, "Rejected by &lt;@U1&gt;"),
        ({"outcome": "timed_out", "note": "taken as rejected"}, "Timed out: taken as rejected"),
        ({"outcome": "cancelled"}, "No longer asked"),
    ],
)
def test_a_closed_question_has_its_answer_instead_of_buttons(
    slack: TwinProcess, caller: Caller, how: dict[str, str], verdict: str
) -> None:
    asked = caller.outputs("slack.ask_approval", **STEP, text="Go?")
    closed = caller.do("slack.close_approval", **STEP, **how)
    assert closed.outputs.model_dump() == {"channel": CHANNEL, "ts": asked.ts, "closed": True}
    (message,) = messages(slack)
    assert message["buttons"] == []
    assert "Go?" in shown(message)
    assert verdict in shown(message)
    assert verdict in message["text"]
    again = caller.do("slack.close_approval", **STEP, **how)
    assert (again.changed, messages(slack)[0]["versions"]) == (False, 2)


def test_a_screen_that_is_late_may_still_press(
    slack: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    caller.do("slack.close_approval", **STEP, outcome="approved", by="dana")
    with pytest.raises(RuntimeError, match="no message has a button"):
        slack.lever("press", {"action_id": "hookwright_reject"})
    slack.lever("press", {"action_id": "hookwright_reject", "late": True})
    assert [event.facts["approved"] for event in inbox.events()] == [False]


def test_a_question_that_is_asked_again_is_open_again(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    caller.do("slack.close_approval", **STEP, outcome="timed_out")
    caller.do("slack.ask_approval", **STEP, text="Go?", effect="run:step:1")
    (message,) = messages(slack)
    assert len(message["buttons"]) == 2
    assert "Timed out" not in shown(message)


def test_a_question_that_nobody_remembers_is_found_by_what_stands_beside_it(
    slack: TwinProcess, caller: Caller
) -> None:
    slack.fault("drop_after", path="*/chat.postMessage", times=1)
    with pytest.raises(VendorBroken):
        caller.do("slack.ask_approval", **STEP, text="Go?")
    slack.lever("messages", {"text": "talk"})
    closed = caller.outputs("slack.close_approval", **STEP, outcome="rejected", by="dana")
    assert closed.closed is True
    assert "Go?" in shown(messages(slack)[0])
    assert messages(slack)[0]["buttons"] == []


def test_closing_what_was_never_asked_changes_nothing(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", run_id=RUN, step="other", text="Go?")
    closed = caller.do("slack.close_approval", **STEP, outcome="rejected")
    assert (closed.outputs.model_dump()["closed"], closed.changed) == (False, False)
    assert len(messages(slack)[0]["buttons"]) == 2


def test_closing_a_message_that_is_gone_changes_nothing(slack: TwinProcess, caller: Caller) -> None:
    caller.do("slack.ask_approval", **STEP, text="Go?")
    body = {"ok": False, "error": "message_not_found"}
    slack.fault("status", path="*/chat.update", status=200, body=body, times=1)
    assert caller.outputs("slack.close_approval", **STEP, outcome="approved").closed is False


def test_an_incoming_webhook_asks_and_cannot_close(slack: TwinProcess, hook: Caller) -> None:
    asked = hook.outputs("slack.ask_approval", **STEP, text="Go?")
    assert (asked.created, asked.ts) == (True, None)
    assert hook.do("slack.ask_approval", **STEP, text="Go?").changed is False
    assert hook.outputs("slack.close_approval", **STEP, outcome="approved").closed is False
    assert [len(message["buttons"]) for message in messages(slack)] == [2]
    with pytest.raises(Refused, match="cannot be looked up"):
        hook.look_up("slack.ask_approval", run_id=RUN, step="other", text="Go?")
