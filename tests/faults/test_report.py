"""The table of what was shown: kept between its marks in a page."""

from __future__ import annotations

from pathlib import Path

from tests.faults.report import BEGIN, END, Line, keep, recall, remember, table

KEPT = Line("random", 7, faults=300, acknowledged=50_123, runs=5_000, doubts="2 (2 were made)")
BROKEN = Line("killed", 7, faults=10, lost=1, shown=["quiet after 4 s"])


def test_a_line_is_kept_when_nothing_is_lost_doubled_or_wrong() -> None:
    assert KEPT.kept
    assert not BROKEN.kept
    assert not Line("killed", 7, doubled=1).kept
    assert not Line("killed", 7, wrong=["too slow"]).kept


def test_the_table_tells_what_was_counted_and_with_which_seed() -> None:
    shown = table([KEPT, BROKEN])

    assert "| random | 300 | 50,123 | 5,000 | 0 | 0 | 2 (2 were made) |  | yes |" in shown
    assert "| killed | 10 |  |  | 1 | 0 |  | quiet after 4 s | **no** |" in shown
    assert "Seed 7," in shown


def test_the_table_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")

    keep(page, [KEPT])
    keep(page, [BROKEN])

    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n\n| Scenario")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "killed" in text
    assert "random" not in text
    assert "old" not in text


def test_a_page_without_marks_gets_them_at_its_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    keep(page, [KEPT])
    keep(page, [KEPT])

    assert page.read_text().count(BEGIN) == page.read_text().count(END) == 1


def test_what_was_shown_in_parts_is_one_table_once_all_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    first = Line("first", 7, faults=3, lost=0, shown=["fast"])
    remember(folder, "a", Line("first", 6, lost=1))
    remember(folder, "a", first)
    assert recall(folder, ["a", "b"]) is None
    second = Line("second", 8, wrong=["too slow"])
    remember(folder, "b", second)
    assert recall(folder, ["b", "a"]) == [second, first]
