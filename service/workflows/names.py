"""Whether the names that an expression reads exist at its place, down to typed fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.workflows.findings import did_you_mean
from service.workflows.functions import ARITIES
from service.workflows.other_languages import NAMES as OTHER_NAMES
from service.workflows.parts import PlainStep
from service.workflows.scope import RESERVED_STEP_FIELDS
from service.workflows.value_types import Fields, Type, WrongPath, resolved, type_at
from service.workflows.yaml_tree import Path

_MOMENTS = {"now", "today"}
_READ_IN = "here are `vars` and `event`"
_PLACES = {
    "output": ("`output` can only be read in `until`", "read `steps.<id>.<field>` instead"),
    "error": (
        "`error` can only be read in `on_failure`",
        "read `steps.<id>.error` of a step with `on_error: continue`",
    ),
    "steps": ("`steps` cannot be read here", _READ_IN),
    "run": ("`run` cannot be read here", _READ_IN),
    "inputs": ("`inputs` cannot be read here", _READ_IN),
    "item": (
        "`item` can only be read in a `for_each`",
        "in `steps` and `collect` of the loop; `as` gives it another name",
    ),
    "loop": ("there is no `loop` here", "a `for_each` counts in `<name>_index`"),
    "env": ("there is no `env` here", "values of the document are `vars.<name>`"),
    "secrets": (
        "secrets cannot be read in expressions",
        "they belong to connections, in the configuration",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with reading a name, and what was probably meant."""

    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression at one place may read.

    `roots` are the names beside `steps` with their types, and `steps` the visible steps with those
    of their outputs (None: `steps` cannot be read at all). `place` is the path of the step at whose
    place it is, and `layout` has every step of the document, so that it can be said why one of them
    cannot be read.
    """

    roots: Mapping[str, Type]
    steps: Mapping[str, Type] | None = None
    place: Path = ()
    layout: Mapping[str, PlainStep] = field(default_factory=dict)

    def plus(self, **roots: Type) -> Names:
        """Give these names and more."""
        return replace(self, roots={**self.roots, **roots})

    def without(self, *roots: str) -> Names:
        """Give these names without some."""
        kept = {name: kind for name, kind in self.roots.items() if name not in roots}
        return replace(self, roots=kept)

    def read(self, path: tuple[str, ...]) -> Type | Fault:
        """Give the type of what is read, or say why it cannot be read here."""
        root, *rest = path
        if root == "steps" and self.steps is not None:
            return self._read_step(tuple(rest))
        if root not in self.roots:
            return self._no_root(root)
        found = type_at(self.roots[root], rest)
        return no_field(found, path) if isinstance(found, WrongPath) else found

    def _read_step(self, path: tuple[str, ...]) -> Type | Fault:
        visible = self.steps or {}
        if not path:
            return Fault("`steps` is read one step at a time", "write `steps.<id>.<field>`")
        step_id, *rest = path
        if step_id not in visible:
            return self._no_step(step_id)
        found = type_at(visible[step_id], rest)
        if not isinstance(found, WrongPath):
            return found
        fault = no_field(found, ("steps", *path))
        outputs = resolved(visible[step_id])
        if rest[:1] == [found.field] and isinstance(outputs, Fields):
            known = [name for name in found.known if name not in RESERVED_STEP_FIELDS]
            near = did_you_mean(found.field, known or found.known)
            if found.field == "results" and "count" in known:
                near = "say what is gathered: `collect: ${{ … }}` of the `for_each`"
            return Fault(fault.message, near)
        return fault

    def _no_step(self, step_id: str) -> Fault:
        target = self.layout.get(step_id)
        if target is None:
            # A step whose id is still missing or empty cannot be named.
            earlier = [name for name in self.steps or () if name]
            hint = did_you_mean(step_id, earlier) or "no step is performed earlier"
            return Fault(f"there is no step `{step_id}`", hint)
        if target.path == self.place[: len(target.path)] and target.path != self.place:
            message = f"`{step_id}` has not ended while the steps in it are performed"
            return Fault(message, "read it after it")
        around = [
            step
            for step in self.layout.values()
            if step.path != target.path and step.path == target.path[: len(step.path)]
        ]
        for step in around:
            ours = step.path == self.place[: len(step.path)] and self.place != step.path
            if step.kind == "for_each" and not ours:
                return _in_loop(step_id, step.id)
            arm = len(step.path) + 2
            if step.kind == "parallel" and ours and self.place[:arm] != target.path[:arm]:
                message = f"the step `{step_id}` is in another arm of `{step.id}`"
                return Fault(message, f"arms are performed at once; read it after `{step.id}`")
        message = f"the step `{step_id}` is not performed before this one"
        return Fault(message, "only earlier steps can be read")

    def _no_root(self, root: str) -> Fault:
        if root in _MOMENTS:
            return Fault(
                f"there is no `{root}`: an attempt must ask for the same thing each time it is "
                "made",
                "use `run.started_at` or `event.time`",
            )
        if root in _PLACES:
            message, hint = _PLACES[root]
            if hint == _READ_IN:
                hint = f"here are {', '.join(f'`{name}`' for name in sorted(self.roots))}"
            return Fault(message, hint)
        if root in (self.steps or {}):
            return Fault(f"there is no `{root}` here", f"did you mean `steps.{root}`?")
        if root in ARITIES:
            return Fault(f"`{root}` is a function and needs its arguments", f"write `{root}(…)`")
        if root in OTHER_NAMES:
            return Fault(f"there is no `{root}` here", OTHER_NAMES[root])
        known = [*self.roots, *(() if self.steps is None else ("steps",))]
        return Fault(f"there is no `{root}` here", did_you_mean(root, known))


def no_field(wrong: WrongPath, path: tuple[str, ...]) -> Fault:
    """Say that a field cannot exist."""
    read = ".".join(path)
    if wrong.is_list:
        hint = "read one item with `[0]`, or go through all with `.map(…)`"
        return Fault(f"`{read}`: what stands before `{wrong.field}` is a list", hint)
    if not wrong.known and path[0] == "inputs":
        hint = f"declare it: `on: [{{manual: {{inputs: {{{wrong.field}: {{type: text}}}}}}}}]`"
        return Fault(f"`{read}`: this workflow takes no inputs", hint)
    if not wrong.known:
        before = read[: -len(wrong.field) - 1] if path[-1] == wrong.field else "what is before it"
        message = f"`{read}`: the value before `{wrong.field}` has no fields"
        return Fault(message, f"write `{before}` alone")
    return Fault(f"`{read}`: there is no `{wrong.field}`", did_you_mean(wrong.field, wrong.known))


def _in_loop(step_id: str, loop: str | None) -> Fault:
    return Fault(
        f"the step `{step_id}` is performed once for every item of `{loop}`: "
        "it cannot be read outside of it",
        f"gather what is needed with `collect: ${{{{ steps.{step_id}.… }}}}` and read "
        f"`steps.{loop}.results`",
    )
