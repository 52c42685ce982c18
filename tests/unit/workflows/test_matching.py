"""Which events start a workflow, and the words for why."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.document import Document
from service.workflows.matching import matches, type_matches


def document(**changes: Any) -> Document:
    plain = {
        "name": "x",
        "on": [{"event": "test_run.*", "vendor": "checksum"}],
        "steps": [{"id": "a", "uses": "b.c"}],
        **changes,
    }
    return Document.model_validate(plain)


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("test_run.failed", "test_run.failed", True),
        ("test_run.failed", "test_run.failed2", False),
        ("test_run.*", "test_run.failed", True),
        ("test_run.*", "test_run.", True),
        ("test_run.*", "test_run", False),
        ("*", "anything.at.all", True),
        ("*.failed", "heal.failed", True),
        ("*.failed", "heal.failed.twice", False),
        ("github.*.opened", "github.issue.opened", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("test.run", "testxrun", False),
    ],
)
def test_types(pattern: str, event_type: str, expected: object) -> None:
    assert type_matches(pattern, event_type) is expected


@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=8))
def test_types_match_as_globs_do(pattern: str, event_type: str) -> None:
    assert type_matches(pattern, event_type) == fnmatchcase(event_type, pattern)


def test_no_pattern_makes_matching_slow() -> None:
    began = time.monotonic()
    assert not type_matches("*a" * 99 + "*b", "a" * 10_000)
    assert time.monotonic() - began < 1


def test_vendor_and_source_filter(failed_event: dict[str, Any]) -> None:
    assert matches(document(), failed_event, {}).started
    other = matches(document(on=[{"event": "*", "vendor": "vibeview"}]), failed_event, {})
    assert not other.started
    assert other.reason == ("test_run.failed of checksum (source None) is none of its triggers: *")
    by_source = document(on=[{"event": "*", "source": "main"}])
    assert not matches(by_source, failed_event, {}).started
    assert matches(by_source, {**failed_event, "source": "main"}, {}).started


def test_the_condition_decides_with_its_vars(failed_event: dict[str, Any]) -> None:
    found = document(**{"if": "event.facts.counts.failed >= vars.least", "vars": {"least": 1}})
    assert matches(found, failed_event, {"least": 2}).started
    refused = matches(found, failed_event, {"least": 3})
    assert not refused.started
    assert refused.error is None
    assert refused.reason == "its condition is false: event.facts.counts.failed >= vars.least"


def test_a_condition_that_cannot_be_evaluated_starts_nothing_and_says_why(
    failed_event: dict[str, Any],
) -> None:
    found = matches(document(**{"if": "event.payload.x > 1"}), failed_event, {})
    assert not found.started
    assert found.error is not None
    assert "`event.payload.x` does not exist" in found.reason


def test_null_facts_are_simply_not_in_a_list(failed_event: dict[str, Any]) -> None:
    found = document(**{"if": "event.facts.visual in ['warn', 'fail']"})
    match = matches(found, failed_event, {})
    assert not match.started
    assert match.error is None


def test_each_trigger_may_have_a_condition_of_its_own(failed_event: dict[str, Any]) -> None:
    def found(*conditions: object) -> Document:
        return document(on=[{"event": "test_run.*", "if": condition} for condition in conditions])

    assert matches(found("event.vendor == 'checksum'"), failed_event, {}).started
    refused = matches(found("event.vendor == 'github'", False), failed_event, {})
    assert (refused.started, refused.error) == (False, None)
    assert refused.reason == "the condition of its trigger is false: event.vendor == 'github'"
    # One that cannot be evaluated does not keep another one from starting it.
    assert matches(found("event.payload.x > 1", True), failed_event, {}).started
    broken = matches(found("event.payload.x > 1", False), failed_event, {})
    assert not broken.started
    assert "`event.payload.x` does not exist" in str(broken.error)


def test_the_trigger_and_the_workflow_must_both_agree(failed_event: dict[str, Any]) -> None:
    both = document(on=[{"event": "test_run.*", "if": "true"}], **{"if": "false"})
    assert matches(both, failed_event, {}).reason == "its condition is false: false"
