"""A step asks in Slack: a press decides it, and the message says how it was decided."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from examples.twins.launch import TwinProcess
from schemas.configured_tables import ConnectionRow, SourceRow
from schemas.ids import new_id
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, WaitRow
from schemas.states import EffectState
from schemas.tables import DeliveryRow, EffectRow
from schemas.workflow import RunStatus, StepStatus, WaitKind
from service import approvals, doubts
from service.db import Database
from service.errors import Conflict
from service.retrying import retry_run
from service.runs import LEASE, advance_run
from service.secretbox import SecretBox
from service.tokens import Caller, Role
from service.vendors.slack import VENDOR
from tests.integration.engine.installation import KEYS, START, Installation
from tests.integration.engine.test_calling import ToldToStop
from tests.integration.vendors.inbox import Inbox, open_inbox
from tests.twin_forks import start_twin

TOKEN = "xoxb-twin-token"
SECRET = "the-signing-secret-of-these-tests"
CHANNEL = "C0000000001"
ASKS = """
name: asks
on: [{event: go}]
steps:
  - id: ask
    approval: {text: "Merge ${{ event.subject }}?", ask: slack, timeout: 4h}
  - {id: after, uses: robot.once, with: {name: "${{ steps.ask.by }}"}}
"""
EACH = """
name: each
on: [{event: go}]
steps:
  - id: each
    for_each: "['a', 'b']"
    as: name
    steps:
      - {id: ask, approval: {text: "Stop ${{ name }}?", ask: slack}}
"""


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it runs."""


@pytest.fixture(scope="module")
def running() -> Iterator[TwinProcess]:
    with start_twin("slack") as found:
        yield found


@pytest.fixture
def slack(running: TwinProcess) -> TwinProcess:
    running.reset()
    running.set(key=TOKEN, secret=SECRET)
    running.limit("message", rate_per_s=1000, burst=1000)
    return running


@pytest.fixture
def inbox(slack: TwinProcess) -> Iterator[Inbox]:
    with open_inbox(VENDOR, secret=SECRET) as found:
        slack.set(receiver=found.url)
        yield found


@pytest.fixture
def house(database: Database, slack: TwinProcess) -> Installation:
    """An installation with two accounts of Slack, of which one source's is `slack`."""
    found = Installation(database, vendors={"slack": VENDOR}, public_url="https://hooks.example")
    found.now = datetime.now(UTC)
    box = SecretBox(KEYS)
    options = {"channel": CHANNEL}
    found.store(
        ConnectionRow(
            name="slack",
            vendor="slack",
            base_url=f"{slack.url}/api",
            credentials=box.seal({"bot_token": TOKEN}),
            options=options,
            updated_at=START,
        ),
        *(
            SourceRow(
                id=new_id(),
                name=name,
                vendor="slack",
                secrets=box.seal([{"value": SECRET}]),
                connection=tie,
                updated_at=START,
            )
            for name, tie in (("slack", "slack"), ("others", "another"))
        ),
    )
    return found


def asked(house: Installation, text: str = ASKS) -> UUID:
    house.workflow(text)
    run_id = house.start(subject="#7")
    house.carry_on_rung()
    return run_id


def press(
    house: Installation, slack: TwinProcess, inbox: Inbox, source: str = "slack", **how: Any
) -> None:
    """Press a button and let the delivery be ingested; what it rings for is not carried on."""
    slack.lever("press", {"action_id": "hookwright_approve", **how})
    delivery = inbox.received[-1]
    (row,) = house.rows(SourceRow, SourceRow.name == source)
    stored = DeliveryRow(
        source_id=row.id,
        source=source,
        vendor="slack",
        delivery_key=str(new_id()),
        received_at=house.now,
        headers=[list(pair) for pair in delivery.headers.items],
        body=delivery.body,
        due_at=house.now,
    )
    ident = stored.id
    house.store(stored)
    house.ingest(ident)


def message(slack: TwinProcess, number: int = 0) -> dict[str, Any]:
    state: Any = slack.state()
    found: dict[str, Any] = state["messages"][number]
    return found


def test_the_question_says_where_and_until_when_it_can_be_decided(
    house: Installation, slack: TwinProcess
) -> None:
    house.now = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    run_id = asked(house)
    [effect] = house.effects(run_id)
    assert effect.params["url"] == f"https://hooks.example/runs/{run_id}"
    assert effect.params["expires_at"] == "2026-11-22 14:30 UTC"
    assert f"https://hooks.example/runs/{run_id}" in str(message(slack))
    assert "open until 2026-11-22 14:30 UTC" in str(message(slack))


def test_an_address_that_is_none_keeps_no_question_from_being_asked(
    house: Installation, slack: TwinProcess
) -> None:
    house.settings = house.settings.model_copy(update={"public_url": "hooks.example"})
    house.runtime = house.another_worker()
    run_id = asked(house)
    [effect] = house.effects(run_id)
    assert (effect.state, effect.params["url"]) == (EffectState.MADE, None)
    assert "open until" in str(message(slack))


def closing(house: Installation) -> list[EffectRow]:
    rows = house.rows(EffectRow, EffectRow.action == "slack.close_approval")
    return sorted(rows, key=lambda row: row.id)


def decide(house: Installation, run_id: UUID, *, approved: bool) -> None:
    runtime = house.runtime
    approvals.decide(
        runtime.database,
        runtime.queue,
        run_id=run_id,
        step="ask",
        approved=approved,
        by="ann",
        note="here",
        now=house.now,
    )


def test_a_press_decides_and_the_message_says_so(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    run_id = asked(house)
    assert house.run(run_id).status == RunStatus.WAITING
    assert message(slack)["text"] == "Merge #7?"
    press(house, slack, inbox)
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    output = house.step(run_id, "ask").output
    assert (output["approved"], output["by"]) == (True, "dana")
    assert message(slack)["buttons"] == []
    assert message(slack)["text"] == ":white_check_mark: Approved by dana: Merge #7?"
    (close,) = closing(house)
    assert (close.state, close.calls) == (EffectState.MADE, 1)
    # A late press of the same question is kept as an event and changes nothing.
    press(house, slack, inbox, action_id="hookwright_reject", late=True)
    house.carry_on_rung()
    assert house.step(run_id, "ask").output["approved"] is True


def test_a_decision_at_the_terminal_closes_the_message(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    run_id = asked(house)
    decide(house, run_id, approved=False)
    house.carry_on_rung()
    assert (house.run(run_id).error or {})["code"] == "rejected"
    assert message(slack)["text"] == ":x: Rejected by ann: here: Merge #7?"


def test_a_question_that_nobody_answers_or_that_is_cancelled_is_closed(
    house: Installation, slack: TwinProcess
) -> None:
    run_id = asked(house)
    house.now += timedelta(hours=4, seconds=1)
    advance_run(house.runtime, run_id)
    assert (house.run(run_id).error or {})["code"] == "approval_timeout"
    assert "Timed out" in message(slack)["text"]
    other = house.start(subject="#8")
    house.carry_on_rung()
    runtime = house.runtime
    doubts.cancel_run(runtime.database, runtime.queue, run_id=other, who="ann", now=house.now)
    house.carry_on_rung()
    assert house.run(other).status == RunStatus.CANCELLED
    assert "No longer asked" in message(slack, 1)["text"]


def test_what_cannot_be_closed_does_not_keep_or_fail_the_run(
    house: Installation, slack: TwinProcess
) -> None:
    run_id = asked(house)
    slack.fault("status", path="*/chat.update", status=500)
    decide(house, run_id, approved=True)
    began = house.now
    house.carry_on()
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    assert house.now - began < timedelta(minutes=1)
    (close,) = closing(house)
    assert (close.state, close.calls) == (EffectState.NOT_MADE, 3)
    assert house.step(run_id, "ask").output["approved"] is True


def test_a_worker_that_dies_while_closing_loses_and_doubles_nothing(
    house: Installation, slack: TwinProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = asked(house)
    decide(house, run_id, approved=True)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("service.runs._settle_patiently", die)
        with pytest.raises(Killed):
            advance_run(house.runtime, run_id)
    assert house.step(run_id, "ask").status == StepStatus.WAITING
    house.now += LEASE + timedelta(seconds=1)
    house.carry_on()
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    (close,) = closing(house)
    assert (close.state, close.calls) == (EffectState.MADE, 2)
    assert len(house.script.calls) == 1


def test_a_press_counts_only_from_the_account_that_was_asked(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    run_id = asked(house)
    press(house, slack, inbox, source="others")
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.WAITING
    assert house.step(run_id, "ask").answer is None


def test_nobody_else_can_tell_of_a_decision(house: Installation, slack: TwinProcess) -> None:
    run_id = asked(house)
    facts = {"run_id": str(run_id), "step": "ask", "approved": True, "by": "eve"}
    house.ingest(
        house.deliver({"type": "approval.decided", "subject": str(run_id), "facts": facts})
    )
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.WAITING
    assert house.step(run_id, "ask").answer is None


def test_a_press_that_is_faster_than_the_answer_of_the_asking_counts(
    house: Installation, slack: TwinProcess, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.workflow(ASKS)
    run_id = house.start(subject="#7")
    settle = "service.runs._settle_patiently"
    original = __import__("service.runs", fromlist=["x"])._settle_patiently
    pressed: list[bool] = []

    def press_first(*given: Any) -> Any:
        if not pressed:
            pressed.append(True)
            press(house, slack, inbox)
        return original(*given)

    monkeypatch.setattr(settle, press_first)
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    assert house.step(run_id, "ask").output["by"] == "dana"


def test_a_doubt_about_asking_ends_in_waiting_or_with_a_press(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    slack.fault("drop_after", path="*/chat.postMessage", times=2)
    slack.fault(
        "status",
        path="*/conversations.history",
        status=200,
        body={"ok": False, "error": "missing_scope"},
    )
    runs = [asked(house)]
    house.carry_on(most=20)
    runs.append(house.start(subject="#8"))
    house.carry_on(most=20)
    for run_id in runs:
        assert house.step(run_id, "ask").status == StepStatus.IN_DOUBT
    with pytest.raises(Conflict, match="was asked"):
        decide(house, runs[0], approved=True)
    runtime = house.runtime
    doubts.settle_step(
        runtime.database,
        runtime.queue,
        runtime.actions,
        run_id=runs[0],
        step="ask",
        took_effect=True,
        output=None,
        who="ann",
        now=house.now,
    )
    house.carry_on_rung()
    assert house.step(runs[0], "ask").status == StepStatus.WAITING
    assert len(slack.calls(path="*/chat.postMessage")) == 2
    decide(house, runs[0], approved=True)
    press(house, slack, inbox, holding=str(runs[1]))
    house.carry_on_rung()
    for run_id in runs:
        house.bell.rung.append(AdvanceRun(run_id))
    house.carry_on()
    assert [house.run(run_id).status for run_id in runs] == [RunStatus.SUCCEEDED] * 2


def test_a_retried_question_is_asked_again_in_its_message(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    run_id = asked(house)
    decide(house, run_id, approved=False)
    house.carry_on_rung()
    runtime = house.runtime
    retry_run(
        runtime.database,
        runtime.queue,
        run_id=run_id,
        caller=Caller("ann", Role.OPERATOR, None),
        now=house.now,
    )
    house.carry_on_rung()
    assert len(message(slack)["buttons"]) == 2
    press(house, slack, inbox)
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    assert message(slack)["text"] == ":white_check_mark: Approved by dana: Merge #7?"
    assert len(closing(house)) == 2


def test_every_branch_asks_for_itself(
    house: Installation, slack: TwinProcess, inbox: Inbox
) -> None:
    run_id = asked(house, EACH)
    (second,) = house.rows(RunRow, RunRow.path == "each[1]")
    press(house, slack, inbox, holding=str(second.id))
    house.carry_on_rung()
    assert house.run(second.id).status == RunStatus.SUCCEEDED
    assert house.run(run_id).status == RunStatus.WAITING
    press(house, slack, inbox)
    house.carry_on_rung()
    assert house.run(run_id).status == RunStatus.SUCCEEDED


def test_in_shadow_mode_nothing_is_posted(house: Installation, slack: TwinProcess) -> None:
    run_id = asked(house, ASKS + "mode: shadow\n")
    assert house.run(run_id).status == RunStatus.SUCCEEDED
    assert house.step(run_id, "ask").output["note"] == "shadow: nobody was asked"
    assert slack.calls() == []
    (would,) = house.rows(EffectRow, EffectRow.action == "slack.ask_approval")
    assert would.state == EffectState.SHADOWED


@pytest.mark.parametrize("looks", range(4))
def test_it_is_asked_once_though_the_worker_is_told_to_stop(
    house: Installation, looks: int
) -> None:
    house.workflow(ASKS)
    run_id = house.start(subject="#7")
    usual, house.runtime.stopping = house.runtime.stopping, ToldToStop(looks)
    advance_run(house.runtime, run_id)
    house.runtime.stopping = usual
    house.advance(run_id, until=lambda run: run.status == RunStatus.WAITING)
    assert house.step(run_id, "ask").attempts == 1
    (wait,) = house.rows(WaitRow)
    assert wait.kind == WaitKind.APPROVAL
