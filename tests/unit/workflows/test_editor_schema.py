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
