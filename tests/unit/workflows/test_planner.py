"""What a run does next, step by step, and what outcomes make of its steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.document import Document
from schemas.workflow import RunStatus, StepState, StepStatus, Tally, WaitKind
from service.workflows.decisions import (
    AwaitPerson,
    Decision,
    Done,
    Fail,
    Failed,
    Finish,
    InDoubt,
    Outcome,
    Perform,
    RunView,
    Skip,
    Succeeded,
    Wait,
)
from service.workflows.document import merge_vars
from service.workflows.planner import plan
from service.workflows.transitions import after_attempt, settle_doubt

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = {
    "id": "r1",
    "workflow": "x",
    "version": 1,
    "mode": "live",
    "started_at": "2026-01-01T00:00:00Z",
    "url": None,
    "correlation_id": "c1",
}
HEALED = {
    "status": "completed",
    "all_terminal": True,
    "completed": 2,
    "pr_urls": ["https://github.com/acme/tests/pull/7"],
    "latest": None,
}


class Play:
    """A run played by hand: rows in a dict, time by a number."""

    def __init__(self, document: Document, event: dict[str, Any], **values: Any) -> None:
        self.document = document
        self.now = NOW
        self.view = RunView(event=event, run=RUN, vars=merge_vars(document, values))

    def store(self, state: StepState) -> None:
        self.view = replace(self.view, steps={**self.view.steps, state.step_id: state})

    def next(self) -> Decision:
        decision = plan(self.document, self.view, self.now)
        assert plan(self.document, self.view, self.now) == decision
        if isinstance(decision, Perform | Skip | Fail | Wait):
            self.store(decision.state)
        return decision

    def performs(self, step_id: str) -> Perform:
        decision = self.next()
        assert isinstance(decision, Perform), decision
        assert decision.step.id == step_id
        return decision

    def waits(self, step_id: str, kind: WaitKind, seconds: float) -> None:
        decision = self.next()
        assert isinstance(decision, Wait), decision
        assert (decision.step_id, decision.kind) == (step_id, kind)
        assert decision.until - self.now == timedelta(seconds=seconds)
        self.now = decision.until

    def skips(self, step_id: str) -> Skip:
        decision = self.next()
        assert isinstance(decision, Skip), decision
        assert decision.step_id == step_id
        return decision

    def fails(self, step_id: str) -> str:
        decision = self.next()
        assert isinstance(decision, Fail), decision
        assert decision.step_id == step_id
        assert decision.state.error is not None
        return decision.state.error.code

    def gives(self, outcome: Outcome, jitter: float = 1.0) -> StepState:
        [state] = [s for s in self.view.steps.values() if s.status is StepStatus.RUNNING]
        after = after_attempt(self.document, self.view, state, outcome, now=self.now, jitter=jitter)
        self.store(after)
        return after

    def ends(self) -> Finish:
        decision = self.next()
        assert isinstance(decision, Finish), decision
        return decision


def flow(*steps: dict[str, Any], **more: Any) -> Document:
    plain = {"name": "x", "on": [{"event": "*"}], "steps": list(steps), **more}
    return Document.model_validate(plain)


def step(step_id: str, **more: Any) -> dict[str, Any]:
    return {"id": step_id, "uses": "v.act", **more}


TRANSIENT = Failed("timed_out", "no answer", retryable=True)
PERMANENT = Failed("refused", "they say no", retryable=False)
DONE = Succeeded({})


def test_the_heal_document_from_event_to_end(
    heal_failed_run: Document, failed_event: dict[str, Any]
) -> None:
    play = Play(heal_failed_run, failed_event)
    heal = play.performs("heal")
    assert heal.params == {
        "test_run_id": failed_event["subject"],
        "repo": "acme/webapp",
        "pr_number": 42,
        "metadata": {"correlation_id": failed_event["correlation_id"], "caused_by": "hookwright"},
    }
    assert (heal.attempt, heal.connection, heal.timeout, heal.recovering) == (1, None, None, False)
    play.gives(Succeeded({"batch_id": "b1", "url": None}))
    assert play.performs("healed").params == {"batch_id": "b1"}
    play.gives(Succeeded({**HEALED, "all_terminal": False, "pr_urls": []}))
    play.waits("healed", WaitKind.POLL, 15)
    play.performs("healed")
    assert play.gives(Succeeded(HEALED)).polls == 2
    assert play.skips("selection").reason.startswith("its condition is false: event.vendor !=")
    comment = play.performs("comment")
    assert comment.params["number"] == 42
    assert comment.params["body"] == (
        "**2 tests failed** in [this run](https://app.example/r1).\n"
        "Healed: https://github.com/acme/tests/pull/7\n\n"
        "- logs in @\u2060alice\n- pays \\`now\\`\n"
    )
    play.gives(Succeeded({"comment_id": 1}))
    assert play.performs("tell").params == {"text": "smoke &lt;all&gt;: 2 healed"}
    play.gives(Succeeded({"ts": "1.2"}))
    assert play.ends() == Finish(RunStatus.SUCCEEDED)


def test_another_vendor_takes_the_other_way(
    heal_failed_run: Document, failed_event: dict[str, Any]
) -> None:
    event = {**failed_event, "vendor": "vibeview"}
    play = Play(heal_failed_run, event, selection="@smoke")
    play.skips("heal")
    play.skips("healed")
    assert play.performs("selection").params["grep"] == "@smoke"
    play.gives(Succeeded({"name": "job-1"}))
    assert "No fix was proposed" in play.performs("comment").params["body"]


def test_transient_failures_wait_longer_each_time_and_then_fail() -> None:
    retry = {"attempts": 5, "first": "2s", "max": "10s"}
    play = Play(flow(step("a", retry=retry)), {})
    for pause in (2, 4, 8, 10):
        play.performs("a")
        play.gives(TRANSIENT)
        play.waits("a", WaitKind.RETRY, pause)
    assert play.performs("a").attempt == 5
    after = play.gives(TRANSIENT)
    assert after.status is StepStatus.FAILED
    assert after.error is not None
    assert after.error.code == "timed_out"
    finish = play.ends()
    assert finish.status is RunStatus.FAILED
    assert finish.error is not None
    assert finish.error.model_dump() == {"step": "a", "code": "timed_out", "message": "no answer"}


def test_a_step_that_says_nothing_is_tried_five_times() -> None:
    play = Play(flow(step("a")), {})
    pauses = []
    for _ in range(4):
        play.performs("a")
        due_at = play.gives(TRANSIENT, jitter=0.5).due_at
        assert due_at is not None
        pauses.append((due_at - play.now).total_seconds())
        play.now = due_at
    play.performs("a")
    assert play.gives(TRANSIENT).status is StepStatus.FAILED
    assert pauses == [1, 2, 4, 8]


def test_jitter_takes_its_part_of_the_pause_and_retry_after_wins() -> None:
    play = Play(flow(step("a")), {})
    play.performs("a")
    assert play.gives(TRANSIENT, jitter=0).due_at == NOW
    play.performs("a")
    asked = replace(TRANSIENT, retry_after=timedelta(seconds=77))
    assert play.gives(asked, jitter=0).due_at == NOW + timedelta(seconds=77)
    play.now += timedelta(seconds=77)
    play.performs("a")
    mad = replace(TRANSIENT, retry_after=timedelta(days=10_000))
    assert play.gives(mad).due_at == play.now + timedelta(days=1)


def test_retry_after_of_zero_is_taken_at_its_word() -> None:
    play = Play(flow(step("a")), {})
    play.performs("a")
    at_once = replace(TRANSIENT, retry_after=timedelta(0))
    assert play.gives(at_once, jitter=1.0).due_at == NOW


def test_permanent_failures_are_never_retried() -> None:
    play = Play(flow(step("a", retry={"attempts": 9})), {})
    play.performs("a")
    assert play.gives(PERMANENT).status is StepStatus.FAILED


def test_attempts_and_durations_may_come_from_vars_and_event() -> None:
    retry = {"attempts": "${{ vars.tries }}", "first": "${{ event.facts.pause }}"}
    document = flow(
        step("a", retry=retry, timeout="${{ vars.limit }}"), vars={"tries": 2, "limit": "9s"}
    )
    play = Play(document, {"facts": {"pause": "3s"}})
    assert play.performs("a").timeout == timedelta(seconds=9)
    play.gives(TRANSIENT)
    play.waits("a", WaitKind.RETRY, 3)
    play.performs("a")
    assert play.gives(TRANSIENT).status is StepStatus.FAILED


@pytest.mark.parametrize(
    ("tries", "message"),
    [("two", "1 to 100"), (0, "1 to 100"), (True, "1 to 100"), (1000, "1 to 100")],
)
def test_attempts_that_are_no_number_fail_the_step(tries: object, message: str) -> None:
    play = Play(flow(step("a", retry={"attempts": "${{ vars.n }}"}), vars={"n": tries}), {})
    play.performs("a")
    after = play.gives(TRANSIENT)
    assert after.status is StepStatus.FAILED
    assert after.error is not None
    assert message in after.error.message


def poll(**more: Any) -> dict[str, Any]:
    return {"poll": {"every": "10s", "until": "output.done", "timeout": "25s", **more}}


def test_a_poll_asks_at_once_and_again_until_its_deadline_and_then_once_more() -> None:
    play = Play(flow(step("a", **poll())), {})
    for pause in (10, 10, 5):
        play.performs("a")
        play.gives(Succeeded({"done": False}))
        play.waits("a", WaitKind.POLL, pause)
    play.performs("a")
    after = play.gives(Succeeded({"done": False}))
    assert after.status is StepStatus.FAILED
    assert after.error is not None
    assert after.error.code == "poll_timeout"
    assert after.error.message == "output.done did not hold within 25s"


def test_a_late_answer_still_counts() -> None:
    """The worker was down past the deadline: the question is asked before the step is given up."""
    play = Play(flow(step("a", **poll())), {})
    play.performs("a")
    play.gives(Succeeded({"done": False}))
    play.now += timedelta(hours=9)
    play.performs("a")
    assert play.gives(Succeeded({"done": True})).status is StepStatus.SUCCEEDED


def test_a_poll_may_wait_before_it_first_asks() -> None:
    play = Play(flow(step("a", **poll(first="3s"))), {})
    play.waits("a", WaitKind.POLL, 3)
    assert play.performs("a").state.started_at == NOW + timedelta(seconds=3)


def test_a_waiting_poll_planned_early_waits_for_the_same_moment() -> None:
    play = Play(flow(step("a", **poll(first="10s"))), {})
    first = play.next()
    play.now += timedelta(seconds=4)
    again = play.next()
    assert isinstance(first, Wait)
    assert isinstance(again, Wait)
    assert first.until == again.until


def test_a_transient_failure_does_not_end_a_poll() -> None:
    play = Play(flow(step("a", **poll(), retry={"attempts": 1})), {})
    play.performs("a")
    play.gives(TRANSIENT)
    play.waits("a", WaitKind.POLL, 10)
    play.performs("a")
    play.gives(replace(TRANSIENT, retry_after=timedelta(seconds=12)))
    play.waits("a", WaitKind.POLL, 12)
    play.performs("a")
    after = play.gives(Succeeded({"done": True}))
    assert (after.status, after.attempts, after.polls) == (StepStatus.SUCCEEDED, 3, 1)


def test_a_poll_that_only_fails_ends_at_its_deadline_and_says_so() -> None:
    play = Play(flow(step("a", **poll())), {})
    for pause in (10, 10, 5):
        play.performs("a")
        play.gives(TRANSIENT)
        play.waits("a", WaitKind.POLL, pause)
    play.performs("a")
    error = play.gives(TRANSIENT).error
    assert error is not None
    assert error.code == "poll_timeout"
    assert error.message.endswith("the last answer was an error: no answer")


def test_a_permanent_failure_ends_a_poll() -> None:
    play = Play(flow(step("a", **poll())), {})
    play.performs("a")
    assert play.gives(PERMANENT).status is StepStatus.FAILED


def test_until_that_cannot_be_evaluated_fails_the_step() -> None:
    play = Play(flow(step("a", **poll(until="output.nothing"))), {})
    play.performs("a")
    error = play.gives(Succeeded({"done": True})).error
    assert error is not None
    assert error.code == "expression"
    assert "`output.nothing` does not exist" in error.message


@pytest.mark.parametrize(
    "more",
    [
        {"if": "event.nothing == 1"},
        {"with": {"a": "${{ event.nothing }}"}},
        {"timeout": "${{ event.type }}"},
        {"if": "event.type"},
    ],
)
def test_an_expression_that_cannot_be_evaluated_fails_the_step(more: dict[str, Any]) -> None:
    play = Play(flow(step("a", **more)), {"type": "x.y"})
    assert play.fails("a") == "expression"
    assert play.ends().status is RunStatus.FAILED


def test_after_a_failure_the_rescue_steps_are_taken_and_the_run_has_failed() -> None:
    document = flow(
        step("a"),
        step("b"),
        on_failure=[
            step("tell", **{"with": {"text": "${{ error.step }}: ${{ error.code }}"}}),
            step("never", **{"if": "error.code == 'other'"}),
            step("also", **{"with": {"text": "${{ steps.tell.status }} ${{ steps.b.status }}"}}),
        ],
    )
    play = Play(document, {})
    play.performs("a")
    play.gives(PERMANENT)
    assert play.performs("tell").params == {"text": "a: refused"}
    play.gives(PERMANENT)
    play.skips("never")
    assert play.performs("also").params == {"text": "failed pending"}
    play.gives(DONE)
    finish = play.ends()
    assert finish.status is RunStatus.FAILED
    assert finish.error is not None
    assert finish.error.step == "a"


def test_a_failure_that_may_be_passed_over_is_readable_and_the_run_succeeds() -> None:
    document = flow(
        step("a", on_error="continue"),
        step("b", **{"with": {"x": "${{ steps.a.status }} ${{ steps.a.error.message }}"}}),
        on_failure=[step("tell")],
    )
    play = Play(document, {})
    play.performs("a")
    play.gives(PERMANENT)
    assert play.performs("b").params == {"x": "failed they say no"}
    play.gives(DONE)
    assert play.ends() == Finish(RunStatus.SUCCEEDED)


def test_fields_of_a_skipped_step_are_null() -> None:
    document = flow(
        step("a", **{"if": "false"}),
        step("b", **{"with": {"x": "${{ steps.a.url }}", "y": "[${{ steps.a.url }}]"}}),
        step("c", **{"if": "steps.a.url != null"}),
    )
    play = Play(document, {})
    play.skips("a")
    assert play.performs("b").params == {"x": None, "y": "[]"}
    play.gives(DONE)
    play.skips("c")


def test_in_doubt_waits_for_a_person_who_settles_it() -> None:
    play = Play(flow(step("a"), step("b")), {})
    play.performs("a")
    after = play.gives(InDoubt("the connection broke after the request was sent"))
    assert after.status is StepStatus.IN_DOUBT
    assert play.next() == AwaitPerson("a")
    undone = settle_doubt(after, took_effect=False, output={})
    play.store(undone)
    assert play.performs("a").attempt == 2
    play.store(settle_doubt(after, took_effect=True, output={"id": 5}))
    play.performs("b")
    assert play.view.steps["a"].output == {"id": 5}


def test_a_lost_worker_is_recovered_from_and_not_for_ever() -> None:
    play = Play(flow(step("a", retry={"attempts": 3})), {})
    assert not play.performs("a").recovering
    second = play.performs("a")
    assert (second.attempt, second.recovering) == (2, True)
    assert play.performs("a").attempt == 3
    # What came of the last one is found out, or told to be in doubt: a failure would say too much.
    assert play.performs("a").attempt == 4
    assert play.fails("a") == "worker_lost"


def test_a_step_that_is_tried_once_survives_the_loss_of_its_worker() -> None:
    play = Play(flow(step("a", retry={"attempts": 1})), {})
    play.performs("a")
    again = play.performs("a")
    assert (again.attempt, again.recovering) == (2, True)
    play.gives(InDoubt("the worker was lost during the call"))
    assert play.next() == AwaitPerson("a")


def test_a_poll_that_loses_its_workers_ends_after_its_deadline() -> None:
    play = Play(flow(step("a", **poll())), {})
    play.performs("a")
    play.now += timedelta(seconds=20)
    assert play.performs("a").recovering
    play.now += timedelta(seconds=20)
    assert play.performs("a").recovering
    assert play.fails("a") == "worker_lost"


@pytest.mark.parametrize("status", list(StepStatus))
def test_a_cancelled_run_closes_its_open_step_and_ends(status: StepStatus) -> None:
    document = flow(step("a"), step("b"), on_failure=[step("tell")])
    state = StepState(step_id="a", status=status)
    view = RunView(event={}, run=RUN, vars={}, steps={"a": state}, cancel_requested=True)
    decision = plan(document, view, NOW)
    if not status.is_final and status is not StepStatus.IN_DOUBT:
        assert isinstance(decision, Done)
        assert decision.state.status is StepStatus.CANCELLED
        assert decision.state.reason is not None
        assert ("under way" in decision.state.reason) == (status is StepStatus.RUNNING)
        decision = plan(document, replace(view, steps={"a": decision.state}), NOW)
    assert decision == Finish(RunStatus.CANCELLED)


def test_a_cancelled_run_takes_its_steps_of_on_cancel_whatever_becomes_of_them() -> None:
    document = flow(step("a"), on_cancel=[step("undo"), step("tell")])
    steps = {
        "a": StepState(step_id="a", status=StepStatus.CANCELLED),
        "undo": StepState(step_id="undo", status=StepStatus.FAILED),
    }
    view = RunView(event={}, run=RUN, vars={}, steps=steps, cancel_requested=True)
    decision = plan(document, view, NOW)
    assert isinstance(decision, Perform)
    assert decision.step.id == "tell"
    nothing_begun = replace(view, steps={})
    assert plan(document, nothing_begun, NOW) == Finish(RunStatus.CANCELLED)


def test_a_cancelled_run_waits_for_its_branches_before_it_closes_their_step() -> None:
    document = flow({"id": "each", "for_each": "[1, 2]", "steps": [step("a")]})

    def decide(tally: Tally) -> Decision:
        state = StepState(step_id="each", status=StepStatus.WAITING, tally=tally)
        view = RunView(event={}, run=RUN, vars={}, steps={"each": state}, cancel_requested=True)
        return plan(document, view, NOW)

    waiting = decide(Tally(total=2, begun=2, succeeded=1))
    assert isinstance(waiting, Wait)
    assert waiting.kind is WaitKind.BRANCHES
    assert isinstance(decide(Tally(total=2, begun=2, succeeded=1, cancelled=1)), Done)


def test_expressions_see_the_run_and_all_events() -> None:
    document = flow(
        step("a", **{"with": {"x": "${{ run.id }} ${{ size(events) }} ${{ events[0].type }}"}})
    )
    play = Play(document, {"type": "a.b"})
    assert play.performs("a").params == {"x": "r1 1 a.b"}
