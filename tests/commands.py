"""Runs the command `hookwright` in processes that have the product imported already.

A process of its own imports for more than a second before it does anything, and the tests begin
hundreds. Here one process imports, and every command is a fork of it with the arguments, the
folder, the environment and the outputs it would have had: it opens its own files, sockets and
threads, can be killed by itself, and ends by itself. That importing begins nothing that a fork
would share is proven by tests/house/test_imports.py; that the installed program starts, by those
tests that run it (`EXECUTABLE`). Twins are begun likewise, see tests/twin_forks.py.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import IO

from examples.twins.registry import TWIN_NAMES
from service.cli.main import main

ROOT = Path(__file__).parents[1]
EXECUTABLE = str(Path(sys.executable).with_name("hookwright"))
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "pytest",
        "tests.commands",
        "tests.preloaded",
        # Uvicorn and AnyIO load these by name when they begin.
        "uvicorn.lifespan.on",
        "uvicorn.lifespan.off",
        "uvicorn.loops.uvloop",
        "anyio._backends._asyncio",
        "tests.twin_forks",
        *(f"examples.twins.{name}" for name in TWIN_NAMES),
    ]
)


class Command:
    """A command that runs; as `subprocess.Popen` in what the tests use of it."""

    stdout: IO[str] | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        errors: Path | None = None,
        program: Callable[[], int | None] = main,
    ) -> None:
        """What it says is added to `log`, and to `errors` what it says of errors.

        `program` reads the arguments from `sys.argv` and gives its exit code, or ends by itself.
        """
        outputs = (log, errors or log)
        for path in outputs:
            path.touch()
        _begin_forking()
        self._process = _FORKING.Process(
            target=_perform, args=(program, tuple(arguments), cwd, dict(env), outputs)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises `subprocess.TimeoutExpired` after so many seconds."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("hookwright", timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises `subprocess.TimeoutExpired`."""
    with tempfile.TemporaryDirectory(prefix="hw-") as folder:
        said, errors = Path(folder, "said"), Path(folder, "errors")
        command = Command(arguments, cwd=cwd, env=env, log=said, errors=errors)
        try:
            code = command.wait(timeout)
        finally:
            command.kill()
        return subprocess.CompletedProcess(arguments, code, said.read_text(), errors.read_text())


def begin_installed(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Begin a command as its users do, by the installed program; what it says is added to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [EXECUTABLE, *arguments], cwd=cwd, env=dict(env), stdout=output, stderr=output
        )


def _begin_forking() -> None:
    # The process that forks finds the product in this tree, whatever is installed.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _perform(
    program: Callable[[], int | None],
    arguments: tuple[str, ...],
    cwd: Path,
    env: Mapping[str, str],
    outputs: tuple[Path, Path],
) -> None:
    # What was imported lives until the end: it need not be looked through, nor copied by that.
    gc.freeze()
    for path, number in zip(outputs, (1, 2), strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = [EXECUTABLE, *arguments]
    sys.exit(program())
