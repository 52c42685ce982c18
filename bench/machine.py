"""The machine: what it is, and which of its processors does what."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

LOAD_CPU, SYSTEM_CPU = 0, 1
FSYNCS = 200
ROOT = Path(__file__).parents[1]
LIBRARIES = ("dramatiq", "fastapi", "httptools", "psycopg", "sqlmodel", "uvicorn", "uvloop")


def can_pin() -> bool:
    """Say whether there is a processor for the load besides the one that is measured."""
    return hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > SYSTEM_CPU


@contextlib.contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Let what is started meanwhile run on this processor alone."""
    if not can_pin():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, Any]:
    """Say where it is measured, and with what."""
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "memory_gb": round(_memory_bytes() / 1024**3),
        "kernel": platform.release(),
        "fdatasync_us": round(fdatasync_us()),
        "pinned": can_pin(),
        "load_average": [round(one, 2) for one in os.getloadavg()],
        "python": platform.python_version(),
        "wrk": _wrk(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _commit(),
    }


def fdatasync_us() -> float:
    """Give what it costs here to force 8 KiB to disk, which decides what a commit costs."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for number in range(FSYNCS):
            os.pwrite(file.fileno(), bytes(8192), number * 8192)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - began) / FSYNCS * 1e6


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _wrk() -> str:
    said = _first_line(["wrk", "--version"], shutil.which("wrk") is not None)
    return said.removeprefix("wrk ").partition(" [")[0] or "not installed"


def _commit() -> str:
    has_git = shutil.which("git") is not None and (ROOT / ".git").exists()
    commit = _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], has_git)
    return commit or "unknown"


def _first_line(command: list[str], exists: bool) -> str:  # noqa: FBT001  # one caller's condition
    if not exists:
        return ""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).strip().partition("\n")[0]
