"""What the documents promise exists: links, make targets, decisions with all their parts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from schemas.config import Configuration
from service import door, door_request, group_commit
from service.quarantine import (
    BURST_BYTES,
    BURST_ROWS,
    BYTES_A_SECOND,
    GLIMPSE_BYTES,
    MAX_BODY_BYTES,
    ROWS_A_SECOND,
)
from service.refused import MAX_HEADER_CHARS
from service.settings import Settings
from service.store.rejections import Bounds
from service.web import http_protocol

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "helm").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "bench").rglob("*.md"),
    ]
    if path.is_file()
)
DECISIONS = ROOT / "docs" / "adr"

every_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


@every_document
def test_links_inside_the_project_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]

    assert [link for link in inside if not (path.parent / link).exists()] == []


@every_document
def test_tests_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"\[`(test_\w+)`\]\(([^)]+\.py)\)", path.read_text(encoding="utf-8"))
    missing = [
        (test, file)
        for test, file in named
        if f"def {test}(" not in (path.parent / file).read_text(encoding="utf-8")
    ]

    assert missing == []


@every_document
def test_make_targets_that_are_named_exist(path: Path) -> None:
    named = set(
        re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert named - targets() == set()


@every_document
def test_no_document_leads_to_a_numbered_section_that_is_not_here(path: Path) -> None:
    assert re.findall(r"\w+\.md §[\d.]+", path.read_text(encoding="utf-8")) == []


def test_the_index_lists_every_decision() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in DECISIONS.glob("0*.md"))

    assert re.findall(r"\((\d{4}-[a-z-]+\.md)\)", index) == files


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts(path: Path) -> None:
    headings = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert headings == ["Context", "Decision", "Rejected", "Consequences"]


def test_make_without_a_target_lists_them() -> None:
    printed = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout

    for name in ("demo", "run", "test", "check", "setup", "bench", "lock"):
        assert re.search(rf"^  {name} +\S", printed, re.MULTILINE), name


def test_every_variable_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `HOOKWRIGHT_([A-Z_]+)` \|", text, re.MULTILINE)

    assert sorted(documented) == sorted(name.upper() for name in Settings.model_fields)


def test_the_documented_configuration_is_one_that_is_accepted() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    configuration = Configuration.model_validate(yaml.safe_load(example))

    # `subscriptions` is reserved: the key has a form, and this version refuses it.
    shown = set(configuration.model_fields_set) | {"subscriptions"}
    assert shown == set(Configuration.model_fields)


@pytest.mark.parametrize(
    "figure",
    [
        f"{door.BODY_TIMEOUT_S:g} s",
        f"{door_request.MAX_HEADERS}, and {door_request.MAX_HEADER_BYTES // 1024} KiB together",
        f"| {http_protocol.HEAD_TIMEOUT_S:g} s |",
        f"headers (up to {MAX_HEADER_CHARS // 1024} KiB)",
        f"{group_commit.GROUP_ROWS} deliveries or {group_commit.GROUP_BYTES // 1024**2} MiB",
        f"{group_commit.WAITING_ROWS:,} deliveries or {group_commit.WAITING_BYTES // 1024**2} MiB",
        f"{group_commit.PATIENCE_S:g} s; beyond that 503",
        f"at most {Bounds().rows:,} requests, {Bounds().size // 1024**2} MiB",
        f"a burst of {BURST_ROWS:,} requests or {BURST_BYTES // 1024**2} MiB",
        f"then {ROWS_A_SECOND:g} a second and {BYTES_A_SECOND // 1024:g} KiB a second",
        f"body {GLIMPSE_BYTES // 1024} KiB of it are kept",
        f"bodies (up to {MAX_BODY_BYTES // 1024**2} MiB)",
    ],
)
def test_documented_figures_are_those_of_the_code(figure: str) -> None:
    assert figure in (ROOT / "docs" / "receiving.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["schemas", "service", "workers"])
def test_documents_that_the_code_points_to_exist(package: str) -> None:
    named = {
        link
        for path in (ROOT / package).rglob("*.py")
        for link in re.findall(r"\bdocs/[a-z0-9/_-]+\.md\b", path.read_text(encoding="utf-8"))
    }

    assert [link for link in sorted(named) if not (ROOT / link).is_file()] == []


def test_modules_that_make_starts_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"-m ((?:examples|bench)[a-z_.]*)", makefile))

    assert {name.partition(".")[0] for name in named} == {"examples", "bench"}
    for name in named:
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name
