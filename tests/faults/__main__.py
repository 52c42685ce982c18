"""Shows that what is promised is kept: `make faults`, or `python -m tests.faults --help`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from tests.faults import report
from tests.faults.scenarios import SCENARIOS, Options

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"


def main() -> int:
    """Perform scenarios, print their table and keep it; gives 1 when a line is not kept."""
    # The processes that are started read this before anything else: byte code is kept.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    asked = _parser().parse_args()
    options = Options(seed=asked.seed, scale=asked.scale, minutes=asked.minutes, say=say)
    say(f"seed {asked.seed}")
    lines = []
    for name in asked.scenario or SCENARIOS:
        say(f"\n{name}: {SCENARIOS[name].__doc__}")
        try:
            lines.append(SCENARIOS[name](options))
        except Exception as error:  # noqa: BLE001  # the others are shown all the same
            told = f"{type(error).__name__}: {error}"
            say(told)
            lines.append(report.Line(name, asked.seed, wrong=[told]))
        for wrong in lines[-1].wrong:
            say(f"NOT KEPT: {wrong}")
        if asked.results is not None and asked.scale >= 1:
            report.remember(asked.results, name, lines[-1])
    say(f"\n{report.table(lines)}")
    whole = report.recall(asked.results, SCENARIOS) if asked.results else None
    if whole is None and not asked.scenario and asked.scale >= 1:
        whole = lines
    if whole is not None:
        report.keep(PAGE, whole)
        say(f"\nkept in {PAGE.name}")
    return 0 if all(line.kept for line in lines) else 1


def say(told: str) -> None:
    """Print a line at once: who waits for half an hour wants to know how it goes."""
    sys.stdout.write(f"{told}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbits(32), help="by default another every time"
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=list(SCENARIOS),
        help="only this one, again for more; then no table is kept, unless with --results",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="how much is sent and broken; below 1 no table is kept (default 1)",
    )
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="how long the random faults last (default 20)"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="remember each scenario here; the table is kept once all are there",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
