"""Processor time and memory of processes, as Linux tells them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROCESSES = Path("/proc")


def tree(roots: Iterable[int]) -> set[int]:
    """Give these processes and everything that they have started."""
    children: dict[int, list[int]] = {}
    for folder in PROCESSES.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                children.setdefault(int(_fields(int(folder.name))[1]), []).append(int(folder.name))
    found: set[int] = set()
    waiting = [root for root in roots if root]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def seconds(roots: Iterable[int]) -> float:
    """Give the processor time of these processes, of what they started and what ended of it."""
    ticks = 0
    for pid in tree(roots):
        with suppress(OSError):
            ticks += sum(int(value) for value in _fields(pid)[11:15])
    return ticks / TICKS


def resident_bytes(roots: Iterable[int]) -> int:
    """Give what these processes and what they started hold in memory."""
    total = 0
    for pid in tree(roots):
        with suppress(OSError):
            statm = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8")
            total += int(statm.split()[1]) * PAGE
    return total


def _fields(pid: int) -> list[str]:
    """Give the fields of `stat` from the third on: the name before them may hold anything."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()
