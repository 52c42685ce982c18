"""What is wrong with a key or a value of a document in words, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from schemas.document import (
    MOST_ITEMS,
    STEP_KINDS,
    AnyStep,
)
from service.workflows.findings import did_you_mean
from service.workflows.parts import LABELS, keys_of
from service.workflows.yaml_tree import Path

_MOST_LABELS = 3
_LONGEST_VALUE = 60
_UNITS = "a number and ms, s, m, h or d, such as 15s"
_DURATION = ("a duration", f"write {_UNITS}, or one whole ${{{{ … }}}}")
_PLAIN_DURATION = ("a duration", f"write {_UNITS}; no expression is evaluated here")
_EVENT = ("an event's type", "small letters with `*` for any characters, such as `test_run.*`")
_IDENTIFIER = ("", "a small letter, then small letters, digits and `_`, such as `heal_run`")
_COUNT = ("a number of 1 to 100", "write a number, or one whole ${{ … }}")
_CONDITION = ("an expression", 'write a CEL expression, such as `event.vendor == "checksum"`')

_FORMS: Mapping[str, tuple[str, str]] = {
    "name": (
        "",
        "small letters, digits, `-` and `_`, such as `heal-failed-run`",
    ),
    "id": _IDENTIFIER,
    "as": _IDENTIFIER,
    "event": _EVENT,
    "if": _CONDITION,
    "until": _CONDITION,
    "attempts": _COUNT,
    "type": (
        "an event's type in plain text",
        "two or more words of small letters with dots between, such as `deploy.finished`",
    ),
    "call": ("the name of a workflow", "write the `name` of the document that is called"),
    "for_each": (
        "an expression that gives a list",
        'such as `steps.healed.sessions` or `["a", "b"]`, between quotes where YAML needs them',
    ),
    "parallel": (
        "a list of sequences",
        "write `parallel: [[…steps…], […steps…]]`: each arm is a list of steps",
    ),
    **dict.fromkeys(("every", "first", "max", "timeout"), _DURATION),
    **dict.fromkeys(("within", "quiet", "at_most", "per"), _PLAIN_DURATION),
    "sleep": ("a duration or `until`", f"write {_UNITS}, or `{{until: ${{{{ … }}}}}}`"),
    "debounce": ("a duration or a mapping", "write `30s`, or `{key: …, quiet: 30s, at_most: 10m}`"),
    "max_parallel": ("a whole number of 1 to 100", "how many items may be under way at once"),
    "most": (f"a whole number of 1 to {MOST_ITEMS}", "how many items the list may have"),
    "limit": ("a whole number of 1 to 1000", "how many runs"),
    "on": ("a list", "write `on:` and below it a line `- event: …`"),
    "templates": ("a mapping", "write each template as `name: |` with its text below"),
}
"""What a value must be, by its key (nothing: of another form), and how it is written."""

_TYPES: Mapping[str, tuple[str, str]] = {
    "tuple_type": ("a list", "begin each item on a line of its own with `- `"),
    "list_type": ("a list", "begin each item on a line of its own with `- `"),
    "dict_type": ("a mapping", "write `key: value` pairs below it, indented"),
    "model_type": ("a mapping", "write `key: value` pairs below it, indented"),
    "model_attributes_type": ("a mapping", "write `key: value` pairs below it, indented"),
    "string_type": ("a text", "put it between quotes"),
    "bool_type": ("true or false", "without quotes"),
    "int_type": ("a whole number", "without quotes"),
}

MISSING: Mapping[str, str] = {
    "name": "such as `name: heal-failed-run`",
    "on": "say what starts it, such as `on: [{event: test_run.failed}]`",
    "steps": "say what is done, such as `steps: [{id: tell, uses: slack.message}]`",
    "id": "name the step, such as `id: heal_run`; other steps read it as `steps.heal_run`",
    "timeout": "say after how long it is given up, such as `timeout: 2h`",
    "every": "say how often it is asked, such as `every: 15s`",
    "until": "say when it is done, such as `until: output.done`",
    "event": "say what is awaited, such as `event: pull_request.closed`",
    "text": "write what the person is asked",
    "type": "name the event, such as `type: deploy.finished`",
    "within": "say how long events are gathered, such as `within: 30s`",
    "quiet": "say how long no event may come, such as `quiet: 30s`",
    "limit": "say how many runs may begin, such as `limit: 5`",
    "per": "say in which span, such as `per: 1h`",
}

_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("when", "condition", "only_if", "unless"), "a condition is `if`"),
    **dict.fromkeys(("foreach", "forEach", "loop", "each", "with_items"), "a loop is `for_each`"),
    **dict.fromkeys(("catch", "rescue", "on_error_steps"), "it is `on_failure` of the document"),
    **dict.fromkeys(("trigger", "triggers"), "what starts a workflow is `on`"),
    **dict.fromkeys(("params", "parameters", "args", "arguments"), "parameters are `with`"),
    **dict.fromkeys(("retries", "max_attempts"), "it is `retry: {attempts: …}`"),
    **dict.fromkeys(("delay", "wait", "pause"), "it is `sleep: 5m`, a step of its own"),
    **dict.fromkeys(("workflow", "run_workflow"), "another workflow is `call`, in a step"),
    **dict.fromkeys(("schedule", "schedules"), "a schedule is a trigger: `on: [{cron: …}]`"),
    **dict.fromkeys(("tz", "time_zone", "timeZone"), "it is `timezone`, beside `cron`"),
    "continue-on-error": "it is `on_error: continue`",
    "workflow_dispatch": "a start by hand is `manual: {}`",
    "env": "values of the document are `vars`",
    "run": "no shell is run: a step `uses` an action",
    "needs": "steps are performed in their order, those of `parallel` at once",
    "jobs": "a document has `steps`",
    "template": "a parameter may be `{template: path/of/the.md.jinja}`, below `with`",
    "finally": "write it into `on_failure` and at the end of `steps`",
    "on_success": "write it at the end of `steps`",
    "output": "they are `outputs`, of the document",
}
_OTHER_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("string", "str"), "text"),
    **dict.fromkeys(("int", "integer", "float", "double"), "number"),
    "bool": "boolean",
    "array": "list",
    **dict.fromkeys(("object", "dict", "mapping"), "map"),
}
"""How other languages call the types of inputs."""

_EXAMPLES: Mapping[str, str] = {
    "concurrency": "such as `concurrency: {key: event.subject, when_busy: skip}`",
    "coalesce": "such as `coalesce: {key: event.facts.run_id, within: 30s}`",
    "throttle": "such as `throttle: {limit: 5, per: 1h}`",
    "debounce": "such as `debounce: {quiet: 30s, at_most: 10m}`",
    "manual": "such as `manual: {inputs: {suite: {type: text}}}`, or `manual: {}`",
    "retry": "such as `retry: {attempts: 5, first: 2s, max: 1m}`",
    "poll": "such as `poll: {every: 15s, until: output.done, timeout: 2h}`",
    "approval": "such as `approval: {text: Merge it?, ask: slack, timeout: 4h}`",
    "wait_for": "such as `wait_for: {event: pull_request.closed, timeout: 24h}`",
    "emit": "such as `emit: {type: deploy.finished, facts: {branch: main}}`",
    "with": "such as `with: {text: Hello}`",
}


def listed(names: Iterable[str], last: str = "") -> str:
    """Give names in backticks, with a word before the last of them where one is given."""
    quoted = [f"`{name}`" for name in names]
    if last and len(quoted) > 1:
        return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
    return ", ".join(quoted)


def key_hint(key: str, model: type[BaseModel] | None) -> str | None:
    """Say what an unknown key may be meant to be."""
    known = [] if model is None else keys_of(model)
    if model is AnyStep:
        known = [*known, *STEP_KINDS]
    homes = [label for other, label in LABELS.items() if key in keys_of(other)]
    if homes:
        if len(homes) == len(STEP_KINDS) or key in {"id", "on_error"}:
            homes = ["every step"]
        return f"`{key}` belongs to {_either(homes)}"
    if get_close_matches(key, known, n=1, cutoff=0.75):
        return did_you_mean(key, known)
    return _OTHER_WORDS.get(key) or did_you_mean(key, known)


def kind_hint(value: Mapping[str, Any], kinds: Iterable[str]) -> str:
    """Say what may be meant by a step or trigger that is of no kind."""
    wanted = tuple(kinds)
    for key in value:
        near = get_close_matches(str(key), wanted, n=1, cutoff=0.7)
        if near:
            return f"did you mean `{near[0]}` for `{key}`?"
    for key in value:
        if key in _OTHER_WORDS:
            return f"`{key}`: {_OTHER_WORDS[key]}"
    example = "uses: slack.message" if "uses" in wanted else "event: test_run.failed"
    return f"add what it is, such as `{example}`"


def plain_hint(value: object, example: str) -> str:
    """Say what to write for a step or trigger that is no mapping."""
    return _OTHER_WORDS.get(value, example) if isinstance(value, str) else example


def value_words(
    fault: ErrorDetails, path: Path, model: type[BaseModel] | None
) -> tuple[str, str | None]:
    """Give the sentence and the hint for a value that cannot stand at this path.

    `model`: the part of the document that the value belongs to.
    """
    kind, given = fault["type"], fault["input"]
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "document")
    context = fault.get("ctx", {})
    inside = isinstance(path[-1], int) if path else False
    if fault["loc"][-1:] == ("[key]",):
        return f"`{name}` cannot be a name here", _IDENTIFIER[1]
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "`")
        message = f"`{name}` must be {expected}, not {_shown(given)}"
        wanted = expected.replace("`", "").replace(" or ", ", ").split(", ")
        meant = _OTHER_TYPES.get(str(given)) if name == "type" else None
        near = did_you_mean(meant or str(given), wanted) or ""
        hint = near if near.startswith("did you mean") else "write one of these"
    elif kind in {"too_short", "string_too_short"}:
        message = f"`{name}` must not be empty"
        hint = "write at least one" if kind == "too_short" else "write a text, or leave it out"
    elif kind in {"too_long", "string_too_long"}:
        message = f"`{name}` is too long: at most {context['max_length']}"
        hint = "make it shorter"
    elif inside and kind in _TYPES:
        message = f"an item of `{name}` must be {_TYPES[kind][0]}, not {_shown(given)}"
        hint = _FORMS[name][1] if name == "parallel" else _TYPES[kind][1]
    elif name in _FORMS and _is_of(name, model):
        what, how = _FORMS[name]
        must = f"must be {what}, not" if what else "cannot be"
        message, hint = f"`{name}` {must} {_shown(given)}", how
    elif kind in _TYPES:
        what, how = _TYPES[kind]
        message, hint = f"`{name}` must be {what}, not {_shown(given)}", how
    else:
        message, hint = f"`{name}`: {fault['msg']}", "see docs/workflow-reference.md"
    return message, _EXAMPLES.get(name, hint) if "a mapping" in message else hint


def _is_of(name: str, model: type[BaseModel] | None) -> bool:
    """Say whether the key is meant, and not one of the author's own, such as a var `name`."""
    return model is not None and name in keys_of(model)


def _either(labels: list[str]) -> str:
    shown = labels[:_MOST_LABELS]
    rest = " and others" if len(labels) > _MOST_LABELS else ""
    return (", ".join(shown[:-1]) + f" or {shown[-1]}" if len(shown) > 1 else shown[0]) + rest


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}…"
