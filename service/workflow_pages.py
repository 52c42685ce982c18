"""The reference of workflows as a page, made from the code (see vendor_pages.py).

Tables come from the models, the functions and the limits themselves. What no code says in words
for people stands in `workflow_promises`.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas import document, testing
from schemas.workflow import RUN_FIELDS
from service import errors
from service.markdown_text import code, plain, table
from service.workflow_limits import limits
from service.workflow_promises import (
    EFFECTS,
    ENGINE_ERRORS,
    EVENT,
    FUNCTION_WORDS,
    KEPT,
    LOST_WORKER,
    NAMES,
    OUTPUTS,
    OWN_EVENTS,
    PROMISES,
    RUN_STATES,
    SCHEDULES,
    STEP_STATES,
    TEMPLATES,
    TESTING,
)
from service.workflows.functions import CEL_FUNCTIONS, FUNCTIONS, METHODS
from service.workflows.parts import STEP_MODELS
from service.workflows.template_words import TESTS, WORDS
from service.yaml_text import flow_yaml

_INTRO = (
    "Every key, function and limit of the language. [workflows.md](workflows.md) teaches it from "
    "one event on; the events are in [events.md](events.md), the actions in "
    "[actions.md](actions.md). `hookwright workflow schema` prints the same as JSON Schema."
)


def _hint(model: type[BaseModel], key: str) -> Any:
    return get_type_hints(model, include_extras=True)[key]


_ALIASES: tuple[tuple[Any, str], ...] = (
    (_hint(document.Poll, "until"), "expression"),
    (_hint(document.EachStep, "for_each"), "expression"),
    (_hint(document.Poll, "every"), "duration or `${{ }}`"),
    (_hint(document.Coalesce, "within"), "duration"),
    (_hint(document.Retry, "attempts"), "1 to 100 or `${{ }}`"),
    (_hint(document.EventTrigger, "event"), "type with `*`"),
    (_hint(document.EachStep, "variable"), "name"),
    (testing.Span, "duration"),
    (testing.Start, "time"),
    (testing.Answers, "outcomes"),
)
"""Forms that have names of their own, taken from a key that has each."""
_WORDS: Mapping[type, str] = {str: "text", int: "number", bool: "true or false", float: "number"}
_OF_TEXTS = frozenset({"contains", "endsWith", "matches", "startsWith"})
"""The methods of CEL that ask something of a text; the others are those of times."""


def reference_page(made: str) -> str:
    """Give the page; `made` is the line that says where it comes from."""
    parts = [
        "# Workflow reference",
        made,
        _INTRO,
        *_document(),
        *_starting(),
        *_gates(),
        *_steps(),
        *_expressions(),
        *_templates(),
        *_states(),
        *_durable(),
        *_testing(),
        "## Limits",
        table(("What", "Most"), ((plain(what), plain(most)) for what, most in limits())),
    ]
    return "\n\n".join(parts) + "\n"


# --- the language -------------------------------------------------------------------------------


def _document() -> Iterator[str]:
    yield "## The document"
    yield (
        "A duration is a number with `ms`, `s`, `m`, `h` or `d`. An expression is CEL, with or "
        "without `${{ }}` around it; inside any other text only what stands in `${{ }}` is one. A "
        "whole `${{ }}` keeps its type, one among other text becomes text."
    )
    yield _keys(document.Document)


def _starting() -> Iterator[str]:
    yield "## What starts a run"
    yield f"One item of `on` has one of these forms. {PROMISES['on']}"
    for heading, model in (
        ("`event`", document.EventTrigger),
        ("`cron`", document.CronTrigger),
        ("`manual`", document.ManualTrigger),
    ):
        yield f"### {heading}"
        yield PROMISES[heading.strip("`")]
        if model is document.ManualTrigger:
            yield "Each of `inputs`:"
            yield _keys(document.Input)
        else:
            yield _keys(model)
    yield "### Schedules and the clock"
    yield _bullets(SCHEDULES)


def _gates() -> Iterator[str]:
    yield "## How many, and when"
    yield PROMISES["gates"]
    for name, model in (
        ("concurrency", document.Concurrency),
        ("coalesce", document.Coalesce),
        ("debounce", document.Debounce),
        ("throttle", document.Throttle),
    ):
        yield f"### `{name}`"
        yield PROMISES[name]
        yield _keys(model)


def _steps() -> Iterator[str]:
    yield "## Steps"
    yield f"A step has exactly one of these keys, which tells its kind. {PROMISES['steps']}"
    yield _keys(document.AnyStep)
    common = set(document.AnyStep.model_fields)
    parts: Mapping[str, tuple[tuple[str, type[BaseModel]], ...]] = {
        "uses": (("retry", document.Retry), ("poll", document.Poll)),
        "approval": (("approval", document.Approval),),
        "wait_for": (("wait_for", document.WaitFor),),
        "sleep": (("sleep", document.SleepUntil),),
        "emit": (("emit", document.Emit),),
    }
    for kind, model in STEP_MODELS.items():
        yield f"### `{kind}`"
        yield PROMISES[kind]
        inner = parts.get(kind, ())
        if set(model.model_fields) - common - {name for name, _ in inner}:
            yield _keys(model, without=common)
        for name, part in inner:
            yield f"`{name}`:"
            yield _keys(part)
        yield f"Gives {OUTPUTS[kind]}"


# --- what is computed -----------------------------------------------------------------------------


def _expressions() -> Iterator[str]:
    yield "## Names in scope"
    yield table(("Name", "Where", "What"), ((code(a), plain(b), plain(c)) for a, b, c in NAMES))
    yield EVENT
    yield f"`run` has {_listed(RUN_FIELDS)}. {PROMISES['scope']}"
    yield "## Functions"
    yield PROMISES["functions"]
    helped = {name: _helped(function.help) for name, function in sorted(FUNCTIONS.items())}
    yield table(
        ("Function", "What it gives"),
        (
            (code(form), plain(what or FUNCTION_WORDS[name]))
            for name, (form, what) in helped.items()
        ),
    )
    own = [_written(name) for name in sorted(CEL_FUNCTIONS)]
    yield (
        f"CEL's own: {_listed(own)}, and `all`, `exists`, `exists_one`, `filter`, `map` and `has`."
    )


def _written(name: str) -> str:
    """Give a function of CEL's own as it is written: some are known only as methods."""
    if name in _OF_TEXTS:
        return f"text.{name}({'pattern' if name == 'matches' else 'part'})"
    return f"time.{name}()" if name in METHODS else name


def _helped(text: str) -> tuple[str, str]:
    """Take a line of help apart: how it is written, and what it gives."""
    form, _, what = text.partition(": ")
    return form, what


def _templates() -> Iterator[str]:
    yield "## Template files"
    yield _bullets(TEMPLATES)
    forms = [_helped(word.help) for name, word in WORDS.items() if name not in FUNCTIONS]
    yield "Words that only templates have, as they are written:"
    yield (
        ", ".join(f"{code(form)}{what and f' ({what})'}" for form, what in dict.fromkeys(forms))
        + "."
    )
    yield f"Tests behind `is`: {_listed(sorted(TESTS))}."


# --- what it does ---------------------------------------------------------------------------------


def _states() -> Iterator[str]:
    yield "## States"
    yield "A run is:"
    yield table(("State", "Meaning"), ((code(k), plain(v)) for k, v in RUN_STATES.items()))
    yield "A step is one of the same, and also:"
    yield table(("State", "Meaning"), ((code(k), plain(v)) for k, v in STEP_STATES.items()))
    yield "## Errors of steps"
    yield (
        "`steps.<id>.error` and `error` have `code` and `message`. Those that may pass are tried "
        "again by the step's `retry`."
    )
    passing = [(kind.code, _said(kind), "yes") for kind in _below(errors.Transient)]
    final = [(kind.code, _said(kind), "no") for kind in _below(errors.Permanent)]
    rows = [*passing, *final, *((name, what, "no") for name, what in ENGINE_ERRORS.items())]
    yield table(
        ("Code", "What happened", "Tried again"),
        ((code(name), plain(what), again) for name, what, again in sorted(set(rows))),
    )
    yield "## Events of our own"
    yield PROMISES["own_events"]
    yield table(("Type", "When"), ((code(k), plain(v)) for k, v in OWN_EVENTS.items()))


def _below(kind: type[errors.HookwrightError]) -> Iterator[type[errors.HookwrightError]]:
    """Give the kind's direct descendants that stand beside it: what steps can end with."""
    for inner in kind.__subclasses__():
        if inner.__module__ == errors.__name__:
            yield inner


def _said(kind: type[BaseException]) -> str:
    return (kind.__doc__ or "").strip().partition("\n\n")[0]


def _durable() -> Iterator[str]:
    yield "## What is kept with a version"
    yield _bullets(KEPT)
    yield "## Effects happen once"
    yield _bullets(EFFECTS)
    yield "## When a worker dies"
    yield PROMISES["lost"]
    yield table(("In", "What happens"), ((_each_code(k), plain(v)) for k, v in LOST_WORKER.items()))


def _testing() -> Iterator[str]:
    yield "## Test files"
    yield PROMISES["tests"]
    for heading, model in TESTING:
        yield f"### {heading}"
        inherited = set(testing.Given.model_fields) if model is testing.Case else set()
        yield _keys(model, without=inherited)


# --- tables of models -----------------------------------------------------------------------------


def _keys(model: type[BaseModel], *, without: Iterable[str] = ()) -> str:
    hints = get_type_hints(model, include_extras=True)
    left_out = set(without)
    return table(
        ("Key", "Form", "Default", "Meaning"),
        (
            (
                code(info.alias or name),
                _form(hints[name], info),
                _default(info),
                plain(info.description or ""),
            )
            for name, info in model.model_fields.items()
            if name not in left_out
        ),
    )


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**needed**"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or value in ("", (), {}):
        return ""
    return code(value if isinstance(value, str) else flow_yaml(value))


def _form(hint: Any, info: FieldInfo) -> str:
    words = in_words(hint)
    bounds = {type(item).__name__.lower(): item for item in info.metadata}
    least, most = bounds.get("ge"), bounds.get("le")
    if least is not None and most is not None:
        return f"{least.ge:,} to {most.le:,}"
    return words


def in_words(hint: Any) -> str:  # noqa: PLR0911  # one a form
    """Give a key's form as people say it."""
    for alias, words in _ALIASES:
        if hint == alias:
            return words
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(inner)
    if origin is Literal:
        return ", ".join(code("true" if value is True else str(value)) for value in inner)
    if origin in {Union, types.UnionType}:
        named = [in_words(part) for part in inner if part is not type(None)]
        return " or ".join(dict.fromkeys(named))
    if origin is tuple:
        return _list_of(inner[0])
    if origin is dict:
        return _map_of(in_words(inner[1]))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _MODELS.get(hint.__name__, "map")
    return _WORDS.get(hint, "any value") if isinstance(hint, type) else "any value"


def _list_of(item: Any) -> str:
    if get_origin(item) is Annotated and get_origin(get_args(item)[0]) is tuple:
        return "list of lists of steps"
    words = "steps" if "Step" in str(item) else in_words(item)
    if words == "steps":
        return words
    return f"list of {words}" if words.endswith(("s", "`")) else f"list of {words}s"


_MODELS = {
    "ExpectedEffect": "effect",
    "ExpectedEvent": "event",
    "GivenEvent": "event",
    "GivenLater": "happening",
    "GivenCall": "ends",
    "GivenAnswer": "outcome",
    "Case": "case",
    "Input": "input",
}


def _map_of(words: str) -> str:
    return "map" if words in {"any value", "text"} else f"map of {words}"


def _annotated(inner: tuple[Any, ...]) -> str:
    kind, *metadata = inner
    members = get_args(kind)
    if any("Trigger" in str(part) for part in members):
        return "triggers"
    if any("Tag(tag='more')" in str(part) for part in members):
        named = [in_words(part) for part in members if "Tag(tag='more')" not in str(part)]
        return f"{' or '.join(named)}s and `…`"
    least = next((item.ge for item in _flat(metadata) if hasattr(item, "ge")), None)
    most = next((item.le for item in _flat(metadata) if hasattr(item, "le")), None)
    if kind is int and least is not None and most is not None:
        return f"{least:,} to {most:,}"
    return in_words(kind)


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        yield item
        yield from getattr(item, "metadata", ())


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _each_code(names: str) -> str:
    return _listed(names.split(", "))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)
