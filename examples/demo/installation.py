"""One installation for the demonstration: `hookwright up` and its stand-ins, as real processes."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self

import httpx

from examples.twins.launch import TwinProcess, start_twin

WORKFLOWS = Path(__file__).parents[1] / "workflows"
TWINS = ("vibeview", "checksum", "github", "slack", "checkrd")
SENDING = ("vibeview", "slack", "checkrd")
GATHERS = ("within: 10s", "within: 300ms")
PACE_S = 0.2
"""How long the stand-ins take for one phase of a run or a heal."""
START_S = 30.0
STOP_S = 30.0
ASK_EVERY_S = 0.1
LOG_CHARACTERS = 4000


class DemoError(RuntimeError):
    """The demonstration cannot go on; the message says why."""


@dataclass(slots=True)
class Installation:
    """Hookwright and the twins, running; leaving ends them all."""

    folder: Path
    port: int
    token: str
    twins: dict[str, TwinProcess]
    process: subprocess.Popen[bytes]
    stack: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stack.close()

    @property
    def url(self) -> str:
        """Where Hookwright serves."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **params: Any) -> Any:
        """Ask the management API."""
        answer = httpx.get(
            f"{self.url}/api/v1{path}",
            params=params,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=10,
            trust_env=False,
        )
        if answer.is_error:
            raise DemoError(f"GET {path} gave {answer.status_code}: {answer.text}")
        return answer.json()

    def log(self) -> str:
        """Give the end of what Hookwright logged."""
        return (self.folder / "up.log").read_text(encoding="utf-8")[-LOG_CHARACTERS:]

    def check_alive(self) -> None:
        """Raise DemoError when Hookwright has ended by itself."""
        if self.process.poll() is not None:
            raise DemoError(f"hookwright up ended by itself:\n{self.log()}")


def start(folder: Path, port: int | None) -> Installation:
    """Start everything and wait until it is ready."""
    with ExitStack() as stack:
        chosen = port or _free_port()
        twins = {twin.name: stack.enter_context(twin) for twin in _start_twins()}
        for name in SENDING:
            twins[name].set(receiver=f"http://127.0.0.1:{chosen}/hooks/{name}")
        template = Template((Path(__file__).parent / "hookwright.yaml").read_text("utf-8"))
        addresses = {name: twin.url for name, twin in twins.items()}
        (folder / "hookwright.yaml").write_text(template.substitute(addresses), encoding="utf-8")
        _copy_workflows(folder / "workflows")
        token = f"hw_{secrets.token_urlsafe(32)}"
        process = _start_hookwright(folder, chosen, token)
        stack.callback(_stop, process)
        installation = Installation(folder, chosen, token, twins, process, stack)
        _wait_ready(installation)
        installation.stack = stack.pop_all()
        return installation


def _copy_workflows(folder: Path) -> None:
    """Copy the shipped workflows; the one that gathers events is not given time to gather many."""
    shutil.copytree(WORKFLOWS, folder)
    comment = folder / "comment-visual-regression.yaml"
    text = comment.read_text(encoding="utf-8")
    comment.write_text(text.replace(*GATHERS), encoding="utf-8")


def _start_twins() -> list[TwinProcess]:
    # Each takes a second to start; together they take little more.
    with ThreadPoolExecutor(len(TWINS)) as pool:
        return list(pool.map(lambda name: start_twin(name, pace=PACE_S), TWINS))


def _start_hookwright(folder: Path, port: int, token: str) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if "HOOKWRIGHT_" not in name},
        "HOOKWRIGHT_ADMIN_TOKEN": token,
        "HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES": "true",
        "HOOKWRIGHT_CONFIG": str(folder / "hookwright.yaml"),
        "HOOKWRIGHT_DATA_DIR": str(folder / "data"),
        "HOOKWRIGHT_LOG_FORMAT": "json",
        "HOOKWRIGHT_LOG_LEVEL": "warning",
        "HOOKWRIGHT_PORT": str(port),
        # What the stand-ins expect; at home these are the vendors' own.
        "CHECKRD_JWT": "jwt_twin",
        "CHECKRD_REFRESH_TOKEN": "refresh_twin",
        "CHECKRD_WEBHOOK_SECRET": "checkrd-webhook-secret",
        "CHECKSUM_API_KEY": "checksum-key",
        "GITHUB_TOKEN": "ghp_twin",
        "SLACK_BOT_TOKEN": "xoxb-twin",
        "SLACK_SIGNING_SECRET": "slack-signing-secret",
        "VIBEVIEW_API_TOKEN": "tok_demo",
        "VIBEVIEW_WEBHOOK_SECRET": "vibeview-webhook-secret",
    }
    command = [str(Path(sys.executable).with_name("hookwright")), "up"]
    with (folder / "up.log").open("wb") as log:
        # In a session of its own: Ctrl-C reaches us, and we end it in good order.
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_ready(installation: Installation) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        installation.check_alive()
        try:
            if httpx.get(f"{installation.url}/health/ready", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(ASK_EVERY_S)
    raise DemoError(f"hookwright up was not ready in {START_S:.0f} s:\n{installation.log()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
