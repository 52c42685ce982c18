"""Fills PostgreSQL with millions of rows: copies of rows that the product itself has written.

A copy has an id of its own, which is a time, and whatever else has to differ. What a column needs
that is not named here is as in the row that was copied, so that new columns need no change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import Connection, sql

from schemas.partitioned import PARTITIONED
from service.db import Database
from service.store.partitions import make_partition

DAY = timedelta(days=1)
AT_ONCE = 250_000
NOTED = 1000
LOG_ROOM = "8GB"
"""So that PostgreSQL does not write everything out again and again while it is filled."""
_FUNCTION = """
CREATE OR REPLACE FUNCTION pg_temp.bench_id(first bigint, step float8, n bigint, kind text)
RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(first + (n * step)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
    || '8' || substr(md5(kind || n), 1, 15))::uuid
$$
"""
_DIGEST = "encode(substring(sha256({}) FROM 1 FOR 16), 'hex')::uuid"
DELIVERY_DIGEST = _DIGEST.format("uuid_send(source_id) || convert_to(delivery_key, 'UTF8')")
EVENT_DIGEST = _DIGEST.format("convert_to(dedupe_key, 'UTF8')")
DIGESTS = {"deliveries": DELIVERY_DIGEST, "events": EVENT_DIGEST}


class Filler:
    """Copies rows. Ids and times are spread evenly over `days` before `until`."""

    def __init__(self, connection: Connection, *, until: datetime, days: float, rows: int) -> None:
        self._connection = connection
        self._since = until - timedelta(days=days)
        self.first_ms = int(self._since.timestamp() * 1000)
        self._step_ms = days * 86_400_000 / rows
        self._rows = rows
        connection.execute(_FUNCTION)

    def id_of(self, kind: str, number: str = "n") -> str:
        """Give the expression for the id of the copy with this number."""
        return f"pg_temp.bench_id({self.first_ms}, {self._step_ms}, {number}, '{kind}')"

    @property
    def time(self) -> str:
        """The expression for the time of a copy."""
        return f"to_timestamp(({self.first_ms} + n * {self._step_ms}) / 1000.0)"

    def copy(
        self, table: str, values: Mapping[str, str], *, of: str = "true", every: int = 1
    ) -> None:
        """Copy the newest row of a table for which `of` holds; `values` are SQL, over `n`.

        `every`: 10 makes a tenth of the copies, over the same time.
        An id is made, and so is the key by which a delivery or an event is known.
        """
        columns = self._columns(table)
        given = {"id": self.id_of(table), **values}
        expressions = [
            sql.SQL(given[name]) if name in given else sql.SQL("t.{}").format(sql.Identifier(name))
            for name in columns
        ]
        statement = sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {expressions}"
            " FROM (SELECT * FROM {table} WHERE {of} ORDER BY id DESC LIMIT 1) AS t,"
            " generate_series({first}, {last}, {every}) AS n"
        )
        for first in sorted({0, *range(NOTED, self._rows, AT_ONCE)}):
            most = NOTED if first == 0 else AT_ONCE
            last = min(first + most, self._rows) - 1
            bounds = {"first": first, "last": last, "every": every}
            # What triggers note of a row they have noted of the first ones, which are of all kinds.
            role = "origin" if first == 0 else "replica"
            self._connection.execute(f"SET session_replication_role = {role}".encode())
            self._connection.execute(
                statement.format(
                    table=sql.Identifier(table),
                    columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                    expressions=sql.SQL(", ").join(expressions),
                    of=sql.SQL(of),
                    **{name: sql.Literal(value) for name, value in bounds.items()},
                )
            )
        if table in PARTITIONED:
            self._add_keys(table)

    def _columns(self, table: str) -> list[str]:
        return [
            str(name)
            for (name,) in self._connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND table_schema = current_schema()"
                " AND is_generated = 'NEVER' ORDER BY ordinal_position",
                [table],
            )
        ]

    def _add_keys(self, table: str) -> None:
        keys = PARTITIONED[table].name
        statement = (
            f"INSERT INTO {keys} (key, row_id) SELECT {DIGESTS[table]}, id FROM {table}"  # noqa: S608  # ours
            " ON CONFLICT DO NOTHING"
        )
        self._connection.execute(sql.SQL(statement))


@contextlib.contextmanager
def filling(url: str) -> Iterator[Connection]:
    """Give a connection that fills; afterwards everything is as vacuuming leaves it."""
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"ALTER SYSTEM SET max_wal_size = '{LOG_ROOM}'".encode())
        connection.execute("ALTER SYSTEM SET autovacuum = off")  # it is vacuumed at the end
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET work_mem = '256MB'")
        try:
            yield connection
        finally:
            connection.execute("ALTER SYSTEM RESET max_wal_size")
            connection.execute("ALTER SYSTEM RESET autovacuum")
            connection.execute("SELECT pg_reload_conf()")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def make_days(url: str, table: str, until: datetime, days: int) -> None:
    """Make a partition for each of the days before a midnight."""
    database = Database(url)
    try:
        for number in range(days, 0, -1):
            with database.session() as session:
                since = until - number * DAY
                make_partition(session, table, since, since + DAY)
                session.commit()
    finally:
        database.dispose()


def midnight() -> datetime:
    """Give when this day began."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
