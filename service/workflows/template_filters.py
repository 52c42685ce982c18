"""What the filters of templates do that expressions do not have: texts, numbers, lists and maps.

Each takes the budget and the value before `|`, pays before it works, and raises ValueError with a
sentence for people. `template_words` gives them their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

from schemas.events import Json
from service.workflows.functions import MOST_IN_RANGE, to_text
from service.workflows.template_budget import Budget, Fault
from service.workflows.template_values import (
    calculate,
    checked,
    elements,
    is_number,
    kind,
    plain,
    read_field,
)

_WIDEST_INDENT = 100
_LONGEST_NUMBER = 400
_MOST_DIGITS = 15
_LONGEST_SHOWN = 80


def size(budget: Budget, value: Json) -> Json:
    """Give how many characters, elements or keys there are; null has none."""
    budget.spend(1)
    if value is None:
        return 0
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    message = f"{kind(value)} has no size"
    raise Fault(message)


def starts_with(budget: Budget, text: Json, part: Json) -> Json:
    """Say whether a text begins with another."""
    whole, wanted = _text(budget, text), _text(budget, part)
    return whole.startswith(wanted)


def ends_with(budget: Budget, text: Json, part: Json) -> Json:
    """Say whether a text ends with another."""
    whole, wanted = _text(budget, text), _text(budget, part)
    return whole.endswith(wanted)


def number_range(budget: Budget, first: Json, end: Json = None, step: Json = None) -> Json:
    """Give `0 … n-1`, or the numbers from the first to before the second in steps."""
    start, stop = (0, _whole(first)) if end is None else (_whole(first), _whole(end))
    stride = 1 if step is None else _whole(step)
    if stride == 0:
        raise Fault("range: the step must not be 0")
    found = range(start, stop, stride)
    if max((stop - start) * (1 if stride > 0 else -1), 0) > MOST_IN_RANGE * abs(stride):
        message = f"range: it gives at most {MOST_IN_RANGE} numbers"
        raise Fault(message)
    budget.spend(1 + len(found) // 2)
    return list(found)


# --- of texts and numbers -------------------------------------------------------------------------


def _text(budget: Budget, value: Json) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f"it needs a text, not {kind(value)}"
        raise ValueError(message)  # noqa: TRY004  # `apply` adds the word to it
    budget.handle([value])
    return value


def _whole(value: Json) -> int:
    if not is_number(value) or value != value // 1:
        message = f"it needs a whole number, not {kind(value)}"
        raise ValueError(message)
    return int(value)


def capitalize(budget: Budget, text: Json) -> Json:
    """Give the text with one capital, its first letter."""
    return _text(budget, text).capitalize()


def title(budget: Budget, text: Json) -> Json:
    """Give the text with a capital at each word."""
    return " ".join(word[:1].upper() + word[1:].lower() for word in _text(budget, text).split(" "))


def indent(budget: Budget, text: Json, width: Json = None, first: Json = None) -> Json:
    """Put spaces before each line but the first one and empty ones."""
    whole = _text(budget, text)
    columns = 4 if width is None else _whole(width)
    if not 0 <= columns <= _WIDEST_INDENT:
        message = f"the width is 0 to {_WIDEST_INDENT}"
        raise ValueError(message)
    budget.text(len(whole) + columns * (1 + whole.count("\n")))
    lead = " " * columns
    lines = whole.split("\n")
    rest = [lead + line if line else line for line in lines[1:]]
    return "\n".join([lead + lines[0] if first else lines[0], *rest])


def urlencode(budget: Budget, value: Json) -> Json:
    """Give the value as a part of an address, with everything else percent-encoded."""
    budget.handle([value])
    found = quote(to_text(value).encode("utf-8", "replace"), safe="")
    budget.text(len(found))
    return found


def rounded(budget: Budget, value: Json, precision: Json = None) -> Json:
    """Give a number with so many digits behind the point (0); halves go to the even one."""
    budget.spend(1)
    digits = 0 if precision is None else _whole(precision)
    if not is_number(value) or not 0 <= digits <= _MOST_DIGITS:
        message = f"it needs a number and 0 to {_MOST_DIGITS} digits, not {kind(value)}"
        raise ValueError(message)
    return checked(round(value, digits) if digits else round(value))


def to_int(budget: Budget, value: Json, fallback: Json = None) -> Json:
    """Give a whole number, cut towards zero, or the fallback for what is none."""
    return _number(budget, value, fallback, int)


def to_float(budget: Budget, value: Json, fallback: Json = None) -> Json:
    """Give a number, or the fallback for what is none."""
    return _number(budget, value, fallback, float)


def _number(budget: Budget, value: Json, fallback: Json, to: Callable[[Any], int | float]) -> Json:
    budget.spend(1)
    try:
        is_short = isinstance(value, str) and len(value) < _LONGEST_NUMBER
        return checked(to(value if is_short or is_number(value) else ""))
    except (ValueError, OverflowError):
        if fallback is not None:
            return fallback
        what = f"`{value[:40]}`" if isinstance(value, str) else kind(value)
        message = f"{what} is no number"
        raise ValueError(message) from None


def absolute(budget: Budget, value: Json) -> Json:
    """Give a number without its sign."""
    budget.spend(1)
    return value if is_number(value) and value >= 0 else calculate("-", 0, value)


# --- of lists and maps ----------------------------------------------------------------------------


def as_list(budget: Budget, value: Json) -> list[Json]:
    """Give the elements of a list or the keys of a map; none for null."""
    return [] if value is None else elements(value, budget)


def reverse(budget: Budget, value: Json) -> Json:
    """Give a list or text from its end."""
    if isinstance(value, str):
        return _text(budget, value)[::-1]
    return as_list(budget, value)[::-1]


def items(budget: Budget, value: Json) -> Json:
    """Give `[key, value]` for each key of a map, in the map's order."""
    if value is None:
        return []
    if not isinstance(value, Mapping):
        message = f"it needs a map, not {kind(value)}"
        raise ValueError(message)  # noqa: TRY004  # `apply` adds the word to it
    budget.spend(1 + len(value))
    return [[key, item] for key, item in value.items()]


def dictsort(budget: Budget, value: Json) -> Json:
    """Give `[key, value]` for each key of a map, sorted by the keys."""
    return sort(budget, items(budget, value), "0")


def batch(budget: Budget, value: Json, count: Json, fill: Json = None) -> Json:
    """Give lists of so many elements; `fill` makes the last one as long as the others."""
    found, size = as_list(budget, value), _whole(count)
    if not 1 <= size <= MOST_IN_RANGE:
        message = f"a part has 1 to {MOST_IN_RANGE} elements"
        raise ValueError(message)
    budget.spend(1 + len(found) + size)
    parts = [found[at : at + size] for at in range(0, len(found), size)]
    if parts and fill is not None:
        parts[-1] += [fill] * (size - len(parts[-1]))
    return parts


def inside(budget: Budget, value: Json, attribute: Json) -> Any:
    """Give `value.a.b` for `a.b`; the value itself where no attribute is named."""
    found: Any = value
    if attribute is None:
        return found
    for part in _text(budget, attribute).split("."):
        budget.spend(1)
        is_place = part.isdecimal() and len(part) < _MOST_DIGITS and isinstance(found, list | tuple)
        found = read_field(found, int(part) if is_place else part, attribute[:_LONGEST_SHOWN])
    return found


def _sort_key(value: Json) -> tuple[bool, Any]:
    return isinstance(value, str), value.lower() if isinstance(value, str) else value


def sort(budget: Budget, value: Json, attribute: Json = None, reverse: Json = None) -> Json:
    """Sort numbers or texts, capitals beside small letters; equal ones stay in order."""
    found = as_list(budget, value)
    keys = [plain(inside(budget, item, attribute)) for item in found]
    if not (all(map(is_number, keys)) or all(isinstance(key, str) for key in keys)):
        kinds = " and ".join(sorted({kind(key) for key in keys}))
        message = f"it needs only numbers or only texts, not {kinds}"
        raise ValueError(message)
    # Each of n elements is compared about log n times, and no text costs less than its length.
    rounds = len(keys).bit_length()
    budget.spend(len(keys) * (1 + rounds // 4))
    budget.spend(rounds * sum(len(key) // 64 for key in keys if isinstance(key, str)))
    order = sorted(range(len(keys)), key=lambda at: _sort_key(keys[at]), reverse=bool(reverse))
    return [found[at] for at in order]


def group_by(budget: Budget, value: Json, attribute: Json) -> Json:
    """Give `[key, elements]` for each value of the attribute, sorted by it."""
    found = sort(budget, value, attribute)
    budget.spend(len(found))
    keyed = [(plain(inside(budget, item, attribute)), item) for item in found]
    groups = groupby(keyed, key=lambda pair: _sort_key(pair[0]))
    parts = [list(part) for _, part in groups]
    return [[part[0][0], [item for _, item in part]] for part in parts]
