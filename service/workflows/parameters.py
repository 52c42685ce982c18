"""Whether a step's parameters fit the action's: names, presence, and the types of literals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from schemas.events import Json
from service.workflows.catalogue import ActionSignature
from service.workflows.findings import did_you_mean
from service.workflows.interpolation import OPENING
from service.workflows.template_checks import is_meant_as_template
from service.workflows.value_types import (
    Declared,
    Fields,
    ListOf,
    MapOf,
    OneOf,
    Type,
    WrongPath,
    item_of,
    member,
    resolved,
)

_DEEPEST_TYPE = 8


@dataclass(frozen=True, slots=True)
class ParameterFault:
    """What is wrong, at which path inside `with`; `at_key`: its name is wrong, not its value."""

    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    at_key: bool = False


def check_parameters(
    signature: ActionSignature, given: Mapping[str, Json]
) -> Iterator[ParameterFault]:
    """Give the faults. What an expression gives is not typed before it is rendered."""
    fields = parameter_fields(signature.params)
    is_open = signature.params.model_config.get("extra") == "allow"
    meant: set[str] = set()
    for name, value in given.items():
        if name not in fields:
            if not is_open:
                message = f"`{signature.name}` takes no `{name}`"
                hint = did_you_mean(name, fields)
                meant |= {field for field in fields if hint and f"`{field}`?" in hint}
                yield ParameterFault((name,), message, hint, at_key=True)
        elif not is_meant_as_template(value):
            yield from _literal_faults(name, fields[name], value)
    for name, field in fields.items():
        if field.is_required() and name not in given and name not in meant:
            yield ParameterFault((), f"`{signature.name}` needs `{name}`", _add(name, field))


def parameter_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give the fields by the names they are written with."""
    return {
        field.alias if isinstance(field.alias, str) else name: field
        for name, field in model.model_fields.items()
    }


def _literal_faults(name: str, field: FieldInfo, value: Json) -> Iterator[ParameterFault]:
    computed = has_expression(value)
    if computed and (isinstance(value, str) or _has_choice(field.annotation)):
        return
    try:
        typed: Any = Annotated[field.annotation, field]
        adapter: TypeAdapter[Any] = TypeAdapter(typed)
    except PydanticUserError:
        return  # the model's own names are needed to know this type: checked when it is performed
    try:
        # As JSON: a text becomes a time or a UUID, and neither 1 nor "yes" becomes true. The schema
        # with which editors underline says the same.
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            inner = fault["loc"]
            if fault["type"] == "extra_forbidden":
                message = f"`{name}` takes no `{inner[-1]}`"
                hint = did_you_mean(str(inner[-1]), _known(field, inner[:-1]))
                hint = hint or "leave it out"
                yield ParameterFault((name, *inner), message, hint, at_key=True)
            elif fault["type"] == "missing":
                hint = f"add `{inner[-1]}: …`"
                yield ParameterFault((name, *inner), f"`{name}` needs `{inner[-1]}`", hint)
            elif not (computed and _may_fit(fault)):
                message = f"`{name}`: {_lowered(fault['msg'])}, not {_shown(fault['input'])}"
                hint = (
                    _quoted(fault)
                    or _one_of(fault)
                    or field.description
                    or "write a value of this type, or one whole `${{ … }}`"
                )
                yield ParameterFault((name, *inner), message, hint)


def _may_fit(fault: ErrorDetails) -> bool:
    """Say whether the value may be right once its expressions are rendered."""
    given = fault["input"]
    if isinstance(given, str):
        return OPENING in given
    # What a type says of a whole map or list, it says of what stands in it.
    return fault["type"] in {"value_error", "assertion_error"} and has_expression(given)


def _has_choice(annotation: Any, depth: int = 0) -> bool:
    """Say whether it may be of several types: why it fits none of them is then hard to tell."""
    kind = resolved(Declared(annotation))
    inner: list[Type] = []
    if isinstance(kind, Fields):
        inner = list(kind.fields.values())
    elif isinstance(kind, ListOf):
        inner = [kind.item]
    elif isinstance(kind, MapOf):
        inner = [kind.value]
    return isinstance(kind, OneOf) or (
        depth < _DEEPEST_TYPE
        and any(isinstance(x, Declared) and _has_choice(x.annotation, depth + 1) for x in inner)
    )


def _add(name: str, field: FieldInfo) -> str:
    about = f": {field.description}" if field.description else ""
    return f"add `{name}: …`{about}"


def _known(field: FieldInfo, path: tuple[str | int, ...]) -> list[str]:
    """Give the keys of the map that stands at a path inside a parameter."""
    kind: Type | WrongPath = Declared(field.annotation)
    for part in path:
        if isinstance(kind, WrongPath):
            return []
        kind = item_of(kind) if isinstance(part, int) else member(kind, str(part))
    plain = None if isinstance(kind, WrongPath) else resolved(kind)
    return list(plain.fields) if isinstance(plain, Fields) else []


def has_expression(value: Json) -> bool:
    """Say whether a value holds an expression anywhere."""
    if isinstance(value, str):
        return OPENING in value
    if isinstance(value, Mapping):
        return any(map(has_expression, value.values()))
    return isinstance(value, list) and any(map(has_expression, value))


def _quoted(fault: ErrorDetails) -> str | None:
    """Give the hint for what YAML reads as something else than a text, and was meant as one."""
    if fault["type"] != "string_type":
        return None
    if fault["input"] is None:
        return "write a text; what begins with `#` is a comment unless it stands between quotes"
    return None if isinstance(fault["input"], list | dict) else "put it between quotes"


def _one_of(fault: ErrorDetails) -> str | None:
    """Give the hint for a value of a closed set, which the message names."""
    if fault["type"] not in {"literal_error", "enum"}:
        return None
    expected = str(fault.get("ctx", {}).get("expected", "")).replace("'", "")
    near = did_you_mean(str(fault["input"]), expected.replace(" or ", ", ").split(", ")) or ""
    return near if near.startswith("did you mean") else "write one of these"


def _lowered(text: str) -> str:
    plain = text.removeprefix("Value error, ").removeprefix("Input ").strip()
    return (
        plain.replace("valid tuple", "valid list")
        .replace("valid array", "valid list")
        .replace("valid dictionary", "valid map")
        .replace("valid object", "valid map")
        .replace("an object", "a valid map")
    )


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  # characters
