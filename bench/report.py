"""Writes what was measured: a table in Markdown, everything in JSON, and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.figures import NONE, Figure, Verdict, shown
from bench.plot import draw

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- bench:", "<!-- /bench -->"


class Extent(StrEnum):
    """How much of the benchmark a run was; what it writes is called so."""

    WHOLE = "latest"
    PARTIAL = "partial"
    QUICK = "quick"


WARNINGS = {
    Extent.WHOLE: "",
    Extent.PARTIAL: "A part of the benchmark, or with rounds of another number or length.",
    Extent.QUICK: "A quick run: seconds of load and small tables, whatever the names of the figures"
    " say. It shows that the benchmark works; its figures mean nothing.",
}


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    machine: dict[str, Any]
    figures: Sequence[Figure]
    samples: Sequence[dict[str, Any]]
    seconds: float
    extent: Extent


def markdown(report: Report) -> str:
    """Give the table, the machine below it, and what is to be said of single figures."""
    warning = WARNINGS[report.extent]
    lines = [warning, ""] if warning else []
    lines += [
        "| Measure | Wanted | Seen | Rounds | Kept |",
        "|---|---|---|---|---|",
        *(_row(figure, report.extent) for figure in report.figures),
        "",
    ]
    lines.extend(_remarks(report))
    machine = ", ".join(f"{name} {_flat(value)}" for name, value in report.machine.items())
    lines.append(f"{machine}; {report.seconds / 60:.1f} minutes.")
    return "\n".join(lines)


def write(report: Report) -> tuple[Path, ...]:
    """Write the table, the samples and the plot (`latest.md`, `.json`, `.svg`); gives their paths.

    What is not a whole run is called otherwise: see `Extent`.
    """
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.now(UTC).replace(microsecond=0)
    commit = report.machine.get("commit", "unknown")
    about = [f"Measured on {moment.date()}, commit {commit}.", WARNINGS[report.extent]]
    texts = {
        "md": f"# Measured on {moment.date()}\n\n{markdown(report)}\n",
        "json": json.dumps(_as_json(report, moment), indent=2, default=str) + "\n",
        "svg": draw(report.figures, list(filter(None, about)), judged=_is_judged(report.extent)),
    }
    paths = []
    for suffix, text in texts.items():
        path = RESULTS / f"{report.extent}.{suffix}"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return tuple(paths)


def publish(report: Report) -> Path:
    """Write the table into the documentation, between its markers; gives the path.

    Raises ValueError when the markers are not there.
    """
    text = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    line, _, inside = rest.partition("\n")
    _, end, after = inside.partition(END)
    if not begin or not end:
        message = f"{DOCUMENT} has no place for the table"
        raise ValueError(message)
    day = datetime.now(UTC).date()
    table = f"Measured on {day}.\n\n{markdown(report)}"
    DOCUMENT.write_text(f"{before}{begin}{line}\n{table}\n{end}{after}", encoding="utf-8")
    return DOCUMENT


def _is_judged(extent: Extent) -> bool:
    return extent is not Extent.QUICK


def _row(figure: Figure, extent: Extent) -> str:
    wanted = figure.wanted
    seen = "" if figure.value is None else f"**{shown(figure.value, wanted.unit)}**"
    rounds = [shown(one, wanted.unit) for one in sorted(figure.rounds)]
    told = f"{rounds[0]} to {rounds[-1]}, of {len(rounds)}" if len(rounds) > 1 else ""
    says_nothing = not _is_judged(extent) and figure.verdict in {Verdict.KEPT, Verdict.MISSED}
    kept = NONE if says_nothing else figure.verdict
    return f"| {wanted.says} | {wanted.bound} | {seen} | {told} | {kept} |"


def _remarks(report: Report) -> Iterator[str]:
    for figure in report.figures:
        for kind, text in (("void", figure.void), ("absent", figure.absent), ("", figure.note)):
            if text:
                yield f"- {figure.wanted.says}: {kind + ': ' if kind else ''}{text}\n"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {one}" for name, one in value.items())
    return str(value)


def _as_json(report: Report, moment: datetime) -> dict[str, Any]:
    return {
        "measured_at": moment.isoformat(),
        "machine": report.machine,
        "seconds": round(report.seconds, 1),
        "extent": report.extent.name.lower(),
        "figures": [
            {
                "name": figure.wanted.name,
                "says": figure.wanted.says,
                "wanted": figure.wanted.bound,
                "unit": figure.wanted.unit.value,
                "value": figure.value,
                "rounds": list(figure.rounds),
                "kept": figure.verdict.name.lower(),
                "void": figure.void,
                "absent": figure.absent,
                "note": figure.note,
            }
            for figure in report.figures
        ],
        "samples": list(report.samples),
    }
