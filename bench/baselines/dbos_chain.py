"""(e) DBOS with the same three steps, each of which inserts one row; DBOS records each.

Run by the Python of a virtual environment that has requirements-dbos.txt:
`python -m bench.baselines.dbos_chain WARM_UP_RUNS RUNS` begins so many workflows, waits for their
ends and prints one line of JSON. To begin one is durable, as it is for a delivery that came.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any
from uuid import uuid4

from bench.baselines.step_rows import create_table, insert_row, open_engine

# By name: it is in that environment alone, and no dependency of ours.
DBOS: Any = import_module("dbos").DBOS
engine = open_engine()
DBOS(
    config={
        "name": "bench",
        "system_database_url": os.environ["BENCH_DATABASE_URL"],
        "log_level": "ERROR",
        "run_admin_server": False,
    }
)


def _one(run: str, number: int) -> str:
    return insert_row(engine, run, "one", number)


def _two(run: str, number: int) -> str:
    return insert_row(engine, run, "two", number)


def _three(run: str, number: int) -> str:
    return insert_row(engine, run, "three", number)


one, two, three = DBOS.step()(_one), DBOS.step()(_two), DBOS.step()(_three)


def _three_steps(run: str, number: int) -> None:
    one(run, number)
    two(run, number)
    three(run, number)


three_steps = DBOS.workflow()(_three_steps)


def perform(runs: int) -> dict[str, float]:
    """Begin so many runs and wait for their ends; gives what time and processor time it took."""
    began, used = time.monotonic(), time.process_time()
    handles = [DBOS.start_workflow(three_steps, str(uuid4()), number) for number in range(runs)]
    for handle in handles:
        handle.get_result()
    return {"seconds": time.monotonic() - began, "processor": time.process_time() - used}


def main() -> None:
    """Warm up, perform, and say how long it took."""
    create_table(engine)
    DBOS.launch()
    perform(int(sys.argv[1]))
    print(json.dumps(perform(int(sys.argv[2]))), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()
