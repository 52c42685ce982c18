"""The cases of a test file, held against the document they test and made ready to run.

Pure: what samples hold and which actions there are is given by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from schemas.document import ActionStep, ApprovalStep, CallStep, Document, Step
from schemas.events import Json
from schemas.testing import ELLIPSIS, Case, GivenEvent, GivenLater, read_span
from service.workflows.catalogue import Catalogue
from service.workflows.document import merge_vars
from service.workflows.finder import Finder
from service.workflows.findings import DocumentError, did_you_mean
from service.workflows.simulated import Arrived, Cancel, Decided, Later, Settled
from service.workflows.test_events import Samples, WrongGiven, make_event, own_start
from service.workflows.test_files import ReadTests
from service.workflows.yaml_tree import Path

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""When a case begins that does not say it: a Thursday."""
STATUSES = (
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "in_doubt",
    "waiting",
    "running",
)
"""How the steps of a case may be expected to end."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What there is around a test: actions (`reads` change nothing outside), and samples."""

    catalogue: Catalogue
    reads: Collection[str]
    samples: Samples


@dataclass(frozen=True, slots=True)
class ReadyCase:
    """A case that can be run. `line` is where it stands; `own` are the answers it gives itself."""

    case: Case
    line: int
    event: Mapping[str, Json]
    events: tuple[Mapping[str, Json], ...]
    values: Mapping[str, Json]
    inputs: Mapping[str, Json]
    start: datetime
    later: tuple[Later, ...]
    is_direct: bool
    own: frozenset[str]


def make_ready(read: ReadTests, document: Document, bench: Bench) -> list[ReadyCase]:
    """Hold the cases against the document that they test. Raises DocumentError."""
    finder = Finder(read.tree, read.file)
    ready = []
    names: set[str] = set()
    for number, case in enumerate(read.tests.cases):
        place = _CasePlace(finder, number)
        if case.name in names:
            place.tell(("name",), f"another case has the name `{case.name}`", None)
        names.add(case.name)
        _check_answers(place, case, document, bench)
        _check_expected(place, case, document, bench)
        _check_vars(place, case, document)
        found = _ready(place, case, document, bench)
        if found is not None:
            ready.append(found)
    if finder.findings:
        raise DocumentError(finder.findings)
    return ready


class _CasePlace:
    """Finds places of one case, or in the defaults for what it does not say itself."""

    def __init__(self, finder: Finder, number: int) -> None:
        self.finder = finder
        self.number = number
        self.path: Path = ("cases", number)

    def tell(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        own = (*self.path, *path)
        default = ("defaults", *path)
        places = self.finder.tree.places
        shared = _known_part(default, places) > _known_part(own, places) - 1
        self.finder.at(default if shared else own, message, hint, key=key)

    @property
    def line(self) -> int:
        return self.finder.tree.place((*self.path, "name")).line

    @property
    def own_answers(self) -> frozenset[str]:
        value = self.finder.tree.value["cases"][self.number].get("actions")
        return frozenset(value) if isinstance(value, Mapping) else frozenset()


def _known_part(path: Path, places: Collection[Path]) -> int:
    """Give how many parts of a path exist."""
    while path not in places:
        path = path[:-1]
    return len(path)


# --- what a case gives ----------------------------------------------------------------------------


def _ready(place: _CasePlace, case: Case, document: Document, bench: Bench) -> ReadyCase | None:
    start = (case.start or START).astimezone(UTC)
    direct = case.event is None and not case.events
    inputs: dict[str, Json] = {}
    events: list[dict[str, Json]] = []
    try:
        if direct:
            event, inputs = own_start(document, case.inputs, now=start)
        else:
            event, events = _started_by(case, document, bench, start)
        later = tuple(
            _later(number, given, document, bench, start) for number, given in enumerate(case.later)
        )
    except WrongGiven as error:
        place.tell(error.path, str(error), error.hint, key=error.at_key)
        return None
    return ReadyCase(
        case=case,
        line=place.line,
        event=event,
        events=tuple(events),
        values=merge_vars(document, case.vars),
        inputs=inputs,
        start=start,
        later=later,
        is_direct=direct,
        own=place.own_answers,
    )


def _started_by(
    case: Case, document: Document, bench: Bench, start: datetime
) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """Give the run's own event, and all that it sees when several were given."""
    if case.inputs is not None:
        message = "inputs are for a start by hand, and this case is started by an event"
        raise WrongGiven(message, ("inputs",), "leave out `event`, or `inputs`")
    events = [
        _event(("events", number), given, document, bench, start, number + 1)
        for number, given in enumerate(case.events)
    ]
    if case.event is None:
        return events[-1 if document.quiet is not None else 0], events
    event = _event(("event",), case.event, document, bench, start, 0)
    return event, [event, *events] if events else []


def _event(
    path: Path, given: GivenEvent, document: Document, bench: Bench, now: datetime, number: int
) -> dict[str, Json]:
    try:
        return make_event(given, document, bench.samples, now=now, number=number)
    except WrongGiven as error:
        where = (*path, *error.path)
        raise WrongGiven(str(error), where, error.hint, at_key=error.at_key) from error


def _later(
    number: int, given: GivenLater, document: Document, bench: Bench, start: datetime
) -> Later:
    at = start + read_span(given.after)
    if given.event is not None:
        path: Path = ("later", number, "event")
        event = _event(path, given.event, document, bench, at, 100 + number)
        return Later(at, Arrived(event))
    if given.cancel:
        return Later(at, Cancel())
    for key in ("approve", "reject", "settle"):
        named = getattr(given, key)
        if named is None:
            continue
        step = document.by_id.get(named.rpartition(".")[2])
        approvals = [s.id for s in document.by_id.values() if isinstance(s, ApprovalStep)]
        known = list(document.by_id) if key == "settle" else approvals
        if step is None or step.id not in known:
            what = "step" if key == "settle" else "approval"
            message = f"{document.name} has no {what} `{named}`"
            raise WrongGiven(message, ("later", number, key), did_you_mean(named, known))
        if key == "settle":
            whole = {**_nulls(asked_of(step), bench), **given.output}
            return Later(at, Settled(named, given.took_effect, whole))
        return Later(at, Decided(named, key == "approve", given.by, given.note))
    raise WrongGiven("nothing happens here", ("later", number))


def _check_vars(place: _CasePlace, case: Case, document: Document) -> None:
    for name in case.vars:
        if name not in document.vars:
            message = f"{document.name} declares no `{name}` among its vars"
            place.tell(("vars", name), message, did_you_mean(name, document.vars), key=True)


def _check_answers(place: _CasePlace, case: Case, document: Document, bench: Bench) -> None:
    steps = {step.id: action for step in document.by_id.values() if (action := asked_of(step))}
    actions = set(steps.values())
    for name, given in case.actions.items():
        action = steps.get(name) or (name if name in actions else None)
        if action is None:
            message = f"no step is called `{name}`, and none uses an action of this name"
            if name in document.by_id:
                message = f"the step `{name}` calls nothing outside, so it is given no answer"
            hint = did_you_mean(name, {*steps, *actions})
            place.tell(("actions", name), message, hint, key=True)
            continue
        for number, answer in enumerate(given if isinstance(given, tuple) else (given,)):
            path: Path = ("actions", name)
            if isinstance(given, tuple):
                path = (*path, number)
            _check_outputs(place, (*path, "returns"), action, answer.returns or {}, bench)
    for number, happening in enumerate(case.later):
        action = steps.get((happening.settle or "").rpartition(".")[2])
        if action is not None:
            path = ("later", number, "output")
            _check_outputs(place, path, action, happening.output, bench)
    called = {step.call for step in document.by_id.values() if isinstance(step, CallStep)}
    for name in case.called:
        if name not in called:
            message = f"{document.name} calls no workflow `{name}`"
            place.tell(("called", name), message, did_you_mean(name, called), key=True)


def _check_outputs(
    place: _CasePlace, path: Path, action: str, given: Mapping[str, Json], bench: Bench
) -> None:
    signature = bench.catalogue.actions.get(action)
    model = None if signature is None else signature.outputs
    if model is None:
        return
    for name in given:
        if name not in model.model_fields and model.model_config.get("extra") != "allow":
            message = f"`{action}` gives no `{name}`"
            place.tell((*path, name), message, did_you_mean(name, model.model_fields), key=True)
    try:
        model.model_validate({**dict.fromkeys(model.model_fields), **given})
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            # A null that was not given may not fit: nobody says what the value is.
            if (
                fault["loc"][:1]
                and fault["loc"][0] in given
                and fault["loc"][0] in model.model_fields
            ):
                message = f"`{fault['loc'][0]}` of `{action}`: {fault['msg']}"
                place.tell((*path, *fault["loc"]), message)


def _nulls(action: str | None, bench: Bench) -> dict[str, Json]:
    """Give every output of an action as null: what nobody says of them."""
    signature = bench.catalogue.actions.get(action or "")
    model = None if signature is None else signature.outputs
    return {} if model is None else dict.fromkeys(model.model_fields)


def asked_of(step: Step) -> str | None:
    """Give the action that a step performs, None for one that calls nothing outside."""
    if isinstance(step, ActionStep):
        return step.uses
    if isinstance(step, ApprovalStep) and step.approval.ask is not None:
        return f"{step.approval.ask}.ask_approval"
    return None


# --- what a case expects --------------------------------------------------------------------------


def _check_expected(place: _CasePlace, case: Case, document: Document, bench: Bench) -> None:
    for name, status in (case.expect.steps or {}).items():
        if name in ELLIPSIS:
            continue
        if name.rpartition(".")[2] not in document.by_id and not case.called:
            message = f"{document.name} has no step `{name}`"
            hint = did_you_mean(name, document.by_id)
            place.tell(("expect", "steps", name), message, hint, key=True)
        if status not in STATUSES:
            message = f"a step does not end `{status}`"
            place.tell(("expect", "steps", name), message, did_you_mean(str(status), STATUSES))
    used = {action for step in document.by_id.values() if (action := asked_of(step))}
    for number, effect in enumerate(case.expect.effects or ()):
        if isinstance(effect, str):
            continue
        path: Path = ("expect", "effects", number, "uses")
        if effect.uses not in used and not case.called:
            message = f"no step of {document.name} uses `{effect.uses}`"
            place.tell(path, message, did_you_mean(effect.uses, used))
        elif effect.uses in bench.reads:
            message = f"`{effect.uses}` only reads: it has no effect"
            place.tell(path, message, "expect its step in `steps`")
