"""Archives: removed rows as compressed JSON lines, a file for each kind of row and day (UTC).

A file is a sequence of gzip members, which every reader of gzip takes for one file. A portion is
one member, appended under a lock and forced to disk before its rows are removed. Whoever dies in
between leaves the end of a member, which the next to append cuts off, or lines of rows that are
still there and are written again: readers take the last line of an id. What the next to append
finds damaged is set aside with all that follows it, in a file beside.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

import structlog

from service.errors import Unavailable

log = structlog.get_logger(__name__)

_LEVEL = 6
_READ_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
"""How a gzip file begins; one whose blocks were lost in a power cut may hold zeros there."""
_MEMBER = b"\x1f\x8b\x08\0\0\0\0\0"
"""How a member of ours begins: deflated, without name and time."""
_GZIP_WINDOW = 31
"""zlib's name for a gzip member with the largest window."""

LET_IT_BE_WRITTEN = (
    "let whoever runs Hookwright write it, or set `retention.archive` to a directory that may be "
    "written; nothing is removed until then"
)
Line = tuple[date, str]
"""The day a row is of, and the row as `line_of` gives it."""


class ArchiveNotWrittenError(Unavailable):
    """The archive cannot be written."""

    code = "archive_not_written"


class Archive:
    """Appends to the files of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._whole: dict[tuple[Path, int], int] = {}
        """Up to where files (by path and inode) hold whole members: what we wrote or read."""

    def append(self, kind: str, lines: Iterable[Line]) -> None:
        """Write lines to the files of their days; they are on disk when this returns.

        Raises ArchiveNotWrittenError when that cannot be done, and leaves no part of a day's lines
        behind.
        """
        by_day: dict[date, list[str]] = defaultdict(list)
        for day, line in lines:
            by_day[day].append(line)
        try:
            for day, rows in by_day.items():
                self._append(self._directory / f"{kind}-{day.isoformat()}.jsonl.gz", rows)
        except OSError as error:
            raise ArchiveNotWrittenError(
                f"the archive {self._directory} cannot be written: {error.strerror or error}",
                hint=f"make room; {LET_IT_BE_WRITTEN}",
            ) from error

    def _append(self, path: Path, lines: Iterable[str]) -> None:
        member = gzip.compress("".join(lines).encode(), _LEVEL, mtime=0)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = self._whole_end(path, file)
            try:
                _write_at(file, member, end)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, end)
                raise
            self._whole[path, os.fstat(file).st_ino] = end + len(member)
        finally:
            os.close(file)
        if is_new:
            _force_names(self._directory)

    def _whole_end(self, path: Path, file: int) -> int:
        """Give where the last whole member ends, with nothing behind it any more."""
        found = os.fstat(file)
        known = self._whole.get((path, found.st_ino), 0)
        if found.st_size == known:
            return known
        # Others have written since, or we did before a restart.
        begin = os.pread(file, len(_GZIP), 0)
        if not _GZIP.startswith(begin) and begin.strip(b"\0"):
            raise ArchiveNotWrittenError(
                f"{path} is no archive of ours",
                hint="move it away; nothing is removed until then",
            )
        end = _end_of_members(file, known if known < found.st_size else 0)
        _set_aside(path, file, end, found.st_size)
        os.ftruncate(file, end)
        return end


def why_not_written(directory: Path) -> str | None:
    """Give why a directory cannot be written or made; None: it can. Leaves nothing behind."""
    there = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    try:
        with TemporaryFile(dir=there):
            return None
    except OSError as error:
        return error.strerror or str(error)


def line_of(row: Mapping[str, Any]) -> str:
    """Give a row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    message = f"a column of the type {type(value).__name__} has no form in an archive"
    raise TypeError(message)


def _write_at(file: int, content: bytes, at: int) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(file, content[done:], at + done)


def _end_of_members(file: int, start: int) -> int:
    """Give where the last whole gzip member ends that begins at `start` or behind it."""
    end = at = start
    member = zlib.decompressobj(_GZIP_WINDOW)
    while content := os.pread(file, _READ_BYTES, at):
        at += len(content)
        while content:
            try:
                member.decompress(content)
            except zlib.error:
                return end
            if not member.eof:
                break
            content = member.unused_data
            end = at - len(content)
            member = zlib.decompressobj(_GZIP_WINDOW)
    return end


def _set_aside(path: Path, file: int, begin: int, end: int) -> None:
    """Copy what is about to be cut off, unless it is one member that nobody finished.

    Rows of members behind the damage are in the database no more.
    """
    if not _has_member_behind(file, begin):
        return
    beside = path.with_name(f"{path.name}.damaged-{begin}-{end}")
    copy = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for at in range(begin, end, _READ_BYTES):
            _write_at(copy, os.pread(file, min(_READ_BYTES, end - at), at), at - begin)
        os.fsync(copy)
    finally:
        os.close(copy)
    _force_names(path.parent)
    log.warning("archive_damaged", file=str(path), set_aside=str(beside))


def _has_member_behind(file: int, begin: int) -> bool:
    """Say whether another member begins behind this place."""
    at = begin + 1
    while content := os.pread(file, _READ_BYTES, at):
        if _MEMBER in content:
            return True
        if len(content) < len(_MEMBER):
            return False
        at += len(content) - len(_MEMBER) + 1
    return False


def _force_names(directory: Path) -> None:
    """Force the names in a directory to disk, so that a new file is found after a power cut."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
