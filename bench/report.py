"""Writes what was measured: a table in Markdown, everything in JSON, and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, shown
from bench.plot import draw

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
QUICK = "A quick run, on small tables: it shows that the benchmark works. Its figures mean nothing."
BEGIN, END = "<!-- bench:", "<!-- /bench -->"


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    machine: dict[str, Any]
    figures: Sequence[Figure]
    samples: Sequence[dict[str, Any]]
    seconds: float
    quick: bool


def markdown(report: Report) -> str:
    """Give the table, the machine below it, and what is to be said of single figures."""
    lines = [QUICK, ""] if report.quick else []
    lines += [
        "| Measure | Wanted | Seen | Rounds | Kept |",
        "|---|---|---|---|---|",
        *(_row(figure) for figure in report.figures),
        "",
    ]
    lines.extend(_remarks(report))
    machine = ", ".join(f"{name} {_flat(value)}" for name, value in report.machine.items())
    lines.append(f"{machine}; {report.seconds / 60:.1f} minutes.")
    return "\n".join(lines)


def write(report: Report) -> tuple[Path, ...]:
    """Write `latest.md`, `latest.json` and `latest.svg`; gives their paths."""
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.now(UTC).replace(microsecond=0)
    texts = {
        "md": f"# Measured on {moment.date()}\n\n{markdown(report)}\n",
        "json": json.dumps(_as_json(report, moment), indent=2, default=str) + "\n",
        "svg": draw(report.figures),
    }
    paths = []
    for suffix, text in texts.items():
        path = RESULTS / f"latest.{suffix}"
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


def _row(figure: Figure) -> str:
    wanted = figure.wanted
    seen = "" if figure.value is None else f"**{shown(figure.value, wanted.unit)}**"
    rounds = [shown(one, wanted.unit) for one in sorted(figure.rounds)]
    told = f"{rounds[0]} to {rounds[-1]}, of {len(rounds)}" if len(rounds) > 1 else ""
    return f"| {wanted.says} | {wanted.bound} | {seen} | {told} | {figure.verdict} |"


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
        "quick": report.quick,
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
