from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import commands
from tests.servers import NO_AUTHORITIES, free_port, wait_until

START_S = 60.0
END_S = 60.0


@dataclass
class Shell:
    """A folder in which commands are run, as a user would."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[commands.Command | subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command; gives what it printed. Nothing may end in a traceback."""
        done = commands.run(
            arguments, cwd=self.folder, env=self._environment(environment), timeout=END_S
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == code, said
        return said if code else done.stdout

    def start(
        self, *arguments: str, installed: bool = False, **environment: str
    ) -> commands.Command | subprocess.Popen[bytes]:
        """Start a command; `installed` runs the installed program and no fork."""
        log = self.folder / f"{arguments[0]}.log"
        log.write_bytes(b"")
        begin = commands.begin_installed if installed else commands.Command
        process = begin(arguments, cwd=self.folder, env=self._environment(environment), log=log)
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "HOOKWRIGHT" not in name}
        return {**kept, "COLUMNS": "200", **self.environment, **more}

    def up(
        self, *, installed: bool = False, **environment: str
    ) -> commands.Command | subprocess.Popen[bytes]:
        """Start `hookwright up` with a first configuration and wait until it is ready."""
        self.environment.setdefault("HOOKWRIGHT_PORT", str(free_port()))
        if not (self.folder / "hookwright.yaml").exists():
            self.run("init")
        process = self.start("up", installed=installed, **environment)
        url = f"http://127.0.0.1:{self.environment['HOOKWRIGHT_PORT']}/health/ready"

        def ready() -> bool:
            assert process.poll() is None, self.log("up")
            try:
                return httpx.get(url, verify=NO_AUTHORITIES).is_success
            except httpx.TransportError:
                return False

        wait_until(ready, START_S, what="hookwright up is ready")
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    yield found
    found.end()


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """A folder with a first configuration in which `hookwright up` runs, for all tests here.

    The module may say that it wants the program as INSTALLED.
    """
    found = Shell(tmp_path_factory.mktemp("running"))
    # Its log tells of every question: tests wait until one was asked.
    installed = getattr(request.module, "INSTALLED", False)
    found.up(installed=installed, HOOKWRIGHT_LOG_LEVEL="debug")
    yield found
    found.end()
