"""The names that expressions can see, and the values under them.

In scope: `event`, `events`, `run`, `vars`, `inputs`, `steps`, and where they exist `output` (in
`until`), `error` (in `on_failure`) and the variables of the loops around a step, each with its
number (`session`, `session_index`). In a `wait_for`, `event` is the awaited one.

Under `steps.<id>` stand the step's output fields, and three names that no output can take:
`status` (its state), `error` (`{code, message}` or null), and `output` (all its outputs, or null).
A field of a step that was skipped, failed or not yet performed is null.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.document import Document
from schemas.events import Json
from schemas.workflow import RunError, StepState, StepStatus
from service.workflows.decisions import RunView

Path = tuple[str, ...]
RESERVED_STEP_FIELDS = ("status", "error", "output")
ABSENT: Any = object()
_DEEPEST_CUT = 4
"""Paths are followed this far when what an expression needs is cut out of what there is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Values by name. `roots` holds everything but `steps`, which are made when asked for.

    `known` are the ids of all steps of the document: those without a record are pending.
    """

    roots: Mapping[str, Json]
    steps: Mapping[str, StepState] = field(default_factory=dict)
    known: Collection[str] = ()

    def with_event(self, event: Mapping[str, Json]) -> Scope:
        """Give this scope with the event that a `wait_for` judges."""
        return replace(self, roots={**self.roots, "event": event})

    def with_output(self, output: Mapping[str, Json]) -> Scope:
        """Give this scope with the outputs of the attempt that `until` judges."""
        return replace(self, roots={**self.roots, "output": output})

    def read(self, path: Path) -> Json:
        """Give the one value under this path; `ABSENT` when there is none."""
        root, *fields = path
        value: Json = self.roots.get(root, ABSENT)
        if root == "steps" and len(fields) > 1:
            state = self._state(fields[0])
            value = ABSENT if state is None else step_value(state, fields[1:2])
            fields = fields[1:]
        for field_name in fields:
            if type(value) is not dict or field_name not in value:
                return ABSENT
            value = value[field_name]
        return value

    def bindings(self, paths: Collection[Path]) -> dict[str, Json]:
        """Give the values under these paths and as little else as possible.

        A vendor's payload may be large, and handing a value to the expression library copies it.
        """
        names = {path[0] for path in paths}
        bound = {
            name: _cut(self.roots[name], [path[1:] for path in paths if path[0] == name])
            for name in names
            if name in self.roots
        }
        if "steps" in names:
            bound["steps"] = self._steps([path[1:] for path in paths if path[0] == "steps"])
        return bound

    def _steps(self, paths: Collection[Path]) -> dict[str, Json]:
        everything = any(not path for path in paths)
        asked = {*self.known, *self.steps} if everything else {path[0] for path in paths}
        return {
            step_id: _cut(
                step_value(state, _fields(paths, step_id)),
                [()] if everything else [path[1:] for path in paths if path[0] == step_id],
            )
            for step_id in sorted(asked)
            if (state := self._state(step_id)) is not None
        }

    def _state(self, step_id: str) -> StepState | None:
        state = self.steps.get(step_id)
        if state is None and step_id in self.known:
            return StepState(step_id=step_id)
        return state


def run_scope(document: Document, view: RunView, *, error: RunError | None = None) -> Scope:
    """Give what the expressions of this run's steps see. `error`: for steps of `on_failure`."""
    roots: dict[str, Json] = {
        "event": view.event,
        "events": list(view.events) or [view.event],
        "run": view.run,
        "vars": view.vars,
        "inputs": view.inputs,
        **view.items,
    }
    if error is not None:
        roots["error"] = dict(error)
    return Scope(roots, view.steps, document.by_id)


def start_scope(
    event: Mapping[str, Json], values: Mapping[str, Json], inputs: Mapping[str, Json]
) -> Scope:
    """Give what is in scope before a run begins: the event, the vars and the inputs."""
    return Scope({"event": event, "events": [event], "vars": values, "inputs": inputs})


def step_value(state: StepState, fields: Collection[str] = ()) -> dict[str, Json]:
    """Give what stands under `steps.<id>`; those of `fields` that the step has not are null."""
    done = state.status is StepStatus.SUCCEEDED
    output = state.output if done else None
    error = state.error
    return {
        **({} if done else dict.fromkeys(fields)),
        **(output or {}),
        "status": state.status.value,
        "error": None if error is None else {"code": error.code, "message": error.message},
        "output": output,
    }


def _fields(paths: Collection[Path], step_id: str) -> list[str]:
    return [path[1] for path in paths if len(path) > 1 and path[0] == step_id]


def _cut(value: Json, paths: Collection[Path], depth: int = 1) -> Json:
    if depth > _DEEPEST_CUT or not all(paths):
        return value
    if type(value) is not dict and not isinstance(value, Mapping):
        return value
    heads = {path[0] for path in paths}
    return {
        head: _cut(value[head], [path[1:] for path in paths if path[0] == head], depth + 1)
        for head in heads
        if head in value
    }
