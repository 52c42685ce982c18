"""Evaluating an expression loads nothing for terminals, and leaves the library as it is."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from service.workflows.expressions import compile_expression
from service.workflows.cel_library import cel
assert cel.compile("1 + 1").execute({}) == 2
print("prompt_toolkit" in sys.modules, "cel.cli" in sys.modules)
"""


def test_the_shell_of_the_library_is_not_loaded() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "False"]
