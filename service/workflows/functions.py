"""The functions that expressions have beside those of CEL.

Each is pure, takes what it is given as it is (null included where that has a meaning) and gives
at most MOST_CHARACTERS of text or MOST_ELEMENTS elements. They raise ValueError with a sentence for
people, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from schemas.events import Json

MOST_CHARACTERS = 1024 * 1024
MOST_ELEMENTS = 100_000
MOST_IN_RANGE = 10_000
MICRO = 1_000_000
_INTEGERS_END = 2**63
_WORD_JOINER = "\u2060"
"""Invisible: put behind `@` and `#`, so that nobody is notified and nothing is linked."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function with what it is given: the least and the most arguments, and a line of help."""

    perform: Callable[..., Json]
    least: int
    most: int
    help: str


def to_text(value: Json) -> str:
    """Give a value as it is written inside a longer text.

    Null is empty, booleans are `true` and `false`, whole floats have no `.0`, times are ISO 8601,
    lists and maps are compact JSON with sorted keys.
    """
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float() if value.is_integer() and abs(value) < _INTEGERS_END:
            text = str(int(value))
        case datetime():
            text = value.isoformat().replace("+00:00", "Z")
        case timedelta():
            text = f"{value.total_seconds():g}s"
        case bytes():
            text = value.decode("utf-8", "replace")
        case Mapping() | list() | tuple():
            text = to_json(value)
        case _:
            text = str(value)
    return text


def to_json(value: Json) -> str:
    """Give a value as compact JSON with sorted keys."""
    return json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        sort_keys=True,
        default=to_text,
    )


def _text(value: Json, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f"{what} must be a text, not {_kind(value)}"
        raise ValueError(message)  # noqa: TRY004  # one error for whatever the function cannot take
    return _short(value)


def _list(value: Json, what: str = "the list") -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        message = f"{what} must be a list, not {_kind(value)}"
        raise ValueError(message)  # noqa: TRY004  # likewise
    return list(value)


def _whole(value: Json, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        message = f"{what} must be a whole number, not {_kind(value)}"
        raise ValueError(message)
    return int(value)


def _kind(value: Json) -> str:
    names = {dict: "a map", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "this")


def _short(text: str) -> str:
    _check_length(len(text))
    return text


def _check_length(length: int) -> None:
    """Refuse a text before it is made."""
    if length > MOST_CHARACTERS:
        message = f"the text would be longer than {MOST_CHARACTERS} characters"
        raise ValueError(message)


def _few(values: list[Json]) -> list[Json]:
    if len(values) > MOST_ELEMENTS:
        message = f"the list would have more than {MOST_ELEMENTS} elements"
        raise ValueError(message)
    return values


def _join(values: Json, separator: Json = "") -> str:
    between, parts = _text(separator, "the separator"), list(map(to_text, _list(values)))
    _check_length(sum(map(len, parts)) + len(between) * max(len(parts) - 1, 0))
    return between.join(parts)


def _split(text: Json, separator: Json) -> list[Json]:
    cut = _text(separator, "the separator")
    if not cut:
        raise ValueError("the separator must not be empty")
    return _few(list(_text(text, "what is split").split(cut)))


def _replace(text: Json, old: Json, new: Json) -> str:
    whole, wanted, put = _text(text, "the text"), _text(old, "the old"), _text(new, "the new")
    if not wanted:
        raise ValueError("what is replaced must not be empty")
    _check_length(len(whole) + whole.count(wanted) * max(len(put) - len(wanted), 0))
    return whole.replace(wanted, put)


def _default(value: Json, fallback: Json) -> Json:
    return fallback if value is None or value == "" else value


def _get(value: Json, path: Json, fallback: Json = None) -> Json:
    found = value
    for part in _text(path, "the path").split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return fallback
    return fallback if found is None else found


def _first(values: Json) -> Json:
    return next(iter(_list(values)), None)


def _last(values: Json) -> Json:
    return next(reversed(_list(values)), None)


def _limit(values: Json, count: Json) -> list[Json]:
    return _list(values)[: max(_whole(count, "the number of elements"), 0)]


def _truncate(text: Json, length: Json) -> str:
    whole, most = _text(text, "what is shortened"), max(_whole(length, "the length"), 0)
    return whole if len(whole) <= most else whole[: max(most - 1, 0)] + "…"[:most]


def _distinct(values: Json) -> list[Json]:
    seen: set[str] = set()
    kept: list[Json] = []
    for value in _list(values):
        key = to_json(value)
        if key not in seen:
            seen.add(key)
            kept.append(value)
    return kept


def _range(count: Json) -> list[Json]:
    most = _whole(count, "the number of numbers")
    if most > MOST_IN_RANGE:
        message = f"it gives at most {MOST_IN_RANGE} numbers, not {most}"
        raise ValueError(message)
    return list(range(most))


def _sum(values: Json) -> Json:
    numbers = _list(values)
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in numbers):
        raise ValueError("only numbers can be summed")
    total: int | float = sum(numbers)
    if isinstance(total, int) and abs(total) >= _INTEGERS_END:
        raise ValueError("the sum does not fit into 64 bits")
    return total


def _largest(values: Json) -> Json:
    return max(_comparable(values), default=None)


def _smallest(values: Json) -> Json:
    return min(_comparable(values), default=None)


def _comparable(values: Json) -> list[Json]:
    found = _list(values)
    kinds = {float if type(item) is int else type(item) for item in found}
    if len(kinds) > 1 or kinds & {dict, list, bool, type(None)}:
        raise ValueError("only numbers, only texts or only times can be compared")
    return found


def _dollars(micro: Json) -> str:
    """Give micro-dollars as dollars, cut to whole cents towards zero: 4200000 is `4.20`."""
    amount = _whole(micro, "the amount")
    cents = abs(amount) * 100 // MICRO
    return f"{'-' if amount < 0 and cents else ''}{cents // 100}.{cents % 100:02d}"


def _format(pattern: Json, values: Json) -> str:
    """Put values for each `%s`, in order; `%%` is a percent sign."""
    left = _list(values, "what is put in")
    parts = re.split(r"(%.?)", _text(pattern, "the pattern"), flags=re.DOTALL)
    wanted = parts.count("%s")
    if wanted != len(left) or any(part not in {"%s", "%%"} for part in parts[1::2]):
        message = f"the pattern has {wanted} %s for {len(left)} values; write %% for a percent sign"
        raise ValueError(message)
    texts = list(map(to_text, left))
    _check_length(len(str(pattern)) + sum(map(len, texts)))
    supply = iter(texts)
    return "".join(_placed(part, supply) for part in parts)


def _placed(part: str, supply: Iterator[str]) -> str:
    if part == "%s":
        return next(supply)
    return "%" if part == "%%" else part


def escape_markdown(text: Json) -> str:
    """Make a foreign text harmless in a comment on GitHub, and keep it readable.

    Nobody is mentioned, no issue is linked, no HTML or comment begins, no code, link, table,
    emphasis or heading is opened, and the text stays on one line.
    """
    flat = " ".join(_short(to_text(text)).split())
    flat = re.sub(r"([\\`*_{}\[\]()|~])", r"\\\1", flat)
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([@#])", rf"\1{_WORD_JOINER}", flat)
    flat = re.sub(r"://", f":{_WORD_JOINER}//", flat)
    return _short(re.sub(r"^([-+=]|\d+[.)])", r"\\\1", flat))


def escape_slack(text: Json) -> str:
    """Make a foreign text harmless in a Slack message.

    Slack names exactly three characters to escape (docs.slack.dev, "Formatting message text").
    """
    found = _short(to_text(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _short(found)


def safe_url(address: Json) -> str:
    """Make a foreign address harmless as a link in a comment or a message.

    An http(s) address with everything percent-encoded that could end the link, begin another or
    mention somebody; an empty text for anything else.
    """
    found = _short(to_text(address)).strip()
    if not re.match(r"https?://", found, re.IGNORECASE):
        return ""
    return _short(quote(found, safe="%/:?#=&+,;$!~-._"))


def _size(value: Json) -> Json:
    if value is None:
        return 0
    message = f"{_kind(value)} has no size"
    raise ValueError(message)


FUNCTIONS: Mapping[str, Function] = {
    "default": Function(_default, 2, 2, "default(value, fallback): for null and empty text"),
    "distinct": Function(_distinct, 1, 1, "distinct(list): each element once, in order"),
    "dollars": Function(_dollars, 1, 1, "dollars(micro): 4200000 is 4.20"),
    "escape_markdown": Function(escape_markdown, 1, 1, "escape_markdown(text)"),
    "escape_slack": Function(escape_slack, 1, 1, "escape_slack(text)"),
    "first": Function(_first, 1, 1, "first(list): null when it is empty"),
    "format": Function(_format, 2, 2, "format('%s of %s', [a, b])"),
    "get": Function(_get, 2, 3, "get(map, 'a.b.0.c', fallback)"),
    "join": Function(_join, 1, 2, "join(list, ', ')"),
    "json": Function(lambda value: _short(to_json(value)), 1, 1, "json(value)"),
    "last": Function(_last, 1, 1, "last(list): null when it is empty"),
    "limit": Function(_limit, 2, 2, "limit(list, 10): at most so many elements"),
    "lower": Function(lambda text: _text(text, "the text").lower(), 1, 1, "lower(text)"),
    "max": Function(_largest, 1, 1, "max(list): null when empty"),
    "min": Function(_smallest, 1, 1, "min(list): null when empty"),
    "range": Function(_range, 1, 1, "range(3): [0, 1, 2]; none for what is below 1"),
    "replace": Function(_replace, 3, 3, "replace(text, old, new)"),
    "safe_url": Function(safe_url, 1, 1, "safe_url(address): http(s) only, safe as a link"),
    "size": Function(_size, 1, 1, "size(value): of a text, list or map; 0 for null"),
    "split": Function(_split, 2, 2, "split(text, separator)"),
    "string": Function(to_text, 1, 1, "string(value)"),
    "sum": Function(_sum, 1, 1, "sum(numbers)"),
    "trim": Function(lambda text: _text(text, "the text").strip(), 1, 1, "trim(text)"),
    "truncate": Function(_truncate, 2, 2, "truncate(text, 80)"),
    "upper": Function(lambda text: _text(text, "the text").upper(), 1, 1, "upper(text)"),
}

CEL_FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "bytes": (1, 1),
    "contains": (2, 2),
    "double": (1, 1),
    "duration": (1, 1),
    "dyn": (1, 1),
    "endsWith": (2, 2),
    "int": (1, 1),
    "matches": (2, 2),
    "size": (1, 1),
    "startsWith": (2, 2),
    "string": (1, 1),
    "timestamp": (1, 1),
    "type": (1, 1),
    "uint": (1, 1),
    **dict.fromkeys(
        (
            "getDate",
            "getDayOfMonth",
            "getDayOfWeek",
            "getDayOfYear",
            "getFullYear",
            "getHours",
            "getMilliseconds",
            "getMinutes",
            "getMonth",
            "getSeconds",
        ),
        (1, 1),
    ),
}
"""What the library itself offers: the least and the most arguments, the receiver included."""

METHODS = frozenset({"contains", "endsWith", "matches", "startsWith"}) | frozenset(
    name for name in CEL_FUNCTIONS if name.startswith("get")
)
"""Those that the library knows only behind their receiver, as in `text.contains(part)`."""
NO_METHODS = frozenset(CEL_FUNCTIONS) - METHODS - {"size", "string"}
"""Those that it does not know there."""

ARITIES: Mapping[str, tuple[int, int]] = {
    **CEL_FUNCTIONS,
    **{name: (function.least, function.most) for name, function in FUNCTIONS.items()},
}
