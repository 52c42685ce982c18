"""What a workflow is given when it is started by hand or called: its inputs, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.document import Document, Input
from schemas.events import Json
from service.workflows.findings import did_you_mean

_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
}


class WrongInputs(ValueError):  # noqa: N818  # says what is wrong with them
    """The inputs are not those that the workflow takes; `hint` says what may be meant."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        """Keep the sentence and the hint."""
        super().__init__(message)
        self.hint = hint


def default_inputs(document: Document) -> dict[str, Json]:
    """Give the inputs of a run that an event started: the defaults, null for the rest."""
    return {name: wanted.default for name, wanted in document.inputs.items()}


def check_inputs(document: Document, given: Mapping[str, Json]) -> dict[str, Any]:
    """Give all inputs of a start by hand or a call. Raises WrongInputs."""
    for name in given:
        if name not in document.inputs:
            message = f"{document.name} takes no input `{name}`"
            raise WrongInputs(message, did_you_mean(name, document.inputs))
    for name, wanted in document.inputs.items():
        if is_required(wanted) and given.get(name) is None:
            raise WrongInputs(f"{document.name} needs the input `{name}`", wanted.description)
        value = given.get(name)
        if value is not None and not fits(wanted, value):
            message = f"the input `{name}` of {document.name} must be a {wanted.type}"
            raise WrongInputs(f"{message}, not {value!r}"[:300])
    return default_inputs(document) | {k: v for k, v in given.items() if v is not None}


def is_required(wanted: Input) -> bool:
    """Say whether an input must be given."""
    return wanted.required and wanted.default is None


def fits(wanted: Input, value: Json) -> bool:
    """Say whether a value is of the input's type."""
    kinds = _KINDS.get(wanted.type)
    if kinds is None:
        return True
    return isinstance(value, kinds) and (wanted.type == "boolean" or not isinstance(value, bool))
