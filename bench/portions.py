"""What removing in portions costs the door: its rate alone, and while 200,000 rows are removed.

`python -m bench.portions` prints a Markdown table; see README.md for the method.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bench import sealing
from bench.door_app import DoorApp
from bench.figures import Context
from bench.machine import describe
from bench.receivers import by_uvicorn
from bench.rounds import load_round
from bench.servers import Servers
from schemas.clock import utc_now
from schemas.ids import first_id
from service.db import Database
from service.door_answers import Send
from service.door_request import Receive
from service.queue import UnheardQueue
from service.retention import Remover
from service.runtime import make_runtime
from service.settings import Settings
from workers.chores import Chore, Housekeeper

OLD = timedelta(days=60)
CONTENDERS = {
    "door alone": "bench.door_app:make_app",
    "door, and removing beside it": "bench.portions:make_app",
}


@dataclass(frozen=True)
class Measured:
    """One round: the rate of answers 2xx, how long they took, and how many rows went meanwhile."""

    contender: str
    rate: float
    p99_ms: float
    removed: int


class RemovingDoorApp(DoorApp):
    """The door with the removing in its process, as `hookwright up` has it, begun at once."""

    def __init__(self) -> None:
        super().__init__()
        folder = Path(tempfile.mkdtemp(prefix="hookwright-bench-"))
        settings = Settings(data_dir=folder, secret_keys=("bench-key-" + "0" * 30,))
        runtime = make_runtime(settings, self._database, UnheardQueue())
        chore = Chore("retention", timedelta(seconds=1), Remover().remove_portion)
        self._keeper = Housekeeper(runtime, [chore], lambda: True)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Hand requests to the door; remove for as long as it is open."""
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        self._keeper.start()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._keeper.stop()


def make_app() -> RemovingDoorApp:
    """Build the application from the environment."""
    return RemovingDoorApp()


def measure(contender: str, url: str, servers: Servers, rows: int, seconds: int) -> Measured:
    """Fill the database with old deliveries, then load the door."""
    database = Database(url)
    try:
        sealing.AGO = OLD
        sealing.fill(database, rows)
        # Rows go meanwhile, so that the books are not compared.
        with by_uvicorn(CONTENDERS[contender], url, servers.fresh_redis(), "") as running:
            before = _old(database)
            one = load_round(Context(servers, seconds=seconds), running)
            removed = before - _old(database)
    finally:
        database.dispose()
    return Measured(contender, one.rate, one.answers.p99_ms, removed)


def _old(database: Database) -> int:
    bound = first_id(utc_now() - OLD / 2)
    with database.session(read_only=True) as session:
        statement = text("SELECT count(*) FROM deliveries WHERE id < :bound")
        shown = bound.hex if database.is_sqlite else bound
        return int(session.connection().execute(statement, {"bound": shown}).scalar_one())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--database", choices=["postgres", "sqlite"], action="append")
    options = parser.parse_args()
    print("| Database | Receiver | Deliveries/s | Ratio | p99 | Rows removed meanwhile |")
    print("|---|---|---|---|---|---|")
    with Servers() as servers:
        for kind in options.database or ["postgres", "sqlite"]:
            found = []
            for _ in range(options.rounds):
                for contender in CONTENDERS:
                    with servers.database(kind) as url:
                        found.append(
                            measure(contender, url, servers, options.rows, options.seconds)
                        )
            _tell(kind, found)
    print(f"\n{describe()}")
    return 0


def _tell(kind: str, found: list[Measured]) -> None:
    alone = 0.0
    for contender in CONTENDERS:
        rounds = [one for one in found if one.contender == contender]
        rate = statistics.median(one.rate for one in rounds)
        alone = alone or rate
        p99 = statistics.median(one.p99_ms for one in rounds)
        removed = statistics.median(one.removed for one in rounds)
        print(
            f"| {kind} | {contender} | {rate:,.0f} | {rate / alone:.2f} | {p99:.0f} ms "
            f"| {removed:,.0f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
