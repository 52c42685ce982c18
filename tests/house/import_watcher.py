"""Import the named modules and print, as JSON, what they did that an import should not do.

Run in a process of its own: an audit hook cannot be removed again.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
DEEDS = {
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "os.kill",
    "socket.__new__",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "sqlite3.connect",
    "subprocess.Popen",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
}

noticed: list[str] = []
importing = ""


def notice(event: str, arguments: tuple[object, ...]) -> None:
    """Remember what is not allowed, with the module that was being imported."""
    if event == "open":
        path, _mode, flags = arguments
        if isinstance(flags, int) and flags & WRITING and "__pycache__" not in str(path):
            noticed.append(f"{importing}: opens {path} for writing")
    elif event in DEEDS:
        noticed.append(f"{importing}: {event} {arguments[:1]!r}")


class WatchedThread(threading.Thread):
    """A thread whose start is noticed: there is no audit event for it before Python 3.12."""

    def start(self) -> None:
        """Remember the start instead of making it."""
        noticed.append(f"{importing}: starts the thread {self.name}")


def main() -> None:
    """Import one module after the other under watch."""
    global importing  # noqa: PLW0603  # the hook has no other way to learn it
    sys.dont_write_bytecode = True
    threading.Thread = WatchedThread  # type: ignore[misc]
    sys.addaudithook(notice)
    for name in sys.argv[1:]:
        importing = name
        importlib.import_module(name)
    json.dump(noticed.copy(), sys.stdout)


main()
