"""The reference of workflows says all there is to say: every key, kind, function, code and limit.

That the page is current is looked at in test_vendor_pages.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas import testing
from schemas.document import STEP_KINDS
from schemas.events import OWN_FAMILIES
from schemas.workflow import RunStatus, StepStatus
from service.vendor_pages import pages
from service.workflow_limits import limits
from service.workflow_promises import (
    ENGINE_ERRORS,
    FUNCTION_WORDS,
    LOST_WORKER,
    NAMES,
    OUTPUTS,
    OWN_EVENTS,
    PROMISES,
    RUN_STATES,
    STEP_STATES,
    TESTING,
)
from service.workflows.functions import FUNCTIONS
from service.workflows.parts import LABELS
from service.workflows.template_words import TESTS, WORDS

ROOT = Path(__file__).parents[2]
PAGE = pages()["workflow-reference.md"]
ENGINE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [*(ROOT / "service").glob("*.py"), *(ROOT / "service" / "workflows").glob("*.py")]
    if path.name != "workflow_promises.py"
)
MODELS: list[type[BaseModel]] = [*LABELS, *(model for _, model in TESTING)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_of_our_files_is_explained_and_on_the_page(model: type[BaseModel]) -> None:
    for name, info in model.model_fields.items():
        assert info.description, name
        assert f"`{info.alias or name}`" in PAGE, name


def test_every_part_of_a_test_file_has_its_table() -> None:
    parts = {
        part
        for part in vars(testing).values()
        if isinstance(part, type) and issubclass(part, testing.Part) and part is not testing.Part
    }

    assert {model for _, model in TESTING} == parts


def test_every_kind_of_step_is_described() -> None:
    assert set(OUTPUTS) == set(STEP_KINDS)
    assert set(STEP_KINDS) <= set(PROMISES)
    assert set(STEP_KINDS) <= set(LOST_WORKER)


def test_every_state_is_described_and_no_other() -> None:
    assert list(RUN_STATES) == [state.value for state in RunStatus]
    assert set(STEP_STATES) == {state.value for state in StepStatus} - set(RUN_STATES)


def test_every_function_says_what_it_gives() -> None:
    bare = {name for name, function in FUNCTIONS.items() if ": " not in function.help}

    assert set(FUNCTION_WORDS) == bare


def test_every_word_of_templates_is_on_the_page() -> None:
    section = PAGE.partition("## Template files")[2].partition("\n## ")[0]

    for name, word in WORDS.items():
        assert name in FUNCTIONS or word.help.partition(": ")[0] in section, name
    assert all(f"`{name}`" in section for name in TESTS)


@pytest.mark.parametrize("code", sorted(ENGINE_ERRORS))
def test_a_code_of_the_engine_is_one_that_it_gives(code: str) -> None:
    named = f'"{code}"'
    assert named in ENGINE


@pytest.mark.parametrize("name", sorted(OWN_EVENTS))
def test_an_event_of_our_own_is_one_that_is_made(name: str) -> None:
    assert name.partition(".")[0] in OWN_FAMILIES
    assert f'"{name}"' in ENGINE


def test_codes_that_the_engine_gives_are_on_the_page() -> None:
    given = set(re.findall(r'Failed\(\s*"([a-z_]+)"', ENGINE))
    given |= set(re.findall(r'failed\(\w+, code="([a-z_]+)"', ENGINE))
    told = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))

    assert given
    assert given - told == set()


def test_names_and_limits_are_told_once() -> None:
    assert len({name for name, _, _ in NAMES}) == len(NAMES)
    told = [what for what, _ in limits()]
    assert len(set(told)) == len(told) >= 15
