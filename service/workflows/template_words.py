"""The words of templates: what stands behind `|`, before `(…)` and behind `is`. A closed list.

All functions of expressions are here under their names, and those of Jinja that work on plain
values. Each may be written as a filter or as a function: `name | upper`, `upper(name)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.events import Json
from service.workflows import template_filters as filters
from service.workflows.findings import did_you_mean
from service.workflows.functions import FUNCTIONS
from service.workflows.template_budget import Budget, Fault
from service.workflows.template_filters import as_list, inside
from service.workflows.template_values import (
    Missing,
    calculate,
    compares,
    contains,
    is_number,
    kind,
    plain,
    same,
)

_LONGEST_NAME = 80
"""Characters of a name that are compared and shown; it may be a foreign text."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a word does; the value before `|` is the first argument and counts.

    `keywords` are the names under which arguments may be given, by their places. `missing`: its
    first argument may be something that does not exist.
    """

    perform: Callable[..., Json]
    least: int
    most: int
    help: str
    keywords: Mapping[str, int]
    missing: bool = False


def apply(
    words: Mapping[str, Word],
    name: str,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    budget: Budget,
) -> Json:
    """Give what a word makes of its arguments. Raises Fault."""
    fault = misuse(words, name, len(arguments), tuple(named))
    if fault is not None:
        raise fault
    word = words[name]
    placed = {word.keywords[key]: value for key, value in named.items()}
    count = max([len(arguments), *(place + 1 for place in placed)])
    given = [placed.get(at, arguments[at] if at < len(arguments) else None) for at in range(count)]
    first_plain = 1 if word.missing else 0
    given[first_plain:] = [plain(value) for value in given[first_plain:]]
    budget.spend(2)
    try:
        return word.perform(budget, *given)
    except Fault:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # Our functions raise ValueError; the others are what a foreign value may still provoke.
        message = f"{name}: {error}"
        raise Fault(message) from error


def misuse(words: Mapping[str, Word], name: str, count: int, named: Sequence[str]) -> Fault | None:
    """Say what is wrong with giving a word so many arguments and these named ones."""
    word = words.get(name)
    if word is None:
        what = "test" if words is TESTS else "filter or function"
        shown = name[:_LONGEST_NAME]
        hint = _ELSEWHERE.get(name) or did_you_mean(shown, words)
        return Fault(f"there is no {what} `{shown}`", hint)
    for key in named:
        if key not in word.keywords or word.keywords[key] < count:
            return Fault(f"`{name}` does not take `{key}=`", word.help)
    places = {*range(count), *(word.keywords[key] for key in named)}
    if not (set(range(word.least)) <= places and count <= word.most):
        return Fault(f"`{name}` is given too much or too little", word.help)
    return None


_ELSEWHERE = {
    **dict.fromkeys(
        ("e", "escape", "forceescape", "safe", "xmlattr"),
        "nothing is escaped by itself; use `escape_markdown`, `escape_slack` or `safe_url`",
    ),
    "d": "did you mean `default`?",
    "attr": "write `value.field` or `value['field']`",
    "dict": "write `{'key': value}`",
}


# --- of expressions -------------------------------------------------------------------------------

_SHALLOW = frozenset({"first", "last", "limit", "get"})
"""They look at the top of their argument only."""


def _shared(name: str) -> Word:
    function = FUNCTIONS[name]

    def perform(budget: Budget, *arguments: Json) -> Json:
        if name in _SHALLOW:
            budget.elements(len(arguments[0]) if isinstance(arguments[0], list | tuple) else 1)
            budget.handle(arguments[1:])
        else:
            budget.handle(arguments)
        if name == "distinct" and isinstance(arguments[0], list | tuple):
            # It writes each element as JSON.
            budget.spend(2 * len(arguments[0]))
        value = function.perform(*arguments)
        if isinstance(value, str):
            budget.text(len(value))
        elif isinstance(value, list):
            budget.elements(len(value))
        return value

    return Word(perform, function.least, function.most, function.help, {})


def _default(budget: Budget, value: Any, fallback: Json) -> Json:
    budget.spend(1)
    if isinstance(value, Missing):
        return fallback
    return fallback if plain(value) is None or value == "" else value


def _map(
    budget: Budget,
    value: Json,
    word: Json = None,
    *more: Json,
) -> Json:
    """`map('upper')`, `map('truncate', 80)`."""
    name = _named(word)
    return [apply(WORDS, name, [item, *more], {}, budget) for item in as_list(budget, value)]


def _map_attribute(budget: Budget, value: Json, attribute: Json, fallback: Json) -> Json:
    return [_or_else(inside(budget, item, attribute), fallback) for item in as_list(budget, value)]


def _or_else(value: Any, fallback: Json) -> Json:
    return fallback if isinstance(value, Missing) and fallback is not None else plain(value)


def _mapped(budget: Budget, value: Json, *given: Json) -> Json:
    """Tell the two forms apart: `map('upper', …)` and `map(attribute='a.b', default=…)`."""
    word, attribute, fallback = (*given, None, None, None)[:3]
    if word is not None:
        return _map(budget, value, *given)
    if attribute is None:
        raise ValueError("it needs a filter or `attribute=`")
    return _map_attribute(budget, value, attribute, fallback)


def _named(word: Json) -> str:
    if not isinstance(word, str):
        message = f"the name of a filter or test is a text, not {kind(word)}"
        raise ValueError(message)  # noqa: TRY004  # `apply` adds the word to it
    return word


def _chosen(
    budget: Budget, value: Json, attribute: Json, test: Sequence[Json], *, wanted: bool
) -> Json:
    return list(_choose(budget, as_list(budget, value), attribute, test, wanted=wanted))


def _choose(
    budget: Budget, values: list[Json], attribute: Json, test: Sequence[Json], *, wanted: bool
) -> Iterator[Json]:
    for item in values:
        budget.spend(1)
        found = inside(budget, item, attribute)
        if test:
            passed = apply(TESTS, _named(test[0]), [found, *test[1:]], {}, budget)
        else:
            passed = plain(found)
        if bool(passed) is wanted:
            yield item


def _select(budget: Budget, value: Json, *test: Json) -> Json:
    return _chosen(budget, value, None, test, wanted=True)


def _reject(budget: Budget, value: Json, *test: Json) -> Json:
    return _chosen(budget, value, None, test, wanted=False)


def _selectattr(budget: Budget, value: Json, attribute: Json, *test: Json) -> Json:
    return _chosen(budget, value, attribute, test, wanted=True)


def _rejectattr(budget: Budget, value: Json, attribute: Json, *test: Json) -> Json:
    return _chosen(budget, value, attribute, test, wanted=False)


_ANY_MORE = 8
"""Arguments that a filter or test named as a text may be given through `map` or `select`."""

WORDS: Mapping[str, Word] = {
    **{name: _shared(name) for name in FUNCTIONS},
    "default": Word(_default, 2, 2, FUNCTIONS["default"].help, {}, missing=True),
    "size": Word(filters.size, 1, 1, FUNCTIONS["size"].help, {}),
    "length": Word(filters.size, 1, 1, "list | length", {}),
    "count": Word(filters.size, 1, 1, "list | count", {}),
    "tojson": _shared("json"),
    "contains": Word(
        lambda budget, whole, part: contains(whole, part, budget), 2, 2, "contains(text, part)", {}
    ),
    "startsWith": Word(filters.starts_with, 2, 2, "startsWith(text, part)", {}),
    "endsWith": Word(filters.ends_with, 2, 2, "endsWith(text, part)", {}),
    "range": Word(filters.number_range, 1, 3, "range(10), range(1, 11), range(0, 100, 10)", {}),
    "capitalize": Word(filters.capitalize, 1, 1, "text | capitalize", {}),
    "title": Word(filters.title, 1, 1, "text | title", {}),
    "indent": Word(filters.indent, 1, 3, "text | indent(4, first=true)", {"width": 1, "first": 2}),
    "urlencode": Word(filters.urlencode, 1, 1, "text | urlencode", {}),
    "round": Word(filters.rounded, 1, 2, "number | round(2)", {"precision": 1}),
    "int": Word(
        filters.to_int, 1, 2, "text | int(0): the second is for what is no number", {"default": 1}
    ),
    "float": Word(filters.to_float, 1, 2, "text | float(0.0)", {"default": 1}),
    "abs": Word(filters.absolute, 1, 1, "number | abs", {}),
    "list": Word(as_list, 1, 1, "map | list: its keys", {}),
    "reverse": Word(filters.reverse, 1, 1, "list | reverse", {}),
    "items": Word(filters.items, 1, 1, "for key, value in map | items", {}),
    "dictsort": Word(filters.dictsort, 1, 1, "for key, value in map | dictsort", {}),
    "batch": Word(filters.batch, 2, 3, "list | batch(3, fill)", {"fill_with": 2}),
    "sort": Word(
        filters.sort,
        1,
        3,
        "list | sort(attribute='a.b', reverse=true)",
        {"attribute": 1, "reverse": 2},
    ),
    "groupby": Word(
        filters.group_by, 2, 2, "for key, list in rows | groupby('status')", {"attribute": 1}
    ),
    "map": Word(
        _mapped,
        1,
        _ANY_MORE,
        "list | map('upper') or list | map(attribute='a.b', default='')",
        {"attribute": 2, "default": 3},
    ),
    "select": Word(_select, 1, _ANY_MORE, "list | select('gt', 3)", {}),
    "reject": Word(_reject, 1, _ANY_MORE, "list | reject('none')", {}),
    "selectattr": Word(_selectattr, 2, _ANY_MORE, "rows | selectattr('status', 'eq', 'ok')", {}),
    "rejectattr": Word(_rejectattr, 2, _ANY_MORE, "rows | rejectattr('url', 'none')", {}),
}


# --- tests ----------------------------------------------------------------------------------------


def _is(check: Callable[[Any], bool], help_: str) -> Word:
    def perform(_budget: Budget, value: Json) -> Json:
        return check(value)

    return Word(perform, 1, 1, help_, {})


def _by(name: str, sign: str) -> Word:
    def perform(budget: Budget, value: Json, other: Json) -> Json:
        return compares(sign, value, other, budget)

    return Word(perform, 2, 2, f"value is {name}(other)", {})


def _divisible(_budget: Budget, value: Json, by: Json) -> Json:
    return bool(calculate("%", value, by) == 0)


def _same_as(budget: Budget, value: Json, other: Json) -> Json:
    return same(value, other, budget)


TESTS: Mapping[str, Word] = {
    "defined": Word(
        lambda _budget, value: not isinstance(value, Missing),
        *(1, 1, "value is defined", {}),
        missing=True,
    ),
    "undefined": Word(
        lambda _budget, value: isinstance(value, Missing),
        *(1, 1, "value is undefined", {}),
        missing=True,
    ),
    "none": _is(lambda value: value is None, "value is none"),
    "null": _is(lambda value: value is None, "value is null"),
    "true": _is(lambda value: value is True, "value is true"),
    "false": _is(lambda value: value is False, "value is false"),
    "boolean": _is(lambda value: isinstance(value, bool), "value is boolean"),
    "number": _is(is_number, "value is number"),
    "integer": _is(lambda value: is_number(value) and isinstance(value, int), "value is integer"),
    "float": _is(lambda value: isinstance(value, float), "value is float"),
    "string": _is(lambda value: isinstance(value, str), "value is string"),
    "mapping": _is(lambda value: isinstance(value, Mapping), "value is mapping"),
    "sequence": _is(lambda value: isinstance(value, list | tuple), "value is sequence"),
    "odd": _is(lambda value: calculate("%", value, 2) == 1, "number is odd"),
    "even": _is(lambda value: calculate("%", value, 2) == 0, "number is even"),
    "divisibleby": Word(_divisible, 2, 2, "number is divisibleby(3)", {}),
    "sameas": Word(_same_as, 2, 2, "value is sameas(other)", {}),
    **{
        name: _by(name, sign)
        for name, sign in (
            *(("eq", "eq"), ("equalto", "eq"), ("ne", "ne"), ("in", "in")),
            *(("lt", "lt"), ("lessthan", "lt"), ("le", "lteq")),
            *(("gt", "gt"), ("greaterthan", "gt"), ("ge", "gteq")),
        )
    },
}
