"""The installed product: everything the packages need is in the wheel, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "service", "workers", "migrations", "examples/workflows")
BUILD = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"


def files(directory: Path) -> set[str]:
    """Every file below a directory except what Python makes by itself."""
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def files_below(source: Path, package: str) -> set[str]:
    return {f"{package}/{name}" for name in files(source / package)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the image is built from, so that building leaves nothing in the tree."""
    copy = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    result = subprocess.run(
        [sys.executable, "-c", BUILD, target],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    (built,) = target.glob("*.whl")
    unpacked = target / "unpacked"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_every_file_of_the_packages_is_in_the_wheel(source: Path, wheel: Path) -> None:
    wanted = {name for package in PACKAGES for name in files_below(source, package)}
    packed = {name for name in files(wheel) if ".dist-info/" not in name}

    assert wanted
    assert wanted - packed == set()
    assert packed - wanted == set()


def test_the_licence_travels_with_it(wheel: Path) -> None:
    (licence,) = wheel.glob("*.dist-info/licenses/LICENSE")

    assert "Apache License" in licence.read_text(encoding="utf-8")


def test_the_unpacked_wheel_answers_for_itself(wheel: Path, tmp_path: Path) -> None:
    """Run away from the tree, so that only what was packed can be found."""
    result = subprocess.run(
        [sys.executable, "-c", "from service.cli.main import main; main()", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert result.returncode == 0, result.stderr
    assert "migrate" in result.stdout
