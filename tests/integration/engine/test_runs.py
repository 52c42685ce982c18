"""Runs: carried on step by step, taken over after a crash, never doing a thing twice."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from schemas.configured_tables import ConnectionRow
from schemas.run_tables import WaitRow
from schemas.states import EffectState
from schemas.tables import AlertRow, EffectRow
from schemas.workflow import RunStatus, StepStatus
from service.doubts import cancel_run
from service.errors import RateLimited, Refused, TimedOut, Unreachable
from service.runs import LEASE, MOST_FAILURES, advance_run
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made


class Killed(BaseException):
    """Stands for a SIGKILL in the middle of a call: nothing after it runs."""


def one_step(action: str, more: str = "") -> str:
    return f"""
name: one
on: [{{event: go}}]
steps:
  - id: only
    uses: robot.{action}
{more}
"""


def test_a_run_ends_when_all_its_steps_have(installation: Installation) -> None:
    installation.workflow("""
name: two
on: [{event: go}]
steps:
  - {id: first, uses: robot.read}
  - {id: second, uses: robot.once, with: {name: "got ${{ steps.first.value }}"}}
  - {id: third, uses: robot.once, if: steps.first.value > 1}
""")
    run_id = installation.start()
    run = installation.advance(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert (run.lease_owner, run.due_at) == (None, None)
    states = {name: installation.step(run_id, name).status for name in ("first", "second", "third")}
    assert states == {"first": "succeeded", "second": "succeeded", "third": "skipped"}
    (effect,) = installation.rows(EffectRow)
    assert (effect.state, effect.params, effect.calls) == ("made", {"name": "got 1"}, 1)


def test_a_transient_failure_is_tried_again_when_the_other_side_says(
    installation: Installation,
) -> None:
    installation.workflow(one_step("once"))
    installation.script.answers = [
        RateLimited(retry_after=timedelta(seconds=40)),
        Unreachable("no connection"),
        Done(Made(value=3)),
    ]
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    run = installation.run(run_id)
    assert run.status == RunStatus.WAITING
    assert run.due_at == installation.now + timedelta(seconds=40)
    (wait,) = installation.rows(WaitRow)
    assert (wait.step, wait.kind, wait.due_at) == ("only", "retry", run.due_at)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert [row.status for row in installation.attempts(run_id)] == [
        "failed",
        "failed",
        "succeeded",
    ]
    assert installation.rows(WaitRow) == []


def test_what_is_refused_is_not_tried_again_and_on_failure_is_told_why(
    installation: Installation,
) -> None:
    installation.workflow(
        one_step("once")
        + """
on_failure:
  - {id: tell, uses: robot.upsert, with: {name: "${{ error.step }}: ${{ error.code }}"}}
"""
    )
    installation.script.answers = [Refused("no such thing", status=404), Done(Made(value=1))]
    run_id = installation.start()
    run = installation.advance(run_id)
    assert run.status == RunStatus.FAILED
    assert run.error == {"step": "only", "code": "refused", "message": "no such thing"}
    told = next(row for row in installation.rows(EffectRow) if row.step == "tell")
    assert told.params == {"name": "only: refused"}


def test_a_poll_asks_until_its_condition_holds(installation: Installation) -> None:
    installation.workflow(
        one_step("read", "    poll: {every: 15s, until: output.ready, timeout: 5m}")
    )
    installation.script.answers = [
        Done(Made(ready=False)),
        Done(Made(ready=False)),
        Done(Made(ready=True, value=7)),
    ]
    run_id = installation.start()
    began = installation.now
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.now - began == timedelta(seconds=30)
    assert installation.step(run_id, "only").output == {"ready": True, "value": 7}


@pytest.mark.parametrize("action", ["read", "keyed", "upsert"])
def test_a_worker_killed_in_a_call_that_converges_is_taken_over_and_the_call_repeated(
    installation: Installation, action: str
) -> None:
    installation.workflow(one_step(action))
    run_id = kill_in_call(installation)
    assert taken_over(installation, run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 2
    assert len({call.idempotency_key for call in installation.script.calls}) == 1


@pytest.mark.parametrize("action", ["once", "natural"])
def test_a_worker_killed_in_a_call_that_cannot_be_looked_up_leaves_it_in_doubt(
    installation: Installation, action: str
) -> None:
    installation.workflow(one_step(action))
    run_id = kill_in_call(installation)
    run = taken_over(installation, run_id)
    assert run.status == RunStatus.WAITING
    assert run.due_at is None
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert len(installation.script.calls) == 1
    (effect,) = installation.rows(EffectRow)
    assert effect.state == EffectState.IN_DOUBT
    (alert,) = installation.rows(AlertRow)
    assert "only" in alert.title


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_doubtful_call_that_can_be_looked_up_is_repeated_only_when_it_was_not_made(
    installation: Installation, *, took_effect: bool
) -> None:
    installation.workflow(one_step("looked_up"))
    installation.script.look_ups = [Done(Made(value=5)) if took_effect else None]
    run_id = kill_in_call(installation)
    assert taken_over(installation, run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == (1 if took_effect else 2)


def test_a_lost_answer_is_in_doubt_and_a_refused_connection_is_not(
    installation: Installation,
) -> None:
    installation.workflow(one_step("once"))
    installation.script.answers = [TimedOut(perhaps_done=True)]
    doubtful = installation.start()
    assert installation.advance(doubtful).status == RunStatus.WAITING
    assert installation.step(doubtful, "only").status == StepStatus.IN_DOUBT
    installation.script.answers = [Unreachable(), Done(Made(value=1))]
    certain = installation.start()
    assert installation.advance(certain).status == RunStatus.SUCCEEDED


def test_a_rate_limit_puts_a_step_off_and_uses_up_no_retry(installation: Installation) -> None:
    installation.workflow(one_step("once", "    retry: {attempts: 2}"))
    installation.script.answers = [
        *[RateLimited(retry_after=timedelta(seconds=30))] * 20,
        Unreachable(),
        Done(Made(value=1)),
    ]
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").put_off == 20


def test_a_limit_that_never_ends_fails_the_step_after_a_day(installation: Installation) -> None:
    installation.workflow(one_step("once", "    retry: {attempts: 2}"))
    installation.script.answers = [RateLimited(retry_after=timedelta(hours=1))]
    run = installation.advance(installation.start())
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "rate_limited")


def test_a_limit_met_while_looking_up_does_not_end_the_doubt(installation: Installation) -> None:
    installation.workflow(one_step("looked_up"))
    installation.script.look_ups = [
        RateLimited(retry_after=timedelta(seconds=5)),
        Done(Made(value=5)),
    ]
    installation.script.answers = [TimedOut(perhaps_done=True)]
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 1


def test_a_call_that_could_never_be_looked_up_is_in_doubt_and_not_failed(
    installation: Installation,
) -> None:
    installation.workflow(
        one_step("looked_up", "    retry: {attempts: 3}")
        + """
on_failure: [{id: tell, uses: robot.once}]
"""
    )
    installation.script.look_ups = [Unreachable()]
    installation.script.answers = [TimedOut(perhaps_done=True)]
    run_id = installation.start()
    run = installation.advance(run_id)
    assert (run.status, run.due_at) == (RunStatus.WAITING, None)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert installation.attempts(run_id)[-1].status == StepStatus.IN_DOUBT
    assert len(installation.script.calls) == 1
    (effect,) = installation.rows(EffectRow)
    assert effect.state == EffectState.IN_DOUBT


def test_two_runs_for_the_same_natural_key_have_one_effect(installation: Installation) -> None:
    installation.workflow(one_step("natural", '    with: {name: "${{ event.subject }}"}'))
    installation.script.answers = [Done(Made(value=1)), Done(Made(value=2))]
    first, second = installation.start(subject="r1"), installation.start(subject="r1")
    other = installation.start(subject="r2")
    for run_id in (first, second, other):
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 2
    outputs = [installation.step(run_id, "only").output["value"] for run_id in (first, second)]
    assert outputs == [1, 1]


def test_a_run_waits_for_its_turn_while_another_changes_the_same_target(
    installation: Installation,
) -> None:
    installation.workflow(one_step("upsert"))
    first, second = installation.start(), installation.start()

    def meanwhile() -> Done:
        advance_run(installation.another_worker(), second)
        return Done(Made(value=1), reference={"id": "c1"})

    installation.script.answers = [meanwhile, Done(Made(value=2))]
    assert installation.advance(first).status == RunStatus.SUCCEEDED
    assert installation.run(second).status == RunStatus.WAITING
    assert installation.step_count(second) == 0
    assert installation.advance(second).status == RunStatus.SUCCEEDED
    assert [call.reference for call in installation.script.calls] == [None, {"id": "c1"}]


def test_a_target_is_given_back_when_nothing_has_to_be_called(installation: Installation) -> None:
    installation.workflow(one_step("upsert"))
    first, second = installation.start(), installation.start()
    advance_run(installation.runtime, first)
    # The step is begun again, as by a worker that lost its lease after the effect was made.
    step = installation.step(first, "only")
    step.status = StepStatus.RUNNING
    run = installation.run(first)
    run.status, run.due_at = RunStatus.RUNNING, installation.now
    installation.store(step, run)
    assert installation.advance(first).status == RunStatus.SUCCEEDED
    advance_run(installation.runtime, second)
    assert installation.run(second).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 2


def test_a_run_is_carried_on_by_one_worker_at_a_time(installation: Installation) -> None:
    installation.workflow(one_step("once"))
    run_id = installation.start()

    def meanwhile() -> Done:
        advance_run(installation.another_worker(), run_id)
        return Done(Made(value=1))

    installation.script.answers = [meanwhile]
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 1


def test_the_ledger_tells_what_happened_even_when_the_lease_was_lost(
    installation: Installation,
) -> None:
    installation.workflow(one_step("once"))
    run_id = installation.start()

    def slow() -> Done:
        installation.now += LEASE + timedelta(seconds=1)
        advance_run(installation.another_worker(), run_id)
        return Done(Made(value=9))

    installation.script.answers = [slow]
    advance_run(installation.runtime, run_id)
    assert len(installation.script.calls) == 1
    (effect,) = installation.rows(EffectRow)
    assert (effect.state, effect.output["value"]) == (EffectState.MADE, 9)


@pytest.mark.parametrize("cancels", [False, True])
def test_no_attempt_is_under_way_for_ever_when_its_worker_was_lost(
    installation: Installation, *, cancels: bool
) -> None:
    installation.workflow(one_step("read"))
    run_id = installation.start()

    def killed() -> Done:
        raise Killed

    installation.script.answers = [killed, Done(Made(value=1))]
    with pytest.raises(Killed):
        advance_run(installation.runtime, run_id)
    if cancels:
        runtime = installation.runtime
        cancel_run(runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now)
    installation.now += LEASE + timedelta(seconds=1)
    assert installation.advance(run_id).ended_at is not None
    first, *rest = installation.attempts(run_id)
    assert (first.status, (first.error or {})["code"]) == ("failed", "worker_lost")
    assert [attempt.status for attempt in rest] == ([] if cancels else ["succeeded"])


def test_in_shadow_mode_nothing_is_called_that_changes_anything(
    installation: Installation,
) -> None:
    installation.workflow("""
name: shadowed
mode: shadow
on: [{event: go}]
steps:
  - {id: make, uses: robot.once}
  - id: watch
    uses: robot.read
    with: {name: "${{ steps.make.value }}"}
    poll: {every: 15s, until: output.ready == true, timeout: 1h}
""")
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.script.calls == []
    (effect,) = installation.rows(EffectRow)
    assert effect.state == EffectState.SHADOWED


def test_in_shadow_mode_a_connection_may_be_missing(installation: Installation) -> None:
    (row,) = installation.rows(ConnectionRow)
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.delete(row)
        session.commit()
    installation.workflow(one_step("once").replace("name: one", "name: one\nmode: shadow"))
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    (effect,) = installation.rows(EffectRow)
    assert effect.state == EffectState.SHADOWED


def test_a_stopping_worker_hands_the_run_over_between_two_steps(
    installation: Installation,
) -> None:
    installation.workflow("""
name: two
on: [{event: go}]
steps: [{id: first, uses: robot.once}, {id: second, uses: robot.once}]
""")
    run_id = installation.start()
    stopping = installation.another_worker()

    def stop() -> Done:
        stopping.stopping.set()
        return Done(Made(value=1))

    installation.script.answers = [stop, Done(Made(value=2))]
    advance_run(stopping, run_id)
    assert installation.step(run_id, "first").status == StepStatus.SUCCEEDED
    assert installation.run(run_id).lease_owner is None
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 2


def test_a_run_that_hookwright_itself_cannot_carry_on_fails_after_some_tries(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.workflow(one_step("read"))
    run_id = installation.start()
    monkeypatch.setattr(installation.runtime, "jitter", lambda: 1 / 0)
    for _ in range(MOST_FAILURES):
        with pytest.raises(ZeroDivisionError):
            advance_run(installation.runtime, run_id)
        due_at = installation.run(run_id).due_at
        installation.now = due_at or installation.now
    run = installation.run(run_id)
    assert (run.status, run.error["code"]) == (RunStatus.FAILED, "bug")


def test_an_alert_is_opened_once_and_resolved(installation: Installation) -> None:
    installation.workflow("""
name: alarm
on: [{event: go}, {event: over}]
steps:
  - id: opened
    uses: alert.open
    if: event.type == "go"
    with: {key: k, title: "Low", severity: "${{ event.subject }}"}
  - {id: resolved, uses: alert.resolve, if: 'event.type == "over"', with: {key: k}}
""")
    changed = []
    for severity in ("warning", "warning", "critical"):
        run_id = installation.start(subject=severity)
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED
        changed.append(installation.step(run_id, "opened").output["changed"])
    assert changed == [True, False, True]
    for expected in (True, False):
        (run_id,) = installation.ingest(installation.deliver({"type": "over"}))
        installation.advance(run_id)
        assert installation.step(run_id, "resolved").output["changed"] is expected
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.severity) == ("resolved", "critical")


def kill_in_call(installation: Installation) -> UUID:
    """Start a run whose worker dies while the vendor performs the call."""
    answers = installation.script.answers
    run_id = installation.start()

    def die() -> Done:
        raise Killed

    installation.script.answers = [die]
    with pytest.raises(Killed):
        advance_run(installation.another_worker(), run_id)
    installation.script.answers = answers
    return run_id


def taken_over(installation: Installation, run_id: UUID) -> object:
    """Another worker comes once the dead one's lease has run out."""
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.RUNNING
    installation.now += LEASE + timedelta(seconds=1)
    return installation.advance(run_id)


@pytest.mark.parametrize("action", ["upsert", "natural"])
def test_a_name_longer_than_any_column_is_no_fault(installation: Installation, action: str) -> None:
    installation.workflow(
        f"{{name: w, on: [{{event: go}}], steps: [{{id: only, uses: robot.{action},"
        ' with: {name: "' + "x" * 900 + '"}}]}'
    )
    for run_id in installation.ingest(installation.deliver({"type": "go", "subject": "s"})):
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED


def test_what_a_vendor_leaves_behind_is_stored_whatever_its_texts(
    installation: Installation,
) -> None:
    installation.script.answers = [
        Done(Made(value=1, ready=True), reference={"id": "cut\ud83d", "note": "a\x00b"})
    ]
    installation.workflow(one_step("upsert"))
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    (effect,) = installation.rows(EffectRow)
    assert effect.reference == {"id": "cut\ufffd", "note": "a\ufffdb"}
