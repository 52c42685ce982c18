"""A worker was stopped in a call, its run was taken over, and then it goes on with its answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schemas.states import AlertState, EffectState
from schemas.tables import AlertRow, EffectRow
from schemas.workflow import RunStatus, StepStatus
from service import doubts
from service.errors import Conflict, Refused, TimedOut, Unreachable
from service.runs import LEASE, advance_run
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.integration.engine.test_runs import one_step

LATE = Done(Made(value=5), reference={"id": 5})


def stopped_in_its_call(
    installation: Installation, action: str, answer: object, meanwhile: Callable[[UUID], Any]
) -> UUID:
    """Carry a run on with a worker that is stopped in its only call.

    Another one takes the run over, `meanwhile` happens, and then the first has its `answer`.
    """
    installation.workflow(one_step(action))
    run_id = installation.start()
    other = installation.another_worker()

    def stopped() -> object:
        installation.now += LEASE + timedelta(seconds=1)
        advance_run(other, run_id)
        meanwhile(run_id)
        return answer

    installation.script.answers = [stopped, Done(Made(value=2), reference={"id": 2})]
    advance_run(installation.runtime, run_id)
    return run_id


def the_effect(installation: Installation) -> EffectRow:
    row: EffectRow
    (row,) = installation.rows(EffectRow)
    return row


def look_again(installation: Installation, run_id: UUID) -> None:
    runtime = installation.runtime
    doubts.look_again(
        runtime.database,
        runtime.queue,
        runtime.actions,
        run_id=run_id,
        step="only",
        who="ann",
        now=installation.now,
    )


def test_a_late_answer_settles_the_doubt_that_it_left_behind(installation: Installation) -> None:
    def in_doubt(run_id: UUID) -> None:
        assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
        assert [row.state for row in installation.rows(AlertRow)] == [AlertState.OPEN]

    run_id = stopped_in_its_call(installation, "once", LATE, in_doubt)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 5, "ready": None}
    effect = the_effect(installation)
    assert (effect.state, effect.reference, effect.error) == (EffectState.MADE, {"id": 5}, None)
    (alert,) = installation.rows(AlertRow)
    assert alert.state == AlertState.RESOLVED
    assert alert.details["settled_by"] == "the call's late answer"
    assert len(installation.script.calls) == 1


def test_a_late_answer_after_somebody_settled_changes_nothing(installation: Installation) -> None:
    def settled(run_id: UUID) -> None:
        doubts.settle_step(
            installation.database,
            installation.bell,
            installation.runtime.actions,
            run_id=run_id,
            step="only",
            took_effect=True,
            output={"value": 9},
            who="ann",
            now=installation.now,
        )

    run_id = stopped_in_its_call(installation, "once", LATE, settled)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 9, "ready": None}
    assert (the_effect(installation).output or {})["value"] == 9


@pytest.mark.parametrize("answer", [Refused("no"), Unreachable("away"), TimedOut("no answer")])
def test_a_late_failure_does_not_take_back_what_another_made(
    installation: Installation, answer: Exception
) -> None:
    installation.script.look_ups = [None]
    run_id = stopped_in_its_call(installation, "looked_up", answer, lambda _: None)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    effect = the_effect(installation)
    assert (effect.state, effect.output) == (EffectState.MADE, {"value": 2, "ready": None})
    assert installation.step(run_id, "only").output == {"value": 2, "ready": None}


def test_an_effect_that_two_workers_made_is_told(installation: Installation) -> None:
    installation.script.look_ups = [None]
    with capture_logs() as logged:
        stopped_in_its_call(installation, "looked_up", LATE, lambda _: None)
    told = [line for line in logged if line["event"] == "effect_made_twice"]
    assert [(line["step"], line["log_level"]) for line in told] == [("only", "error")]
    assert the_effect(installation).reference == {"id": 2}


def test_a_late_answer_to_what_another_has_found_is_no_second_effect(
    installation: Installation,
) -> None:
    installation.script.look_ups = [LATE]
    with capture_logs() as logged:
        stopped_in_its_call(installation, "looked_up", LATE, lambda _: None)
    assert [line for line in logged if line["event"] == "effect_made_twice"] == []
    assert len(installation.script.calls) == 1


def test_what_could_not_be_looked_up_is_looked_up_once_more(installation: Installation) -> None:
    installation.workflow(one_step("looked_up"))
    installation.script.answers = [TimedOut(perhaps_done=True)]
    installation.script.look_ups = [Refused("the credentials have ended"), Done(Made(value=7))]
    run_id = installation.start()
    assert installation.advance(run_id).status == RunStatus.WAITING
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    look_again(installation, run_id)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 7, "ready": None}
    assert len(installation.script.calls) == 1
    (alert,) = installation.rows(AlertRow)
    assert (alert.state, alert.details["settled_by"]) == (AlertState.RESOLVED, "ann")


def test_what_a_second_look_does_not_find_is_done(installation: Installation) -> None:
    installation.workflow(one_step("looked_up"))
    installation.script.answers = [TimedOut(perhaps_done=True), Done(Made(value=3))]
    installation.script.look_ups = [Refused("the credentials have ended"), None]
    run_id = installation.start()
    installation.advance(run_id)
    look_again(installation, run_id)
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 3, "ready": None}


def test_what_has_no_look_up_waits_for_a_person(installation: Installation) -> None:
    installation.workflow(one_step("once"))
    installation.script.answers = [TimedOut(perhaps_done=True)]
    run_id = installation.start()
    installation.advance(run_id)
    with pytest.raises(Conflict, match="cannot be looked up"):
        look_again(installation, run_id)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert the_effect(installation).state == EffectState.IN_DOUBT


def test_only_a_step_in_doubt_is_looked_up_again(installation: Installation) -> None:
    installation.workflow(one_step("looked_up"))
    run_id = installation.start()
    installation.advance(run_id)
    with pytest.raises(Conflict, match="it succeeded"):
        look_again(installation, run_id)
