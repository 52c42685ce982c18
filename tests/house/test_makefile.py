"""What the Makefile says on machines that lack something, and that it installs only once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG_AGO = 1_700_000_000
TOOLS = ("cat", "rm", "sed", "touch", "mkdir")

TOO_OLD = "#!/bin/sh\nexit 1\n"
# Passes the question for its version; has neither venv nor pip.
BARE = """#!/bin/sh
case "$1" in
    -c) exit 0 ;;
    --version) echo "Python 3.11.9" ;;
    *) exit 1 ;;
esac
"""
RECORDER = """#!/bin/sh
echo "$@" >> "$RECORD"
"""

Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with the files that installation begins with."""
    directory = tmp_path / "tree"
    directory.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, directory)
        os.utime(directory / name, (LONG_AGO, LONG_AGO))
    return directory


@pytest.fixture
def machine(tmp_path: Path, tree: Path) -> Machine:
    """`machine(*arguments, python=script)` runs make where no other Python can be found."""
    path = tmp_path / "path"
    path.mkdir()
    for tool in TOOLS:
        (path / tool).symlink_to(str(shutil.which(tool)))

    def run(*arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
        if python is not None:
            script = path / "python3"
            script.write_text(python, encoding="utf-8")
            script.chmod(0o755)
        return subprocess.run(
            [str(shutil.which("make")), *arguments],
            cwd=tree,
            env={"PATH": str(path), "RECORD": str(tmp_path / "record")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("python", [None, TOO_OLD], ids=["none", "too-old"])
def test_a_missing_python_is_named_with_the_ways_to_get_it(
    machine: Machine, python: str | None
) -> None:
    result = machine("setup", python=python)

    assert result.returncode != 0
    assert "needs Python 3.11 or newer, and none was found" in result.stderr
    assert "apt install python3" in result.stderr
    assert "make setup PYTHON=" in result.stderr


def test_a_python_that_was_asked_for_is_not_replaced_by_another(machine: Machine) -> None:
    result = machine("setup", "PYTHON=/opt/elsewhere/python3", python=BARE)

    assert result.returncode != 0
    assert "none was found (tried: /opt/elsewhere/python3)" in result.stderr


def test_a_python_without_venv_and_pip_is_named_with_the_remedy(
    machine: Machine, tree: Path
) -> None:
    result = machine("demo", python=BARE)

    assert result.returncode != 0
    assert "Python 3.11.9 cannot make a virtual environment" in result.stderr
    assert "apt install python3-venv" in result.stderr
    assert not (tree / ".venv").exists()


def installed(tree: Path, made_in: Path) -> Path:
    """A .venv as the Makefile leaves it, with a Python that records what it is asked."""
    venv = tree / ".venv"
    (venv / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        (venv / "bin" / name).write_text(RECORDER, encoding="utf-8")
        (venv / "bin" / name).chmod(0o755)
    (venv / ".made-in").write_text(str(made_in), encoding="utf-8")
    for age, stamp in enumerate((".made-in", ".requirements", ".installed", ".installed-dev"), 1):
        (venv / stamp).touch()
        os.utime(venv / stamp, (LONG_AGO + age, LONG_AGO + age))
    return venv


def pip_runs(tmp_path: Path) -> list[str]:
    record = tmp_path / "record"
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return [line for line in lines if line.startswith("-m pip")]


def test_a_second_run_installs_nothing(machine: Machine, tree: Path, tmp_path: Path) -> None:
    installed(tree, tree)

    result = machine("setup-dev")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert pip_runs(tmp_path) == []


def test_changed_requirements_are_installed_by_hash(
    machine: Machine, tree: Path, tmp_path: Path
) -> None:
    installed(tree, tree)
    (tree / "requirements-dev.txt").touch()

    result = machine("setup-dev")

    assert result.returncode == 0, result.stderr
    (run,) = pip_runs(tmp_path)
    assert run.endswith("--require-hashes -r requirements-dev.txt")


def test_a_copied_environment_is_made_again(machine: Machine, tree: Path) -> None:
    """The scripts of a copied .venv would start the Python of the place it was copied from."""
    venv = installed(tree, tree.parent / "elsewhere")

    result = machine("setup", python=TOO_OLD)

    assert result.returncode != 0
    assert "none was found" in result.stderr
    assert venv.exists()


def test_the_continuous_check_can_be_run_and_runs_make_check() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make check")
    subprocess.run(["bash", "-n", script], check=True, timeout=10)
