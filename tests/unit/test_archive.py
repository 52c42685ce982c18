"""Archive files: whole whatever happened to whoever wrote them before."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from service.archive import Archive, ArchiveNotWrittenError, line_of

DAY = date(2026, 11, 22)
NAME = "deliveries-2026-11-22.jsonl.gz"
FIRST = [(DAY, line_of({"id": number})) for number in range(3)]
SECOND = [(DAY, line_of({"id": number})) for number in range(3, 6)]


def read(directory: Path) -> str:
    return gzip.decompress((directory / NAME).read_bytes()).decode()


def text(*portions: list[tuple[date, str]]) -> str:
    return "".join(line for portion in portions for _, line in portion)


def test_lines_stand_in_files_of_their_days_for_their_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "archive"
    other = (date(2026, 11, 21), line_of({"id": 9}))
    Archive(directory).append("deliveries", [*FIRST, other])
    assert read(directory) == text(FIRST)
    assert sorted(path.name for path in directory.iterdir()) == [
        "deliveries-2026-11-21.jsonl.gz",
        NAME,
    ]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda member: member[:-5], id="the end of a member is missing"),
        pytest.param(lambda member: member[:1], id="a member was hardly begun"),
        pytest.param(lambda member: b"\0" * len(member), id="blocks were lost in a power cut"),
        pytest.param(lambda member: member[:15] + b"\0" * 30, id="some blocks were lost"),
    ],
)
@pytest.mark.parametrize("before", [FIRST, []], ids=["behind others", "the first"])
def test_half_a_portion_is_cut_off_by_the_next_to_write(
    tmp_path: Path, damage: Callable[[bytes], bytes], before: list[tuple[date, str]]
) -> None:
    Archive(tmp_path).append("deliveries", before)
    with (tmp_path / NAME).open("ab") as file:
        file.write(damage(gzip.compress(text(SECOND).encode())))
    archive = Archive(tmp_path)
    archive.append("deliveries", SECOND)
    assert read(tmp_path) == text(before, SECOND)
    archive.append("deliveries", FIRST)
    assert read(tmp_path) == text(before, SECOND, FIRST)


def test_what_stands_behind_a_damaged_portion_is_set_aside(tmp_path: Path) -> None:
    for rows in (FIRST, SECOND, FIRST):
        Archive(tmp_path).append("deliveries", rows)
    path = tmp_path / NAME
    good = path.read_bytes()
    place = len(gzip.compress(text(FIRST).encode(), mtime=0)) + 15
    path.write_bytes(good[:place] + bytes([good[place] ^ 255]) + good[place + 1 :])
    damaged = path.read_bytes()
    Archive(tmp_path).append("deliveries", SECOND)
    assert read(tmp_path) == text(FIRST, SECOND)
    (beside,) = tmp_path.glob("*.damaged-*")
    assert damaged.endswith(beside.read_bytes())
    assert beside.read_bytes().endswith(gzip.compress(text(FIRST).encode(), 6, mtime=0))
    assert beside.stat().st_mode & 0o777 == 0o600


def test_two_that_write_in_turn_keep_what_the_other_wrote(tmp_path: Path) -> None:
    ours, theirs = Archive(tmp_path), Archive(tmp_path)
    ours.append("deliveries", FIRST)
    theirs.append("deliveries", SECOND)
    ours.append("deliveries", FIRST)
    assert read(tmp_path) == text(FIRST, SECOND, FIRST)


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.append("deliveries", FIRST)
    (tmp_path / NAME).rename(tmp_path / "moved")
    archive.append("deliveries", SECOND)
    assert read(tmp_path) == text(SECOND)


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("notes")
    with pytest.raises(ArchiveNotWrittenError, match="no archive of ours"):
        Archive(tmp_path).append("deliveries", FIRST)
    assert (tmp_path / NAME).read_text() == "notes"


def test_a_full_disk_leaves_no_half_of_a_portion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(tmp_path)
    archive.append("deliveries", FIRST)
    whole = os.pwrite

    def full(file: int, content: bytes, at: int) -> int:
        if len(content) < 10:
            raise OSError(28, "No space left on device")
        return whole(file, content[:10], at)

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(ArchiveNotWrittenError, match="No space left"):
            archive.append("deliveries", SECOND)
    assert read(tmp_path) == text(FIRST)
    archive.append("deliveries", SECOND)
    assert read(tmp_path) == text(FIRST, SECOND)
