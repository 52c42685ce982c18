"""How the door fares with millions of stored deliveries, beside a database without them.

Both are made, kept and begun alike, and loaded in turns; who is first changes. In the one there are
five million copies of a delivery that came over the door, in the partitions of the five days before
this one, with the keys by which repetitions are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from bench.figures import Context, Figure, Measurement, Wanted
from bench.filling import Filler, filling, make_days, midnight
from bench.installation import new_installation
from bench.loading import CONNECTIONS, Load, WarmUp, send
from bench.payload import body_of
from bench.receivers import Running
from bench.rounds import Round, load_round
from schemas.clock import utc_now
from schemas.ids import first_id

FULL = Wanted("size/door", "door with 5,000,000 stored deliveries ÷ empty", 0.9)
ROWS, QUICK_ROWS = 5_000_000, 20_000
DAYS = 5
WARM_UP = WarmUp(seconds=8.0, connections=CONNECTIONS)
"""What PostgreSQL pays once after each checkpoint, every five minutes, is not to fill the round: it
writes the first change of each page whole to its log, and millions of keys are on many pages."""
STORED_BODY_BYTES = 512
"""What the copies hold, so that five million of them fit on most disks."""


_Start = Callable[[], AbstractContextManager[Running]]


def run(context: Context) -> Iterator[Figure]:
    """Load the door of either database in turns, and divide."""
    rows = QUICK_ROWS if context.quick else ROWS
    with _kept(context, "full", rows) as full, _kept(context, "empty", 0) as empty:
        pairs = [_pair(context, full, empty, number) for number in range(1, context.rounds + 1)]
    voids = {one.void for pair in pairs for one in pair} - {""}
    ratios = [full.rate / empty.rate for full, empty in pairs if empty.answered]
    yield Figure(FULL, ratios, void="; ".join(sorted(voids)))


def _pair(context: Context, full: _Start, empty: _Start, number: int) -> tuple[Round, Round]:
    """Load both; gives what either did, the full one first."""
    starts = {"full": full, "empty": empty}
    rounds = {}
    for name in starts if number % 2 else reversed(starts):
        with starts[name]() as running:
            one = load_round(context, running, warm_up=WARM_UP)
        rounds[name] = one.noted(context, f"size/{name}", round=number)
    return rounds["full"], rounds["empty"]


@contextmanager
def _kept(context: Context, name: str, rows: int) -> Iterator[_Start]:
    """Give what starts the door of an installation that holds one delivery, and its copies."""
    servers = context.servers
    with (
        servers.database("postgres") as url,
        new_installation(url, servers.fresh_redis()) as installation,
    ):
        installation.prepare()
        with installation.running("serve"):
            body = body_of(STORED_BODY_BYTES)
            send(Load(installation.port, 10.0, connections=1, body=body, requests=1))
        make_days(url, "deliveries", midnight(), DAYS)
        with filling(url) as connection:
            if rows:
                filler = Filler(connection, until=midnight(), days=DAYS, rows=rows)
                stored = {"received_at": filler.time, "state": "'ingested'", "due_at": "NULL"}
                filler.copy("deliveries", {**stored, "delivery_key": "'copy-' || n"})
        context.note(f"size/{name}, filled", **_sizes(url))
        new_ones = f"deliveries WHERE id >= '{first_id(utc_now())}'"

        @contextmanager
        def start() -> Iterator[Running]:
            servers.fresh_redis()
            servers.checkpoint()
            with installation.running("serve") as process:
                yield Running(installation.port, database_url=url, table=new_ones, pid=process.pid)

        yield start


def _sizes(url: str) -> dict[str, int]:
    statement = (
        "SELECT count(*), (SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits"
        " WHERE inhparent = 'deliveries'::regclass) FROM deliveries"
    )
    with psycopg.connect(url) as connection:
        found = connection.execute(statement).fetchone()
    assert found is not None
    rows, size = found
    return {"rows": rows, "bytes_each": size // rows}


MEASUREMENT = Measurement("size", (FULL,), run)
