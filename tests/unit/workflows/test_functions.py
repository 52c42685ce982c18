"""The functions of expressions, called from expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.functions import FUNCTIONS, escape_markdown, escape_slack, safe_url
from service.workflows.scope import Scope

SCOPE = Scope({"vars": {"none": None, "list": [3, 1, 2, 3], "map": {"a": {"b": [{"c": 7}]}}}})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("join(['a', 1, null, true, 2.0], '-')", "a-1--true-2"),
        ("['a', 'b'].join(', ')", "a, b"),
        ("join(vars.none, ',')", ""),
        ("lower('ÄB') + upper('äb')", "äbÄB"),
        ("trim('  a ')", "a"),
        ("'a/b/c'.split('/')", ["a", "b", "c"]),
        ("replace('a-b-c', '-', '+')", "a+b+c"),
        ("default(vars.none, 'x') + default('', 'y') + default('z', 'w')", "xyz"),
        ("get(vars, 'map.a.b.0.c', 1)", 7),
        ("get(vars, 'map.a.nothing.c', 1)", 1),
        ("get(vars.none, 'a')", None),
        ("first(vars.list)", 3),
        ("first([])", None),
        ("last([1, 2])", 2),
        ("limit(vars.list, 2)", [3, 1]),
        ("truncate('abcdef', 4)", "abc…"),
        ("truncate('abc', 4)", "abc"),
        ("json({'b': [1, null], 'a': 'é'})", '{"a":"é","b":[1,null]}'),
        ("distinct([1, '1', 1, {'a': 1}, {'a': 1}])", [1, "1", {"a": 1}]),
        ("dollars(4200000)", "4.20"),
        ("dollars(-1990000)", "-1.99"),
        ("dollars(9999)", "0.00"),
        ("dollars(1234567890000)", "1234567.89"),
        ("format('%s of %s is 100%%', [1, 'x'])", "1 of x is 100%"),
        ("sum(vars.list)", 9),
        ("sum([1, 2.5])", 3.5),
        ("sum([])", 0),
        ("range(3)", [0, 1, 2]),
        ("range(0) + range(-1)", []),
        ("range(size(vars.list)).map(n, n * 2)", [0, 2, 4, 6]),
        ("size(range(10000))", 10_000),
        ("max(vars.list) - min(vars.list)", 2),
        ("max([])", None),
        ("size(vars.none) + size('ab') + size([1])", 3),
        ("string(null) + string(true) + string(1.0) + string(2.5) + string([1])", "true12.5[1]"),
    ],
)
def test_values(source: str, value: object) -> None:
    assert compile_expression(source).evaluate(SCOPE) == value


@pytest.mark.parametrize(
    "source",
    [
        "join(5, ',')",
        "join(['a'], 5)",
        "lower(5)",
        "limit([1], 'a')",
        "limit([1], 1.5)",
        "truncate(['a'], 1)",
        "sum(['a'])",
        "range('3')",
        "range(1.5)",
        "range(10001)",
        "range(9223372036854775807)",
        "sum([9223372036854775807, 1])",
        "dollars('4')",
        "dollars(true)",
        "dollars(1.5)",
        "format('%d', [1])",
        "format('%s', [])",
        "format('%', [])",
        "replace('a', '', 'b')",
        "json(double('nan'))",
        "size(5)",
    ],
)
def test_wrong_arguments_are_an_expression_error_naming_the_function(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate(SCOPE)
    assert f"{source.partition('(')[0]}: " in caught.value.message


@given(st.text(max_size=200))
def test_a_foreign_text_can_do_nothing_in_a_comment(text: str) -> None:
    escaped = escape_markdown(text)
    assert "<" not in escaped
    assert "\n" not in escaped
    assert not re.search(r"@\w|#\d|(?<!\\)[`*_\[\]|~]|\w://", escaped)
    assert not re.match(r"[-+=]|\d+[.)]", escaped)


def test_a_comment_keeps_its_reader_and_loses_its_sting() -> None:
    text = "<!-- @alice --> `rm` **x** [l](http://e) #12\n# big"
    assert escape_markdown(text) == (
        "&lt;!-- @\u2060alice --&gt; \\`rm\\` \\*\\*x\\*\\* \\[l\\]\\(http:\u2060//e\\)"
        " #\u206012 #\u2060 big"
    )


@given(st.text(max_size=200))
def test_a_foreign_text_can_do_nothing_in_a_message(text: str) -> None:
    escaped = escape_slack(text)
    assert "<" not in escaped
    assert ">" not in escaped
    unescaped = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert unescaped == text


def test_every_function_explains_itself() -> None:
    assert all(function.help.startswith(name) for name, function in FUNCTIONS.items() if name)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        (
            "https://vibeview.io/tests/runs/a?b=c&d=%20#e",
            "https://vibeview.io/tests/runs/a?b=c&d=%20#e",
        ),
        ("https://e/x\n\n@acme/team <img>", "https://e/x%0A%0A%40acme/team%20%3Cimg%3E"),
        ("https://e/) [a](javascript:x", "https://e/%29%20%5Ba%5D%28javascript:x"),
        ("<!channel> <http://evil|Click>", ""),
        ("javascript:alert(1)", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_foreign_address_is_a_link_and_nothing_else(address: object, safe: str) -> None:
    assert safe_url(address) == safe
