"""Test files beside workflows: what is given and expected, and what is said where they differ."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from schemas.document import Document
from schemas.events import EventDraft
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.findings import DocumentError
from service.workflows.test_cases import Bench, make_ready
from service.workflows.test_comparing import Difference
from service.workflows.test_events import WrongGiven
from service.workflows.test_files import read_tests
from service.workflows.test_running import Ran, run_case
from service.workflows.test_timeline import case_as_json, timeline


class Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HealParams(Closed):
    run: str
    note: str | None = None


class HealOutputs(Closed):
    batch: str
    url: str | None = None
    done: bool = False


class TellParams(Closed):
    text: str


class TellOutputs(Closed):
    ts: str | None


CATALOGUE = Catalogue.of(
    [
        ActionSignature("v.heal", HealParams, HealOutputs),
        ActionSignature("v.look", HealParams, HealOutputs),
        ActionSignature("v.tell", TellParams, TellOutputs),
    ]
)


def samples(name: str) -> list[EventDraft]:
    if name != "checksum/failed":
        raise WrongGiven(f"there is no sample `{name}`", ("sample",), "did you mean …?")
    facts = {"run_id": "r9", "counts": {"failed": 3}}
    return [
        EventDraft(type="test_case.failed", vendor_type="x", facts={}),
        EventDraft(type="test_run.failed", vendor_type="x", subject="r9", facts=facts),
    ]


BENCH = Bench(CATALOGUE, frozenset({"v.look"}), samples)
HEAL = Document.model_validate(
    {
        "name": "heal",
        "on": [{"event": "test_run.failed", "vendor": "checksum"}],
        "if": "event.facts.counts.failed > 0",
        "vars": {"who": "team"},
        "steps": [
            {"id": "heal", "uses": "v.heal", "with": {"run": "${{ event.facts.run_id }}"}},
            {
                "id": "look",
                "uses": "v.look",
                "with": {"run": "${{ steps.heal.batch }}"},
                "poll": {"every": "15s", "until": "output.done", "timeout": "1h"},
            },
            {"id": "ok", "approval": {"text": "?", "timeout": "1h"}},
            {"id": "tell", "uses": "v.tell", "with": {"text": "for ${{ vars.who }}:\nhealed"}},
            {"id": "said", "emit": {"type": "my.healed", "facts": {"by": "${{ steps.ok.by }}"}}},
        ],
        "outputs": {"url": "${{ steps.heal.url }}"},
        "on_failure": [{"id": "sorry", "uses": "v.tell", "with": {"text": "${{ error.message }}"}}],
    }
)
GOOD = """
defaults:
  event: {type: test_run.failed, facts: {run_id: r1, counts: {failed: 1}}}
  actions:
    heal: {returns: {batch: b1, url: u1}}
    look:
      - {returns: {done: false}}
      - {returns: {done: true}, after: 5s}
    v.tell: {returns: {}}
  later: [{after: 10m, approve: ok, by: ann}]
cases:
  - name: one
"""
STEPS = "{heal: succeeded, look: succeeded, ok: succeeded, tell: succeeded, said: succeeded}"


def run(case: str, document: Document = HEAL, beginning: str = GOOD) -> Ran:
    """Run one case whose keys are given, indented by four."""
    read = read_tests(beginning + case, filename="w.test.yaml")
    [ready] = make_ready(read, document, BENCH)
    ran = run_case(document, ready, BENCH)
    assert run_case(document, ready, BENCH) == ran
    return ran


def found(case: str, document: Document = HEAL, beginning: str = GOOD) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        make_ready(read_tests(beginning + case, filename="w"), document, BENCH)
    return [str(finding) for finding in caught.value.findings]


def only(ran: Ran) -> Difference:
    assert len(ran.differences) == 1, ran.differences
    return ran.differences[0]


# --- what is given and expected -------------------------------------------------------------------


def test_a_run_that_goes_as_expected_passes() -> None:
    ran = run(f"""
    expect:
      starts: true
      reason: "its condition is true…"
      status: succeeded
      steps: {STEPS}
      effects:
        - {{uses: v.heal, with: {{run: r1}}}}
        - {{uses: v.tell, with: {{text: "for team…healed"}}}}
      emits: [{{type: my.healed, facts: {{by: ann}}}}]
      output: {{url: u1}}
      took: 10m
    """)
    assert ran.passed, ran.differences


@pytest.mark.parametrize(
    ("expected", "where", "sides"),
    [
        ("status: failed", "status", ("failed", "succeeded")),
        ("took: 11m", "took", ("11m", "10m")),
        ("output: {url: u2}", "output.url", ("u2", "u1")),
        ("starts: false", "starts", ("false", "true: its condition is true: ")),
        (
            "effects: [{uses: v.heal, with: {run: r2}}, {uses: v.tell}]",
            "effects 1 (v.heal).with.run",
            ("r2", "r1"),
        ),
        (
            "emits: [{type: my.healed, facts: {by: bob}}]",
            "emits 1 (my.healed).facts.by",
            ("bob", "ann"),
        ),
        ("error: {code: refused}", "error", ('{"code": "refused"}', "succeeded")),
        (
            "effects: [{uses: v.heal, with: {note: x}}, …]",
            "effects 1 (v.heal).with.note",
            ("x", None),
        ),
    ],
)
def test_what_differs_is_told_with_both_sides(
    expected: str, where: str, sides: tuple[str, str | None]
) -> None:
    difference = only(run(f"    expect: {{{expected}}}"))
    assert difference.where == where
    assert difference.expected == sides[0]
    if sides[1] is None:
        assert difference.got is None
    else:
        assert (difference.got or "").startswith(sides[1])


def test_lists_are_told_side_by_side() -> None:
    difference = only(run("    expect: {steps: {heal: succeeded, tell: failed, said: skipped}}"))
    assert difference.lines == (
        (" ", "heal: succeeded"),
        ("-", "tell: failed"),
        ("-", "said: skipped"),
        ("+", "look: succeeded"),
        ("+", "ok: succeeded"),
        ("+", "tell: succeeded"),
        ("+", "said: succeeded"),
    )
    effects = only(run("    expect: {effects: [{uses: v.tell}]}"))
    assert effects.lines == (("+", "v.heal  by heal"), (" ", "v.tell  by tell"))
    text = only(
        run('    expect: {effects: [{uses: v.tell, with: {text: "for all:\\nhealed"}}, …]}')
    )
    assert text.lines == (("-", "for all:"), ("+", "for team:"), (" ", "healed"))


def test_what_is_only_partly_expected_is_looked_for_in_its_order() -> None:
    assert run("    expect: {steps: {heal: succeeded, tell: succeeded, …: }}").passed
    assert run("    expect: {effects: [{uses: v.tell}, …]}").passed
    assert not run("    expect: {steps: {tell: succeeded, heal: succeeded, …: }}").passed
    assert not run("    expect: {effects: [{uses: v.tell}, {uses: v.heal}, …]}").passed


def test_an_effect_may_be_expected_several_times() -> None:
    document = Document.model_validate(
        {
            "name": "x",
            "on": [{"event": "go"}],
            "steps": [
                {
                    "for_each": "[1, 2, 3]",
                    "steps": [
                        {"id": "tell", "uses": "v.tell", "with": {"text": "${{ string(item) }}"}}
                    ],
                }
            ],
        }
    )
    beginning = "cases:\n  - name: one\n    event: {type: go}\n    actions: {tell: {returns: {}}}\n"
    assert run("    expect: {effects: [{uses: v.tell, times: 3}]}", document, beginning).passed
    assert not run("    expect: {effects: [{uses: v.tell, times: 2}]}", document, beginning).passed


def test_a_sample_is_an_event_with_fields_laid_over_it() -> None:
    recorded = "    event: {sample: checksum/failed, facts: {branch: main}}\n"
    ran = run(recorded + "    expect: {status: succeeded}")
    assert ran.passed
    assert (ran.event["type"], ran.event["vendor"], ran.event["subject"]) == (
        "test_run.failed",
        "checksum",
        "r9",
    )
    facts: Any = ran.event["facts"]
    # The default facts of this file lie between the sample's and the case's own.
    assert (facts["branch"], facts["counts"]["failed"], facts["run_id"]) == ("main", 1, "r1")


def test_an_event_that_starts_nothing() -> None:
    quiet = "    event: {facts: {counts: {failed: 0}}}\n"
    assert run(quiet + "    expect: {starts: false, reason: '…false…'}").passed
    difference = only(run(quiet + "    expect: {status: succeeded}"))
    assert (difference.where, difference.expected) == ("starts", "true")


# --- outcomes -------------------------------------------------------------------------------------


def test_failures_are_retried_as_in_a_real_run() -> None:
    ran = run("""
    actions:
      heal:
        - {fails: timed_out}
        - {fails: {code: rate_limited, retry_after: 30s}}
        - {fails: {code: refused, message: no such run}}
    later: []
    expect:
      status: failed
      error: {step: heal, code: refused, message: no such…}
      effects: [{uses: v.tell, with: {text: no such run}}]
      took: 32s
    """)
    assert ran.passed, ran.differences


def test_what_is_in_doubt_waits_for_a_person() -> None:
    doubt = "    actions: {heal: {doubt: who knows}}\n"
    waits = "    expect: {status: waiting, waits_for: {heal: person}, steps: {heal: in_doubt}}"
    assert run(doubt + "    later: []\n" + waits).passed
    settled = (
        "    later: [{after: 1h, settle: heal, output: {batch: b2}}, {after: 2h, approve: ok}]\n"
    )
    ends = "    expect: {status: succeeded, took: 2h}"
    assert run(doubt + settled + ends).passed


def test_a_call_without_an_answer_is_told_with_one_to_paste() -> None:
    beginning = GOOD.replace("    heal: {returns: {batch: b1, url: u1}}\n", "")
    ran = run("    expect: {status: succeeded}", beginning=beginning)
    assert ran.missing == (
        "`heal` calls v.heal, and no answer is given for it",
        "below `actions:`",
        'heal:\n  returns: {batch: "…", done: false}',
    )
    assert not ran.passed
    pasted = f"    actions:\n      {ran.missing[2].replace(chr(10), chr(10) + '      ')}\n"
    assert run(pasted + "    expect: {status: succeeded}", beginning=beginning).passed


def test_a_list_that_is_used_up_or_left_over_is_told() -> None:
    ran = run("    actions: {look: [{returns: {done: false}}]}\n    expect: {status: succeeded}")
    assert ran.missing is not None
    assert ran.missing[0].endswith("once more than answers are given for `look`, which has 1")
    more = "    actions: {look: [{returns: {done: true}}, {returns: {done: true}}]}\n"
    difference = only(run(more + "    expect: {status: succeeded}"))
    assert difference.note == "`look` was called once, and 2 answers are given"


def test_a_decision_for_which_nobody_waits_is_told() -> None:
    late = "    later: [{after: 2h, approve: ok}, {after: 3h, cancel: true}]\n"
    ran = run(late + "    expect: {status: failed}")
    assert [(item.where, item.note) for item in ran.differences] == [
        ("later, 2h", "`ok` did not wait for a decision"),
        ("later, 3h", "the run had ended before it was cancelled"),
    ]


def test_parameters_that_do_not_fit_fail_as_in_a_real_run() -> None:
    numbers = "    event: {facts: {run_id: null}}\n    later: []\n"
    assert run(numbers + "    expect: {error: {step: heal, code: invalid_params}}").passed


def test_a_start_by_hand_takes_inputs() -> None:
    document = Document.model_validate(
        {
            "name": "x",
            "on": [{"manual": {"inputs": {"text": {"type": "text", "required": True}}}}],
            "steps": [
                {"id": "tell", "uses": "v.tell", "with": {"text": "${{ inputs.text }}"}},
                {"id": "sub", "call": "other"},
            ],
            "outputs": {"n": "${{ steps.sub.n }}"},
        }
    )
    beginning = "cases:\n  - name: one\n    actions: {tell: {returns: {}}}\n"
    called = "    called: {other: {outputs: {n: 4}, after: 1m}}\n"
    expect = "    expect: {effects: [{uses: v.tell, with: {text: hi}}], output: {n: 4}, took: 1m}"
    assert run(f"    inputs: {{text: hi}}\n{called}{expect}", document, beginning).passed
    assert found(f"    inputs: {{txt: hi}}\n{expect}", document, beginning)[0].startswith(
        "w:4:13: x takes no input `txt` (did you mean `text`?)"
    )


def test_a_called_workflow_without_an_end_is_told_with_one_to_paste() -> None:
    document = Document.model_validate(
        {"name": "x", "on": [{"event": "go"}], "steps": [{"id": "sub", "call": "other"}]}
    )
    beginning = "cases:\n  - name: one\n    event: {type: go}\n"
    ran = run("    expect: {status: succeeded}", document, beginning)
    assert ran.missing == (
        "the workflow `other` is called, and no end is given for it",
        "below `called:`",
        "other:\n  outputs: {}",
    )


def test_the_timeline_tells_what_happened_in_its_order() -> None:
    lines = [(m.after, m.state, m.name) for m in timeline(run("    expect: {status: failed}"))]
    assert lines == [
        ("0s", "event", "test_run.failed"),
        ("0s", "succeeded", "heal"),
        ("0s", "succeeded", "look"),
        ("15s", "succeeded", "look"),
        ("10m", "succeeded", "ok"),
        ("10m", "succeeded", "tell"),
        ("10m", "succeeded", "said"),
        ("10m", "succeeded", ""),
    ]


def test_a_report_is_plain_values() -> None:
    told = case_as_json(run("    expect: {status: failed}"))
    assert (told["name"], told["line"], told["passed"]) == ("one", 12, False)
    assert told["differences"][0]["expected"] == "failed"


# --- findings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "finding"),
    [
        ("    expects: {}", "w:13:5: the key `expects` is unknown (did you mean `expect`?)"),
        ("    expect: {}", "w:13:13: nothing is expected here: such a case could not fail"),
        ("    expect: {status: done}", "w:13:22: `status` must be 'succeeded', 'failed', "),
        ("    expect: {stauts: failed}", "w:13:14: the key `stauts` is unknown (did you mean"),
        (
            "    expect: {took: 3}",
            "w:13:20: `took` must be a duration (such as 500ms, 15s, 5m, 2h)",
        ),
        (
            "    expect: {steps: {hael: failed}}",
            "w:13:22: heal has no step `hael` (did you mean `heal`?)",
        ),
        ("    expect: {steps: {heal: good}}", "w:13:28: a step does not end `good` (there is"),
        (
            "    expect: {effects: [{uses: v.tel}]}",
            "w:13:31: no step of heal uses `v.tel` (did you mean `v.tell`?)",
        ),
        (
            "    expect: {effects: [{uses: v.look}]}",
            "w:13:31: `v.look` only reads: it has no effect (expect its step in `steps`)",
        ),
        (
            "    actions: {heal: {returns: {bacth: x}}}\n    expect: {status: failed}",
            "w:13:32: `v.heal` gives no `bacth` (did you mean `batch`?)",
        ),
        (
            "    actions: {heal: {returns: {batch: 3}}}\n    expect: {status: failed}",
            "w:13:39: `batch` of `v.heal`: Input should be a valid string",
        ),
        (
            "    actions: {heal: {returns: {}, fails: x}}\n    expect: {status: failed}",
            "w:13:21: write one of `returns`, `fails`, `doubt`, `lost`; here is `returns` and",
        ),
        (
            "    actions: {heel: {returns: {}}}\n    expect: {status: failed}",
            "w:13:15: no step is called `heel`, and none uses an action of this name (did you mean",
        ),
        (
            "    actions: {said: {returns: {}}}\n    expect: {status: failed}",
            "w:13:15: the step `said` calls nothing outside, so it is given no answer",
        ),
        (
            "    vars: {whom: x}\n    expect: {status: failed}",
            "w:13:12: heal declares no `whom` among its vars (did you mean `who`?)",
        ),
        (
            "    event: {facts: {runid: x}}\n    expect: {status: failed}",
            "w:13:21: `test_run.failed` has no fact `runid` (did you mean `run_id`?)",
        ),
        (
            "    event: {sample: checksum/other}\n    expect: {status: failed}",
            "w:13:21: there is no sample `checksum/other` (did you mean …?)",
        ),
        (
            "    later: [{after: 1m, approve: okay}]\n    expect: {status: failed}",
            "w:13:34: heal has no approval `okay` (did you mean `ok`?)",
        ),
        (
            "    later: [{after: 1m}]\n    expect: {status: failed}",
            "w:13:13: write one of `event`, `approve`, `reject`, `settle`, `cancel`; here is none",
        ),
        (
            "    called: {other: {}}\n    expect: {status: failed}",
            "w:13:14: heal calls no workflow `other`",
        ),
        (
            "    inputs: {}\n    expect: {status: failed}",
            "w:13:13: inputs are for a start by hand, and this case is started by an event",
        ),
        (
            "    start: today\n    expect: {status: failed}",
            "w:13:12: `start` must be a time with its zone (such as 2026-01-31T09:00:00Z)",
        ),
        (
            "    start: 9999-12-31T23:59:59Z\n    expect: {status: failed}",
            "w:13:12: a time of a test lies in the years 1990 to 2100",
        ),
        (
            "    later: [{after: 367d, cancel: true}]\n    expect: {status: failed}",
            "w:13:21: 367d is too long: at most 366 days",
        ),
        (
            "    expect: {status: failed}\n  - name: one\n    expect: {status: failed}",
            "w:14:11: another case has the name `one`",
        ),
        ("", "w:12:5: `expect` is missing (add `expect: …`)"),
    ],
)
def test_a_wrong_file_is_refused_at_the_line_with_a_hint(case: str, finding: str) -> None:
    told = found(case)
    assert len(told) == 1, told
    assert told[0].startswith(finding)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "w:1:1: the document is empty"),
        ("[]", "w:1:1: a test file is a mapping of keys"),
        ("cases: []", "w:1:8: `cases` must be a list with something in it"),
        ("case: []", "w:1:1: the key `case` is unknown (did you mean `cases`?)"),
        ("cases:\n  - 3", "w:2:5: `cases` must be a mapping, not 3"),
        (
            "defaults: {expect: {status: failed}}\ncases: [{name: a, expect: {status: failed}}]",
            "w:1:12: the key `expect` is unknown in `defaults` (what is expected stands in",
        ),
    ],
)
def test_what_is_no_test_file_is_refused(text: str, finding: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_tests(text, filename="w")
    told = [str(item) for item in caught.value.findings]
    assert len(told) == 1, told
    assert told[0].startswith(finding)


def test_a_fault_of_the_defaults_is_told_once_and_where_it_stands() -> None:
    beginning = (
        GOOD.replace("batch: b1", "bacth: b1") + "    expect: {status: failed}\n  - name: two\n"
    )
    assert found("    expect: {status: failed}", beginning=beginning) == [
        "w:5:22: `v.heal` gives no `bacth` (did you mean `batch`?)"
    ]
