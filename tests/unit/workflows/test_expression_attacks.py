"""What a hostile expression or a hostile payload could try, and that it gets nowhere."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.workflows.cost import check_cost, measure
from service.workflows.expressions import (
    LONGEST_SOURCE,
    ExpressionError,
    compile_expression,
    render,
)
from service.workflows.functions import FUNCTIONS
from service.workflows.scope import Scope

LIST = list(range(1000))
SCOPE = Scope(
    {
        "event": {
            "list": LIST,
            "long": list(range(50_000)),
            "text": "x" * 100_000,
            "rows": [{"tags": ["a"] * 50} for _ in range(200)],
            "m": {"a": 1},
        },
        "vars": {},
    }
)
PATIENCE_S = 15.0
"""Many times what the limits allow: the machine may be busy, and what escapes takes minutes."""


def outcome(source: str, scope: Scope = SCOPE) -> tuple[Any, float]:
    began = time.monotonic()
    try:
        found: Any = compile_expression(source).evaluate(scope)
    except ExpressionError as error:
        found = error
    return found, time.monotonic() - began


@pytest.mark.parametrize(
    "source",
    [
        "event.list.map(a, event.list.map(b, event.list.map(c, 1)))",
        "range(10000).all(a, range(10000).all(b, true))",
        "event.list.all(a, range(a).all(b, range(a).all(c, true)))",
        "event.list.all(a, event.list.all(b, event.list.all(c, true)))",
        "event.list.exists(a, event.long.exists(b, b < 0))",
        "event.long.map(a, a)",
        "event.long.filter(a, true)",
        "event.list.map(a, event.list).map(b, b.map(c, event.list))",
        "event.rows.map(r, r.tags.map(t, event.list.filter(x, x > 0)))",
        "event.list.map(a, event.text)",
        "event.list.map(a, event.text + event.text).join('')",
        "[event.text, event.text].map(a, a.split('x').map(b, b))",
        "replace(event.text, 'x', event.text)",
        "join(event.long, event.text)",
        "format('%s' + '%s', [event.text, event.text]).split('').map(a, a)",
        "event.text.split('x').map(a, event.text.split('x'))",
        "json(event.list.map(a, event.text))",
        "limit(event.list, 20).map(a, event)",
        "[" + ",".join(["event"] * 500) + "]",
        "limit(event.list, 100).map(a, size(json(event.rows)))",
        "+".join(["event.text"] * 300),
        "[" + ",".join(["event.text"] * 300) + "]",
        "{" + ",".join(f"{n}: event.text" for n in range(250)) + "}",
        "'x'.matches('((a{1000}){1000}){1000}')",
        "event.list.all(a, 'x'.matches('\\\\w{100}') == false)",
        "event.list.map(a, 'x'.matches('(?i)[\\\\pL\\\\pN]{60}'))",
        "event.rows.all(r, 'x'.matches(r.tags[0]))",
    ],
)
def test_work_that_multiplies_is_refused_before_it_is_done(source: str) -> None:
    found, seconds = outcome(source)
    assert isinstance(found, ExpressionError), source
    assert seconds < PATIENCE_S


@pytest.mark.parametrize(
    "source",
    [
        "event.list.map(a, a + 1).size() == 1000",
        "range(1000).all(n, range(3).exists(m, m < 3))",
        "event.long.all(a, a >= 0)",
        "event.rows.all(r, r.tags.exists(t, t == 'a'))",
        "event.rows.map(r, r.tags[0]).size() == 200",
        "size(event.text + event.text) == 200000",
        "(event.text + '!').matches('(x+x+)+y') == false",
        "event.list.all(n, 'main'.matches('^(checksum|auto-?heal)[/-]') == false)",
        "event.rows.all(n, 'v1.2'.matches(r'^v[0-9]+\\.[0-9]+$'))",
        "!event.text.matches('^release/[0-9]+[.][0-9]+$')",
    ],
)
def test_honest_work_is_done_in_time(source: str) -> None:
    found, seconds = outcome(source)
    assert found is True
    assert seconds < PATIENCE_S


@pytest.mark.parametrize(
    "source",
    [
        "(" * 2000 + "1" + ")" * 2000,
        "[" * 2000,
        "-" * 4000 + "1",
        "!" * 4000 + "true",
        "a" + ".b" * 2000,
        "a" + "[0]" * 1300,
        "true ? 1 : " * 350 + "1",
        "{'a': " * 600 + "1" + "}" * 600,
        "1" * 4000,
        "'" + "\\" * 4000,
        "x" * (LONGEST_SOURCE + 1),
        "'\ud800'",
        "\x00",
        "1 - 1 + " * 500 + "1",
    ],
)
def test_monstrous_sources_are_refused(source: str) -> None:
    found, seconds = outcome(source)
    assert isinstance(found, ExpressionError)
    assert seconds < PATIENCE_S


def test_long_chains_of_one_operator_are_fine() -> None:
    assert outcome(" + ".join(["1"] * 1000))[0] == 1000
    assert outcome(" && ".join(["true"] * 500))[0] is True


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os')",
        "event.__class__",
        "event.m.__class__.__mro__",
        "''.__class__",
        "open('/etc/passwd')",
        "getattr(event, 'x')",
        "env('HOME')",
        "vars.constructor",
        "optional.of(1)",
        "cel.bind(x, 1, x)",
        "cel.evaluate('1')",
        "dyn(event).__dict__",
        "type(event).mro()",
        "format('{0.__class__}', [event])",
        "get(event, '__class__', null).x",
        "join.__globals__",
    ],
)
def test_nothing_but_the_inputs_can_be_reached(source: str) -> None:
    found, _ = outcome(source)
    assert isinstance(found, ExpressionError), found


def test_get_reads_maps_and_lists_only() -> None:
    assert outcome("get(event, '__class__', 'nothing')")[0] == "nothing"
    assert outcome("get(event, 'text.__len__', 'nothing')")[0] == "nothing"


def test_what_a_payload_holds_is_never_evaluated() -> None:
    scope = Scope({"event": {"title": "${{ vars.secret }}"}, "vars": {"secret": "s"}})
    assert render("${{ event.title }} ${{ event.title }}", scope) == (
        "${{ vars.secret }} ${{ vars.secret }}"
    )


def test_a_payload_nested_too_deeply_is_refused_and_kills_nothing() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    found, _ = outcome("event.deep == event.deep", Scope({"event": {"deep": deep}}))
    assert isinstance(found, ExpressionError)
    assert "nested more than" in found.message


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "🤖" * 10])
def test_odd_texts_of_a_payload_are_a_value_or_an_expression_error(text: str) -> None:
    found, _ = outcome("event.text + '!'", Scope({"event": {"text": text}}))
    assert found == text + "!" or isinstance(found, ExpressionError)


def test_an_interrupt_inside_a_function_goes_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's time limit is raised inside whatever runs: it must not become a value."""

    class Interrupt(BaseException):
        pass

    def perform(_value: object) -> object:
        raise Interrupt

    function = FUNCTIONS["trim"]
    interrupting = type(function)(perform, function.least, function.most, function.help)
    patched = {**FUNCTIONS, "trim": interrupting}
    monkeypatch.setattr("service.workflows.expressions.FUNCTIONS", patched)
    with pytest.raises(Interrupt):
        compile_expression("trim('interrupt me')").evaluate(SCOPE)


@pytest.mark.parametrize(
    "source", ["event.list.map(x, event.list).k", "event.list.map(x, event.list)[0].k"]
)
def test_what_the_library_copies_again_and_again_is_refused(source: str) -> None:
    found, seconds = outcome(source)
    assert isinstance(found, ExpressionError)
    assert "too many elements" in str(found)
    assert seconds < 1


ATOMS = st.sampled_from(
    [
        *("1", "2.5", "'a'", "null", "true", "event", "event.m.a", "event.list", "vars", "x", "-1"),
        *("[1, 'a']", "{'k': 1}", "duration('1h')", "timestamp('2026-01-01T00:00:00Z')", "b'x'"),
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(sorted(FUNCTIONS))
    signs = st.sampled_from(["+", "-", "*", "/", "%", "<", "==", "&&", "||", "in", "!="])
    macros = st.sampled_from(["map", "filter", "all", "exists", "exists_one"])
    return st.one_of(
        st.builds(lambda a, sign, b: f"({a} {sign} {b})", inner, signs, inner),
        st.builds(lambda name, a: f"{name}({a})", names, inner),
        st.builds(lambda name, a, b: f"{name}({a}, {b})", names, inner, inner),
        st.builds(lambda a, b: f"{a}[{b}]", inner, inner),
        st.builds(lambda a: f"{a}.k", inner),
        st.builds(lambda a, m, b: f"{a}.{m}(x, {b})", inner, macros, inner),
        st.builds(lambda a, b, c: f"({a} ? {b} : {c})", inner, inner, inner),
        st.builds(lambda a: f"!{a}", inner),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(ATOMS, _grown, max_leaves=12))
def test_any_expression_gives_json_or_an_expression_error_in_time(source: str) -> None:
    found, seconds = outcome(source)
    assert isinstance(found, ExpressionError | None | bool | int | float | str | list | dict)
    assert seconds < PATIENCE_S


@settings(max_examples=500, deadline=None)
@given(st.recursive(ATOMS, _grown, max_leaves=12))
def test_no_value_is_larger_than_its_bound(source: str) -> None:
    """The limits rest on this: what is estimated before is never less than what comes out."""
    scope = Scope({"event": {"m": {"a": "text"}, "list": [1, "b", [2.5]]}, "vars": {"v": None}})
    try:
        expression = compile_expression(source)
        value = expression.evaluate(scope)
    except ExpressionError:
        return
    paths = {reference.path for reference in expression.references}
    bound = check_cost(expression.tree, scope.bindings(paths)).size
    assert measure(value).atoms <= bound.atoms
    assert measure(value).values <= bound.values


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1.()[]{}'\"?:,+-!&|<=$@\\ \nin has"), max_size=40))
def test_any_text_is_compiled_or_refused(source: str) -> None:
    found, _ = outcome(source)
    assert isinstance(found, ExpressionError | None | bool | int | float | str | list | dict)


def test_a_large_payload_is_no_reason_to_refuse_a_small_part_of_it() -> None:
    rows = [{"name": f"case {n}", "status": "warn", "log": "x" * 400} for n in range(500)]
    scope = Scope({"event": {"payload": {"data": {"rows": rows}, "rest": "x" * 300_000}}})
    source = (
        "join(limit(get(event.payload, 'data.rows', []), 50)"
        ".filter(c, get(c, 'status', '') in ['warn', 'fail'])"
        ".map(c, '- ' + escape_markdown(get(c, 'name', ''))), ', ')"
    )
    found, seconds = outcome(source, scope)
    assert isinstance(found, str), found
    assert found.count("- case") == 50
    assert seconds < PATIENCE_S
    assert outcome(source, Scope({"event": {"payload": {}}}))[0] == ""
