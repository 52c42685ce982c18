"""Documents played in virtual time: every construct of the language, and what happens outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.document import Document
from schemas.workflow import RunStatus, WaitKind
from service.workflows.decisions import Failed, InDoubt, Outcome, Succeeded
from service.workflows.simulated import (
    Answer,
    Arrived,
    CalledEnd,
    Cancel,
    Decided,
    Later,
    Played,
    Settled,
    SimulatedCall,
)
from service.workflows.simulation import LEASE, play

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "e1",
    "type": "build.failed",
    "vendor": "v",
    "subject": "s1",
    "facts": {"items": ["a", "b", "c"]},
    "correlation_id": "c1",
}
DONE = Succeeded({})
TRANSIENT = Failed("timed_out", "no answer", retryable=True)
REFUSED = Failed("refused", "they say no", retryable=False)
DOUBT = InDoubt("who knows")


def flow(*steps: dict[str, Any], **more: Any) -> Document:
    plain = {"name": "x", "on": [{"event": "*"}], "steps": list(steps), **more}
    return Document.model_validate(plain)


def use(step_id: str, **more: Any) -> dict[str, Any]:
    return {"id": step_id, "uses": "v.act", **more}


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def answers(**by_step: Outcome | Answer | list[Outcome | Answer]) -> Callable[..., Answer]:
    """Answer by the step's id; a list is taken in turn, what is not named succeeds."""
    turns = {name: list(value) for name, value in by_step.items() if isinstance(value, list)}

    def script(call: SimulatedCall) -> Answer:
        found = by_step.get(call.step.id, DONE)
        if call.step.id in turns:
            found = turns[call.step.id].pop(0)
        if isinstance(found, Answer):
            return found
        assert not isinstance(found, list)
        return Answer(found)

    return script


def run(document: Document, script: Callable[..., Answer] | None = None, **more: Any) -> Played:
    return play(document, event=EVENT, script=script or answers(), start=START, **more)


def states(played: Played) -> dict[str, str]:
    return {step.path: step.status.value for step in played.steps}


def output(played: Played, path: str) -> Any:
    return next(step.output for step in played.steps if step.path == path)


def error(played: Played, path: str) -> str | None:
    found = next(step.error for step in played.steps if step.path == path)
    return None if found is None else found.code


def took(played: Played) -> timedelta:
    return played.ended_at - played.started_at


def later(*happenings: tuple[float, Any]) -> list[Later]:
    return [Later(START + minutes(at), what) for at, what in happenings]


def arrived(kind: str, at: float, **facts: Any) -> tuple[float, Arrived]:
    return at, Arrived({**EVENT, "id": f"e{at}", "type": kind, "facts": facts})


# --- actions --------------------------------------------------------------------------------------


def test_steps_are_performed_in_order_and_read_each_other() -> None:
    document = flow(
        use("a", **{"with": {"x": "${{ event.subject }} ${{ vars.v }}"}}),
        use("b", **{"if": "steps.a.n > 1"}),
        use("c", **{"with": {"x": "${{ steps.a.n }}"}}),
        vars={"v": 1},
        outputs={"n": "${{ steps.a.n }}"},
    )
    played = run(document, answers(a=Succeeded({"n": 1})), vars={"v": 2})
    assert states(played) == {"a": "succeeded", "b": "skipped", "c": "succeeded"}
    assert [(call.path, call.params) for call, _ in played.calls] == [
        ("a", {"x": "s1 2"}),
        ("c", {"x": 1}),
    ]
    assert (played.status, played.output, took(played)) == (
        RunStatus.SUCCEEDED,
        {"n": 1},
        timedelta(0),
    )


def test_transient_failures_are_tried_again_after_doubling_pauses() -> None:
    document = flow(use("a", retry={"attempts": 3, "first": "10s", "max": "15s"}))
    played = run(document, answers(a=[TRANSIENT, TRANSIENT, DONE]))
    assert [call.at - START for call, _ in played.calls] == [
        timedelta(0),
        timedelta(seconds=10),
        timedelta(seconds=25),
    ]
    assert run(document, answers(a=[TRANSIENT] * 3)).status is RunStatus.FAILED
    assert took(run(document, answers(a=[TRANSIENT, DONE]), jitter=0.5)) == timedelta(seconds=5)


def test_a_failure_for_good_is_answered_by_on_failure() -> None:
    document = flow(
        use("a"),
        use("b"),
        on_failure=[use("tell", **{"with": {"x": "${{ error.step }}: ${{ error.message }}"}})],
    )
    played = run(document, answers(a=REFUSED))
    assert states(played) == {"a": "failed", "tell": "succeeded"}
    assert played.calls[-1][0].params == {"x": "a: they say no"}
    assert played.error is not None
    assert (played.status, played.error.code) == (RunStatus.FAILED, "refused")


def test_a_slow_answer_takes_virtual_time_and_one_beyond_the_timeout_fails() -> None:
    slow = Answer(DONE, minutes(2))
    assert took(run(flow(use("a")), answers(a=slow))) == minutes(2)
    document = flow(use("a", timeout="1m", retry={"attempts": 2, "first": "30s"}))
    played = run(document, answers(a=[slow, DONE]))
    assert (played.status, took(played)) == (RunStatus.SUCCEEDED, minutes(1.5))
    assert error(run(document, answers(a=slow)), "a") == "timed_out"


def test_a_poll_asks_until_it_holds_or_its_time_is_over() -> None:
    poll = {"every": "20s", "until": "output.done", "timeout": "1m"}
    document = flow(use("a", poll=poll))
    no, yes = Succeeded({"done": False}), Succeeded({"done": True})
    played = run(document, answers(a=[no, no, yes]))
    assert took(played) == timedelta(seconds=40)
    assert [call.polls for call, _ in played.calls] == [0, 1, 2]
    assert error(run(document, answers(a=no)), "a") == "poll_timeout"


def test_a_lost_worker_is_replaced_after_its_lease() -> None:
    played = run(flow(use("a")), answers(a=[Answer(None), DONE]))
    assert [(call.attempt, call.recovering) for call, _ in played.calls] == [(1, False), (2, True)]
    assert took(played) == LEASE


def test_what_is_in_doubt_waits_for_a_person() -> None:
    document = flow(use("a"), use("b", **{"with": {"x": "${{ steps.a.n }}"}}))
    played = run(document, answers(a=DOUBT))
    assert (played.status, played.waiting_on) == (RunStatus.WAITING, {"a": WaitKind.PERSON})
    happenings = later((5, Settled("a", took_effect=True, output={"n": 7})))
    played = run(document, answers(a=DOUBT), later=happenings)
    assert (played.status, played.calls[-1][0].params) == (RunStatus.SUCCEEDED, {"x": 7})
    happenings = later((5, Settled("a", took_effect=False)))
    played = run(document, answers(a=[DOUBT, Succeeded({"n": 8})]), later=happenings)
    assert (took(played), played.calls[-1][0].params) == (minutes(5), {"x": 8})


# --- waiting --------------------------------------------------------------------------------------


def test_sleep_takes_virtual_time() -> None:
    document = flow({"sleep": "5m"}, {"sleep": {"until": "${{ '2026-01-01T13:00:00Z' }}"}})
    assert took(run(document)) == minutes(60)


APPROVAL = {"id": "ok", "approval": {"text": "Merge ${{ event.subject }}?", "timeout": "1h"}}


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ((10, Decided("ok", approved=True, by="ann")), RunStatus.SUCCEEDED, None),
        ((10, Decided("ok", approved=False, by="ann")), RunStatus.FAILED, "rejected"),
        ((61, Decided("ok", approved=True)), RunStatus.FAILED, "approval_timeout"),
    ],
)
def test_an_approval_waits_for_its_decision(what: Any, status: RunStatus, code: str | None) -> None:
    played = run(flow(APPROVAL), later=later(what))
    assert (played.status, error(played, "ok")) == (status, code)
    assert bool(played.unused) is (code == "approval_timeout")
    assert took(played) == minutes(min(what[0], 60))


def test_an_approval_may_be_asked_over_a_vendor() -> None:
    asked = {"text": "Merge?", "ask": "slack", "channel": "#qa", "timeout": "1h"}
    document = flow({"id": "ok", "approval": asked})
    played = run(document, later=later((5, Decided("ok", approved=True, by="ann", note="fine"))))
    [(call, _)] = played.calls
    assert (call.action, call.params) == (
        "slack.ask_approval",
        {"text": "Merge?", "channel": "#qa"},
    )
    found = output(played, "ok")
    assert (found["approved"], found["by"], found["note"]) == (True, "ann", "fine")


WAIT = {
    "id": "merged",
    "wait_for": {"event": "pull.*", "if": "event.facts.n == steps.a.n", "timeout": "1h"},
}


def test_a_wait_takes_the_event_that_fits_whenever_it_came() -> None:
    document = flow(use("a"), WAIT, use("b", **{"with": {"x": "${{ steps.merged.event.id }}"}}))
    a = Succeeded({"n": 2})
    happenings = later(
        arrived("pull.x", 1, n=1), arrived("push", 2, n=2), arrived("pull.x", 3, n=2)
    )
    played = run(document, answers(a=a), later=happenings)
    assert (took(played), played.calls[-1][0].params) == (minutes(3), {"x": "e3"})
    early = run(document, answers(a=Answer(a, minutes(10))), later=happenings)
    assert (took(early), early.calls[-1][0].params) == (minutes(10), {"x": "e3"})
    assert error(run(document, answers(a=a)), "merged") == "wait_timeout"


def test_events_can_be_looked_up_when_a_wait_begins() -> None:
    def awaited(_: Any, since: datetime, until: datetime) -> Iterable[tuple[datetime, Any]]:
        assert (since, until) == (START, START + minutes(70))
        for _, found in (arrived("pull.x", 20, n=1), arrived("pull.x", 30, n=2)):
            yield START + minutes(float(found.event["id"][1:])), found.event

    document = flow(use("a"), WAIT)
    script = answers(a=Answer(Succeeded({"n": 2}), minutes(10)))
    played = run(document, script, awaited=awaited)
    assert (took(played), output(played, "merged")["event"]["id"]) == (minutes(30), "e30")


def test_a_wait_may_go_on_without_its_event() -> None:
    wait = {"event": "pull.*", "timeout": "1h", "on_timeout": "continue"}
    played = run(flow({"id": "w", "wait_for": wait}))
    assert (played.status, output(played, "w")) == (
        RunStatus.SUCCEEDED,
        {"event": None, "timed_out": True},
    )


# --- branches -------------------------------------------------------------------------------------


def each(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "each", "for_each": "event.facts.items", "steps": list(steps), **more}


def test_items_are_gone_through_some_at_once_and_collected_in_order() -> None:
    inner = use("note", **{"with": {"x": "${{ item }}${{ item_index }}"}})
    document = flow(each(inner, max_parallel=2, collect="${{ steps.note.n }}"))

    def script(call: SimulatedCall) -> Answer:
        return Answer(
            Succeeded({"n": call.params["x"]}), minutes(3 if "a" in str(call.params) else 1)
        )

    played = run(document, script)
    assert [(call.path, (call.at - START) / minutes(1)) for call, _ in played.calls] == [
        ("each[0].note", 0),
        ("each[1].note", 0),
        ("each[2].note", 1),
    ]
    assert output(played, "each") == {
        "count": 3,
        "succeeded": 3,
        "failed": 0,
        "cancelled": 0,
        "results": ["a0", "b1", "c2"],
    }
    assert took(played) == minutes(3)


def test_an_item_that_fails_stops_the_rest_unless_told_to_go_on() -> None:
    def script(call: SimulatedCall) -> Answer:
        return Answer(REFUSED if call.path.startswith("each[0]") else DONE)

    played = run(flow(each(use("note"), max_parallel=1)), script)
    assert states(played) == {"each": "failed", "each[0].note": "failed"}
    assert played.error is not None
    assert played.error.message.endswith("the first: each[0].note: they say no")
    going_on = run(flow(each(use("note"), max_parallel=1, on_error="continue")), script)
    assert (going_on.status, output(going_on, "each")["failed"]) == (RunStatus.SUCCEEDED, 1)


def test_arms_run_at_once_and_are_read_after_them() -> None:
    document = flow(
        {"id": "both", "parallel": [[use("a"), use("b")], [{"sleep": "5m"}, use("c")]]},
        use("d", **{"with": {"x": "${{ steps.a.n }}"}}),
    )
    played = run(document, answers(a=Answer(Succeeded({"n": 4}), minutes(7))))
    assert [call.path for call, _ in played.calls] == ["both[0].a", "both[1].c", "both[0].b", "d"]
    assert (took(played), played.calls[-1][0].params) == (minutes(7), {"x": 4})


def test_branches_stand_within_branches() -> None:
    inner = {
        "id": "inner",
        "for_each": "[outer, 'z']",
        "as": "letter",
        "steps": [use("note", **{"with": {"x": "${{ outer }}${{ letter }}${{ steps.first.n }}"}})],
    }
    document = flow(
        use("first"),
        each({"id": "both", "parallel": [[inner], [use("other")]]}, **{"as": "outer"}),
    )
    played = run(document, answers(first=Succeeded({"n": 1})))
    assert played.status is RunStatus.SUCCEEDED
    calls = {call.path: call.params for call, _ in played.calls}
    assert calls["each[1]/both[0]/inner[0].note"] == {"x": "bb1"}
    assert len(played.calls) == 1 + 3 * 3


# --- other workflows and events -------------------------------------------------------------------


def test_a_called_workflow_is_played_or_ends_as_given() -> None:
    document = flow(
        {"id": "sub", "call": "other", "with": {"n": "${{ event.subject }}"}},
        outputs={"got": "${{ steps.sub.answer }}"},
    )
    other = flow(
        use("work", **{"with": {"x": "${{ inputs.n }} ${{ run.workflow }}"}}),
        on=[{"manual": {"inputs": {"n": {"type": "text", "required": True}}}}],
        outputs={"answer": "${{ steps.work.n }}"},
    )
    played = run(document, answers(work=Succeeded({"n": 5})), called=lambda *_: other)
    assert (played.output, states(played)) == (
        {"got": 5},
        {"sub": "succeeded", "sub.work": "succeeded"},
    )
    assert played.calls[0][0].params == {"x": "s1 x"}
    end = CalledEnd(outputs={"answer": 6}, after=minutes(3))
    canned = run(document, called=lambda *_: end)
    assert (canned.output, took(canned)) == ({"got": 6}, minutes(3))
    assert canned.called == (("sub", "other", {"n": "s1"}),)
    bad = run(document, called=lambda *_: CalledEnd(RunStatus.FAILED, error="no"))
    assert error(bad, "sub") == "called_run_failed"
    assert error(run(document), "sub") == "unknown_workflow"


def test_a_workflow_that_calls_itself_comes_to_an_end() -> None:
    document = flow({"id": "sub", "call": "x"})
    played = run(document, called=lambda *_: document)
    assert played.status is RunStatus.FAILED
    assert played.steps[-1].error is not None
    assert played.steps[-1].error.code == "chain_too_long"


def test_an_emitted_event_is_told_and_can_be_awaited() -> None:
    emit = {"emit": {"type": "my.event", "subject": "${{ event.subject }}", "facts": {"n": 1}}}
    wait = {"id": "w", "wait_for": {"event": "my.*", "timeout": "1h"}}
    played = run(flow({"id": "both", "parallel": [[wait], [emit]]}))
    assert [(draft.type, draft.subject, draft.facts) for draft in played.emitted] == [
        ("my.event", "s1", {"n": 1})
    ]
    assert (played.status, took(played)) == (RunStatus.SUCCEEDED, timedelta(0))


def test_facts_of_a_known_family_must_fit() -> None:
    emit = {"id": "e", "emit": {"type": "heal.completed", "facts": {"nonsense": 1}}}
    assert error(run(flow(emit)), "e") == "invalid_facts"


# --- cancelling, shadow and limits ----------------------------------------------------------------


def test_a_cancelled_run_ends_with_its_branches_and_on_cancel() -> None:
    document = flow(
        use("a"),
        each({"sleep": "1h"}, use("never")),
        on_cancel=[use("tidy")],
    )
    played = run(document, later=later((10, Cancel()), (11, Cancel())))
    assert (played.status, took(played)) == (RunStatus.CANCELLED, minutes(10))
    assert [call.path for call, _ in played.calls] == ["a", "tidy"]
    assert len(played.unused) == 1


def test_a_cancelled_run_cancels_what_it_called() -> None:
    document = flow({"id": "sub", "call": "other"})
    other = flow({"sleep": "1h"}, use("never"), on=[{"manual": {}}], on_cancel=[use("tidy")])
    played = run(document, called=lambda *_: other, later=later((10, Cancel())))
    assert (played.status, took(played)) == (RunStatus.CANCELLED, minutes(10))
    assert [call.path for call, _ in played.calls] == ["sub.tidy"]


def test_in_shadow_nobody_is_asked_and_nothing_is_watched() -> None:
    poll = {"every": "1m", "until": "output.done == true", "timeout": "1h"}
    document = flow(use("a", poll=poll), APPROVAL, {"emit": {"type": "my.event"}})
    played = run(document, answers(a=Succeeded({"done": None})), shadow=True)
    assert states(played) == {"a": "skipped", "ok": "succeeded", "emit_1": "succeeded"}
    assert output(played, "emit_1") == {"event_id": None}


def test_a_run_without_an_end_is_cut_short() -> None:
    poll = {"every": "1s", "until": "false", "timeout": "300d"}
    played = run(flow(use("a", poll=poll)), most_attempts=100)
    assert (played.cut_short, played.status, len(played.calls)) == (True, RunStatus.RUNNING, 100)


def test_the_same_arguments_give_the_same_run() -> None:
    document = flow(use("a"), each(use("note"), {"emit": {"type": "my.event"}}), APPROVAL)
    happenings = later((3, Decided("ok", approved=True)))
    assert run(document, later=happenings) == run(document, later=happenings)
