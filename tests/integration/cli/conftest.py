from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.servers import free_port, wait_until

HOOKWRIGHT = str(Path(sys.executable).with_name("hookwright"))
START_S = 40.0
END_S = 40.0


@dataclass
class Shell:
    """A folder in which commands are run, as a user would."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command; gives what it printed. Nothing may end in a traceback."""
        done = subprocess.run(
            [HOOKWRIGHT, *arguments],
            cwd=self.folder,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == code, said
        return said if code else done.stdout

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [HOOKWRIGHT, *arguments],
                cwd=self.folder,
                env=self._environment(environment),
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "HOOKWRIGHT" not in name}
        return {**kept, "COLUMNS": "200", **self.environment, **more}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    yield found
    for process in found.processes:
        process.kill()
        process.wait()


@pytest.fixture
def up(shell: Shell) -> Callable[..., Shell]:
    """`up()` writes a first configuration and starts it; commands then find it by themselves."""

    def start(**environment: str) -> Shell:
        shell.environment["HOOKWRIGHT_PORT"] = str(free_port())
        if not (shell.folder / "hookwright.yaml").exists():
            shell.run("init")
        process = shell.start("up", **environment)
        url = f"http://127.0.0.1:{shell.environment['HOOKWRIGHT_PORT']}/health/ready"

        def ready() -> bool:
            assert process.poll() is None, shell.log("up")
            try:
                return httpx.get(url).is_success
            except httpx.TransportError:
                return False

        wait_until(ready, START_S, what="hookwright up is ready")
        return shell

    return start
