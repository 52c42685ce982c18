"""Patterns of `matches` that are written out: those that cannot compile are found beforehand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.patterns import PatternFault, pattern_faults
from service.workflows.scope import Scope


def faults(source: str) -> list[PatternFault]:
    return list(pattern_faults(compile_expression(source).tree, source))


@pytest.mark.parametrize(
    ("source", "pattern", "reason"),
    [
        ("'a'.matches('(')", "'('", "unclosed group"),
        ('vars.x.matches("[z-a]")', '"[z-a]"', "invalid character class range"),
        ("true || 'a'.matches(r'\\1')", "r'\\1'", "backreferences are not supported"),
        ("'a'.matches('\\\\1')", "'\\\\1'", "backreferences are not supported"),
        ("'a'.matches('''(''')", "'''('''", "unclosed group"),
        ("vars.x.filter(x, x.matches('*'))", "'*'", "repetition operator missing expression"),
        ("'a'.matches(r'\\w{1000}')", "r'\\w{1000}'", "size limit"),
    ],
)
def test_a_literal_that_cannot_compile_is_found_where_it_stands(
    source: str, pattern: str, reason: str
) -> None:
    [fault] = faults(source)
    assert fault.offset == source.index(pattern)
    assert reason in fault.message


@pytest.mark.parametrize(
    "source",
    [
        "'('.matches('a')",
        "'a'.matches('^(main|release/.*)$')",
        r"'a'.matches('\\d+') && 'a'.matches(r'\d+') && 'a'.matches('\u00e4')",
        "'a'.matches(vars.pattern)",
        "'a'.matches('(' + ')')",
        "'a'.matches(true ? 'a' : '(')",
        "'a'.contains('(')",
        "'a'.matches(b'(')",
        "'a'.matches(1.5) || 'a'.matches(null) || 'a'.matches(true)",
    ],
)
def test_what_compiles_or_is_not_written_out_is_no_finding(source: str) -> None:
    assert faults(source) == []


@given(st.text(alphabet="ab(){}[]|*+?^$.,-0129:=!<>P", max_size=12))
def test_a_finding_says_exactly_what_evaluation_would(pattern: str) -> None:
    source = f"'a'.matches('{pattern}')"
    try:
        compile_expression(source).evaluate(Scope({}))
    except ExpressionError:
        fails = True
    else:
        fails = False
    assert bool(faults(source)) is fails


def test_many_costly_patterns_do_not_hold_the_check() -> None:
    source = " || ".join(f"'a'.matches(r'\\w{{{900 + number}}}')" for number in range(100))
    began = time.monotonic()
    assert faults(source)
    assert time.monotonic() - began < 10
