"""Starts twins as forks of the process that has them imported already, see tests/commands.py.

The tests start a hundred, and a process of its own imports for half a second of a processor. That
twins start as programs of their own is shown by tests/twins/test_launch.py and by the demo.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from examples.twins.__main__ import main
from examples.twins.launch import ROOT, START_S, TwinError, TwinProcess, url_told
from tests import commands
from tests.servers import wait_until


def start_twin(name: str, *, port: int = 0, **options: object) -> TwinProcess:
    """Start one twin as `examples.twins.launch.start_twin` does."""
    arguments = [name, "--port", str(port)]
    for option, value in options.items():
        arguments += ["--set", f"{option}={value}"]
    log = tempfile.NamedTemporaryFile("w+", prefix="hw-")  # noqa: SIM115  # closed with its process
    with tempfile.NamedTemporaryFile("r", prefix="hw-") as said:
        process = commands.Command(
            arguments,
            cwd=ROOT,
            env=os.environ,
            log=Path(said.name),
            errors=Path(log.name),
            program=_serve,
        )

        def line() -> str:
            text = Path(said.name).read_text(encoding="utf-8")
            return text if text.endswith("\n") else ""

        wait_until(lambda: process.poll() is not None or line(), START_S, what=f"the twin {name}")
        told = line()
    if not told:
        with log:
            message = f"the twin {name} did not start: {Path(log.name).read_text(encoding='utf-8')}"
            raise TwinError(message)
    return TwinProcess(name, process, log, url_told(told))


def _serve() -> int:
    return main([*sys.argv[1:], "--end-with", str(os.getppid())])
