"""`python -m bench`: every measurement in one run, as ratios; see README.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench import door, idle, lists, memory, removing, report, size, starting, workers
from bench.figures import Context, Figure, Verdict
from bench.loading import has_wrk
from bench.machine import LOAD_CPU, describe, on_cpu
from bench.report import Extent
from bench.servers import Servers

MEASUREMENTS = (
    door.MEASUREMENT,
    workers.MEASUREMENT,
    idle.MEASUREMENT,
    size.MEASUREMENT,
    lists.MEASUREMENT,
    removing.MEASUREMENT,
    memory.MEASUREMENT,
    starting.MEASUREMENT,
)
SECONDS, QUICK_SECONDS = 5.0, 1.0
ROUNDS = 3
WHOLE = f"every figure, {ROUNDS} rounds or more, of {SECONDS:g} seconds or more"
NO_WRK = (
    "wrk is not installed: bench/load.py loads, which takes more of its processor for each request"
    " (apt install wrk, dnf install wrk or brew install wrk)"
)


def main() -> int:
    """Measure and write.

    Gives 1 when a figure is void or misses its bound; of a quick run only when one is void.
    """
    options = _arguments()
    names = chosen(options.only)
    if options.list:
        _list()
        return 0
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    extent = _extent(quick=options.quick, names=names, rounds=rounds, seconds=seconds)
    if options.publish and extent is not Extent.WHOLE:
        sys.exit(f"what is published is a whole run: {WHOLE}")
    if not has_wrk():
        _tell(NO_WRK)
    began = time.monotonic()
    figures: list[Figure] = []
    with on_cpu(LOAD_CPU), Servers() as servers:
        context = Context(
            servers=servers,
            names=names,
            rounds=rounds,
            seconds=seconds,
            quick=options.quick,
            tell=_tell,
        )
        machine = describe()
        for measurement in MEASUREMENTS:
            if context.chosen(measurement.figures):
                _tell(f"{measurement.name}: after {(time.monotonic() - began) / 60:.1f} minutes")
                figures.extend(measurement.run(context))
        machine |= servers.versions()
    took = time.monotonic() - began
    written = report.Report(machine, figures, context.samples, took, extent)
    print(report.markdown(written))
    for path in report.write(written):
        _tell(f"wrote {path}")
    if extent is not Extent.WHOLE:
        _tell(f"it was no whole run ({WHOLE}): {Extent.WHOLE}.* is as it was")
    if options.publish:
        _tell(f"wrote {report.publish(written)}")
    bad = {Verdict.VOID} if options.quick else {Verdict.VOID, Verdict.MISSED}
    return 1 if any(figure.verdict in bad for figure in figures) else 0


def _list() -> None:
    for one in MEASUREMENTS:
        for wanted in one.figures:
            print(f"{wanted.name:<20} {wanted.bound:<12} {wanted.says}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a measurement (door) or a figure of one (door/verify); may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="seconds: only whether it works")
    parser.add_argument("--rounds", type=int, help=f"of each (default: {ROUNDS})")
    parser.add_argument("--seconds", type=float, help=f"of load a round (default: {SECONDS:g})")
    parser.add_argument(
        "--publish", action="store_true", help="write the table into docs/performance.md as well"
    )
    parser.add_argument("--list", action="store_true", help="only name the figures")
    return parser.parse_args()


def chosen(only: list[str] | None) -> frozenset[str]:
    """Give the names of the figures that are meant; ends the process when one is unknown."""
    known = [wanted.name for measurement in MEASUREMENTS for wanted in measurement.figures]
    meant = {
        name for name in known if not only or any(f"{name}/".startswith(f"{one}/") for one in only)
    }
    unknown = [one for one in only or () if not any(f"{n}/".startswith(f"{one}/") for n in known)]
    if unknown:
        groups = ", ".join(one.name for one in MEASUREMENTS)
        sys.exit(
            f"there is no {', '.join(unknown)}; measurements are {groups};"
            f" figures of them are {', '.join(known)}"
        )
    return frozenset(meant)


def _extent(*, quick: bool, names: frozenset[str], rounds: int, seconds: float) -> Extent:
    if quick:
        return Extent.QUICK
    is_whole = names == chosen(None) and rounds >= ROUNDS and seconds >= SECONDS
    return Extent.WHOLE if is_whole else Extent.PARTIAL


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
