"""Which waiting runs an event can concern: none is missed, and few are woken in vain."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from schemas.events import Json
from schemas.storable import storable
from schemas.workflow import StepState, StepStatus
from service.workflows.correlating import (
    LONGEST_PATH,
    LONGEST_VALUE,
    MOST_VALUES,
    WaitKey,
    event_value,
    expected_values,
    wait_key,
)
from service.workflows.expressions import ExpressionError, holds
from service.workflows.scope import Scope

VALUES: tuple[Json, ...] = (
    *(0, 1, -1, 7, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400),
    *(0.0, -0.0, 1.0, 1.5, 2.0**53, 2.0**63, 1e300, float("inf")),
    *(True, False, None, "", "1", "1.0", "true", "null", "a", "a\x00", "\ud800", "\u00e9"),
    *("e\u0301", "x" * LONGEST_VALUE, "x" * LONGEST_VALUE + "y", "2026-01-01T00:00:00Z"),
    *([], [1], {}, {"a": 1}),
)


def waiting(roots: Mapping[str, Json] | None = None, **steps: dict[str, Json]) -> Scope:
    """The scope of a waiting step: `event` in it is not the awaited one."""
    states = {
        step_id: StepState(step_id=step_id, status=StepStatus.SUCCEEDED, output=output)
        for step_id, output in steps.items()
    }
    return Scope({"event": {"facts": {"number": "own"}}, **(roots or {})}, states)


def held(condition: str, scope: Scope, awaited: Mapping[str, Json]) -> bool:
    """Whether the awaited event is this one."""
    try:
        return holds(condition, Scope({**scope.roots, "event": awaited}, scope.steps))
    except ExpressionError:
        return False


def wakes(condition: str, scope: Scope, awaited: Mapping[str, Json]) -> bool:
    """Whether the engine would ask the run about this event."""
    key = wait_key(condition)
    expected = None if key is None else expected_values(key, scope)
    return key is None or expected is None or event_value(key.path, awaited) in expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("event.subject == vars.x", WaitKey("event.subject", "vars.x", is_list=False)),
        ("vars.x == event.subject", WaitKey("event.subject", "vars.x", is_list=False)),
        ("${{ event.a == vars.x }}", WaitKey("event.a", "vars.x", is_list=False)),
        ("event.a in steps.s.urls", WaitKey("event.a", "steps.s.urls", is_list=True)),
        ('event["a"].b == run.id', WaitKey("event.a.b", "run.id", is_list=False)),
        ('event.a["b.c"] == run.id', WaitKey('event.a["b.c"]', "run.id", is_list=False)),
        ("event.a == (1 + 2) * 3", WaitKey("event.a", "(1 + 2) * 3", is_list=False)),
        ("(event.a == (run.id))", WaitKey("event.a", "(run.id)", is_list=False)),
        ("event.a == run.event.a", WaitKey("event.a", "run.event.a", is_list=False)),
        ("event.a == 'it''s'.size()", None),
        ("event.a == 'a && b' && true", WaitKey("event.a", "'a && b'", is_list=False)),
        (
            "event.a in events.map(event, event.id)",
            WaitKey("event.a", "events.map(event, event.id)", is_list=True),
        ),
        ("true && (vars.y && event.a == run.id)", WaitKey("event.a", "run.id", is_list=False)),
        ("event.a == run.id // why\n && true", WaitKey("event.a", "run.id", is_list=False)),
        # The first of equals; `==` before `in`; what differs from run to run before the rest.
        ("event.a == run.id && event.b == run.url", WaitKey("event.a", "run.id", is_list=False)),
        ("event.a in run.ids && event.b == run.id", WaitKey("event.b", "run.id", is_list=False)),
        ("event.a == 'b' && event.b == run.id", WaitKey("event.b", "run.id", is_list=False)),
        ("event.a == vars.b && event.b in run.ids", WaitKey("event.b", "run.ids", is_list=True)),
        ("event.a in [1, 2] && event.b == 2", WaitKey("event.b", "2", is_list=False)),
    ],
)
def test_the_demand_by_which_a_run_is_found(condition: str, expected: WaitKey | None) -> None:
    assert wait_key(condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        None,
        True,
        False,
        "",
        "event.a ==",
        "${{ event.a == run.id",
        "event.a == run.id || vars.y",
        "!(event.a == run.id)",
        "event.a == run.id ? vars.y : vars.z",
        "vars.y ? event.a == run.id : false",
        "[1].exists(x, event.a == run.id)",
        "event.list.all(x, x == run.id)",
        "event.a != run.id",
        "event.a < run.id",
        "event.a == event.b",
        "event.a == [event.b][0]",
        "event.a in event.b",
        "run.id in event.list",
        "event == run.event",
        "event in events",
        "event.list[0] == run.id",
        "event.a.size() == run.size",
        "lower(event.a) == run.id",
        "event.a + '' == run.id",
        "-event.a == run.size",
        "has(event.a) == vars.y",
        "event.a == run.id == false",
        "(event.a == run.id) == false",
        "event.a in run.ids in [false]",
        "[1].map(event, event)[0] == 1",
        f"event.{'a' * LONGEST_PATH} == run.id",
    ],
)
def test_what_an_event_may_be_without_is_no_demand(*, condition: str | bool | None) -> None:
    assert wait_key(condition) is None


@pytest.mark.parametrize(
    ("expression", "is_list", "expected"),
    [
        ("steps.s.number", False, ("number:7.0",)),
        ("string(steps.s.number)", False, ("text:7",)),
        ("steps.s.urls", True, ("text:u", "text:v")),
        ("steps.s.urls + ['u']", True, ("text:u", "text:v")),
        ("session.id", False, ("text:s1",)),
        ("events.map(e, e.id)", True, ("text:e1", "text:e2")),
        ("run.event.id", False, ("text:e1",)),
        ("event.facts.number", False, ("text:own",)),
        ("[]", True, ()),
        ("null", False, ("null",)),
        ("[true, 1, 1.0, 1u, '1', null]", True, ("true", "number:1.0", "text:1", "null")),
        # Of these an event is not found, so every event is asked about.
        ("steps.s.urls", False, None),
        ("steps.s.number", True, None),
        ("{'u': 1}", True, None),
        ("{'u': 1}", False, None),
        ("[['u']]", True, None),
        ("steps.s.absent", False, None),
        ("1 / 0", False, None),
        ("double('NaN')", False, None),
        ("b'u'", False, None),
        ("steps.s.urls +", True, None),
    ],
)
def test_the_values_a_run_expects(
    expression: str, *, is_list: bool, expected: tuple[str, ...] | None
) -> None:
    events: list[Json] = [{"id": "e1"}, {"id": "e2"}]
    scope = waiting(
        {"events": events, "run": {"event": events[0]}, "session": {"id": "s1"}},
        s={"number": 7, "urls": ["u", "v"]},
    )
    assert expected_values(WaitKey("event.a", expression, is_list), scope) == expected


def test_more_values_than_are_kept_are_no_demand() -> None:
    key = WaitKey("event.a", "vars.numbers", is_list=True)
    many = waiting({"vars": {"numbers": list(range(MOST_VALUES))}})
    too_many = waiting({"vars": {"numbers": list(range(MOST_VALUES + 1))}})
    assert len(expected_values(key, many) or ()) == MOST_VALUES
    assert expected_values(key, too_many) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("event.facts.number", "number:7.0"),
        ("event.facts.merged", "true"),
        ("event.facts.branch", "null"),
        ('event.payload["a.b"]', "text:c"),
        ('event.payload["\\"]"].x', "text:y"),
        ("event.facts.absent", None),
        ("event.facts.number.absent", None),
        ("event.facts", None),
        ("event.facts.labels", None),
    ],
)
def test_the_value_of_an_event(path: str, expected: str | None) -> None:
    facts: Json = {"number": 7, "merged": True, "branch": None, "labels": ["x"]}
    awaited = {"facts": facts, "payload": {"a.b": "c", '"]': {"x": "y"}}}
    assert event_value(path, awaited) == expected


def test_of_many_waiting_runs_an_event_wakes_the_one_it_concerns() -> None:
    condition = (
        "event.facts.action == 'closed' && event.facts.number == steps.heal.number"
        " && (event.facts.merged || vars.any)"
    )
    runs = {number: waiting(heal={"number": number}) for number in range(200)}
    awaited = {"facts": {"action": "closed", "number": 7.0, "merged": True}}
    assert [number for number, scope in runs.items() if wakes(condition, scope, awaited)] == [7]


def test_values_that_are_equal_to_the_expression_library_have_one_text() -> None:
    equal = 0
    for left, right in product(VALUES, VALUES):
        scope = waiting({"run": {"x": right}})
        awaited: dict[str, Json] = {"a": left}
        for condition in ("event.a == run.x", "event.a in [run.x]"):
            if held(condition, scope, awaited):
                equal += 1
                assert wakes(condition, scope, awaited), (condition, left, right)
    assert equal > 2 * len(VALUES)


def test_unequal_kinds_have_different_texts() -> None:
    texts = [event_value("event.a", {"a": value}) for value in (1, "1", True, "true", None, "null")]
    assert len(set(texts)) == len(texts)


@given(st.sampled_from(VALUES))
def test_the_text_can_be_stored_and_is_that_of_the_stored_event(value: Json) -> None:
    text = event_value("event.a", {"a": value})
    assert text == event_value("event.a", {"a": storable(value)})
    assert text is None or (len(text) <= LONGEST_VALUE and storable(text) == text)


paths = st.sampled_from(["event.a", "event.b.c", 'event["d.e"]', "event.b['c']", "event.absent"])
others = st.sampled_from(
    [
        *("1", "1.0", "'1'", "true", "null", "[]", "[1, '1']", "{'a': 1}", "1 + 1"),
        *("run.x", "run.l", "vars.x", "steps.s.x", "steps.s.l", "session.x", "run.event.a"),
        *("events.map(e, e.a)", "[run.x, vars.x]", "string(run.x)", "run.l.filter(x, x != 1)"),
        *("(run.x)", "run.x + run.x", "run.l[0]", "session_index", "event.a", "event.b.c"),
    ]
)
demands = st.one_of(
    st.tuples(paths, st.sampled_from(["==", "==", "in", "!=", "<"]), others).map(" ".join),
    st.tuples(others, st.sampled_from(["==", "in"]), paths).map(" ".join),
)
rests = st.sampled_from(["true", "has(event.a)", "event.a == event.a", "vars.x == run.x"])


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(" && ".join),
        several.map(" || ".join),
        several.map(" == ".join),
        inner.map("!({})".format),
        inner.map("({})".format),
        st.tuples(inner, inner, inner).map(lambda three: "{} ? {} : {}".format(*three)),
        inner.map("[1].exists(x, {})".format),
    )


anything = st.recursive(st.one_of(demands, rests), joined, max_leaves=5)
# Such as people write: demands that are often met, beside others.
likely = st.one_of(
    st.tuples(paths, st.just("=="), st.sampled_from(["run.x", "vars.x", "steps.s.x", "(1)"])),
    st.tuples(st.sampled_from(["session.x", "run.event.b.c"]), st.just("=="), paths),
    st.tuples(paths, st.just("in"), st.sampled_from(["run.l + [run.x]", "events.map(e, e.a)"])),
).map(" ".join)
conjunctions = st.lists(
    st.one_of(likely, likely, rests, anything.map("({})".format)), min_size=1, max_size=3
).map(" && ".join)
conditions = st.one_of(conjunctions, conjunctions.map("${{{{ {} }}}}".format), anything)
scalars = [value for value in VALUES if not isinstance(value, list | dict)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Json], Scope]:
    """An awaited event and a waiting run whose values are often equal."""
    pool = draw(st.lists(st.sampled_from([1, 1.0, "1", True, *scalars]), min_size=1, max_size=2))
    value = st.sampled_from(pool)
    some = st.lists(value, max_size=3)
    own: dict[str, Json] = {"a": draw(value), "b": {"c": draw(value)}}
    roots: dict[str, Json] = {
        "event": own,
        "events": [own],
        "run": {"x": draw(value), "l": draw(some), "event": own},
        "vars": {"x": draw(value)},
        "session": {"x": draw(value)},
        "session_index": 1,
    }
    awaited: dict[str, Json] = {
        "a": draw(st.one_of(value, value, some)),
        "b": {"c": draw(value)},
        "d.e": draw(value),
    }
    return awaited, waiting(roots, s={"x": draw(value), "l": draw(some)})


@settings(max_examples=150)
@given(conditions, worlds())
def test_no_run_is_missed(condition: str, world: tuple[dict[str, Json], Scope]) -> None:
    awaited, scope = world
    is_awaited = held(condition, scope, awaited)
    event(f"awaited: {is_awaited}, by a key: {wait_key(condition) is not None}")
    assert wakes(condition, scope, awaited) or not is_awaited
