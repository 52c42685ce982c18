"""Good documents that were changed at random: a Document or a DocumentError, soon, and no more.

What is accepted all the same is never underlined by the schema, and comes back from its row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from schemas.document import Document
from service.catalogue import build_catalogue
from service.template_files import TemplateFiles
from service.workflows.catalogue import Catalogue
from service.workflows.document import DocumentError, parse_document
from service.workflows.editor_schema import document_schema
from service.workflows.findings import Finding
from service.workflows.template_checks import ReadTemplate
from tests.unit.workflows.conftest import read_template

DOCUMENTS = sorted((Path(__file__).parent / "documents").glob("*.yaml"))
EXAMPLES = Path(__file__).parents[3] / "examples" / "workflows"
GOOD = [YAML(typ="safe", pure=True).load(path.read_text("utf-8")) for path in DOCUMENTS]
SHIPPED = [
    YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    for path in sorted(EXAMPLES.glob("*.yaml"))
    if not path.name.endswith(".test.yaml")
]
LONGEST_S = 5.0
KEYS = (
    *("id", "if", "uses", "with", "approval", "wait_for", "sleep", "emit", "call", "for_each"),
    *("parallel", "steps", "as", "collect", "on", "event", "cron", "manual", "inputs", "retry"),
    *("poll", "timeout", "template", "templates", "coalesce", "debounce", "outputs", "facts", ""),
    *("uses step", "[key]", "on_cancel", "vars", "é", "__class__"),
)
TEXTS = (
    *("", " ", "${{", "${{ }}", "}}", "${{ event }}", "${{ steps.heal.batch_id }}", "item"),
    *("steps.healed.sessions", "steps.both.count > 0", "5m", "0s", "tell", "heal", "event"),
    *("test_run.*", "*", "[1, 2].map(x, x.y)", "a" * 300, "{{ event.facts }}", "\x00", "é"),
    *("${{ {'a': [1]}.a[0].b }}", "steps", "steps.healed", "audit-website", "texts"),
)
SCALARS = (None, True, False, 0, -1, 1, 20_000, 0.5)


Underlined = Callable[[Any], list[str]]


@pytest.fixture(scope="module")
def underlined(catalogue: Catalogue) -> Underlined:
    """`underlined(value)` gives what an editor would find wrong."""
    return _underlined(catalogue)


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return build_catalogue()


@pytest.fixture(scope="module")
def underlined_of_shipped(shipped: Catalogue) -> Underlined:
    return _underlined(shipped)


def _underlined(catalogue: Catalogue) -> Underlined:
    validator = jsonschema.Draft202012Validator(document_schema(catalogue))
    return lambda value: [error.message for error in validator.iter_errors(value)]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, inner in pairs:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _value(chance: Random) -> Any:
    text, key = chance.choice(TEXTS), chance.choice(KEYS)
    return chance.choice((chance.choice(SCALARS), text, [text], {key: text}, [{key: text}], {}, []))


def _mutate(chance: Random, document: Any) -> None:
    places = list(_places(document))
    container, key = chance.choice(places)
    match chance.choice(("put", "put", "drop", "rename", "add", "copy", "twice")):
        case "put":
            container[key] = _value(chance)
        case "drop":
            del container[key]
        case "rename" if isinstance(container, dict):
            container[chance.choice(KEYS)] = container.pop(key)
        case "add" if isinstance(container, dict):
            container[chance.choice(KEYS)] = _value(chance)
        case "copy":
            other, name = chance.choice(places)
            container[key] = json.loads(json.dumps(other[name]))
        case _:
            if isinstance(container, list):
                container.append(json.loads(json.dumps(container[key])))


def _judge(seed: int, good: list[Any], catalogue: Catalogue, read: ReadTemplate) -> Any:
    """Change a good document; gives it when it is accepted all the same, None when it is not."""
    chance = Random(seed)  # noqa: S311  # no secret is made of it
    document = json.loads(json.dumps(chance.choice(good)))
    for _ in range(chance.randint(1, 4)):
        if document:
            _mutate(chance, document)
    parsed: Document | None = None
    findings: tuple[Finding, ...] = ()
    begun = time.process_time()
    try:
        parsed = parse_document(
            json.dumps(document), filename="f", catalogue=catalogue, read_template=read
        )
    except DocumentError as error:
        findings = error.findings
    assert time.process_time() - begun < LONGEST_S
    assert (parsed is None) == bool(findings)
    assert all(finding.line >= 1 and finding.column >= 1 for finding in findings)
    assert all(finding.message and finding.hint for finding in findings)
    if parsed is None:
        return None
    assert Document.model_validate(json.loads(json.dumps(parsed.model_dump()))) == parsed
    return document


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_changed_document_is_a_document_or_is_refused(
    seed: int, catalogue: Catalogue, underlined: Underlined
) -> None:
    document = _judge(seed, GOOD, catalogue, read_template)
    assert document is None or underlined(document) == []


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_so_is_a_changed_shipped_workflow(
    seed: int, shipped: Catalogue, underlined_of_shipped: Underlined
) -> None:
    document = _judge(seed, SHIPPED, shipped, TemplateFiles(EXAMPLES / "x", EXAMPLES).read)
    assert document is None or underlined_of_shipped(document) == []


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.sampled_from((*SCALARS, *TEXTS)),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from((*KEYS, "name", "steps", "on", "on_failure")), inner, max_size=5
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_no_document_is_refused(value: Any, catalogue: Catalogue) -> None:
    with pytest.raises(DocumentError):
        parse_document(json.dumps(value), filename="f", catalogue=catalogue)
