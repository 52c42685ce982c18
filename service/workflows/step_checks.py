"""Whether a step of each kind can mean something: what it names, what it is given, how it waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.document import Input
from schemas.events import EVENT_TYPES, Json
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.expression_checks import ExpressionChecker
from service.workflows.finder import Finder
from service.workflows.findings import did_you_mean
from service.workflows.inputs import fits, is_required
from service.workflows.interpolation import OPENING
from service.workflows.matching import type_matches
from service.workflows.names import Names
from service.workflows.outputs import event_type
from service.workflows.parameters import check_parameters, has_expression
from service.workflows.parts import PlainStep
from service.workflows.template_checks import TemplateChecker, is_meant_as_template, is_template
from service.workflows.value_types import Declared
from service.workflows.yaml_tree import Path

ASK = "ask_approval"
RESERVED = ("run", "alert", "workflow", "schedule", "approval")
"""First words of events that only Hookwright itself makes."""
_FAMILIES = frozenset(known.partition(".")[0] for known in EVENT_TYPES)


class StepChecker:
    """Checks steps one at a time; what stands inside a container is gone through elsewhere.

    `plain` are the names that durations and counts can read.
    """

    def __init__(
        self,
        finder: Finder,
        expressions: ExpressionChecker,
        templates: TemplateChecker,
        catalogue: Catalogue | None,
        plain: Names,
    ) -> None:
        self._finder = finder
        self._expressions = expressions
        self._templates = templates
        self._catalogue = catalogue
        self._plain = plain

    def check(self, step: PlainStep, names: Names) -> None:
        """Check a step of any kind."""
        self._expressions.given_condition((*step.path, "if"), step.value, names)
        for kind in step.kinds:
            part = step.value[kind]
            match kind:
                case "uses":
                    self._action(step, names)
                case "approval" if isinstance(part, Mapping):
                    self._approval((*step.path, "approval"), part, names)
                case "wait_for" if isinstance(part, Mapping):
                    self._wait((*step.path, "wait_for"), part, names)
                case "sleep":
                    self._sleep((*step.path, "sleep"), part, names)
                case "emit" if isinstance(part, Mapping):
                    self._emit((*step.path, "emit"), part, names)
                case "call":
                    self._call(step, names)
                case _:
                    pass

    # --- actions ------------------------------------------------------------------------------

    def _action(self, step: PlainStep, names: Names) -> None:
        path, value = step.path, step.value
        signature = self._signature((*path, "uses"), value.get("uses"))
        vendor = str(value.get("uses")).partition(".")[0]
        self._connection((*path, "connection"), value.get("connection"), vendor)
        given = value.get("with")
        self._parameters((*path, "with"), given, names)
        if signature is not None and (given is None or isinstance(given, Mapping)):
            self._typed(path, "uses", signature, given or {})
        self._expressions.duration((*path, "timeout"), value.get("timeout"), self._plain)
        retry, poll = value.get("retry"), value.get("poll")
        self._expressions.durations((*path, "retry"), retry, ("first", "max"), self._plain)
        if isinstance(retry, Mapping):
            place = (*path, "retry", "attempts")
            self._expressions.interpolated(place, retry.get("attempts"), self._plain)
        keys = ("every", "timeout", "first")
        self._expressions.durations((*path, "poll"), poll, keys, self._plain)
        if isinstance(poll, Mapping):
            outputs = None if signature is None else signature.outputs
            output = None if outputs is None else Declared(outputs)
            inside = names.plus(output=output)
            self._expressions.given_condition((*path, "poll", "until"), poll, inside)

    def _signature(self, path: Path, uses: Any) -> ActionSignature | None:
        if not isinstance(uses, str) or self._catalogue is None:
            return None
        known = self._catalogue.actions
        if uses not in known:
            vendor = uses.partition(".")[0]
            near = did_you_mean(uses, known) or ""
            hint = did_you_mean(uses, [name for name in known if name.startswith(f"{vendor}.")])
            if near.startswith("did you mean"):
                hint = near
            elif hint is None:
                hint = "`hookwright workflow actions` lists what there is"
                hint += "; actions of GitHub cannot be used" if "/" in uses else ""
            short = {name.partition(".")[2]: name for name in known}
            if uses.rpartition(".")[2] in short:
                hint = f"did you mean `{short[uses.rpartition('.')[2]]}`?"
            self._finder.at(path, f"there is no action `{uses}`", hint)
        return known.get(uses)

    def _typed(
        self, path: Path, key: str, signature: ActionSignature, given: Mapping[str, Json]
    ) -> None:
        for fault in check_parameters(signature, given):
            where = (*path, "with", *fault.path) if given else (*path, key)
            self._finder.at(where, fault.message, fault.hint, key=fault.at_key)

    def _parameters(self, path: Path, given: Any, names: Names) -> None:
        for name, value in given.items() if isinstance(given, Mapping) else ():
            place = (*path, name)
            if is_template(value):
                self._templates.parameter(place, value, names)
                continue
            if is_meant_as_template(value):
                hint = "leave `values` out: a template reads what expressions read"
                self._finder.at((*place, "values"), "a template takes no values", hint, key=True)
            self._expressions.values(place, value, names)

    def _connection(self, path: Path, name: Any, vendor: str) -> None:
        if not isinstance(name, str):
            return
        if OPENING in name:
            hint = "name one of `connections` of the configuration"
            self._finder.at(path, "the connection is a plain name", hint)
            return
        known = None if self._catalogue is None else self._catalogue.connections
        if self._catalogue is None or known is None:
            return
        if name not in known:
            hint = did_you_mean(name, known) or "declare it in `connections` of the configuration"
            self._finder.at(path, f"there is no connection `{name}`", hint)
            return
        other = self._catalogue.vendor_of(name)
        if other is not None and other != vendor:
            fitting = [item for item in known if self._catalogue.vendor_of(item) == vendor]
            hint = did_you_mean(name, fitting) or f"declare a connection of {vendor}"
            message = f"the connection `{name}` is one of {other}, not of {vendor}"
            self._finder.at(path, message, hint)

    # --- waiting ------------------------------------------------------------------------------

    def _approval(self, path: Path, part: Mapping[str, Any], names: Names) -> None:
        for key in ("text", "channel"):
            self._expressions.interpolated((*path, key), part.get(key), names)
        self._expressions.duration((*path, "timeout"), part.get("timeout"), self._plain)
        ask, catalogue = part.get("ask"), self._catalogue
        if ask is None:
            for key in ("connection", "channel"):
                if part.get(key) is not None:
                    message = f"`{key}` says where to ask, and `ask` does not say over which vendor"
                    self._finder.at((*path, key), message, "add `ask: slack`", key=True)
            return
        if not isinstance(ask, str):
            return
        if catalogue is not None and f"{ask}.{ASK}" not in catalogue.actions:
            able = [
                name.partition(".")[0] for name in catalogue.actions if name.endswith(f".{ASK}")
            ]
            message = f"`{ask}` cannot ask for approvals"
            hint = did_you_mean(ask, able) or "leave `ask` out: it is then decided here"
            self._finder.at((*path, "ask"), message, hint)
        self._connection((*path, "connection"), part.get("connection"), ask)

    def _wait(self, path: Path, part: Mapping[str, Any], names: Names) -> None:
        self.event_pattern(path, part)
        self._expressions.duration((*path, "timeout"), part.get("timeout"), self._plain)
        pattern = part.get("event")
        awaited = event_type([pattern], self._catalogue) if isinstance(pattern, str) else None
        self._expressions.given_condition((*path, "if"), part, names.plus(event=awaited))

    def event_pattern(self, path: Path, part: Mapping[str, Any]) -> None:
        """Check which events a trigger or a `wait_for` names."""
        event = part.get("event")
        if isinstance(event, str) and not _may_happen(event):
            message = f"no event has the type `{event}`"
            self._finder.at((*path, "event"), message, did_you_mean(event, EVENT_TYPES))
        if self._catalogue is None:
            return
        for key, known in (
            ("vendor", self._catalogue.vendors),
            ("source", self._catalogue.sources),
        ):
            name = part.get(key)
            own = key == "vendor" and name == "hookwright"
            if known is not None and isinstance(name, str) and name not in known and not own:
                hint = did_you_mean(name, known) or f"declare it in `{key}s` of the configuration"
                self._finder.at((*path, key), f"there is no {key} `{name}`", hint)

    def _sleep(self, path: Path, part: Any, names: Names) -> None:
        self._expressions.duration(path, part, self._plain)
        until = part.get("until") if isinstance(part, Mapping) else None
        if not isinstance(until, str):
            return
        self._expressions.interpolated((*path, "until"), until, names)
        if OPENING not in until and not _is_moment(until):
            hint = "write `${{ … }}` around an expression, or a time such as 2026-01-31T09:00:00Z"
            self._finder.at((*path, "until"), f"`until` is no time: {until[:60]!r}", hint)

    # --- events and calls -----------------------------------------------------------------------

    def _emit(self, path: Path, part: Mapping[str, Any], names: Names) -> None:
        self._expressions.interpolated((*path, "subject"), part.get("subject"), names)
        facts = part.get("facts")
        self._expressions.values((*path, "facts"), facts, names)
        kind = part.get("type")
        if not isinstance(kind, str):
            return
        family = kind.partition(".")[0]
        if family in RESERVED:
            message = f"events `{family}.…` are made by Hookwright itself"
            self._finder.at((*path, "type"), message, "begin the type with a word of your own")
            return
        if "*" not in kind and not _may_happen(kind):
            message = f"no event has the type `{kind}`"
            self._finder.at((*path, "type"), message, did_you_mean(kind, EVENT_TYPES))
        model = None if self._catalogue is None else self._catalogue.facts.get(family)
        if model is None or not (facts is None or isinstance(facts, Mapping)):
            return
        for fault in check_parameters(ActionSignature(kind, model), facts or {}):
            where = (*path, "facts", *fault.path)
            self._finder.at(where, fault.message, fault.hint, key=fault.at_key)

    def _call(self, step: PlainStep, names: Names) -> None:
        path, given = step.path, step.value.get("with")
        self._parameters((*path, "with"), given, names)
        name, catalogue = step.value["call"], self._catalogue
        if not isinstance(name, str) or catalogue is None or catalogue.workflows is None:
            return
        called = catalogue.workflows.get(name)
        place = (*path, "call")
        if called is None:
            if catalogue.all_workflows:
                hint = did_you_mean(name, catalogue.workflows)
                hint = hint or "add its file to `workflows` of the configuration"
                self._finder.at(place, f"there is no workflow `{name}`", hint)
            return
        if not called.is_callable:
            message = f"`{name}` cannot be called: it has no trigger `manual`"
            self._finder.at(place, message, "add `- manual: {}` to its `on`")
            return
        inputs = given if isinstance(given, Mapping) else {}
        for key, value in inputs.items():
            if key not in called.inputs:
                hint = did_you_mean(key, called.inputs) or f"`{name}` takes no inputs"
                where = (*path, "with", key)
                self._finder.at(where, f"`{name}` takes no input `{key}`", hint, key=True)
            else:
                self._fitting((*path, "with", key), key, called.inputs[key], value)
        for key, wanted in called.inputs.items():
            if is_required(wanted) and inputs.get(key) is None:
                hint = f"add `with: {{{key}: …}}`"
                self._finder.at(place, f"`{name}` needs the input `{key}`", hint)

    def _fitting(self, path: Path, name: str, wanted: Input, value: Json) -> None:
        if value is None or has_expression(value) or is_template(value) or fits(wanted, value):
            return
        shown = repr(value)[:60]
        message = f"the input `{name}` must be a {wanted.type}, not {shown}"
        self._finder.at(path, message, f"write a {wanted.type}, or one whole `${{{{ … }}}}`")

    def default_of_input(self, path: Path, name: str, wanted: Any) -> None:
        """Check that an input's own default is of its type, and is a plain value."""
        try:
            declared = Input.model_validate(wanted)
        except ValidationError:
            return  # told as a fault of its shape
        if has_expression(declared.default):
            message = "a default is a plain value; an expression is not evaluated here"
            self._finder.at((*path, "default"), message, "compute it where the input is used")
        elif declared.default is not None and not fits(declared, declared.default):
            message = f"the default of `{name}` must be a {declared.type}"
            self._finder.at((*path, "default"), message, f"write a {declared.type}")


def _may_happen(pattern: str) -> bool:
    """Say whether an event can match: types of our own families are a closed list.

    What other families there are (GitHub's, a vendor's own) is for the vendors to know.
    """
    if pattern.partition(".")[0] not in _FAMILIES:
        return True
    return any(type_matches(pattern, known) for known in EVENT_TYPES)


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
