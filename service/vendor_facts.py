"""What the code says of vendors and actions, in plain words, for commands and generated pages."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.config import write_duration
from service.actions import AnyAction, VendorAction
from service.own_actions import OwnAction
from service.vendors.base import Action, Rate, Safety, Vendor
from service.yaml_text import flow_yaml

_PLAIN_TYPES: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    bytes: "bytes",
    datetime: "time",
    timedelta: "duration",
    UUID: "UUID",
    SecretStr: "secret",
    dict: "object",
    list: "list",
    Any: "any value",
    type(None): "null",
}
_LIMITS = (
    ("ge", "at least {}"),
    ("gt", "more than {}"),
    ("le", "at most {}"),
    ("lt", "less than {}"),
    ("max_length", "at most {} long"),
)


@dataclass(frozen=True, slots=True)
class FieldFact:
    """One field of options, parameters or outputs. `default` is YAML; None when it is needed."""

    name: str
    type: str
    needed: bool
    default: str | None
    description: str


@dataclass(frozen=True, slots=True)
class ActionFact:
    """One action as people are told of it."""

    name: str
    vendor: str | None
    summary: str
    safety: str
    behaviour: str
    params: tuple[FieldFact, ...]
    outputs: tuple[FieldFact, ...]


# --- models -------------------------------------------------------------------------------------


def fields_of(model: type[BaseModel]) -> tuple[FieldFact, ...]:
    """Give the fields of a model in their order."""
    return tuple(_field(name, info) for name, info in model.model_fields.items())


def about(model: type[BaseModel]) -> str:
    """Give what a model's docstring says, as one paragraph a line; empty when it says nothing."""
    if "__doc__" not in vars(model) or not model.__doc__:
        return ""
    paragraphs = inspect.cleandoc(model.__doc__).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _field(name: str, info: FieldInfo) -> FieldFact:
    needed = info.is_required()
    return FieldFact(
        name=name,
        type="; ".join([type_in_words(info.annotation), *_limits(info.metadata)]),
        needed=needed,
        default=None if needed else _default(info),
        description=" ".join((info.description or "").split()),
    )


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, SecretStr):
        return "none"
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return flow_yaml(value)


def _limits(metadata: Sequence[Any]) -> Iterator[str]:
    for name, words in _LIMITS:
        for item in metadata:
            bound = getattr(item, name, None)
            if isinstance(bound, int | float):
                yield words.format(f"{bound:,}" if isinstance(bound, int) else f"{bound:g}")


def type_in_words(annotation: Any) -> str:
    """Give a type as people say it: `text`, `list of texts`, `one of a, b`."""
    plain = _PLAIN_TYPES.get(annotation) if _is_hashable(annotation) else None
    if plain is not None:
        return plain
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(inner[0])
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inner)
    if origin in {Union, types.UnionType}:
        named = [type_in_words(part) for part in inner if part is not type(None)]
        return " or ".join(dict.fromkeys(named))
    return _composed(annotation, origin, inner)


def _composed(annotation: Any, origin: Any, inner: tuple[Any, ...]) -> str:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        value = type_in_words(inner[1]) if len(inner) > 1 else "any value"
        return f"object of {_plural(value)}"
    if origin in {list, tuple, set, frozenset} or (
        isinstance(origin, type) and issubclass(origin, Sequence)
    ):
        return f"list of {_plural(type_in_words(inner[0]))}" if inner else "list"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object with " + ", ".join(f"`{name}`" for name in annotation.model_fields)
    alias = getattr(annotation, "__value__", None)
    if alias is not None:
        return "any value" if "Json" in str(annotation) else type_in_words(alias)
    return "any value"


def _plural(word: str) -> str:
    if word.startswith(("one of", "object with", "list of", "object of")):
        return {"on": f"values, each {word}", "ob": f"objects, each an {word}"}.get(
            word[:2], f"lists, each a {word}"
        )
    if word == "true or false":
        return "true and false"
    return " or ".join(part if part.endswith("s") else f"{part}s" for part in word.split(" or "))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# --- actions ------------------------------------------------------------------------------------

_SAFETY: Mapping[Safety, str] = {
    Safety.READ: "It changes nothing. It may be repeated freely, and a lost answer is asked for "
    "again.",
    Safety.VENDOR_KEY: "It is sent with an idempotency key that is the same on every retry: the "
    "vendor does it once, also when an answer was lost.",
    Safety.FIND_AND_UPDATE: "It brings about a state: what is there already is found and brought "
    "up to date. A retry, or an answer that was lost, makes no second one.",
    Safety.NATURAL_KEY: "It is done once for what it names, ever.",
    Safety.ONCE: "It is done once for its step.",
}
_WORDS: Mapping[Safety, str] = {
    Safety.READ: "reads",
    Safety.VENDOR_KEY: "vendor key",
    Safety.FIND_AND_UPDATE: "keeps",
    Safety.NATURAL_KEY: "once, ever",
    Safety.ONCE: "once",
}
_LOOKED_UP = (
    "When an answer was lost, the vendor is asked whether it happened; only where that cannot be "
    "told does the step wait in doubt for a person."
)
_IN_DOUBT = (
    "When an answer was lost, the step is in doubt: nothing is repeated, and a person says whether "
    "it happened (`hookwright run settle`)."
)
_OWN = "It changes our own database together with the run, so it is done exactly once."


def action_fact(found: AnyAction) -> ActionFact:
    """Give what people are told of an action."""
    if isinstance(found, OwnAction):
        return ActionFact(
            name=found.name,
            vendor=None,
            summary=_sentence(found.summary),
            safety="keeps",
            behaviour=_OWN,
            params=fields_of(found.params),
            outputs=fields_of(found.outputs),
        )
    action = found.action
    return ActionFact(
        name=action.name,
        vendor=found.vendor.name,
        summary=_sentence(action.summary),
        safety=_WORDS[action.safety],
        behaviour=_behaviour(action),
        params=fields_of(action.params),
        outputs=fields_of(action.outputs),
    )


def _behaviour(action: Action) -> str:
    words = _SAFETY[action.safety]
    if action.safety in {Safety.ONCE, Safety.NATURAL_KEY}:
        return f"{words} {_LOOKED_UP if action.look_up is not None else _IN_DOUBT}"
    return words


def action_as_json(found: AnyAction) -> dict[str, Any]:
    """Give an action for programs: the same words, and JSON Schemas of what it takes and gives."""
    fact = action_fact(found)
    inner = found.action if isinstance(found, VendorAction) else found
    return {
        "name": fact.name,
        "vendor": fact.vendor,
        "summary": fact.summary,
        "safety": inner.safety.value if isinstance(inner, Action) else "own",
        "behaviour": fact.behaviour,
        "params": inner.params.model_json_schema(),
        "outputs": inner.outputs.model_json_schema(mode="serialization"),
    }


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


# --- vendors ------------------------------------------------------------------------------------


def option_models(vendor: Vendor) -> Iterator[tuple[str, type[BaseModel]]]:
    """Give every model of a vendor that hookwright.yaml fills, with the place it has there."""
    if vendor.incoming is not None:
        yield "Options of a source", vendor.incoming.options
    if vendor.outgoing is not None:
        yield "Credentials of a connection", vendor.outgoing.credentials
        yield "Options of a connection", vendor.outgoing.options
    for poll in vendor.polls:
        yield f"Options of the poll `{poll.name}`", poll.options
    for record in vendor.records:
        yield f"Options of the record `{record.name}`", record.options


def rate_in_words(rate: Rate) -> str:
    """Give a limit as people say it: `60 calls in any minute`."""
    some = "" if rate.covers is None else f" of the kind `{rate.name}`"
    time = _TIMES.get(rate.seconds, f"{rate.seconds:g} s")
    return f"{rate.calls:,} call{'' if rate.calls == 1 else 's'}{some} in any {time}"


_TIMES: Mapping[float, str] = {1.0: "second", 60.0: "minute", 3600.0: "hour"}


def describe_vendor(vendor: Vendor) -> dict[str, Any]:
    """Give a vendor for programs: everything but code."""
    incoming, outgoing = vendor.incoming, vendor.outgoing
    return {
        "name": vendor.name,
        "title": vendor.title,
        "receives": incoming is not None,
        "calls": outgoing is not None,
        "events": dict(incoming.types) if incoming is not None else {},
        "reads_back": incoming is not None and incoming.read_back is not None,
        "base_url": outgoing.base_url if outgoing is not None else None,
        "rates": [rate_in_words(rate) for rate in outgoing.rates] if outgoing is not None else [],
        "actions": [action.name for action in vendor.actions],
        "polls": [{"name": poll.name, "summary": poll.summary} for poll in vendor.polls],
        "records": [{"name": record.name, "summary": record.summary} for record in vendor.records],
        "options": {
            title: [asdict(fact) for fact in fields_of(model)]
            for title, model in option_models(vendor)
        },
        "guide": {
            "pages": list(vendor.guide.pages),
            "incoming": list(vendor.guide.incoming),
            "outgoing": list(vendor.guide.outgoing),
            "notes": list(vendor.guide.notes),
            "template": vendor.guide.template,
            "configuration": vendor.guide.configuration,
        },
    }
