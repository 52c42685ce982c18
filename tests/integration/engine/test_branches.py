"""Arms of `parallel` and items of `for_each`: carried on by themselves, counted, never twice."""

from __future__ import annotations

import pytest
from sqlmodel import col

from schemas.run_tables import RunRow, SpreadItemsRow, SpreadRow, StepRow
from schemas.tables import EffectRow
from schemas.workflow import RunStatus, StepStatus
from service.errors import Refused
from service.runs import LEASE, advance_run
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made

BOTH = """
name: both
on: [{event: go}]
steps:
  - {id: before, uses: robot.read}
  - id: both
    parallel:
      - - {id: left, uses: robot.once, with: {name: "left ${{ steps.before.value }}"}}
        - {id: further, uses: robot.once, with: {name: "further ${{ steps.left.value }}"}}
      - - {id: right, uses: robot.once, with: {name: right}}
  - {id: after, uses: robot.once, with: {name: "a ${{ steps.further.value }}"}}
"""


def loop(more: str = "") -> str:
    return f"""
name: loop
on: [{{event: go}}]
steps:
  - id: each
    for_each: event.payload.numbers
    as: number
    max_parallel: 3
    most: 10000
    {more}
    steps:
      - {{id: note, uses: robot.once, with: {{name: "${{{{ number }}}} ${{{{ number_index }}}}"}}}}
  - {{id: after, uses: robot.once, with: {{name: "all ${{{{ steps.each.count }}}}"}}}}
"""


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it runs."""


def names(installation: Installation) -> list[str]:
    return [row.params["name"] for row in installation.rows(EffectRow)]


def branches(installation: Installation) -> list[RunRow]:
    rows = installation.rows(RunRow, col(RunRow.parent_id).is_not(None))
    return sorted(rows, key=lambda row: (row.path, row.number))


def test_arms_see_what_was_before_and_what_follows_sees_them(installation: Installation) -> None:
    installation.workflow(BOTH)
    run_id = installation.start()
    installation.carry_on()
    run = installation.run(run_id)
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    assert sorted(names(installation)) == ["a 1", "further 1", "left 1", "right"]
    assert [(row.path, row.status) for row in branches(installation)] == [
        ("both[0]", "succeeded"),
        ("both[1]", "succeeded"),
    ]
    both = installation.step(run_id, "both")
    assert both.output == {"count": 2, "succeeded": 2, "failed": 0, "cancelled": 0}


def test_a_failed_arm_lets_the_others_end_and_then_fails_the_run(
    installation: Installation,
) -> None:
    installation.workflow(BOTH)
    installation.script.answers = [
        Done(Made(value=1)),
        Refused("no such thing"),
        Done(Made(value=2)),
    ]
    run_id = installation.start()
    installation.carry_on()
    run = installation.run(run_id)
    assert run.status == RunStatus.FAILED
    assert run.error is not None
    assert run.error["step"] == "both"
    assert "both[0].left: no such thing" in run.error["message"]
    assert {row.path: row.status for row in branches(installation)} == {
        "both[0]": "failed",
        "both[1]": "succeeded",
    }


def test_items_are_gone_through_some_at_a_time(installation: Installation) -> None:
    installation.workflow(loop())
    run_id = installation.start(numbers=list(range(10)))
    advance_run(installation.runtime, run_id)
    assert len(branches(installation)) == 3
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert sorted(names(installation)) == sorted([*(f"{n} {n}" for n in range(10)), "all 10"])
    assert len(branches(installation)) == 10
    (spread,) = installation.rows(SpreadRow)
    assert (spread.total, spread.begun, spread.succeeded) == (10, 10, 10)


def test_an_empty_list_is_done_at_once(installation: Installation) -> None:
    installation.workflow(loop("collect: ${{ number }}"))
    run_id = installation.start(numbers=list(range(0)))
    installation.carry_on()
    assert installation.step(run_id, "each").output["results"] == []
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


def test_what_items_give_is_collected_in_their_order(installation: Installation) -> None:
    installation.workflow(loop("collect: ${{ number * 2 }}"))
    run_id = installation.start(numbers=list(range(12)))
    installation.carry_on()
    assert installation.step(run_id, "each").output == {
        "count": 12,
        "succeeded": 12,
        "failed": 0,
        "cancelled": 0,
        "results": [number * 2 for number in range(12)],
    }


def test_after_a_failed_item_no_further_one_begins(installation: Installation) -> None:
    installation.workflow(loop())
    installation.script.answers = [Refused("no"), Done(Made(value=1))]
    run_id = installation.start(numbers=list(range(10)))
    installation.carry_on()
    run = installation.run(run_id)
    assert run.status == RunStatus.FAILED
    assert len(branches(installation)) == 3
    (spread,) = installation.rows(SpreadRow)
    assert (spread.begun, spread.succeeded, spread.failed) == (3, 2, 1)


def test_items_that_may_fail_stop_nothing(installation: Installation) -> None:
    installation.workflow(loop("on_error: continue"))
    installation.script.answers = [Refused("no"), Done(Made(value=1))]
    run_id = installation.start(numbers=list(range(5)))
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "each").output == {
        "count": 5,
        "succeeded": 4,
        "failed": 1,
        "cancelled": 0,
    }


def test_more_items_than_allowed_fail_the_step_and_begin_none(installation: Installation) -> None:
    installation.workflow(loop().replace("most: 10000", "most: 9"))
    run_id = installation.start(numbers=list(range(10)))
    installation.carry_on()
    run = installation.run(run_id)
    assert run.status == RunStatus.FAILED
    assert run.error is not None
    assert run.error["code"] == "too_many_items"
    assert branches(installation) == []


def test_loops_and_arms_inside_one_another_keep_their_variables(
    installation: Installation,
) -> None:
    installation.workflow("""
name: nested
on: [{event: go}]
steps:
  - id: outer
    for_each: '["a", "b"]'
    as: letter
    steps:
      - id: both
        parallel:
          - - {id: one, uses: robot.once, with: {name: "one ${{ letter }}"}}
          - - for_each: "[0, 1]"
              as: number
              steps:
                - {id: two, uses: robot.once, with: {name: "two ${{ letter }}${{ number }}"}}
      - {id: last, uses: robot.once, with: {name: "last ${{ letter }} ${{ steps.one.value }}"}}
""")
    installation.script.answers = [Done(Made(value=7))]
    run_id = installation.start()
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert sorted(names(installation)) == sorted(
        [
            *(f"one {letter}" for letter in "ab"),
            *(f"two {letter}{number}" for letter in "ab" for number in (0, 1)),
            *(f"last {letter} 7" for letter in "ab"),
        ]
    )
    assert "outer[1]/both[1]/for_each_1[0]" in {row.path for row in branches(installation)}


@pytest.mark.parametrize("moment", range(5))
def test_a_worker_killed_in_a_branch_loses_nothing_and_repeats_nothing(
    installation: Installation, moment: int
) -> None:
    installation.workflow(loop().replace("robot.once", "robot.keyed"))

    def die() -> Done:
        raise Killed

    alive = Done(Made(value=1))
    installation.script.answers = [*[alive] * moment, die, alive]
    run_id = installation.start(numbers=list(range(4)))
    with pytest.raises(Killed):
        installation.carry_on()
    installation.now += LEASE
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert len(names(installation)) == 5
    steps = installation.rows(StepRow, StepRow.step == "note")
    assert {row.status for row in steps} == {StepStatus.SUCCEEDED}
    (spread,) = installation.rows(SpreadRow)
    assert (spread.begun, spread.succeeded) == (4, 4)


def test_ten_thousand_items_are_kept_in_parts(installation: Installation) -> None:
    installation.workflow(loop())
    run_id = installation.start(numbers=list(range(10000)))
    advance_run(installation.runtime, run_id)
    assert len(branches(installation)) == 3
    assert len(installation.rows(SpreadItemsRow)) == 100
    assert installation.step(run_id, "each").output is None
