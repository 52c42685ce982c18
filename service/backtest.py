"""What a workflow would have done: a document played over stored events, beside what was done.

Nothing is called and nothing is stored. A step whose like was performed in a recorded run of the
same event answers what it answered then; what nobody can know is null, and counted as guessed.
Lives here: going through the events. What is said of it is in `backtest_report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.document import Document, WaitFor
from schemas.events import Json
from service.actions import AnyAction
from service.backtest_report import Effect, Report, Story
from service.db import Session
from service.own_actions import OwnAction
from service.starting import DIRECT
from service.store import history
from service.store.history import RecordedRun, RecordedStep, Span
from service.vendors.base import Safety
from service.versions import Reads
from service.workflows.decisions import Failed, Outcome, Succeeded
from service.workflows.expressions import ExpressionError
from service.workflows.gates import Gate, gate_name, gates_of, gathered_at
from service.workflows.inputs import default_inputs
from service.workflows.matching import matches, triggered
from service.workflows.own_steps import wrong_params
from service.workflows.scope import start_scope
from service.workflows.simulated import Answer, Played, SimulatedCall
from service.workflows.simulation import play

MOST_AWAITED = 200
"""Events that one `wait_for` of a played run is compared with."""
MOST_GATHERED = 1000
"""Events that a played run is given as `events`."""
MOST_GATHERING = 10_000
"""Runs that gather events at the same time; beyond it the oldest begins early."""

Progress = Callable[[int, int], None]
"""Told how many of how many events have been read."""
Enough = Callable[[int], bool]
"""Asked whether so many events are enough."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is played: its document with all its vars, and since when it is current.

    `since` of None: it is new, and would have been there all the time.
    """

    document: Document
    vars: Mapping[str, Json]
    since: datetime | None = None


@dataclass(slots=True)
class _Gathering:
    """A played run that has not begun: more events may join it."""

    first: Mapping[str, Json]
    opened: datetime
    newest: datetime
    events: list[Mapping[str, Json]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


def backtest(
    session: Session,
    new: Candidate,
    present: Candidate | None,
    *,
    since: datetime,
    until: datetime,
    actions: Mapping[str, AnyAction],
    workflows: Mapping[str, Document],
    progress: Progress = lambda _done, _total: None,
    examples: int = 20,
    enough: Enough = lambda _done: False,
) -> Report:
    """Play `new` over the events received from `since` until `until` (aware UTC).

    `present` is the version that is current; what it did is read from its runs, and for events
    before its time it is played too. `workflows` are those that may be called. Memory does not
    grow with the number of events. The session only reads. It ends early when `enough` says so;
    the report's `events_left` tells how many events were not looked at.
    """
    documents = [item.document for item in (new, present) if item is not None]
    patterns = {trigger.event for document in documents for trigger in document.event_triggers}
    report = Report(new.document.name, since, until, examples=examples)
    if not patterns:
        return report
    span = Span(since, until, frozenset(patterns))
    total = history.count_events(session, span)
    report.not_played = history.count_direct(session, new.document.name, span, DIRECT)
    payloads = any(Reads(document.model_dump_json()).payload for document in documents)
    test = _Backtest(session, new, present, until, actions, workflows, report)
    for page in history.read_events(session, span, payloads=payloads):
        for _ in test.take(page):
            report.events += 1
            if enough(report.events):
                break
        else:
            session.rollback()  # no snapshot is held while events are played
            progress(min(report.events, total), max(total, report.events))
            continue
        break
    test.finish()
    report.events_left = max(total - report.events, 0)
    return report


class _Backtest:
    """Goes through pages of events, playing what starts."""

    def __init__(
        self,
        session: Session,
        new: Candidate,
        present: Candidate | None,
        until: datetime,
        actions: Mapping[str, AnyAction],
        workflows: Mapping[str, Document],
        report: Report,
    ) -> None:
        self._session = session
        self._new, self._present = new, present
        self._until = until
        self._actions = actions
        self._workflows = workflows
        self._report = report
        self._gathers = Gate.GATHER in gates_of(new.document)
        self._gatherings: dict[str, _Gathering] = {}
        self._recorded: dict[str, RecordedRun] = {}

    def take(self, page: Sequence[Mapping[str, Json]]) -> Iterator[None]:
        """Play what the events of a page start, one with each step of the iterator."""
        started = [event for event in page if event["type"] not in DIRECT]
        name = self._new.document.name
        self._recorded = history.recorded_runs(
            self._session, name, [str(event["id"]) for event in started]
        )
        for event in page:
            if event["type"] not in DIRECT:
                if self._gathers:
                    self._begin_gathered(_moment(event["received_at"]))
                self._take_one(event)
            yield

    def finish(self) -> None:
        """Begin the runs that still gather."""
        for gathering in list(self._gatherings.values()):
            self._play_gathered(gathering)
        self._gatherings.clear()

    def _take_one(self, event: Mapping[str, Json]) -> None:
        done = self._done(event)
        match = matches(self._new.document, event, self._new.vars)
        if match.error is not None:
            self._report.cannot_match(event, match.error)
        if not match.started:
            self._report.add([event], None, done)
        elif self._gathers:
            self._gather(event, done)
        else:
            story = self._play(self._new, event, [event], self._recorded.get(str(event["id"])))
            self._report.add([event], story, done)

    def _done(self, event: Mapping[str, Json]) -> Story | None:
        """Give what the present version did with an event, or would have done before its time."""
        recorded = self._recorded.get(str(event["id"]))
        if recorded is not None:
            return _story_of(recorded, self._actions)
        present = self._present
        if present is None or present.since is None:
            return None
        if _moment(event["received_at"]) >= present.since:
            return None
        if not matches(present.document, event, present.vars).started:
            return None
        self._report.present_played += 1
        return self._play(present, event, [event], None)

    # --- runs that see several events -------------------------------------------------------------

    def _gather(self, event: Mapping[str, Json], done: Story | None) -> None:
        document = self._new.document
        scope = start_scope(event, self._new.vars, default_inputs(document))
        try:
            name = gate_name(document, Gate.GATHER, scope)
        except ExpressionError as error:
            self._report.cannot_match(event, error.message)
            self._report.add([event], None, done)
            return
        moment = _moment(event["received_at"])
        gathering = self._gatherings.get(name)
        if gathering is None:
            if len(self._gatherings) >= MOST_GATHERING:
                self._play_gathered(self._gatherings.pop(next(iter(self._gatherings))))
            gathering = self._gatherings[name] = _Gathering(event, moment, moment)
        gathering.newest = moment
        if len(gathering.events) < MOST_GATHERED:
            gathering.events.append(event)
        gathering.ids.append(str(event["id"]))
        self._report.joins(event, done)

    def _begin_gathered(self, now: datetime) -> None:
        for name, gathering in list(self._gatherings.items()):
            begins = gathered_at(
                self._new.document, opened=gathering.opened, newest=gathering.newest
            )
            if begins > now:
                if self._new.document.coalesce is not None:
                    return  # opened later, begin later
                continue
            del self._gatherings[name]
            self._play_gathered(gathering)

    def _play_gathered(self, gathering: _Gathering) -> None:
        event = gathering.first
        if self._new.document.coalesce is None:
            event = gathering.events[-1]
        story = self._play(self._new, event, gathering.events, None)
        self._report.add_gathered(gathering.events, len(gathering.ids), story)

    # --- playing ----------------------------------------------------------------------------------

    def _play(
        self,
        candidate: Candidate,
        event: Mapping[str, Json],
        events: Sequence[Mapping[str, Json]],
        recorded: RecordedRun | None,
    ) -> Story:
        answers = _Answers(self._actions, recorded)
        start = _moment(event["received_at"])
        played = play(
            candidate.document,
            event=event,
            events=events,
            script=answers,
            start=start,
            vars=candidate.vars,
            called=lambda name, _inputs: self._workflows.get(name),
            awaited=self._awaited,
            shadow=True,
        )
        return _story_of_play(played, answers, self._actions)

    def _awaited(
        self, wait: WaitFor, start: datetime, until: datetime
    ) -> Iterator[tuple[datetime, Mapping[str, Json]]]:
        span = Span(start, min(until, self._until), frozenset({wait.event}))
        seen = 0
        for page in history.read_events(self._session, span, payloads=True):
            for event in page:
                if triggered(wait, event):
                    yield _moment(event["received_at"]), event
                    seen += 1
                if seen >= MOST_AWAITED:
                    return


class _Answers:
    """Answers the calls of a played run: what was answered in the recorded run, else nothing."""

    def __init__(self, actions: Mapping[str, AnyAction], recorded: RecordedRun | None) -> None:
        self._actions = actions
        self._steps = {} if recorded is None else recorded.steps
        self.guessed: list[str] = []
        self.params: dict[str, Mapping[str, Json]] = {}
        """What each step's action would be given, in the form that the ledger keeps."""

    def __call__(self, call: SimulatedCall) -> Answer:
        return Answer(self._outcome(call))

    def _outcome(self, call: SimulatedCall) -> Outcome:
        action = self._actions.get(call.action)
        if action is None:
            return Failed("unknown_action", f"there is no action {call.action!r}", retryable=False)
        model = action.params if isinstance(action, OwnAction) else action.action.params
        try:
            given = model.model_validate(call.params)
            self.params[call.path] = given.model_dump(mode="json")
        except ValidationError as error:
            if not call.reads_unknown():
                return wrong_params(error)
        known = self._like(call)
        if known is not None and known.output is not None:
            return Succeeded(known.output)
        if known is not None and known.error is not None and known.status == "failed":
            code, message = (str(known.error.get(name)) for name in ("code", "message"))
            return Failed(code, message, retryable=False)
        self.guessed.append(call.path)
        outputs = action.outputs if isinstance(action, OwnAction) else action.action.outputs
        return Succeeded(dict.fromkeys(outputs.model_fields))

    def _like(self, call: SimulatedCall) -> RecordedStep | None:
        """Give the recorded step at the same place, or the only one that did the same thing."""
        same = self._steps.get(call.path)
        if same is not None and same.action == call.action:
            return same
        others = [step for step in self._steps.values() if step.action == call.action]
        return others[0] if len(others) == 1 else None


def _story_of(recorded: RecordedRun, actions: Mapping[str, AnyAction]) -> Story:
    made = {effect.path for effect in recorded.effects}
    return Story(
        status=recorded.status,
        error=None,
        steps={path: step.status for path, step in recorded.steps.items()},
        effects=tuple(
            Effect(effect.path, effect.action, effect.params)
            for effect in recorded.effects
            if _changes_something(actions.get(effect.action))
        ),
        # Made by an earlier run for the same thing: it happened, and nobody knows with what.
        unknown=tuple(
            path
            for path, step in recorded.steps.items()
            if step.status == "succeeded"
            and path not in made
            and step.action is not None
            and _changes_something(actions.get(step.action))
        ),
        run_id=str(recorded.id),
    )


def _story_of_play(played: Played, answers: _Answers, actions: Mapping[str, AnyAction]) -> Story:
    effects = tuple(
        Effect(call.path, call.action, answers.params.get(call.path, call.params))
        for call, answer in played.calls
        if isinstance(answer.outcome, Succeeded) and _changes_something(actions.get(call.action))
    )
    error: Any = played.error
    return Story(
        status=played.status.value,
        error=None if error is None else f"{error.step}: {error.message}",
        steps={step.path: step.status.value for step in played.steps},
        effects=effects,
        guessed=tuple(answers.guessed),
        emitted=tuple(draft.type for draft in played.emitted),
    )


def _changes_something(action: AnyAction | None) -> bool:
    """Say whether an action makes effects outside; our own alerts are rows of ours."""
    if action is None or isinstance(action, OwnAction):
        return False
    return action.action.safety is not Safety.READ


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))
