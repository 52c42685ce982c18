"""The requirement files: every file pinned by hash, no addresses, true to pyproject.toml."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"

PRODUCT = ("schemas", "service", "workers", "migrations")
AROUND_IT = ("examples", "bench", "tests")
# Installed by a declared package as its own other half.
HALVES = {"pydantic_core": "pydantic"}

both_files = pytest.mark.parametrize("path", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)


def pins(path: Path) -> dict[str, str]:
    """The pinned versions by name, from the lines that begin a requirement."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def stated() -> dict[str, list[str]]:
    """What pyproject.toml asks for: at run time, for building, for development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {"runtime": project["project"]["dependencies"], **project["dependency-groups"]}


@both_files
@pytest.mark.parametrize("forbidden", ["://", "--index", "--extra-index", "--find-links", " @ "])
def test_no_address_is_named(path: Path, forbidden: str) -> None:
    assert forbidden not in path.read_text(encoding="utf-8")


@both_files
def test_no_path_of_a_machine_is_named(path: Path) -> None:
    assert not re.search(r"(^|\s)(/|[A-Z]:\\)", path.read_text(encoding="utf-8"))


@both_files
def test_every_requirement_is_pinned_by_hash(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]

    # A package may be pinned differently for two Pythons, each line with its marker.
    assert {canonicalize_name(block.partition("==")[0]) for block in blocks} == set(pins(path))
    assert blocks
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


def test_development_pins_are_the_runtime_pins_and_more() -> None:
    assert pins(RUNTIME).items() < pins(DEVELOPMENT).items()


@pytest.mark.parametrize(
    ("group", "path"),
    [("runtime", RUNTIME), ("build", RUNTIME), ("dev", DEVELOPMENT)],
    ids=["runtime", "build", "dev"],
)
def test_what_the_project_asks_for_is_pinned_within_its_bounds(group: str, path: Path) -> None:
    pinned = pins(path)
    for line in stated()[group]:
        requirement = Requirement(line)
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{line} is not in {path.name}: run `make lock`"
        assert version in requirement.specifier, f"{line}, pinned {version}: run `make lock`"


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md names each, so that nothing is added without saying why."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    named = {canonicalize_name(name) for name in re.findall(r"\*\*([a-z0-9._-]+)\*\*", text)}
    asked = {
        canonicalize_name(Requirement(line).name) for group in stated().values() for line in group
    }

    assert asked - named == set()
    assert named - asked == set()


def imported_names(packages: tuple[str, ...]) -> Iterator[str]:
    """The top-level names that the modules of these packages import, in-tree packages apart."""
    for path in [path for package in packages for path in (ROOT / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize(
    ("packages", "groups"),
    [(PRODUCT, ("runtime",)), (AROUND_IT, ("runtime", "build", "dev"))],
    ids=["product", "around-it"],
)
def test_whatever_is_imported_is_asked_for(
    packages: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    """A package that only happens to be installed may be gone with the next release of another."""
    asked = {
        canonicalize_name(Requirement(line).name) for group in groups for line in stated()[group]
    }
    distributions = importlib.metadata.packages_distributions()
    own = set(sys.stdlib_module_names) | {*PRODUCT, *AROUND_IT}
    names = {HALVES.get(name, name) for name in imported_names(packages)} - own

    missing = {
        name
        for name in names
        if not asked & {canonicalize_name(dist) for dist in distributions.get(name, [name])}
    }

    assert names
    assert missing == set()
