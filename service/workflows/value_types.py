"""What is known of values before there are any: which fields they have, and which they cannot have.

A type says as much as is surely known and no more. `None` stands for a value of which nothing is
known; everything may be read of it.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

_SCALARS = (str, int, float, bool, bytes, date, timedelta, UUID, Enum)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a number, a boolean or a time: it has no fields.

    `kind` is `text`, `number` or `boolean` where that is known; times are texts. `choices` are all
    texts that it can be, where these are known.
    """

    kind: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fields:
    """A map with these fields and, unless it is `open`, no others."""

    fields: Mapping[str, Type] = field(hash=False)
    open: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """What a Pydantic annotation declares: looked at when it is needed, for it may hold itself."""

    annotation: Any = field(hash=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items are all of one type."""

    item: Type


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map with any keys."""

    value: Type


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several; of none of them when it is the item of a list that is empty."""

    kinds: tuple[Type, ...]


Type: TypeAlias = Scalar | Fields | Declared | ListOf | MapOf | OneOf | None
SCALAR = Scalar()
TEXT, NUMBER, BOOLEAN = Scalar("text"), Scalar("number"), Scalar("boolean")
NOTHING = OneOf(())


@dataclass(frozen=True, slots=True)
class WrongPath:
    """The field that cannot exist, and what there is instead (nothing: values have no fields)."""

    field: str
    known: tuple[str, ...]
    is_list: bool = False


def type_at(kind: Type, path: Iterable[str]) -> Type | WrongPath:
    """Give the type of what stands at a path, or the first part of the path that cannot exist."""
    for part in path:
        found = member(kind, part)
        if isinstance(found, WrongPath):
            return found
        kind = found
    return kind


def member(kind: Type, name: str) -> Type | WrongPath:  # noqa: PLR0911  # one a kind of type
    """Give the type of a field, or say that there is none."""
    match resolved(kind):
        case Scalar():
            return WrongPath(name, ())
        case ListOf():
            return WrongPath(name, (), is_list=True)
        case MapOf(value=value):
            return value
        case Fields(fields=fields, open=is_open):
            if name in fields:
                return fields[name]
            return None if is_open else WrongPath(name, tuple(fields))
        case OneOf(kinds=kinds) if kinds:
            found = [member(item, name) for item in kinds]
            good = [item for item in found if not isinstance(item, WrongPath)]
            return one_of(good) if good else _wrong_in_all(name, found)
        case _:
            return None


def item_of(kind: Type) -> Type:
    """Give the type of a list's items; of a map's, which are its keys."""
    match resolved(kind):
        case ListOf(item=item):
            return item
        case MapOf() | Fields():
            return SCALAR
        case OneOf(kinds=kinds):
            return one_of(item_of(part) for part in kinds)
        case _:
            return None


def is_no_list(kind: Type) -> bool:
    """Say whether it can be no list."""
    match resolved(kind):
        case Scalar() | Fields() | MapOf():
            return True
        case OneOf(kinds=kinds) if kinds:
            return all(is_no_list(part) for part in kinds)
        case _:
            return False


def gives_no_truth(kind: Type) -> bool:
    """Say whether it can be neither true nor false."""
    match resolved(kind):
        case Scalar(kind=known):
            return known in {"text", "number"}
        case ListOf() | MapOf() | Fields():
            return True
        case OneOf(kinds=kinds) if kinds:
            return all(gives_no_truth(part) for part in kinds)
        case _:
            return False


def choices_of(kind: Type) -> tuple[str, ...]:
    """Give all texts that it can be; nothing when they are not known."""
    match resolved(kind):
        case Scalar(choices=choices):
            return choices
        case OneOf(kinds=kinds):
            texts = [part for part in kinds if not _is_number_or_truth(part)]
            found = [choices_of(part) for part in texts]
            return tuple(dict.fromkeys(sum(found, ()))) if all(found) else ()
        case _:
            return ()


def one_of(kinds: Iterable[Type]) -> Type:
    """Give the type of a value that is of one of these."""
    found: list[Type] = []
    for kind in kinds:
        plain = resolved(kind)
        if plain is None:
            return None
        found.extend(plain.kinds if isinstance(plain, OneOf) else [plain])
    unlike: list[Type] = []
    for kind in found:
        if kind not in unlike:
            unlike.append(kind)
    return unlike[0] if len(unlike) == 1 else OneOf(tuple(unlike))


def resolved(kind: Type) -> Scalar | Fields | ListOf | MapOf | OneOf | None:
    """Give a type in its plain form, one level deep."""
    return _read(kind.annotation) if isinstance(kind, Declared) else kind


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Give the annotations of a model's fields by the names that its JSON form has."""
    return {
        info.serialization_alias or info.alias or name: info.annotation
        for name, info in model.model_fields.items()
    }


def _read(  # noqa: PLR0911  # one a form of annotation
    annotation: Any,
) -> Scalar | Fields | ListOf | MapOf | OneOf | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _read(arguments[0])
    if origin in {Union, types.UnionType}:
        found = [Declared(item) for item in arguments if item is not type(None)]
        return resolved(one_of(found))
    if origin is Literal:
        return _chosen(arguments)
    if origin in {list, tuple, set, frozenset}:
        items = [item for item in arguments if item is not Ellipsis]
        return ListOf(one_of(Declared(item) for item in items))
    if origin in {dict, Mapping} or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return MapOf(Declared(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        is_open = annotation.model_config.get("extra") == "allow"
        declared = fields_of(annotation).items()
        return Fields({name: Declared(item) for name, item in declared}, is_open)
    if isinstance(annotation, type) and issubclass(annotation, _SCALARS):
        return _scalar(annotation)
    return None


def _scalar(kind: type) -> Scalar:
    if issubclass(kind, Enum):
        return _chosen([item.value for item in kind])
    if issubclass(kind, bool):
        return BOOLEAN
    if issubclass(kind, int | float):
        return NUMBER
    return TEXT if issubclass(kind, str | date | UUID) else SCALAR


def _chosen(values: Iterable[Any]) -> Scalar:
    known = [value for value in values if value is not None]
    texts = tuple(value for value in known if isinstance(value, str))
    return Scalar("text", texts) if texts and len(texts) == len(known) else SCALAR


def _is_number_or_truth(kind: Type) -> bool:
    plain = resolved(kind)
    return isinstance(plain, Scalar) and plain.kind in {"number", "boolean"}


def _wrong_in_all(name: str, found: list[Type | WrongPath]) -> WrongPath:
    wrong = [item for item in found if isinstance(item, WrongPath)]
    known = dict.fromkeys(part for item in wrong for part in item.known)
    return WrongPath(name, tuple(known), is_list=all(item.is_list for item in wrong))
