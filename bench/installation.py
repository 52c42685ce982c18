"""Hookwright as its users have it: the installed commands, real processes, a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen
from uuid import uuid4

from bench.machine import ROOT, SYSTEM_CPU, on_cpu
from bench.payload import BODY, HEADERS, ID_HEADER, SECRET
from tests.servers import free_port, wait_until

EXECUTABLE = str(Path(sys.executable).with_name("hookwright"))
ADMIN_TOKEN = "hw_" + "b" * 40
SECRET_KEY = "bench-key-0123456789abcdef-0123456789abcdef"
START_S = 60.0
STOP_S = 60.0
ANSWER_S = 20.0
RECEIVING = f"""
sources:
  - name: github
    vendor: github
    secrets: [{{value: {SECRET}}}]
    limits: {{per_second: 1000000, burst: 1000000}}
"""


@dataclass
class Installation:
    """One folder with a configuration, and the processes that run with it.

    Without addresses it has an SQLite file of its own, and its queue is in the process.
    """

    directory: Path
    database_url: str
    redis_url: str = ""
    configuration: str = RECEIVING
    port: int = field(default_factory=free_port)
    cpu: int = SYSTEM_CPU
    extra: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run a command to its end; gives what it said. Raises RuntimeError when it fails."""
        self._write()
        with on_cpu(self.cpu):
            done = subprocess.run(
                [EXECUTABLE, *arguments],
                cwd=self.directory,
                env=self.environment(),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            message = f"hookwright {' '.join(arguments)}: {done.stdout}{done.stderr}"
            raise RuntimeError(message)
        return done.stdout

    @contextlib.contextmanager
    def running(
        self, command: str, *, ready: str | None = "/health/ready"
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command that stays until this ends; `ready` None: it answers to nobody."""
        self._write()
        log = self.directory / f"{command}.log"
        with log.open("ab") as output, on_cpu(self.cpu):
            process = subprocess.Popen(
                [EXECUTABLE, command],
                cwd=self.directory,
                env=self.environment(),
                stdout=output,
                stderr=output,
            )
        try:
            if ready is not None:
                wait_until(
                    lambda: has_ended(process) or answers_well(self.port, ready),
                    START_S,
                    what=f"hookwright {command} is ready",
                )
            if process.poll() is not None:
                message = f"hookwright {command} ended: {log.read_text(errors='replace')[-2000:]}"
                raise RuntimeError(message)
            yield process
        finally:
            process.terminate()
            process.wait(STOP_S)

    def add_workflow(self, name: str, document: str) -> None:
        """Write a workflow where the configuration names it: `workflows/NAME.yaml`."""
        folder = self.directory / "workflows"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(document, encoding="utf-8")

    def prepare(self) -> None:
        """Make the tables and apply the configuration."""
        self.run("migrate")
        self.run("apply")

    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        variables = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DATA_DIR": str(self.directory / "data"),
            "CONFIG": str(self.directory / "hookwright.yaml"),
            "SECRET_KEYS": SECRET_KEY,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "ALLOW_PRIVATE_ADDRESSES": "true",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
            "PORT": str(self.port),
        }
        # Byte code is kept, whatever the shell says: users have it.
        left_out = {"PYTHONDONTWRITEBYTECODE"}
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("HOOKWRIGHT_") and name not in left_out
        }
        ours = {f"HOOKWRIGHT_{name}": value for name, value in variables.items() if value}
        return {**kept, "PYTHONPATH": str(ROOT), **ours, **self.extra}

    def _write(self) -> None:
        path = self.directory / "hookwright.yaml"
        if not path.exists():
            path.write_text(self.configuration, encoding="utf-8")


@contextlib.contextmanager
def new_installation(
    database_url: str, redis_url: str = "", configuration: str = RECEIVING
) -> Iterator[Installation]:
    """Give an installation in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        yield Installation(Path(folder), database_url, redis_url, configuration)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a process is no more."""
    return process.poll() is not None


def answers_well(port: int, path: str) -> bool:
    """Say whether a GET is answered with 2xx."""
    status = answered_status(port, path)
    return status is not None and 200 <= status < 300


def answered_status(port: int, path: str) -> int | None:
    """Give the status that a GET is answered with; None when nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return None


def deliver(port: int, path: str = "/hooks/github") -> int | None:
    """Send a new, signed delivery over a connection of its own; gives the status of its answer.

    None when nobody answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        headers = {**dict(HEADERS), ID_HEADER: str(uuid4())}
        connection.request("POST", path, BODY, headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
