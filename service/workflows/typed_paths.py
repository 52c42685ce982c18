"""Whether a path such as `counts.failed` can exist in values of a Pydantic model."""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

_SCALARS = (str, int, float, bool, bytes, date, timedelta, UUID, Enum)


@dataclass(frozen=True, slots=True)
class WrongPath:
    """The field that cannot exist, and what there is instead (nothing: values have no fields)."""

    field: str
    known: tuple[str, ...]


def wrong_part(model: Any, path: tuple[str, ...]) -> WrongPath | None:
    """Give the first part of the path that the model rules out, None when it rules out nothing."""
    for part in path:
        members = [item for item in _members(model) if item is not type(None)]
        if len(members) != 1:
            return None
        model = members[0]
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = fields_of(model)
            if part not in fields:
                open_model = model.model_config.get("extra") == "allow"
                return None if open_model else WrongPath(part, tuple(fields))
            model = fields[part]
        elif _is_scalar(model):
            return WrongPath(part, ())
        else:
            return None
    return None


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Give the annotations of a model's fields by the names that its JSON form has."""
    return {
        field.serialization_alias or field.alias or name: field.annotation
        for name, field in model.model_fields.items()
    }


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [item for argument in get_args(annotation) for item in _members(argument)]
    return [annotation]


def _is_scalar(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    return isinstance(annotation, type) and issubclass(annotation, _SCALARS)
