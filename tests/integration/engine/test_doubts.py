"""A step in doubt is settled by a person, once, and its run goes on; a run can be cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schemas.ids import new_id
from schemas.jobs import AdvanceRun
from schemas.run_tables import WaitRow
from schemas.states import AlertState, EffectState
from schemas.tables import AlertRow, EffectRow
from schemas.workflow import RunStatus, StepStatus
from service import doubts
from service.errors import Conflict, Invalid, NotFound, TimedOut
from service.runs import LEASE, advance_run
from service.store import runs as runs_store
from service.unit_of_work import unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.integration.engine.test_runs import kill_in_call, one_step, taken_over

TWO_STEPS = """
name: two
on: [{event: go}]
steps:
  - {id: only, uses: robot.once}
  - {id: after, uses: robot.keyed, with: {name: "got ${{ steps.only.value }}"}}
"""


def in_doubt(installation: Installation, text: str = TWO_STEPS) -> UUID:
    """Give a run that waits for a person because a worker was killed in its call."""
    installation.workflow(text)
    run_id = kill_in_call(installation)
    taken_over(installation, run_id)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    return run_id


def settle(installation: Installation, run_id: UUID, *, took_effect: bool, **more: Any) -> None:
    runtime = installation.runtime
    values = {"step": "only", "output": None, "who": "ann", "now": installation.now, **more}
    doubts.settle_step(
        runtime.database,
        runtime.queue,
        runtime.actions,
        run_id=run_id,
        took_effect=took_effect,
        **values,
    )


def cancel(installation: Installation, run_id: UUID) -> None:
    runtime = installation.runtime
    doubts.cancel_run(
        runtime.database, runtime.queue, run_id=run_id, who="ann", now=installation.now
    )


def effect_of(installation: Installation, run_id: UUID) -> EffectRow:
    (row,) = installation.rows(EffectRow, EffectRow.run_id == run_id, EffectRow.step == "only")
    return row


def test_what_took_effect_is_not_done_again_and_later_steps_read_its_output(
    installation: Installation,
) -> None:
    run_id = in_doubt(installation)
    rung = len(installation.bell.rung)
    installation.now += timedelta(hours=1)
    with capture_logs() as logged:
        settle(installation, run_id, took_effect=True, output={"value": 7})
    assert installation.bell.rung[rung:] == [AdvanceRun(run_id)]
    run = installation.run(run_id)
    assert (run.status, run.due_at) == (RunStatus.PENDING, installation.now)
    assert installation.rows(WaitRow) == []
    effect = effect_of(installation, run_id)
    assert (effect.state, effect.made_at) == (EffectState.MADE, installation.now)
    assert (effect.output, effect.error) == ({"value": 7, "ready": None}, None)
    assert [(line["event"], line["who"]) for line in logged] == [("step_settled", "ann")]
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    step = installation.step(run_id, "only")
    assert (step.status, step.output) == (StepStatus.SUCCEEDED, {"value": 7, "ready": None})
    assert (step.error, step.ended_at) == (None, installation.now)
    (after,) = installation.rows(EffectRow, EffectRow.step == "after")
    assert after.params == {"name": "got 7"}
    assert len(installation.script.calls) == 2


def test_without_an_output_it_is_the_nulls_of_the_action(installation: Installation) -> None:
    run_id = in_doubt(installation, one_step("once"))
    settle(installation, run_id, took_effect=True)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": None, "ready": None}


def test_what_was_not_made_is_made_by_another_attempt(installation: Installation) -> None:
    run_id = in_doubt(installation)
    settle(installation, run_id, took_effect=False)
    effect = effect_of(installation, run_id)
    assert (effect.state, effect.made_at) == (EffectState.NOT_MADE, None)
    step = installation.step(run_id, "only")
    assert (step.status, step.error, step.ended_at) == (StepStatus.PENDING, None, None)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 1, "ready": True}
    assert effect_of(installation, run_id).state == EffectState.MADE
    assert len(installation.script.calls) == 3


@pytest.mark.parametrize(("took_effect", "word"), [(True, "took effect"), (False, "not made")])
def test_the_alert_is_resolved_and_tells_who_settled(
    installation: Installation, *, took_effect: bool, word: str
) -> None:
    run_id = in_doubt(installation)
    settle(installation, run_id, took_effect=took_effect)
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.resolved_at) == (AlertState.RESOLVED, installation.now)
    assert (alert.details["settled"], alert.details["settled_by"]) == (word, "ann")


def test_settling_again_is_a_conflict_and_changes_nothing(installation: Installation) -> None:
    run_id = in_doubt(installation)
    settle(installation, run_id, took_effect=True, output={"value": 7})
    for took_effect in (True, False):
        with pytest.raises(Conflict, match="succeeded"):
            settle(installation, run_id, took_effect=took_effect)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    with pytest.raises(Conflict, match="succeeded"):
        settle(installation, run_id, took_effect=False)
    assert installation.step(run_id, "only").output["value"] == 7


def test_a_run_that_a_worker_holds_is_a_conflict(installation: Installation) -> None:
    installation.workflow(one_step("once"))
    run_id = installation.start()
    raised: list[str] = []

    def meanwhile() -> Done:
        with pytest.raises(Conflict) as caught:
            settle(installation, run_id, took_effect=False)
        raised.append(caught.value.message)
        return Done(Made(value=1))

    installation.script.answers = [meanwhile]
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert len(raised) == 1


def test_a_doubt_whose_run_is_taken_or_shall_end_is_a_conflict(installation: Installation) -> None:
    run_id = in_doubt(installation)
    with unit_of_work(installation.database, installation.bell) as work:
        runs_store.claim(work.session, run_id, owner="w", now=installation.now, ttl=LEASE)
    with pytest.raises(Conflict, match="at this moment"):
        settle(installation, run_id, took_effect=True)
    installation.now += LEASE + timedelta(seconds=1)
    cancel(installation, run_id)
    with pytest.raises(Conflict, match="shall be cancelled"):
        settle(installation, run_id, took_effect=True)


def test_what_is_not_there_is_named(installation: Installation) -> None:
    run_id = in_doubt(installation)
    with pytest.raises(NotFound, match="run"):
        settle(installation, new_id(), took_effect=True)
    for step in ("nothing", "a\x00b"):
        with pytest.raises(NotFound, match="step"):
            settle(installation, run_id, took_effect=True, step=step)
    with pytest.raises(NotFound):
        cancel(installation, new_id())


@pytest.mark.parametrize(
    ("took_effect", "output", "named"),
    [
        (True, {"valeu": 7}, "valeu"),
        (True, {"value": "seven"}, "value"),
        (False, {"value": 7}, "not made"),
    ],
)
def test_an_output_that_cannot_be_is_refused_and_settles_nothing(
    installation: Installation, *, took_effect: bool, output: dict[str, Any], named: str
) -> None:
    run_id = in_doubt(installation)
    with pytest.raises(Invalid, match=named):
        settle(installation, run_id, took_effect=took_effect, output=output)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert effect_of(installation, run_id).state == EffectState.IN_DOUBT


def test_a_lost_answer_of_a_natural_key_is_settled_for_every_run_of_the_key(
    installation: Installation,
) -> None:
    installation.workflow(one_step("natural"))
    installation.script.answers = [TimedOut(perhaps_done=True), Done(Made(value=2))]
    first, second = installation.start(), installation.start()
    for run_id in (first, second):
        installation.advance(run_id)
        assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    settle(installation, first, took_effect=True, output={"value": 5})
    settle(installation, second, took_effect=False)
    for run_id in (first, second):
        assert installation.advance(run_id).status == RunStatus.SUCCEEDED
        assert installation.step(run_id, "only").output["value"] == 5
    assert len(installation.script.calls) == 1


def test_a_doubt_whose_run_was_cancelled_is_settled_where_it_is_met_again(
    installation: Installation,
) -> None:
    installation.workflow(one_step("natural"))
    installation.script.answers = [TimedOut(perhaps_done=True), Done(Made(value=2))]
    first, second = installation.start(), installation.start()
    installation.advance(first)
    cancel(installation, first)
    installation.advance(first)
    installation.advance(second)
    assert installation.step(second, "only").status == StepStatus.IN_DOUBT
    settle(installation, second, took_effect=False)
    assert installation.advance(second).status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 2


def test_a_run_that_waits_for_a_person_can_be_cancelled(installation: Installation) -> None:
    run_id = in_doubt(installation)
    rung = len(installation.bell.rung)
    cancel(installation, run_id)
    assert installation.bell.rung[rung:] == [AdvanceRun(run_id)]
    assert installation.run(run_id).due_at == installation.now
    assert installation.advance(run_id).status == RunStatus.CANCELLED
    assert installation.rows(WaitRow) == []
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.details["cancelled_by"]) == (AlertState.OPEN, "ann")
    # What happened outside is as unknown as before.
    assert effect_of(installation, run_id).state == EffectState.IN_DOUBT
    assert len(installation.script.calls) == 1
    # Who finds out later says so, and the run stays as it ended.
    settle(installation, run_id, took_effect=True)
    assert effect_of(installation, run_id).state == EffectState.MADE
    assert installation.run(run_id).status == RunStatus.CANCELLED
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.details["settled"]) == (AlertState.RESOLVED, "took effect")
    with pytest.raises(Conflict, match="cancelled"):
        settle(installation, run_id, took_effect=True)


def test_a_run_that_has_not_begun_is_cancelled_and_calls_nothing(
    installation: Installation,
) -> None:
    installation.workflow(one_step("once"))
    run_id = installation.start()
    for _ in range(2):
        cancel(installation, run_id)
    assert installation.advance(run_id).status == RunStatus.CANCELLED
    cancel(installation, run_id)
    assert installation.script.calls == []


def test_a_run_is_cancelled_between_two_steps_while_a_worker_holds_it(
    installation: Installation,
) -> None:
    installation.workflow(TWO_STEPS)
    run_id = installation.start()

    def meanwhile() -> Done:
        cancel(installation, run_id)
        return Done(Made(value=1))

    installation.script.answers = [meanwhile]
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.CANCELLED
    assert installation.step(run_id, "only").status == StepStatus.SUCCEEDED
    assert len(installation.script.calls) == 1


def test_a_run_that_has_ended_cannot_be_cancelled(installation: Installation) -> None:
    installation.workflow(one_step("once"))
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    with pytest.raises(Conflict, match="succeeded"):
        cancel(installation, run_id)
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("passed", "state"),
    [(timedelta(minutes=30), StepStatus.SUCCEEDED), (timedelta(hours=2), StepStatus.IN_DOUBT)],
    ids=["the key is known", "the key is forgotten"],
)
def test_a_vendors_key_makes_a_call_safe_only_as_long_as_the_vendor_knows_it(
    installation: Installation, passed: timedelta, state: StepStatus
) -> None:
    installation.workflow(one_step("keyed"))
    run_id = kill_in_call(installation)
    installation.now += passed
    installation.advance(run_id)
    assert installation.step(run_id, "only").status == state
    assert len(installation.script.calls) == (2 if state is StepStatus.SUCCEEDED else 1)
