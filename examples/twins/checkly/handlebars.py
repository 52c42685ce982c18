"""The part of Handlebars that alert templates use (reference 2.1)."""

import re
import secrets
from collections.abc import Mapping, Sequence
from uuid import uuid4

_TOKEN = re.compile(r"\{\{\{\s*(?P<raw>[^{}]+?)\s*\}\}\}|\{\{\s*(?P<tag>[^{}]+?)\s*\}\}")
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#x27;",
        "`": "&#x60;",
        "=": "&#x3D;",
    }
)
_TEXT, _RAW, _TAG = range(3)
Tokens = list[tuple[int, str]]


def render(template: str, variables: Mapping[str, object]) -> str:
    """Fill a template. `{{x}}` escapes for HTML, `{{{x}}}` does not; what is unknown is empty.

    Blocks: `#each`, `#if`, `#unless` (with `else`), `#eq`, `#contains`. Helpers: `$UUID`,
    `$RANDOM_NUMBER`, `moment`.
    """
    text, _, _ = _block(_tokens(template), 0, variables)
    return text


def _tokens(template: str) -> Tokens:
    found: Tokens = []
    end = 0
    for match in _TOKEN.finditer(template):
        found.append((_TEXT, template[end : match.start()]))
        raw = match["raw"]
        found.append((_TAG, match["tag"]) if raw is None else (_RAW, raw))
        end = match.end()
    found.append((_TEXT, template[end:]))
    return found


def _block(tokens: Tokens, at: int, scope: Mapping[str, object]) -> tuple[str, int, str]:
    """Render up to the end of a block; gives the text, the place behind it, and what ended it."""
    parts: list[str] = []
    while at < len(tokens):
        kind, text = tokens[at]
        at += 1
        if kind == _TEXT:
            parts.append(text)
        elif kind == _RAW:
            parts.append(_shown(_value(text, scope)))
        elif text.startswith("#"):
            inner, at = _opened(text, tokens, at, scope)
            parts.append(inner)
        elif text == "else" or text.startswith("/"):
            return "".join(parts), at, text
        else:
            parts.append(_shown(_value(text, scope)).translate(_ESCAPES))
    return "".join(parts), at, ""


def _opened(tag: str, tokens: Tokens, at: int, scope: Mapping[str, object]) -> tuple[str, int]:
    name, *words = tag.removeprefix("#").split()
    values = [_value(word, scope) for word in words]
    if name == "each":
        items = values[0] if values and isinstance(values[0], list | tuple) else []
        return _repeated(items, tokens, at, scope)
    first = values[0] if values else None
    second = values[1] if len(values) > 1 else None
    holds = {
        "if": bool(first),
        "unless": not first,
        "eq": first == second,
        "contains": isinstance(first, str | list | tuple) and str(second) in first,
    }.get(name, False)
    text, at, ended = _block(tokens, at, scope)
    other = ""
    if ended == "else":
        other, at, _ = _block(tokens, at, scope)
    return (text if holds else other), at


def _repeated(
    items: Sequence[object], tokens: Tokens, at: int, scope: Mapping[str, object]
) -> tuple[str, int]:
    _, behind, _ = _block(tokens, at, {**scope, "this": "", "@last": True})
    last = len(items) - 1
    texts = [
        _block(tokens, at, {**scope, "this": item, "@index": number, "@last": number == last})[0]
        for number, item in enumerate(items)
    ]
    return "".join(texts), behind


def _value(word: str, scope: Mapping[str, object]) -> object:
    if word.startswith('"') and word.endswith('"'):
        return word[1:-1]
    name = word.split(maxsplit=1)[0]
    if name == "$UUID":
        return str(uuid4())
    if name == "$RANDOM_NUMBER":
        return secrets.randbelow(1_000_000)
    if name == "moment":
        return scope.get("STARTED_AT", "")
    return scope.get(name)


def _shown(value: object) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
