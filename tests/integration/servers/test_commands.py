"""A command that is a fork is as one of its own: tests/commands.py."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import commands
from tests.servers import free_port, wait_until

PATH = {"PATH": os.environ["PATH"]}
MISSPELT = {"HOOKWRIGHT_PRT": "1"}


@pytest.mark.parametrize("environment", [PATH, PATH | MISSPELT], ids=["plain", "misspelt"])
def test_it_says_and_gives_what_the_installed_program_does(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    arguments = ["migrate", "--check"]
    installed = subprocess.run(
        [commands.EXECUTABLE, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    forked = commands.run(arguments, cwd=tmp_path, env=environment, timeout=60)
    assert forked.returncode == installed.returncode == 1
    assert (forked.stdout, forked.stderr) == (installed.stdout, installed.stderr)
    assert ("is not known" in forked.stderr) == (environment != PATH)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)]
)
def test_it_ends_by_a_signal_as_the_installed_program_does(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    environment = PATH | {"HOOKWRIGHT_PORT": str(free_port())}
    log = tmp_path / "up.log"
    up = commands.Command(["up"], cwd=tmp_path, env=environment, log=log)
    try:
        wait_until(lambda: "Hookwright is up" in log.read_text(), 60, what="it is up")
        assert up.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(0.01)
        up.send_signal(number)
        assert up.wait(60) == code
    finally:
        up.kill()
