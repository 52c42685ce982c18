"""Whatever happens in whatever order, a run comes to a legal end, and its records tell the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.document import Document
from schemas.workflow import RunStatus, StepState, StepStatus
from service.workflows.decisions import (
    AwaitPerson,
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
from service.workflows.planner import plan
from service.workflows.transitions import after_attempt, settle_doubt

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_DECISIONS = 2000
ATTEMPTS = 3
POLL = {"every": "10s", "until": "output.done", "timeout": "1m"}

CONDITIONS = st.sampled_from(
    [None, None, "true", "false", "event.n > 1", "event.nothing", "steps.s0.status == 'succeeded'"]
)
OUTCOMES = st.one_of(
    st.just(Succeeded({"done": True, "n": 1})),
    st.just(Succeeded({"done": False})),
    st.just(Succeeded({})),
    st.builds(
        Failed,
        st.just("timed_out"),
        st.just("no answer"),
        st.just(value=True),
        st.none() | st.timedeltas(timedelta(0), timedelta(seconds=50)),
    ),
    st.just(Failed("refused", "no", retryable=False)),
    st.just(InDoubt("who knows")),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    def step(step_id: str) -> dict[str, Any]:
        found: dict[str, Any] = {"id": step_id, "uses": "v.act", "retry": {"attempts": ATTEMPTS}}
        if condition := draw(CONDITIONS):
            found["if"] = condition
        if draw(st.booleans()):
            found["poll"] = POLL | draw(st.sampled_from([{}, {"first": "5s"}]))
        if draw(st.integers(0, 3)) == 0:
            found["on_error"] = "continue"
        return found

    return Document.model_validate(
        {
            "name": "x",
            "on": [{"event": "*"}],
            "steps": [step(f"s{n}") for n in range(draw(st.integers(1, 4)))],
            "on_failure": [step(f"f{n}") for n in range(draw(st.integers(0, 2)))],
        }
    )


class Rows:
    """What a database would hold: every record goes through its JSON form."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.history: list[StepState] = []

    def store(self, state: StepState) -> None:
        self.rows[state.step_id] = state.model_dump_json()
        self.history.append(state)

    def view(self, *, cancel: bool = False) -> RunView:
        steps = {key: StepState.model_validate_json(row) for key, row in self.rows.items()}
        return RunView(event={"n": 2}, run={}, vars={}, steps=steps, cancel_requested=cancel)


def play(document: Document, data: st.DataObject, rows: Rows) -> tuple[Finish, list[str]]:
    """Carry a run to its end with drawn outcomes, crashes, early bells and people."""
    now = NOW
    performed: list[str] = []
    for _ in range(MOST_DECISIONS):
        decision = plan(document, rows.view(), now)
        assert plan(document, rows.view(), now) == decision
        match decision:
            case Finish():
                return decision, performed
            case Skip(state=state) | Fail(state=state):
                rows.store(state)
            case Wait(state=state, until=until):
                rows.store(state)
                assert until > now
                early = data.draw(st.booleans(), label="early bell")
                now = now + (until - now) / 2 if early else until
                if early:
                    assert plan(document, rows.view(), now) == replace(decision, state=state)
                    now = until
            case AwaitPerson(step_id=step_id):
                state = rows.view().steps[step_id]
                made = data.draw(st.booleans(), label="took effect")
                rows.store(settle_doubt(state, took_effect=made, output={"done": True}))
            case Perform(state=state, step=step):
                rows.store(state)
                performed.append(step.id)
                if data.draw(st.integers(0, 4), label="crash") == 0:
                    now += timedelta(seconds=15)
                    continue
                outcome: Outcome = data.draw(OUTCOMES)
                jitter = data.draw(st.floats(0, 1))
                view = rows.view()
                after = after_attempt(document, view, state, outcome, now=now, jitter=jitter)
                again = after_attempt(document, view, state, outcome, now=now, jitter=jitter)
                assert after == again
                rows.store(after)
    raise AssertionError("the run does not end")


@settings(max_examples=150, deadline=None)
@given(document=documents(), data=st.data())
def test_every_run_comes_to_a_legal_end(document: Document, data: st.DataObject) -> None:
    rows = Rows()
    finish, performed = play(document, data, rows)
    steps = rows.view().steps
    broken = [
        step.id
        for step in document.steps
        if step.on_error == "fail"
        and step.id in steps
        and steps[step.id].status is StepStatus.FAILED
    ]
    assert all(state.status.is_final for state in steps.values())
    if finish.status is RunStatus.SUCCEEDED:
        assert broken == []
        assert [step.id for step in document.steps if step.id not in steps] == []
        assert not any(step.id in steps for step in document.on_failure)
    else:
        assert finish.status is RunStatus.FAILED
        assert finish.error is not None
        assert broken == [finish.error.step]
        assert all(step.id in steps for step in document.on_failure)
    order = [step.id for step in (*document.steps, *document.on_failure)]
    assert performed == sorted(performed, key=order.index)


@settings(max_examples=150, deadline=None)
@given(document=documents(), data=st.data())
def test_steps_are_never_tried_more_often_than_allowed_nor_after_their_end(
    document: Document, data: st.DataObject
) -> None:
    rows = Rows()
    play(document, data, rows)
    ended: set[str] = set()
    doubts: dict[str, int] = {}
    latest: dict[str, StepStatus] = {}
    lost: set[str] = set()
    for state in rows.history:
        assert state.step_id not in ended
        if state.status.is_final:
            ended.add(state.step_id)
            assert state.due_at is None
            assert state.wait is None
        if state.status is StepStatus.IN_DOUBT:
            doubts[state.step_id] = doubts.get(state.step_id, 0) + 1
        assert (state.status is StepStatus.WAITING) == (state.due_at is not None)
        assert (state.status is StepStatus.FAILED) <= (state.error is not None)
        if document.step(state.step_id).poll is None:
            # A person who says "not done" allows one more try, and so does the worker of the last
            # one when it was lost: what came of it is to be found out.
            both_begun = state.status is latest.get(state.step_id) is StepStatus.RUNNING
            lost |= {state.step_id} if both_begun else set()
            more = doubts.get(state.step_id, 0) + (state.step_id in lost)
            assert state.attempts <= ATTEMPTS + more
        latest[state.step_id] = state.status


@settings(max_examples=100, deadline=None)
@given(document=documents(), data=st.data(), at=st.integers(0, 30))
def test_a_cancelled_run_closes_one_step_and_ends_wherever_it_is(
    document: Document, data: st.DataObject, at: int
) -> None:
    rows = Rows()
    play(document, data, rows)
    partly = Rows()
    for state in rows.history[:at]:
        partly.store(state)
    decision = plan(document, partly.view(cancel=True), NOW)
    if isinstance(decision, Done):
        assert decision.state.status is StepStatus.CANCELLED
        partly.store(decision.state)
        decision = plan(document, partly.view(cancel=True), NOW)
    assert decision == Finish(RunStatus.CANCELLED)
