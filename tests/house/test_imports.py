"""Rule 6 of docs/architecture.md: one reader of the environment, and nothing happens at import."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "service", "workers")
SETTINGS = ROOT / "service" / "settings.py"
ENVIRONMENT_NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

WATCHER = Path(__file__).with_name("import_watcher.py")


def reads_environment(source: str) -> list[int]:
    """The lines of a module that touch the process's environment."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ENVIRONMENT_NAMES
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        ):
            found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [node.lineno for alias in node.names if alias.name in ENVIRONMENT_NAMES]
    return found


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"],
)
def test_the_search_finds_each_way_to_read_the_environment(source: str) -> None:
    assert reads_environment(source)


def test_the_environment_is_read_in_settings_alone() -> None:
    readers = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := reads_environment(path.read_text(encoding="utf-8")))
    }

    assert list(readers) == [str(SETTINGS.relative_to(ROOT))]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def watch_imports(names: list[str], directory: Path) -> list[str]:
    """What importing these modules does that it should not, a line each."""
    result = subprocess.run(
        [sys.executable, "-W", "error", WATCHER, *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(directory)]),
        },
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    """No file is opened for writing, no socket, process or thread begun, no environment needed."""
    events = watch_imports([module_name(path) for path in MODULES], tmp_path)

    assert events == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "deed",
    [
        "open('made', 'w').close()",
        "import os; os.mkdir('made')",
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'])",
        "import threading; threading.Thread(target=print).start()",
        "import sqlite3; sqlite3.connect('made')",
    ],
)
def test_the_watcher_notices(tmp_path: Path, deed: str) -> None:
    (tmp_path / "busy_module.py").write_text(deed, encoding="utf-8")

    assert watch_imports(["busy_module"], tmp_path)
