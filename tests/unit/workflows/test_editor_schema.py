"""The published schema: agrees with the checker in both directions, as far as it can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from service.catalogue import build_catalogue
from service.workflows.catalogue import Catalogue
from service.workflows.editor_schema import document_schema

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
GOOD = sorted((HERE / "documents").glob("*.yaml"))
SHIPPED = sorted(
    path
    for path in (ROOT / "examples" / "workflows").glob("*.yaml")
    if not path.name.endswith(".test.yaml")
)


def _read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def _faults(catalogue: Catalogue, value: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(document_schema(catalogue))
    return [error.message for error in validator.iter_errors(value)]


def test_it_is_a_schema(catalogue: Catalogue) -> None:
    jsonschema.Draft202012Validator.check_schema(document_schema(catalogue))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_is_accepted_is_never_underlined(path: Path, catalogue: Catalogue) -> None:
    assert _faults(catalogue, _read(path)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_workflow_is_underlined(path: Path) -> None:
    assert _faults(build_catalogue(), _read(path)) == []


@pytest.mark.parametrize(
    "name",
    [
        "approval-is-a-text",
        "approval-on-timeout-unknown",
        "call-with-connection",
        "debounce-is-a-number",
        "emit-type-of-one-word",
        "id-missing",
        "input-of-unknown-type",
        "loop-too-wide",
        "loop-without-steps",
        "missing-parameter",
        "mode-unknown",
        "nested-parameter-unknown",
        "no-steps",
        "on-is-a-text",
        "parallel-empty-arm",
        "parameter-of-wrong-type",
        "poll-without-timeout",
        "retry-of-a-wait",
        "sleep-is-a-number",
        "step-id-of-wrong-form",
        "step-kind-misspelt",
        "step-of-two-kinds",
        "throttle-of-nothing",
        "trigger-with-key-of-another",
        "unknown-action",
        "unknown-key-of-step",
        "unknown-parameter",
        "unknown-vendor",
        "wait-without-timeout",
        "window-with-expression",
    ],
)
def test_it_underlines_what_can_be_seen_without_evaluating(name: str, catalogue: Catalogue) -> None:
    assert _faults(catalogue, _read(HERE / "wrong" / f"{name}.yaml"))


STEPS: dict[str, dict[str, Any]] = {
    "uses": {"id": "a", "uses": "slack.message", "with": {"text": "hi"}},
    "approval": {"id": "a", "approval": {"text": "Merge?"}},
    "wait_for": {"id": "a", "wait_for": {"event": "a.b", "timeout": "1h"}},
    "sleep": {"sleep": "5m"},
    "emit": {"emit": {"type": "deploy.finished"}},
    "call": {"id": "a", "call": "other"},
    "for_each": {"for_each": "event.facts.tests", "steps": [{"sleep": "1s"}]},
    "parallel": {"parallel": [[{"sleep": "1s"}], [{"sleep": "1s"}]]},
}
TRIGGERS: dict[str, dict[str, Any]] = {
    "event": {"event": "a.b"},
    "cron": {"cron": "0 6 * * *"},
    "manual": {"manual": {}},
}


def _places(catalogue: Catalogue, **parts: Any) -> list[tuple[list[int | str], str]]:
    value = {"name": "x", "on": [{"event": "a.b"}], "steps": [{"sleep": "1s"}], **parts}
    validator = jsonschema.Draft202012Validator(document_schema(catalogue))
    return [(list(error.absolute_path), error.message) for error in validator.iter_errors(value)]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("inside", ["alone", "loop", "arm"])
def test_only_the_misspelt_key_of_a_step_is_underlined(
    kind: str, inside: str, catalogue: Catalogue
) -> None:
    good = STEPS[kind]
    around: dict[str, tuple[list[int | str], Any]] = {
        "alone": ([], lambda step: step),
        "loop": (["steps", 0], lambda step: {"for_each": "event.facts.tests", "steps": [step]}),
        "arm": (["parallel", 0, 0], lambda step: {"parallel": [[step]]}),
    }
    below, wrap = around[inside]
    assert _places(catalogue, steps=[wrap(good)]) == []
    misspelt = {**good, "on_eror": "continue"}
    [(path, message)] = _places(catalogue, steps=[{"sleep": "1s"}, wrap(misspelt)])
    assert path == ["steps", 1, *below]
    assert "'on_eror' was unexpected" in message
    without_kind = {f"{key}x" if key == kind else key: value for key, value in good.items()}
    [(path, message)] = _places(catalogue, steps=[{"sleep": "1s"}, wrap(without_kind)])
    assert path == ["steps", 1, *below]
    assert f"'{kind}x' was unexpected" in message


@pytest.mark.parametrize("kind", TRIGGERS)
def test_only_the_misspelt_key_of_a_trigger_is_underlined(kind: str, catalogue: Catalogue) -> None:
    [(path, message)] = _places(catalogue, on=[{**TRIGGERS[kind], "iff": "true"}])
    assert path == ["on", 0]
    assert "'iff' was unexpected" in message


def test_a_misspelt_parameter_is_underlined_in_its_step(catalogue: Catalogue) -> None:
    step = {"id": "a", "uses": "slack.message", "with": {"text": "hi", "chanel": "#qa"}}
    [(path, message)] = _places(catalogue, steps=[{"sleep": "1s"}, step])
    assert path == ["steps", 1, "with"]
    assert "'chanel' was unexpected" in message


def test_a_misspelt_key_of_a_part_is_underlined_in_that_part(catalogue: Catalogue) -> None:
    step = {"id": "a", "uses": "slack.message", "with": {"text": "hi"}, "retry": {"atempts": 2}}
    [(path, message)] = _places(catalogue, steps=[step])
    assert path == ["steps", 0, "retry"]
    assert "'atempts' was unexpected" in message
    assert _places(catalogue, steps=[{**step, "retry": None}]) == []
    [(path, _)] = _places(catalogue, debounce={"quiett": "5s", "quiet": "5s"})
    assert path == ["debounce"]
    assert _places(catalogue, debounce=3)


def test_editors_complete_every_kind_before_one_is_written(catalogue: Catalogue) -> None:
    parts = document_schema(catalogue)["$defs"]
    assert {*STEPS, "id", "if", "on_error"} == set(parts["Step"]["properties"])
    assert set(parts["Trigger"]["properties"]) == set(TRIGGERS)
    assert _places(catalogue, steps=[{"id": "a"}])
    assert _places(catalogue, steps=["text"])
