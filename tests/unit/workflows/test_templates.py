"""Template files: what they print, what they read, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.workflow import StepState, StepStatus
from service.errors import Permanent
from service.workflows.expressions import ExpressionError, compile_expression
from service.workflows.functions import FUNCTIONS
from service.workflows.scope import Scope
from service.workflows.template_syntax import LONGEST_TEMPLATE
from service.workflows.template_words import TESTS, WORDS
from service.workflows.templates import TemplateError, compile_template

EVENT: dict[str, Any] = {
    "type": "test_run.failed",
    "facts": {
        "url": "https://e.example/r",
        "none": None,
        "flag": True,
        "share": 2.0,
        "keys": {"items": 1, "get": 2, "keys": 3, "__class__": 4},
        "tests": [
            {"title": "pays `now`", "status": "failed", "ms": 30, "suite": {"name": "b"}},
            {"title": "logs in", "status": "passed", "ms": 10, "suite": {"name": "a"}},
            {"title": "leaves", "status": "failed", "ms": 20, "suite": {"name": "a"}},
        ],
    },
}
SCOPE = Scope(
    {"event": EVENT, "events": [EVENT], "vars": {"people": ["@al", "<b>"]}, "run": {"id": "r1"}},
    {
        "heal": StepState(step_id="heal", status=StepStatus.SUCCEEDED, output={"batch_id": "b7"}),
        "pull": StepState(step_id="pull", status=StepStatus.SKIPPED),
    },
)


def rendered(text: str, scope: Scope = SCOPE) -> str:
    return compile_template(text, "texts/comment.md.jinja").render(scope)


def fault(text: str, scope: Scope = SCOPE) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        rendered(text, scope)
    return caught.value


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain", "plain"),
        ("{{ event.facts.url }}", "https://e.example/r"),
        ("{{ event['facts']['url'] }} {{ event.facts.tests.0.ms }}", "https://e.example/r 30"),
        ("[{{ event.facts.none }}]", "[]"),
        ("{{ event.facts.flag }} {{ event.facts.share }} {{ 1.5 }}", "true 2 1.5"),
        ("{{ vars.people }}", '["@al","<b>"]'),
        ("{{ {'b': [1], 'a': none} }}", '{"a":null,"b":[1]}'),
        ("{{ vars.people[1] }}", "<b>"),
        ("{{ vars.people[-1] }} {{ 'abc'[1] }} {{ 'abcd'[1:3] }}", "<b> b bc"),
        ("{{ steps.heal.batch_id }}|{{ steps.pull.n }}|{{ steps.pull.status }}", "b7||skipped"),
        ("{{ 'a' ~ 1 ~ true ~ none }}", "a1true"),
        ("{{ 1 + 2 * 3 - 4 / 8 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }}", "6.5 3 3 1024"),
        ("{{ 'a' + 'b' }}{{ [1] + [2] }} {{ -(1) }} {{ +2 }}", "ab[1,2] -1 2"),
        ("{{ 1 < 2 <= 2 != 3 }} {{ 'b' in 'abc' }} {{ 4 not in [1] }}", "true true true"),
        ("{{ 1 == true }} {{ [1] == [1.0] }} {{ 'type' in event }}", "false true true"),
        ("{{ 'a' if event.facts.flag else 'b' }}{{ 'c' if event.facts.none }}", "a"),
        ("{{ event.facts.none or 'x' }} {{ 1 and 2 }} {{ not 1 }}", "x 2 false"),
        ("{% if 0 %}a{% elif event.facts.flag %}b{% else %}c{% endif %}", "b"),
        ("{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        ("{% set x = 1 %}{% for i in [2] %}{% set x = i %}{% endfor %}{{ x }}", "1"),
        ("{% set a, b = [1, 2] %}{{ b }}{{ a }}", "21"),
        ("{% set x %}a{{ 1 }}{% endset %}{{ x }}{% set y | upper %}b{% endset %}{{ y }}", "a1B"),
        ("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "3false"),
        ("{% filter upper | truncate(3) %}abcd{% endfilter %}", "AB…"),
        ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
        (
            (
                "{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }} "
                "{% endfor %}"
            ),
            "1/2:2 2/2:3 ",
        ),
        (
            "{% for i in 'a,b,c' | split(',') %}{{ i }}{{ ', ' if not loop.last }}{% endfor %}",
            "a, b, c",
        ),
        ("{% for i in [1, 2, 3] %}{{ loop.cycle('odd', 'even') }} {% endfor %}", "odd even odd "),
        (
            (
                "{% for i in [1, 2] %}{{ loop.previtem | default('-') }}"
                "{{ loop.nextitem is defined }}{{ loop.revindex }}{{ loop.first }} {% endfor %}"
            ),
            "-true2true 1false1false ",
        ),
        ("{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}", "a2b1"),
        (
            (
                "{% for a in [1, 2] %}{% set outer = loop %}"
                "{% for b in [3] %}{{ outer.index }}{{ b }} {% endfor %}{% endfor %}"
            ),
            "13 23 ",
        ),
        (
            (
                "{% for n in [{'n': 1, 'in': [{'n': 2, 'in': []}]}] recursive %}"
                "{{ loop.depth }}:{{ n.n }}({{ loop(n['in']) }}){% endfor %}"
            ),
            "1:1(2:2())",
        ),
        (
            "{% macro m(a, b=a ~ '!') %}{{ a }}{{ b }} {% endmacro %}{{ m(1) }}{{ m('x', b=2) }}",
            "11! x2 ",
        ),
        (
            "{% macro m() %}<{{ caller(1) }}>{% endmacro %}{% call(n) m() %}n{{ n }}{% endcall %}",
            "<n1>",
        ),
        (
            (
                "{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}"
                "{% endfor %}{{ ns.n }}"
            ),
            "6",
        ),
        ("{# gone #}{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
    ],
)
def test_what_a_template_prints(text: str, printed: str) -> None:
    assert rendered(text) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ event.facts.tests | map(attribute='suite.name') | join(' ') }}", "b a a"),
        ("{{ [1, 2] | map('string') | map('default', 'x') | join('-') }}", "1-2"),
        ("{{ [{'a': 1}, {}] | map(attribute='a', default=0) | sum }}", "1"),
        ("{{ event.facts.tests | selectattr('status', 'eq', 'failed') | length }}", "2"),
        (
            "{{ event.facts.tests | rejectattr('ms', 'gt', 10) | map(attribute='title') | first }}",
            "logs in",
        ),
        (
            "{{ [1, 0, none, 2] | select | list }}{{ [1, none] | reject('none') | list }}",
            "[1,2][1]",
        ),
        ("{{ [{'a': 1}, {}] | selectattr('a', 'defined') | size }}", "1"),
        (
            "{{ event.facts.tests | sort('ms', reverse=true) | map(attribute='ms') | join }}",
            "302010",
        ),
        ("{{ ['b', 'C', 'a'] | sort | join }}{{ [3, 1.5] | sort }}", "abC[1.5,3]"),
        (
            (
                "{% for s, l in event.facts.tests | groupby('status') %}{{ s }}{{ l | size }} "
                "{% endfor %}"
            ),
            "failed2 passed1 ",
        ),
        (
            "{{ [1, 2, 3] | batch(2, 0) }}{{ [1, 2] | reverse }}{{ 'ab' | reverse }}",
            "[[1,2],[3,0]][2,1]ba",
        ),
        (
            "{% for k, v in {'x': 1} | items %}{{ k }}{{ v }}{% endfor %}{{ {'x': 1} | list }}",
            'x1["x"]',
        ),
        ("{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a' | indent(1, first=true) }}", "a\n  b\n\n  c| a"),
        ("{{ 'one two' | title }} {{ 'oNE' | capitalize }}", "One Two One"),
        ("{{ 'feature/a b' | urlencode }}", "feature%2Fa%20b"),
        ("{{ 2.456 | round(2) }} {{ 2.5 | round }} {{ -3 | abs }}", "2.46 2 3"),
        ("{{ '7' | int + 1 }} {{ 'x' | int(0) }} {{ '1.5' | float }} {{ 1.9 | int }}", "8 0 1.5 1"),
        ("{{ range(3) }}{{ range(1, 3) }}{{ range(4, 0, -2) }}", "[0,1,2][1,2][4,2]"),
        (
            "{{ startsWith('abc', 'a') }} {{ 'abc' | endsWith('d') }} {{ 'abc' | contains('b') }}",
            "true false true",
        ),
        ("{{ none | size }}{{ 'ab' | length }}{{ {'a': 1} | count }}", "021"),
        ("{{ {'b': 1} | tojson }}", '{"b":1}'),
        (
            "{{ 3 is odd }} {{ 4 is divisibleby(2) }} {{ 1 is number }} {{ none is none }}",
            "true true true true",
        ),
        (
            "{{ 2 is gt(1) }} {{ 'a' is in(['a']) }} {{ true is boolean }} {{ 1 is sameas(1.0) }}",
            "true true true true",
        ),
        (
            "{{ {} is mapping }} {{ [] is sequence }} {{ '' is string }} {{ 1 is not integer }}",
            "true true true false",
        ),
    ],
)
def test_filters_and_tests(text: str, printed: str) -> None:
    assert rendered(text) == printed


@pytest.mark.parametrize(
    ("call", "piped"),
    [
        ("join(vars.people, ', ')", "vars.people | join(', ')"),
        ("escape_markdown(vars.people[0])", "vars.people[0] | escape_markdown"),
        ("escape_slack(vars.people[1])", "vars.people[1] | escape_slack"),
        ("safe_url(event.facts.url)", "event.facts.url | safe_url"),
        ("dollars(4200000)", "4200000 | dollars"),
        ("default(event.facts.none, 'x')", "event.facts.none | default('x')"),
        ("default('', 'x')", "'' | default('x')"),
        ("format('%s of %s', [1, 2])", "'%s of %s' | format([1, 2])"),
        ("get(event, 'facts.tests.0.ms', 0)", "event | get('facts.tests.0.ms', 0)"),
        ("truncate('abcdef', 3)", "'abcdef' | truncate(3)"),
        ("json(vars.people)", "vars.people | json"),
        ("size(vars.people)", "vars.people | size"),
        ("max([1, 2]) + min([3, 4])", "([1, 2] | max) + ([3, 4] | min)"),
        ("replace('aba', 'a', 'c')", "'aba' | replace('a', 'c')"),
        ("distinct([1, 1])", "[1, 1] | distinct"),
        ("limit([1, 2, 3], 2)", "[1, 2, 3] | limit(2)"),
        ("trim(upper(' a '))", "' a ' | upper | trim"),
    ],
)
def test_the_words_of_expressions_mean_the_same_here(call: str, piped: str) -> None:
    in_text = compile_expression(f"string({call})").evaluate(SCOPE)
    assert rendered(f"{{{{ {call} }}}}") == in_text
    assert rendered(f"{{{{ {piped} }}}}") == in_text


def test_every_function_of_expressions_is_a_word_of_templates() -> None:
    assert set(FUNCTIONS) <= set(WORDS)


@pytest.mark.parametrize("name", sorted({*WORDS, *TESTS}))
def test_every_word_explains_itself_and_keeps_to_its_arguments(name: str) -> None:
    for words in (WORDS, TESTS):
        if name in words:
            assert name in words[name].help or name in {"tojson", "size", "sameas"}
            assert 1 <= words[name].least <= words[name].most


def test_nothing_is_escaped_by_itself() -> None:
    assert rendered("{{ vars.people[1] }} & {{ '\"' }}") == '<b> & "'


def test_a_key_of_a_map_is_never_a_method() -> None:
    text = "{{ event.facts['keys'].items }}{{ event.facts['keys'].get }}"
    assert rendered(text + "{{ event.facts['keys'].keys }}") == "123"
    assert rendered("{{ event.facts['keys'].__class__ }}") == "4"
    assert "`event.facts.values` does not exist" in fault("{{ event.facts.values }}").message


def test_a_line_that_holds_only_tags_leaves_nothing() -> None:
    text = (
        "# Report\n"
        "{# a remark #}\n"
        "{% for test in event.facts.tests %}\n"
        "  {% if test.ms > 10 %}\n"
        "- {{ test.ms }}{% if loop.last %} (last){% endif %}\n"
        "  {% endif %}\n"
        "{% endfor %}\n"
        "\n"
        "{% if true %}{% set x = 1 %}\n"
        "{% endif %}\n"
        "end {{ x }}\n"
    )
    assert rendered(text) == "# Report\n- 30\n- 20 (last)\n\nend 1"


def test_white_space_can_still_be_taken_away_by_hand() -> None:
    assert rendered("a\n  {%- if true -%}  b  {%- endif -%}\n c") == "abc"


# --- what does not exist --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ event.facts.ur }}", "`event.facts.ur` does not exist"),
        ("{{ event['fact'].ur }}", "`event['fact']` does not exist"),
        ("{{ nothing }}", "there is no `nothing` here"),
        ("{{ output.x }}", "there is no `output` here"),
        ("{{ steps.haal.batch_id }}", "`steps.haal` does not exist"),
        (
            "{{ event.facts.none.url }}",
            "`event.facts.none.url` does not exist: it would be of null",
        ),
        ("{{ event.facts.url.host }}", "it would be of a text"),
        ("{{ event.facts.tests[3] }}", "there are 3"),
        ("{{ event.facts.tests.title }}", "it would be of a list"),
        ("{% if event.facts.ur %}{% endif %}", "`event.facts.ur` does not exist"),
        ("{% for x in event.facts.ur %}{% endfor %}", "`event.facts.ur` does not exist"),
        ("{{ event.facts.ur == 1 }}", "`event.facts.ur` does not exist"),
        ("{{ event.facts.ur or 1 }}", "`event.facts.ur` does not exist"),
        ("{{ [event.facts.ur] }}", "`event.facts.ur` does not exist"),
        ("{{ event.facts.ur | upper }}", "`event.facts.ur` does not exist"),
        ("{{ upper(event.facts.ur) }}", "`event.facts.ur` does not exist"),
        ("{% set x = event.facts.ur %}", "`event.facts.ur` does not exist"),
        ("{{ 1 | default(event.facts.ur) }}", "`event.facts.ur` does not exist"),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", "the macro `m` was not given `a`"),
        ("{{ join }}", "`join` is a function"),
        ("{% for i in [1] %}{{ loop.previtem }}{% endfor %}", "`loop.previtem` does not exist"),
    ],
)
def test_what_does_not_exist_is_named(text: str, said: str) -> None:
    assert said in fault(text).fault


def test_default_and_defined_may_ask_for_what_does_not_exist() -> None:
    text = (
        "{{ nothing.at.all | default('a') }}{{ default(event.facts.ur.x, 'b') }}"
        "{{ event.facts.ur is defined }}{{ event.facts.none.x is undefined }}"
        "{{ event.facts.none is defined }}{{ event.facts.tests[9].title | default('c') }}"
    )
    assert rendered(text) == "abfalsetruetruec"


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said", "hint"),
    [
        ("a\n{{ 'x' | uper }}", 2, "there is no filter or function `uper`", "`upper`"),
        ("{{ uper('x') }}", 1, "there is no function `uper`", "`upper`"),
        ("\n\n{{ 1 is od }}", 3, "there is no test `od`", "`odd`"),
        ("{{ 'x' | escape }}", 1, "no filter or function `escape`", "`escape_markdown`"),
        ("{{ 'x'.upper() }}", 1, "values have no methods", "`value | upper`"),
        ("{% include 'a.md' %}", 1, "`include` cannot be used here", "one file"),
        ("{% import 'a.md' as a %}", 1, "`import` cannot be used here", "one file"),
        ("{% from 'a.md' import b %}", 1, "cannot be used here", "one file"),
        ("{% extends 'a.md' %}", 1, "`extends` cannot be used here", "one file"),
        ("{% block a %}{% endblock %}", 1, "`block` cannot be used here", "one file"),
        ("{% if x %}\n{{ x", 2, "unexpected end of template", None),
        ("{% do x %}", 1, "there is no tag `do`", None),
        ("x\n{% for a %}", 2, "expected token 'in'", None),
        ("{{ truncate('x') }}", 1, "`truncate` is given too much or too little", "truncate(text"),
        ("{{ [1] | sort(backwards=true) }}", 1, "does not take `backwards=`", "reverse=true"),
        ("{{ [1] | join(*[',']) }}", 1, "without `*`", None),
        ("{% set loop = 1 %}", 1, "`loop` has a meaning of its own", None),
        ("{% for x in [1] %}{{ loop.indx }}{% endfor %}", 1, "no `indx`", "`index`"),
        ("{{ " + "9" * 40 + " }}", 1, "does not fit into 64 bits", None),
        ("x" * (LONGEST_TEMPLATE + 1), 1, f"at most {LONGEST_TEMPLATE} characters", None),
        ("a\n\n{{ 1 / 0 }}", 3, "divided by zero", None),
        ("{{ 1 +\n event.type }}", 1, "`+` does not fit a number and a text", "`a ~ b`"),
        ("{{ '%s' % 1 }}", 1, "`%` does not fit a text and a number", "`format("),
        ("\n{% for x in event.facts.none %}{% endfor %}", 2, "through null", "default([])"),
        ("{% for x in 'abc' %}{% endfor %}", 1, "through a text", None),
        ("{{ 1 < 'a' }}", 1, "a number and a text have no order", None),
        ("{{ [1, 'a'] | sort }}", 1, "sort: it needs only numbers or only texts", None),
        ("{{ 'x' | map('upper') }}", 1, "one cannot go through a text", None),
        ("{{ [1] | map(event.type) }}", 1, "filter or function `test_run.failed`", "`abs`"),
        ("{{ ['x'] | select('od') }}", 1, "there is no test `od`", "`odd`"),
        ("{{ ['x'] | rejectattr('a', 'od') }}", 1, "there is no test `od`", "`odd`"),
        ("{{ ['x'] | map('uper') }}", 1, "there is no filter or function `uper`", "`upper`"),
        ("{{ 'x' | int }}", 1, "int: `x` is no number", None),
        ("{{ evnt.type }}", 1, "there is no `evnt` here", "`event`"),
    ],
)
def test_faults_have_line_and_hint(text: str, line: int, said: str, hint: str | None) -> None:
    error = fault(text)
    assert said in error.fault
    assert error.line == line
    assert error.message.startswith(f"texts/comment.md.jinja:{line}: ")
    assert (error.hint or "") == "" if hint is None else hint in (error.hint or "")


def test_the_error_is_one_of_expressions_and_permanent() -> None:
    error = fault("a\r\nb\n{{ nothing }}")
    assert isinstance(error, ExpressionError)
    assert isinstance(error, Permanent)
    assert error.code == "template"
    assert error.source[error.offset :] == "{{ nothing }}"


def test_templates_are_compiled_once() -> None:
    assert compile_template("{{ 1 }}", "a") is compile_template("{{ 1 }}", "a")


# --- references -----------------------------------------------------------------------------------


def read(text: str) -> list[tuple[str, int, bool]]:
    found = compile_template(text, "a").references
    return [(".".join(item.path), item.line, item.tested) for item in found]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        (
            "{{ event.facts.url }}\n{{ steps.heal['batch_id'] }}",
            [("event.facts.url", 1, False), ("steps.heal.batch_id", 2, False)],
        ),
        ("{{ event.facts.tests[0].title }}", [("event.facts.tests", 1, False)]),
        ("{{ event.facts[vars.n] }}", [("vars.n", 1, False), ("event.facts", 1, False)]),
        (
            (
                "{% for t in event.facts.tests if t.ms > vars.least %}{{ t.title }}{{ loop.index }}"
                "{{ run.id }}{% endfor %}{{ t }}"
            ),
            [
                ("event.facts.tests", 1, False),
                ("vars.least", 1, False),
                ("run.id", 1, False),
                ("t", 1, False),
            ],
        ),
        (
            "{{ event.a | default(vars.b) }}{{ event.c is defined }}{{ default(event.d, 1) }}",
            [
                ("event.a", 1, True),
                ("vars.b", 1, False),
                ("event.c", 1, True),
                ("event.d", 1, True),
            ],
        ),
        (
            "{{ join(event.a, ',') | upper }}{{ x.y ~ z }}",
            [("event.a", 1, False), ("x.y", 1, False), ("z", 1, False)],
        ),
        ("{{ a }}{% set a = 1 %}{{ a }}", [("a", 1, False)]),
        ("{% if vars.x %}{% set event = 1 %}{% endif %}{{ event.y }}", [("vars.x", 1, False)]),
        ("{% with a = event.b %}{{ a.c }}{% endwith %}", [("event.b", 1, False)]),
        (
            "{% macro m(a) %}{{ a.b }}{{ c }}{{ new }}{% endmacro %}{% set new = 1 %}{{ m(d) }}",
            [("c", 1, False), ("d", 1, False)],
        ),
        (
            "{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(u) m() %}{{ u ~ w }}{% endcall %}",
            [("w", 1, False)],
        ),
        (
            "{% set x | replace(event.a, 'b') %}{{ vars.c }}{% endset %}{{ x.d }}",
            [("vars.c", 1, False), ("event.a", 1, False)],
        ),
        (
            "{% for k, v in vars.m | items %}{{ k }}{{ v.x }}{% else %}{{ k }}{% endfor %}",
            [("vars.m", 1, False), ("k", 1, False)],
        ),
        (
            "{% set ns = namespace(a=vars.a) %}{% set ns.a = ns.a + vars.b %}{{ ns.a }}",
            [("vars.a", 1, False), ("vars.b", 1, False)],
        ),
        ("{{ event.a }}{{ event.a }}", [("event.a", 1, False)]),
        (
            "{{ 'x' if vars.a else vars.b }}{{ (event.a or event.b).c }}",
            [
                ("vars.a", 1, False),
                ("vars.b", 1, False),
                ("event.a", 1, False),
                ("event.b", 1, False),
            ],
        ),
    ],
)
def test_references(text: str, references: list[tuple[str, int, bool]]) -> None:
    assert sorted(read(text)) == sorted(references)


def test_references_know_where_their_line_begins() -> None:
    text = "a\r\nb\n{{ event.x }}"
    (reference,) = compile_template(text, "a").references
    assert text[reference.offset :] == "{{ event.x }}"


def test_only_what_is_read_is_cut_out_of_the_scope() -> None:
    asked: list[object] = []

    class Watching(Scope):
        def bindings(self, paths: Any) -> dict[str, Any]:
            asked.extend(sorted(paths))
            return super().bindings(paths)

    scope = Watching(SCOPE.roots, SCOPE.steps)
    assert rendered("{{ event.type }}{% set a = run.id %}{{ a }}", scope) == "test_run.failedr1"
    assert asked == [("a",), ("event", "type"), ("run", "id")]
