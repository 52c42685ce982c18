"""Whether what a document says can mean something: names, types and expressions.

Works on the plain values, not on the typed document, so that a document whose shape is wrong in one
place is still checked in all others. What each kind of step must mean stands in `step_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.document import SECTIONS, with_ids
from schemas.workflow import RunError
from service.workflows.catalogue import Catalogue
from service.workflows.expression_checks import ExpressionChecker, texts
from service.workflows.finder import Finder
from service.workflows.findings import Finding
from service.workflows.interpolation import OPENING
from service.workflows.names import Names
from service.workflows.outputs import inputs_type, run_type, started_by, step_type, vars_type
from service.workflows.parts import PlainStep, arms_of, sequence_at, steps_in
from service.workflows.schedules import ScheduleError, read_cron, read_timezone
from service.workflows.step_checks import StepChecker
from service.workflows.template_checks import ReadTemplate, TemplateChecker
from service.workflows.value_types import SCALAR, Declared, ListOf, Type, is_no_list, item_of
from service.workflows.yaml_tree import Path, YamlTree

DEEPEST_NESTING = 4
"""Containers (`for_each`, `parallel`) inside one another."""
_CEL_WORDS = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_ROOTS = frozenset({"event", "events", "vars", "inputs", "run", "steps", "output", "error"})


def check_meaning(
    tree: YamlTree,
    file: str,
    catalogue: Catalogue | None,
    read_template: ReadTemplate | None = None,
) -> tuple[list[Finding], dict[str, str]]:
    """Give everything that is wrong beside the shape, and the texts of the template files."""
    if not isinstance(tree.value, Mapping):
        return [], {}
    checker = _Checker(tree, file, catalogue, read_template)
    checker.check()
    return checker.finder.findings, checker.templates.texts


class _Checker:
    def __init__(
        self,
        tree: YamlTree,
        file: str,
        catalogue: Catalogue | None,
        read_template: ReadTemplate | None,
    ) -> None:
        self.data = with_ids(tree.value)
        self.finder = Finder(tree, file)
        self.catalogue = catalogue
        self.expressions = ExpressionChecker(self.finder)
        self.templates = TemplateChecker(self.finder, self.data, read_template)
        event = started_by(self.data, catalogue)
        self.begin = Names(
            {
                "event": event,
                "events": ListOf(event),
                "vars": vars_type(self.data),
                "inputs": inputs_type(self.data),
            }
        )
        layout: dict[str, PlainStep] = {}
        for step in steps_in(self.data):
            layout.setdefault(step.id or "", step)
        self.during = replace(self.begin.plus(run=run_type(event)), steps={}, layout={**layout})
        self.steps = StepChecker(
            self.finder, self.expressions, self.templates, catalogue, self.begin
        )

    def check(self) -> None:
        """Check the whole document."""
        self._triggers()
        self.expressions.given_condition(("if",), self.data, self.begin)
        self._vars()
        self._pacing()
        self._ids()
        self.templates.inline()
        sections = [sequence_at((name,), self.data.get(name)) for name in SECTIONS]
        main, rescue, farewell = sections
        done = self._sequence(main, self.during)
        after = replace(self.during, steps=done)
        self._sequence(rescue, after.plus(error=Declared(RunError)))
        self._sequence(farewell, after)
        self.expressions.values(
            ("outputs",), self.data.get("outputs"), replace(after, place=("outputs",))
        )

    # --- parts of the document ----------------------------------------------------------------

    def _triggers(self) -> None:
        triggers = self.data.get("on")
        manual = 0
        for at, trigger in enumerate(triggers if isinstance(triggers, list) else []):
            if not isinstance(trigger, Mapping):
                continue
            path: Path = ("on", at)
            self.steps.event_pattern(path, trigger)
            self.expressions.given_condition((*path, "if"), trigger, self.begin)
            self._schedule(path, trigger)
            manual += "manual" in trigger
            if "manual" in trigger and manual > 1:
                message = "a workflow has one trigger `manual`"
                self.finder.at((*path, "manual"), message, "put all inputs into one", key=True)
            self._inputs((*path, "manual", "inputs"), trigger.get("manual"))

    def _schedule(self, path: Path, trigger: Mapping[str, Any]) -> None:
        for key, read in (("cron", read_cron), ("timezone", read_timezone)):
            if not isinstance(trigger.get(key), str):
                continue
            try:
                read(trigger[key])
            except ScheduleError as error:
                self.finder.at((*path, key), error.message, error.hint)

    def _inputs(self, path: Path, manual: Any) -> None:
        inputs = manual.get("inputs") if isinstance(manual, Mapping) else None
        for name, wanted in inputs.items() if isinstance(inputs, Mapping) else ():
            self.steps.default_of_input((*path, name), name, wanted)

    def _vars(self) -> None:
        for path, text in texts(("vars",), self.data.get("vars")):
            if OPENING in text:
                message = "vars are plain values; an expression is not evaluated here"
                self.finder.at(path, message, "put the expression where the value is used")

    def _pacing(self) -> None:
        """Check how often it runs: `concurrency`, `coalesce`, `debounce` and `throttle`."""
        for name, durations in (
            ("concurrency", ()),
            ("coalesce", ("within",)),
            ("debounce", ("quiet", "at_most")),
            ("throttle", ("per",)),
        ):
            part = self.data.get(name)
            if isinstance(part, str):
                self.expressions.duration((name,), part)
            elif isinstance(part, Mapping):
                self.expressions.condition((name, "key"), part.get("key"), self.begin)
                self.expressions.durations((name,), part, durations)
        if "coalesce" in self.data and "debounce" in self.data:
            later = [key for key in self.data if key in {"coalesce", "debounce"}][-1]
            message = "a workflow has `coalesce` or `debounce`, not both"
            hint = "`coalesce` runs after a fixed time, `debounce` once no more events come"
            self.finder.at((later,), message, hint, key=True)

    def _ids(self) -> None:
        seen: dict[str, PlainStep] = {}
        for step in steps_in(self.data):
            if step.depth > DEEPEST_NESTING and step.path[-1] == 0:
                message = f"steps stand in at most {DEEPEST_NESTING} containers, one in another"
                hint = "move the inner steps to a workflow of their own and `call` it"
                self.finder.at(step.path, message, hint)
            if step.id is None:
                continue
            if step.id in seen:
                line = self.finder.tree.place((*seen[step.id].path, "id")).line
                hint = f"the other is on line {line}; ids are unique in the whole document"
                self.finder.at((*step.path, "id"), f"another step has the id `{step.id}`", hint)
            seen.setdefault(step.id, step)

    # --- steps --------------------------------------------------------------------------------

    def _sequence(self, steps: list[PlainStep], names: Names) -> dict[str, Type]:
        """Check steps in their order; gives all that can be read behind them."""
        visible = dict(names.steps or {})
        for step in steps:
            here = replace(names, steps=dict(visible), place=step.path)
            self.steps.check(step, here)
            collected: Type = None
            if step.kind == "for_each":
                collected = self._loop(step, here)
            elif step.kind == "parallel":
                for arm in arms_of(step):
                    visible |= self._sequence(arm, here)
            if step.id is not None:
                visible[step.id] = step_type(step, self.catalogue, collected)
        return visible

    def _loop(self, step: PlainStep, names: Names) -> Type:
        """Check a `for_each`; gives the type of what it collects."""
        listed = self.expressions.condition(
            (*step.path, "for_each"), step.value.get("for_each"), names
        )
        if is_no_list(listed):
            message = "`for_each` goes through a list, and this gives none"
            self.finder.at(
                (*step.path, "for_each"), message, "write the list itself, without `[0]`"
            )
        variable = step.value.get("as", "item")
        inside = names
        if isinstance(variable, str):
            self._variable(step, variable, names)
            inside = names.plus(**{variable: item_of(listed), f"{variable}_index": SCALAR})
        visible = names.steps or {}
        for arm in arms_of(step):
            visible = self._sequence(arm, inside)
        collect = step.value.get("collect")
        place = (*step.path, "collect")
        if isinstance(collect, str) and OPENING not in collect:
            message = "`collect` holds no expression: it would give the same text for every item"
            self.finder.at(place, message, f"write `${{{{ {collect.strip()[:40]} }}}}`")
        return self.expressions.interpolated(
            place, collect, replace(inside.without("error"), steps=visible, place=place)
        )

    def _variable(self, step: PlainStep, variable: str, names: Names) -> None:
        place = (*step.path, "as")
        hint = "give it another name with `as`"
        if variable in _ROOTS | _CEL_WORDS:
            message = f"`{variable}` has a meaning of its own in expressions"
            self.finder.at(place, message, hint)
        elif {variable, f"{variable}_index"} & set(names.roots):
            message = f"the variable `{variable}` is already that of a loop around this one"
            self.finder.at(place, message, hint)
