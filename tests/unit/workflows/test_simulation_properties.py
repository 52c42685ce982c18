"""Whatever a document of the whole language meets, its run comes to a legal end or waits for one.

Documents are drawn; what their calls come to is told by a number, so that a run can be played
again. Before every decision all records go through their JSON form: a worker could have died there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.document import Document, EachStep, Step
from schemas.workflow import RunStatus, StepState, StepStatus, WaitKind
from service.workflows.decisions import Failed, InDoubt, Outcome, Succeeded
from service.workflows.planner import plan
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
from service.workflows.simulated_branches import Branch, begin_run
from service.workflows.simulation import Simulation

START = datetime(2026, 1, 1, tzinfo=UTC)
EVENT: dict[str, Any] = {"id": "e", "type": "go", "vendor": "v", "facts": {"n": 2}}
ATTEMPTS = 3
HALF_DAY = timedelta(hours=12)
SIMPLE: dict[str, list[dict[str, Any]]] = {
    "uses": [{"uses": "v.act", "retry": {"attempts": ATTEMPTS}}],
    "poll": [
        {"uses": "v.ask", "poll": {"every": "10s", "timeout": "1m", "until": "output.done"}},
    ],
    "approval": [
        {"approval": {"text": "?", "timeout": "10m", "on_timeout": ends, **asked}}
        for ends in ("reject", "approve")
        for asked in ({}, {"ask": "slack"})
    ],
    "wait_for": [
        {"wait_for": {"event": "*", "if": fits, "timeout": "5m", "on_timeout": ends}}
        for ends in ("fail", "continue")
        for fits in ("true", "event.facts.n > 1", "event.nothing")
    ],
    "sleep": [{"sleep": "1m"}],
    "emit": [{"emit": {"type": "my.event", "facts": {"n": 3}}}],
    "call": [{"call": name} for name in ("other", "canned", "missing")],
}
"""Forms of the steps that hold no others."""
CONDITIONS = (None, None, None, "true", "false", "event.facts.n > 1", "event.nothing", "1 / 0 > 0")
OUTCOMES: tuple[Outcome | None, ...] = (
    Succeeded({"done": True, "n": 1}),
    Succeeded({"done": True, "n": 2}),
    Succeeded({"done": False}),
    Succeeded({}),
    Failed("timed_out", "no answer", retryable=True),
    Failed("timed_out", "wait", retryable=True, retry_after=timedelta(seconds=40)),
    Failed("rate_limited", "too many", retryable=True),
    Failed("refused", "no", retryable=False),
    InDoubt("who knows"),
    None,
)


class Drawn:
    """A document that is being drawn: steps of all kinds, up to three levels deep."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0

    def steps(self, least: int, most: int, level: int) -> list[dict[str, Any]]:
        return [self.step(level) for _ in range(self.draw(st.integers(least, most)))]

    def step(self, level: int) -> dict[str, Any]:
        self.count += 1
        found: dict[str, Any] = {"id": f"s{self.count}"}
        if condition := self.draw(st.sampled_from(CONDITIONS)):
            found["if"] = condition
        if self.draw(st.integers(0, 3)) == 0:
            found["on_error"] = "continue"
        kind = self.draw(st.sampled_from((*SIMPLE, "each", "both") if level < 2 else tuple(SIMPLE)))
        if kind == "each":
            return found | self.each(level + 1)
        if kind == "both":
            arms = self.draw(st.integers(1, 3))
            return found | {"parallel": [self.steps(1, 2, level + 1) for _ in range(arms)]}
        form: dict[str, Any] = self.draw(st.sampled_from(SIMPLE[kind]))
        return found | form

    def each(self, level: int) -> dict[str, Any]:
        return {
            "for_each": str(list(range(self.draw(st.integers(0, 5))))),
            "max_parallel": self.draw(st.integers(1, 3)),
            "collect": self.draw(st.sampled_from(["${{ item }}", "${{ item / 0 }}"])),
            "steps": self.steps(1, 2, level),
        }


@st.composite
def documents(draw: st.DrawFn) -> Document:
    drawn = Drawn(draw)
    return Document.model_validate(
        {
            "name": "x",
            "on": [{"event": "*"}],
            "steps": drawn.steps(1, 4, 0),
            "on_failure": drawn.steps(0, 2, 1),
            "on_cancel": drawn.steps(0, 2, 1),
        }
    )


def dice(seed: object) -> Random:
    """Give what chance has for this seed: the same whenever it is asked again."""
    return Random(str(seed))  # noqa: S311  # nothing is to be kept secret


OTHER = Document.model_validate(
    {
        "name": "other",
        "on": [{"manual": {}}],
        "steps": [{"id": "o1", "uses": "v.act"}, {"id": "o2", "sleep": "2m"}],
        "on_cancel": [{"id": "o3", "uses": "v.act"}],
    }
)


class Watched(Simulation):
    """A simulation that keeps its records as JSON, and checks what is done with them."""

    def __init__(self, root: Branch, seed: int, *, doubts: bool = True) -> None:
        self.seed = seed
        self.outcomes = OUTCOMES if doubts else tuple(o for o in OUTCOMES if type(o) is not InDoubt)
        jitter = dice(seed).random()
        super().__init__(root, START, self.answer, self.find_called, None, False, jitter, 5000)

    def answer(self, call: SimulatedCall) -> Answer:
        chance = dice(f"{self.seed} {call.path} {call.attempt}")
        taken = timedelta(seconds=chance.choice([0, 0, 1, 30]))
        # Kinder as time goes on, so that long documents are not always broken off early.
        kinds = self.outcomes if chance.random() < 0.6 else self.outcomes[:2]
        return Answer(chance.choice(kinds), taken)

    def find_called(self, name: str, _: Any) -> Document | CalledEnd | None:
        ends = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
        end = CalledEnd(dice(self.seed).choice(ends), after=timedelta(minutes=1))
        known: dict[str, Document | CalledEnd] = {"other": OTHER, "canned": end}
        return known.get(name)

    def _apply(self, branch: Branch) -> bool:
        for step_id, state in branch.own_states():
            branch.states[step_id] = StepState.model_validate_json(state.model_dump_json())
        decision = plan(branch.run.document, branch.view, self.now)
        assert plan(branch.run.document, branch.view, self.now) == decision
        return super()._apply(branch)

    def store(self, branch: Branch, state: StepState) -> None:
        known = branch.states.get(state.step_id)
        assert branch.ended is None
        assert known is None or not known.status.is_final, "a step is changed after its end"
        assert known is None or state.attempts >= known.attempts
        waits = state.status is StepStatus.WAITING
        assert waits == (state.wait is not None)
        has_time = state.wait not in {None, WaitKind.CALL, WaitKind.BRANCHES}
        assert has_time == (state.due_at is not None)
        assert (state.status is StepStatus.FAILED) <= (state.error is not None)
        super().store(branch, state)

    def _begin_branch(self, parent: Branch, step: Step, number: int) -> None:
        assert not parent.is_stopped(step.id)
        super()._begin_branch(parent, step, number)
        under_way = sum(
            branch.parent is parent and branch.container is step for branch in self.open.values()
        )
        assert not isinstance(step, EachStep) or under_way <= step.max_parallel


def simulate(document: Document, seed: int, *later: Later, doubts: bool = True) -> Played:
    run = {"id": "r", "correlation_id": None}
    root = begin_run(document, event=EVENT, facts=run, values={}, inputs={})
    world = Watched(root, seed, doubts=doubts)
    for item in later:
        world.schedule(item.at, item)
    return world.play()


def outside(document: Document, seed: int) -> list[Later]:
    """Give events, decisions and settlements at times that the number tells."""
    chance = dice(seed)
    found = []
    for step in document.by_id.values():
        at = START + timedelta(seconds=chance.randrange(900))
        found.append(Later(at, Decided(step.id, approved=chance.random() < 0.7)))
        found.append(Later(at, Arrived({**EVENT, "facts": {"n": chance.randrange(4)}})))
    return found


def settlements(document: Document, seed: int) -> list[Later]:
    """Settle whatever can be in doubt, again and again."""
    chance = dice(seed)
    names = [*document.by_id, "o1", "o3"]
    return [
        Later(
            START + HALF_DAY * number, Settled(name, took_effect=chance.random() < 0.5, output={})
        )
        for number in range(1, 30)
        for name in names
    ]


def check_end(document: Document, played: Played) -> None:
    assert not played.cut_short
    paths = [step.path for step in played.steps]
    assert len(paths) == len(set(paths))
    for call, _ in played.calls:
        assert call.at <= played.ended_at
        assert call.attempt <= 100
    if played.status is RunStatus.WAITING:
        # Everything else has its time: only a person can let such a run go on.
        assert WaitKind.PERSON in played.waiting_on.values()
        assert set(played.waiting_on.values()) <= {
            WaitKind.PERSON,
            WaitKind.BRANCHES,
            WaitKind.CALL,
        }
        return
    assert played.status.is_final
    assert not played.waiting_on
    assert (played.status is RunStatus.FAILED) == (played.error is not None)
    own = {step.id: step for step in document.steps}
    broken = [
        step.path
        for step in played.steps
        if step.path in own
        and own[step.path].on_error == "fail"
        and step.status in {StepStatus.FAILED, StepStatus.CANCELLED}
    ]
    if played.status is RunStatus.SUCCEEDED:
        assert not broken
        assert set(own) <= set(paths)
    if played.status is RunStatus.FAILED:
        assert played.error is not None
        assert broken == [played.error.step]
        assert {step.id for step in document.on_failure} <= set(paths)
    for step in played.steps:
        final = step.status.is_final or step.status is StepStatus.IN_DOUBT
        assert final, (step.path, step.status)
        if step.kind in {"for_each", "parallel"} and step.output is not None:
            ended = [step.output[key] for key in ("succeeded", "failed", "cancelled")]
            assert sum(ended) <= step.output["count"]


def names(path: str) -> list[str]:
    return [part.partition("[")[0] for part in path.replace("/", ".").split(".")]


SEEDS = st.integers(0, 2**32)
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(document=documents(), seed=SEEDS)
def test_every_run_comes_to_a_legal_end_or_waits_for_a_person(
    document: Document, seed: int
) -> None:
    played = simulate(document, seed, *outside(document, seed))
    check_end(document, played)


@SLOW
@given(document=documents(), seed=SEEDS)
def test_every_doubt_can_be_settled_until_the_run_ends(document: Document, seed: int) -> None:
    happenings = outside(document, seed) + settlements(document, seed)
    played = simulate(document, seed, *happenings)
    check_end(document, played)
    assert played.status is not RunStatus.RUNNING


@SLOW
@given(document=documents(), seed=SEEDS, minute=st.integers(0, 20))
def test_a_cancelled_run_ends_and_begins_nothing_but_on_cancel(
    document: Document, seed: int, minute: int
) -> None:
    at = START + timedelta(minutes=minute)
    played = simulate(document, seed, *outside(document, seed), Later(at, Cancel()), doubts=False)
    check_end(document, played)
    assert played.status.is_final
    if not any(isinstance(item.what, Cancel) for item in played.unused):
        assert played.status is RunStatus.CANCELLED
        for call, _ in played.calls:
            # What `on_cancel` calls stands behind the calling step, in whatever branch.
            tidying = any(document.sections.get(part) == "on_cancel" for part in names(call.path))
            assert call.at <= at or tidying or call.step.id == "o3"


@SLOW
@given(document=documents(), seed=SEEDS)
def test_the_same_outcomes_give_the_same_run(document: Document, seed: int) -> None:
    happenings = outside(document, seed)
    assert simulate(document, seed, *happenings) == simulate(document, seed, *happenings)
