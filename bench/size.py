"""How the door fares with millions of stored deliveries, beside a database without them.

Both are made, kept and begun alike, and loaded in turns; who is first changes. In the one there are
five million copies of a delivery that came over the door, in the partitions of the five days before
this one, with the keys by which repetitions are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.figures import Context, Figure, Measurement, Wanted
from bench.filling import Filler, filling, make_days, midnight
from bench.installation import Installation, new_installation
from bench.loading import Load, send
from bench.payload import body_of
from bench.receivers import Running
from bench.rounds import Round, load_round, warm_door

FULL = Wanted("size/door", "door with 5,000,000 stored deliveries ÷ empty", 0.9)
ROWS, QUICK_ROWS = 5_000_000, 20_000
DAYS = 5
PAIRS = 4
"""In each of the rounds that are asked for: no machine is as fast in one second as in the next."""
STORED_BODY_BYTES = 512
"""What the copies hold, so that five million of them fit on most disks."""


def run(context: Context) -> Iterator[Figure]:
    """Load the doors of both databases in turns, and divide."""
    rows = QUICK_ROWS if context.quick else ROWS
    with (
        _filled(context, "full", rows) as full,
        _filled(context, "empty", 0) as empty,
        warm_door(context, full) as over,
        warm_door(context, empty) as under,
    ):
        numbers = range(1, PAIRS * context.rounds + 1)
        pairs = [_pair(context, over, under, number) for number in numbers]
    voids = {one.void for pair in pairs for one in pair} - {""}
    ratios = [full.rate / empty.rate for full, empty in pairs if empty.answered]
    yield Figure(FULL, ratios, void="; ".join(sorted(voids)))


def _pair(context: Context, full: Running, empty: Running, number: int) -> tuple[Round, Round]:
    """Load both; gives what either did, the full one first."""
    doors = {"full": full, "empty": empty}
    rounds = {}
    for name in doors if number % 2 else reversed(doors):
        one = load_round(context, doors[name], warm_up=None)
        rounds[name] = one.noted(context, f"size/{name}", pair=number)
    return rounds["full"], rounds["empty"]


@contextmanager
def _filled(context: Context, name: str, rows: int) -> Iterator[Installation]:
    """Give an installation that holds one delivery, and its copies."""
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
        servers.checkpoint()
        yield installation


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
