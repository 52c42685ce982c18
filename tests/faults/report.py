"""What a scenario has shown, as a line of one table: printed, and kept in docs/guarantees.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BEGIN = "<!-- faults: begin (written by `make faults`) -->"
END = "<!-- faults: end -->"
HEADINGS = (
    "Scenario",
    "Faults",
    "Acknowledged",
    "Runs",
    "Lost",
    "Done twice",
    "In doubt, and how it ended",
    "Shown",
    "Kept",
)


@dataclass
class Line:
    """One scenario. What was not counted is None; `wrong` tells everything that is not kept."""

    scenario: str
    seed: int
    faults: int | None = None
    acknowledged: int | None = None
    runs: int | None = None
    lost: int = 0
    doubled: int = 0
    doubts: str = ""
    shown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether what is promised was kept."""
        return not (self.lost or self.doubled or self.wrong)

    def cells(self) -> tuple[str, ...]:
        """Give the line as the table shows it."""
        return (
            self.scenario,
            _number(self.faults),
            _number(self.acknowledged),
            _number(self.runs),
            _number(self.lost),
            _number(self.doubled),
            self.doubts or "",
            "; ".join(self.shown) or "",
            "yes" if self.kept else "**no**",
        )


def table(lines: Sequence[Line]) -> str:
    """Give the table in Markdown, with seed, day and machine below it."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(line.cells() for line in lines)]
    seeds = ", ".join(sorted({str(line.seed) for line in lines}))
    took = sum(line.seconds for line in lines) / 60
    told = (
        f"Seed {seeds}, {datetime.now(UTC):%Y-%m-%d}, {took:.0f} minutes, on {os.cpu_count()} "
        f"processors of a {platform.machine()} machine with {_memory_gib():.0f} GiB, "
        f"Python {platform.python_version()}."
    )
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", told])


def remember(folder: Path, name: str, line: Line) -> None:
    """Write a scenario's line into a folder, in the place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(line), indent=1), "utf-8")


def recall(folder: Path, names: Iterable[str]) -> list[Line] | None:
    """Give the lines of these scenarios from a folder; None while any is missing."""
    files = [folder / f"{name}.json" for name in names]
    if not all(file.exists() for file in files):
        return None
    return [Line(**json.loads(file.read_text("utf-8"))) for file in files]


def keep(page: Path, lines: Sequence[Line]) -> None:
    """Write the table between its marks in a page; a page without them gets them at its end."""
    text = page.read_text("utf-8") if page.exists() else "# Guarantees\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{table(lines)}\n\n{END}{after}", "utf-8")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
