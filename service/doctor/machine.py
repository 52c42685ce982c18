"""What the doctor sees of this machine: directories, room, limits, the worker's sign of life."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from service.archive import LET_IT_BE_WRITTEN, why_not_written
from service.doctor.verdicts import Verdict, count, fail, good, size, warn
from service.settings import Settings

LEAST_FREE = 256 * 1024**2
LITTLE_FREE = 1024**3
LITTLE_SHARE = 0.05
FEW_FILES = 4096
"""Each connection at the door takes one; the door is made for 10,000 that are idle."""
ALIVE_WITHIN_S = 30.0
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3"}
)


def look_at_machine(settings: Settings) -> Iterator[Verdict]:
    """Judge the data directory, the room on its disk, and the limit of open files."""
    yield _data_dir(settings.data_dir)
    if settings.data_dir.is_dir():
        yield room("disk", settings.data_dir)
    yield _open_files()


def _data_dir(path: Path) -> Verdict:
    name = "data directory"
    if not path.is_dir():
        return warn(
            name,
            f"{path} is not there",
            "`hookwright up` makes it; HOOKWRIGHT_DATA_DIR names another, and this command must "
            "be run where the server runs",
        )
    if not os.access(path, os.W_OK | os.X_OK):
        return fail(
            name, f"{path} cannot be written", "let whoever runs Hookwright own and write it"
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return warn(
            name,
            f"{path} can be read by others (mode {mode:o}): it holds keys",
            f"chmod 700 {path}",
        )
    return good(name, f"{path}, for its owner alone")


def room(name: str, path: Path) -> Verdict:
    """Judge how much room there is on the disk of a directory."""
    found = shutil.disk_usage(path)
    says = f"{size(found.free)} free of {size(found.total)} at {path}"
    to_do = "make room, or keep rows for a shorter time (`retention` in hookwright.yaml)"
    if found.free < LEAST_FREE:
        return fail(name, says, to_do)
    if found.free < LITTLE_FREE or found.free < found.total * LITTLE_SHARE:
        return warn(name, says, to_do)
    return good(name, says)


def look_at_archive(directory: Path) -> Iterator[Verdict]:
    """Judge whether removed rows can be written to their archive, and the room for them."""
    fault = why_not_written(directory)
    if fault is not None:
        yield fail(
            "archive",
            f"{directory} cannot be written: {fault}",
            f"{LET_IT_BE_WRITTEN}; this command must be run as whoever runs Hookwright",
        )
    elif directory.is_dir():
        yield room("archive", directory)


def _open_files() -> Verdict:
    name = "open files"
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < FEW_FILES:
        return warn(
            name,
            f"a process may open {allowed:,} here; each connection at the door takes one",
            f"start Hookwright with `ulimit -n {FEW_FILES * 4}` or LimitNOFILE of systemd",
        )
    return good(name, f"a process may open {allowed:,} here")


def look_at_heartbeat(file: Path) -> Iterator[Verdict]:
    """Judge the sign of life of this machine's worker, where there is one."""
    try:
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return
    if age > ALIVE_WITHIN_S:
        yield warn(
            "worker here",
            f"its last sign of life is {count(round(age), 'second')} old",
            "it was killed or hangs: start `hookwright up` or `hookwright work` again",
        )


def file_system_of(path: Path) -> str | None:
    """Give the kind of the file system a path is on; None where nobody says."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    except OSError:
        return None
    resolved = path.resolve()
    best: tuple[int, str | None] = (-1, None)
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        # Spaces in names are written in octal there.
        mount = Path(point.replace("\\040", " "))
        if resolved.is_relative_to(mount) and len(mount.parts) > best[0]:
            best = (len(mount.parts), kind)
    return best[1]
