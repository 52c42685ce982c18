"""`hookwright work` ends when it is told to, whichever of its threads is given the signal."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

from tests import commands
from tests.servers import wait_until

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOOKWRIGHT_SECRET_KEYS": "t" * 40}


def test_a_signal_that_another_thread_was_given_is_heard(tmp_path: Path) -> None:
    migrated = commands.run(["migrate"], cwd=tmp_path, env=ENVIRONMENT, timeout=60)
    assert migrated.returncode == 0
    log = tmp_path / "work.log"
    work = commands.Command(["work"], cwd=tmp_path, env=ENVIRONMENT, log=log)
    try:
        wait_until(lambda: "workers_started" in log.read_text(), 60, what="it works")
        other = max(int(thread.name) for thread in Path(f"/proc/{work.pid}/task").iterdir())
        assert other != work.pid
        assert ctypes.CDLL(None).tgkill(work.pid, other, int(signal.SIGTERM)) == 0
        assert work.wait(30) == 0
    finally:
        work.kill()
