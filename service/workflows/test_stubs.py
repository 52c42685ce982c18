"""What to paste into a test file for a call of which it says nothing yet."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from service.workflows.catalogue import Catalogue
from service.workflows.simulated import SimulatedCall

LONGEST_FLAT = 72
_PLAIN: dict[Any, Any] = {str: "…", int: 0, float: 0, bool: False, dict: {}, list: [], tuple: []}


def stub(call: SimulatedCall, catalogue: Catalogue, *, in_list: bool = False) -> str:
    """Give an answer for `actions:` with the outputs of the action, ready to be changed.

    Outputs that may be null are left out: they are null then. `in_list`: one more of several.
    """
    signature = catalogue.actions.get(call.action)
    model = None if signature is None else signature.outputs
    outputs = {} if model is None else _example(model)
    lines = [f"{name}: {_yaml(value)}" for name, value in outputs.items() if value is not None]
    head = "- returns:" if in_list else f"{call.step.id}:\n  returns:"
    flat = f" {{{', '.join(lines)}}}"
    if len(flat) <= LONGEST_FLAT:
        return head + flat
    return "\n    ".join([head, *lines])


def _example(model: type[BaseModel]) -> dict[str, Any]:
    return {
        name: field.default if _is_plain(field.default) else _value(field.annotation)
        for name, field in model.model_fields.items()
    }


def _is_plain(value: object) -> bool:
    return value is not PydanticUndefined and isinstance(value, str | int | float | bool | NoneType)


def _value(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        return None if NoneType in get_args(annotation) else _value(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _example(annotation)
    return _PLAIN.get(origin or annotation, "…")


def _yaml(value: Any) -> str:
    # JSON is YAML; a mapping that stands on one line is read more easily without its quotes.
    return json.dumps(value, ensure_ascii=False)
