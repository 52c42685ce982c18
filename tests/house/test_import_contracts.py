"""The import contracts of pyproject.toml are kept, and break when their rule is broken."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
RULES = re.MULTILINE | re.DOTALL
PACKAGES = ("schemas", "service", "workers")

# The contract's name begins with the rule's number in docs/architecture.md.
FORBIDDEN = [
    ("1. schemas, then service", "schemas.events", "service.errors"),
    ("1. schemas, then service", "service.ingest", "workers.actors"),
    ("1. nobody imports", "service.runs", "service.cli"),
    ("1. nobody imports", "workers.actors", "workers.main"),
    ("2. the web framework", "service.ingest", "fastapi"),
    ("2. the web framework", "service.effects", "starlette"),
    ("2. the queue's libraries", "service.ingest", "redis"),
    ("2. the queue's libraries", "service.effects", "dramatiq"),
    ("3. vendors do not know", "service.vendors.vibeview.events", "service.vendors.github.events"),
    ("3. a vendor sees", "service.vendors.vibeview.signing", "service.db"),
    ("3. a vendor sees", "service.vendors.vibeview.signing", "service.store.runs"),
    ("4. the engine is pure", "service.workflows.planner", "service.log"),
    ("4. the engine is pure", "service.workflows.planner", "httpx"),
    ("5. SQL lives in the store", "service.ingest", "sqlalchemy"),
    ("5. SQL lives in the store", "service.effects", "psycopg"),
]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "COLUMNS": "200"},
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages."""
    copy = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "samples")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture(scope="module")
def report_of_broken_tree(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says when every forbidden import has been added at once."""
    broken = tmp_path_factory.mktemp("broken") / "tree"
    shutil.copytree(tree, broken)
    for _, importer, imported in FORBIDDEN:
        path = broken / (importer.replace(".", "/") + ".py")
        path.write_text(path.read_text(encoding="utf-8") + f"\nimport {imported}\n", "utf-8")
    return lint(broken).stdout


def test_the_contracts_are_kept(tree: Path) -> None:
    result = lint(tree)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("contract", "importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_found(
    report_of_broken_tree: str, contract: str, importer: str, imported: str
) -> None:
    _, _, details = report_of_broken_tree.partition("Broken contracts")
    (section,) = (
        text
        for title, text in re.findall(r"^(\d\. [^\n]*)\n-+\n(.*?)(?=^\d\. |\Z)", details, RULES)
        if title.startswith(contract)
    )

    assert f"{importer} -> {imported} (l." in section
