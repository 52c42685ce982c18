"""What expressions give, what they say when they cannot, and how texts are filled in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.workflow import StepError, StepState, StepStatus
from service.workflows.expressions import ExpressionError, compile_expression, holds, render
from service.workflows.interpolation import Embedded, UnclosedInterpolation, split_text, unwrap
from service.workflows.scope import Scope

EVENT = {
    "type": "test_run.failed",
    "facts": {
        "visual": None,
        "counts": {"failed": 3, "passed": 0},
        "pr_number": 42,
        "branch": "main",
        "ratio": 4.0,
        "failed_tests": [{"title": "a"}, {"title": "b"}],
    },
    "time": "2026-01-01T00:00:00Z",
    "payload": {"odd key": {"x": 1}},
}
SCOPE = Scope(
    {"event": EVENT, "vars": {"every": "15s", "on": True}, "run": {"id": "r"}},
    {
        "heal": StepState(
            step_id="heal",
            status=StepStatus.SUCCEEDED,
            output={"batch_id": "b1", "status": "in_progress", "urls": []},
        ),
        "note": StepState(step_id="note", status=StepStatus.SKIPPED),
        "tell": StepState(
            step_id="tell",
            status=StepStatus.FAILED,
            error=StepError(code="refused", message="no such channel"),
        ),
    },
)


def evaluate(source: str, scope: Scope = SCOPE) -> Any:
    return compile_expression(source).evaluate(scope)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("event.facts.visual in ['warn', 'fail']", False),
        ("event.facts.visual == null", True),
        ("event.facts.counts.failed > 0", True),
        ("event.facts.counts.failed == 3.0", True),
        ("event.facts.counts.failed > 2.5", True),
        ("event.payload['odd key'].x + 1", 2),
        ("has(event.facts.nothing)", False),
        ("has(event.facts.visual)", True),
        ("event.facts.failed_tests.map(t, t.title)", ["a", "b"]),
        ("event.facts.failed_tests.exists(t, t.title == 'b')", True),
        ("event.facts.failed_tests.filter(event, event.title == 'a').size()", 1),
        ("timestamp(event.time)", "2026-01-01T00:00:00Z"),
        ("timestamp(event.time) + duration('90s')", "2026-01-01T00:01:30Z"),
        ("{'b': 1, 'a': {2: 'x'}}", {"a": {"2": "x"}, "b": 1}),
        ("event.facts.branch.matches('^(main|release/.*)$')", True),
        ("true ? 'yes' : 'no'", "yes"),
        ("steps.heal.batch_id", "b1"),
        ("steps.heal.status", "succeeded"),
        ("steps.heal.output.status", "in_progress"),
        ("steps.note.status", "skipped"),
        ("steps.note.anything", None),
        ("size(steps.note.anything)", 0),
        ("steps.note.output", None),
        ("steps.tell.error.code", "refused"),
        ("steps.heal.error", None),
        ("!has(steps.note.output.batch_id) || true", True),
    ],
)
def test_values(source: str, value: object) -> None:
    assert evaluate(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("event.facts.nothing", "`event.facts.nothing` does not exist"),
        ("event.facts.nothing.more == 1", "`event.facts.nothing` does not exist"),
        ("steps.heal.batchid", "`steps.heal.batchid` does not exist"),
        ("nobody", "there is no `nobody` here"),
        ("event.facts.visual > 1", "`event.facts.visual` is null"),
        ("event.facts.failed_tests[7]", "index out of bounds: 7"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "overflow"),
        ("1.0 / 0.0", "not finite"),
        ("split('a', '')", "split: the separator must not be empty"),
        ("max(['a', 1])", "max: only numbers"),
        ("'a'.matches('(')", "not a valid regex"),
        ("[1].map(x, x.y)", "does not fit its operands"),
    ],
)
def test_what_cannot_be_evaluated_says_why(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source)
    assert message in caught.value.message
    assert caught.value.code == "expression"


@pytest.mark.parametrize(
    ("source", "offset", "message"),
    [
        ("a >", 3, "end of the expression"),
        ("a b", 2, "'b' is not expected here"),
        ("(a", 2, "')' is expected"),
        ("a ? b", 5, "':' is expected"),
        ("nosuch(1)", 0, "there is no function `nosuch`"),
        ("1 + join()", 4, "does not take 0 arguments"),
        ("has(a)", 0, "has(…) takes one field"),
        ("[1].map(1, 2)", 4, "takes a name"),
        ("Foo{a: 1}", 3, "'{' is not expected here"),
        ("a.`b`", 2, "'`' is not expected here"),
        ("a.b.null", 4, "no viable alternative"),
        ("a &&\nvar", 5, "reserved identifier"),
        ("$", 0, "'$' is not expected here"),
        ("", 0, "the expression is empty"),
    ],
)
def test_what_cannot_be_compiled_says_where(source: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert message in caught.value.message
    assert caught.value.offset == offset


def test_conditions_are_bare_or_wrapped_and_give_booleans_only() -> None:
    assert holds("event.facts.pr_number == 42", SCOPE)
    assert holds("  ${{ event.facts.pr_number == 42 }} ", SCOPE)
    assert holds(condition=True, scope=SCOPE)
    for source, given_value in (("event.facts.visual", "null"), ("event.facts.branch", "main")):
        with pytest.raises(ExpressionError, match=f"true or false, not {given_value}"):
            holds(source, SCOPE)


def test_a_whole_expression_keeps_its_type_and_an_embedded_one_becomes_text() -> None:
    rendered = render(
        {
            "number": "${{ event.facts.pr_number }}",
            "null": "${{ event.facts.visual }}",
            "list": ["${{ event.facts.failed_tests }}"],
            "text": "#${{ event.facts.pr_number }} ${{ event.facts.ratio }}"
            " ${{ vars.on }} [${{ event.facts.visual }}] ${{ event.facts.failed_tests }}",
            "braces": "${{ {'a': {'b': '}}'}} }}!",
            "literal": "$${{ not.evaluated }}",
            "plain": 5,
        },
        SCOPE,
    )
    assert rendered == {
        "number": 42,
        "null": None,
        "list": [[{"title": "a"}, {"title": "b"}]],
        "text": '#42 4 true [] [{"title":"a"},{"title":"b"}]',
        "braces": '{"a":{"b":"}}"}}!',
        "literal": "${{ not.evaluated }}",
        "plain": 5,
    }


def test_where_expressions_stand_in_a_text() -> None:
    assert split_text("a ${{ b }} c") == ("a ", Embedded("b", 6), " c")
    assert unwrap(" ${{ x }}") == Embedded("x", 5)
    assert unwrap(" x") == Embedded("x", 1)
    with pytest.raises(UnclosedInterpolation) as caught:
        split_text("${{ a }} ${{ '}}'")
    assert caught.value.offset == 9


@given(st.text(st.sampled_from("${} '\"\\ab"), max_size=40))
def test_splitting_loses_nothing_and_raises_one_error(text: str) -> None:
    try:
        pieces = split_text(text)
    except UnclosedInterpolation as error:
        assert text[error.offset :].startswith("${{")  # noqa: PT017  # the error is the answer
        return
    if not any(isinstance(piece, Embedded) for piece in pieces):
        assert "".join(map(str, pieces)) == text.replace("$${{", "${{")


def test_one_compiled_expression_serves_many_threads() -> None:
    expression = compile_expression("join(event.list.map(x, string(x + vars.add)), ',')")
    wrong: list[object] = []

    def work(number: int) -> None:
        scope = Scope({"event": {"list": list(range(50))}, "vars": {"add": number}})
        expected = ",".join(str(item + number) for item in range(50))
        for _ in range(50):
            found = expression.evaluate(scope)
            if found != expected:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_times_may_be_given_as_times() -> None:
    scope = Scope({"event": {"time": datetime(2026, 1, 1, tzinfo=UTC)}})
    assert evaluate("event.time > timestamp('2025-01-01T00:00:00Z')", scope) is True
    assert render("at ${{ event.time }}", scope) == "at 2026-01-01T00:00:00Z"
