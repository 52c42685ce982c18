"""Running one case of a test file: the document is played with the outcomes that the case gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from schemas.document import Document
from schemas.events import Json
from schemas.testing import GivenAnswer, GivenFailure, read_span
from schemas.workflow import RunStatus
from service.errors import HookwrightError, Transient
from service.workflows.decisions import Failed, InDoubt, Outcome, Succeeded
from service.workflows.matching import Match, matches
from service.workflows.own_steps import wrong_params
from service.workflows.simulated import Answer, CalledEnd, Played, SimulatedCall
from service.workflows.simulation import MOST_ATTEMPTS, play
from service.workflows.test_cases import Bench, ReadyCase
from service.workflows.test_comparing import Difference, compare, compare_start
from service.workflows.test_stubs import stub

NO_TIME = timedelta(0)
_TIMES = {0: "never", 1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a case. `played` is None when nothing was started; `calls` went before that.

    `missing`: that the case gives no answer for a call, where one belongs, and what to write there.
    """

    name: str
    line: int
    start: datetime
    event: Mapping[str, Json]
    differences: tuple[Difference, ...]
    calls: tuple[tuple[SimulatedCall, Answer], ...] = ()
    played: Played | None = None
    match: Match | None = None
    missing: tuple[str, str, str] | None = None

    @property
    def passed(self) -> bool:
        """Say whether everything was as expected."""
        return not self.differences and self.missing is None


class NoAnswer(Exception):  # noqa: N818  # says what the case lacks
    """The case gives no answer for a call."""

    def __init__(self, message: str, *, belongs: str, added: str) -> None:
        """Keep the sentence, where an answer belongs, and one to write there."""
        super().__init__(message)
        self.belongs = belongs
        self.added = added


def run_case(
    document: Document, ready: ReadyCase, bench: Bench, *, most_attempts: int | None = None
) -> Ran:
    """Run a case. Never raises: what the case lacks is told.

    `most_attempts`: after how many attempts and branches it is stopped, by default MOST_ATTEMPTS.
    """
    match = None if ready.is_direct else matches(document, ready.event, ready.values)
    expect = ready.case.expect
    ran = Ran(ready.case.name, ready.line, ready.start, ready.event, (), match=match)
    not_started = compare_start(expect, match)
    if not_started or (match is not None and not match.started):
        return replace(ran, differences=not_started)
    answers = _Answers(document, ready, bench)
    try:
        played = play(
            document,
            event=ready.event,
            events=ready.events,
            script=answers.give,
            start=ready.start,
            vars=ready.values,
            inputs=ready.inputs,
            later=ready.later,
            called=lambda name, _inputs: answers.called(name),
            most_attempts=most_attempts or MOST_ATTEMPTS,
        )
    except NoAnswer as error:
        given = replace(ran, calls=tuple(answers.given))
        return replace(given, missing=(str(error), error.belongs, error.added))
    differences = compare(expect, played, bench.reads, ready.start)
    differences += answers.left_over()
    return replace(ran, differences=tuple(differences), calls=played.calls, played=played)


@dataclass(slots=True)
class _Answers:
    """Answers the calls of one case, each list in turn."""

    document: Document
    ready: ReadyCase
    bench: Bench
    given: list[tuple[SimulatedCall, Answer]] = field(default_factory=list)
    _taken: dict[str, int] = field(default_factory=dict)

    def give(self, call: SimulatedCall) -> Answer:
        answer = self._wrong(call) or self._named(call)
        self.given.append((call, answer))
        return answer

    def called(self, name: str) -> CalledEnd:
        given = self.ready.case.called.get(name)
        if given is None:
            message = f"the workflow `{name}` is called, and no end is given for it"
            raise NoAnswer(message, belongs="below `called:`", added=f"{name}:\n  outputs: {{}}")
        after = NO_TIME if given.after is None else read_span(given.after)
        return CalledEnd(RunStatus(given.status), given.outputs, given.error, after)

    def left_over(self) -> list[Difference]:
        """Give the answers of lists that nobody asked for."""
        found = []
        for name, given in self.ready.case.actions.items():
            taken = self._taken.get(name, 0)
            if isinstance(given, tuple) and name in self.ready.own and taken < len(given):
                times = _TIMES.get(taken, f"{taken} times")
                message = f"`{name}` was called {times}, and {len(given)} answers are given"
                found.append(Difference(f"actions.{name}", note=message))
        return found

    def _wrong(self, call: SimulatedCall) -> Answer | None:
        """Refuse parameters that do not fit, as a real run does before it calls."""
        signature = self.bench.catalogue.actions.get(call.action)
        if signature is None or call.action.endswith(".ask_approval"):
            return None
        try:
            signature.params.model_validate(call.params)
        except ValidationError as error:
            return Answer(wrong_params(error))
        return None

    def _named(self, call: SimulatedCall) -> Answer:
        actions = self.ready.case.actions
        name = call.step.id if call.step.id in actions else call.action
        given = actions.get(name)
        if given is None:
            if call.action.endswith(".ask_approval"):
                return Answer(Succeeded({}))  # who asks is not what such a test is about
            message = f"`{call.path}` calls {call.action}, and no answer is given for it"
            added = stub(call, self.bench.catalogue)
            raise NoAnswer(message, belongs="below `actions:`", added=added)
        if isinstance(given, GivenAnswer):
            return self._answer(call, given)
        number = self._taken.get(name, 0)
        if number >= len(given):
            message = f"`{call.path}` calls {call.action} once more than answers are given"
            message += f" for `{name}`, which has {len(given)}"
            belongs = f"at the end of `{name}`, below `actions:`"
            added = stub(call, self.bench.catalogue, in_list=True)
            raise NoAnswer(message, belongs=belongs, added=added)
        self._taken[name] = number + 1
        return self._answer(call, given[number])

    def _answer(self, call: SimulatedCall, given: GivenAnswer) -> Answer:
        after = NO_TIME if given.after is None else read_span(given.after)
        return Answer(self._outcome(call, given), after)

    def _outcome(self, call: SimulatedCall, given: GivenAnswer) -> Outcome | None:
        if given.lost:
            return None
        if given.doubt is not None:
            return InDoubt(given.doubt)
        if given.fails is not None:
            fails = given.fails
            return _failed(GivenFailure(code=fails) if isinstance(fails, str) else fails)
        signature = self.bench.catalogue.actions.get(call.action)
        model = None if signature is None else signature.outputs
        known = {} if model is None else dict.fromkeys(model.model_fields)
        return Succeeded({**known, **(given.returns or {})})


def _failed(given: GivenFailure) -> Failed:
    retryable = given.retryable
    if retryable is None:
        retryable = given.code in _transient_codes(Transient)
    pause = None if given.retry_after is None else read_span(given.retry_after)
    return Failed(given.code, given.message, retryable, pause)


def _transient_codes(root: type[HookwrightError]) -> set[str]:
    found = {root.code}
    for kind in root.__subclasses__():
        found |= _transient_codes(kind)
    return found


def passed(results: Sequence[Ran]) -> int:
    """Give how many cases passed."""
    return sum(ran.passed for ran in results)
