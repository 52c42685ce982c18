"""PostgreSQL and Redis for the benchmark, on the processor of the system that is measured.

They are started when first asked for and stopped at the end. PostgreSQL forces every commit to disk
and is otherwise as it comes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

import psycopg
import redis

from bench.machine import SYSTEM_CPU, on_cpu
from tests.servers import PostgresServer, RedisServer, created_database

_NUMBERS = count()


class Servers:
    """The servers of one run of the benchmark. Use as a context manager."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._postgres: PostgresServer | None = None
        self._redis: RedisServer | None = None

    def __enter__(self) -> Self:
        """Begin; nothing is started yet."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop what was started."""
        self._opened.close()

    @property
    def postgres(self) -> PostgresServer:
        """PostgreSQL, running."""
        if self._postgres is None:
            with on_cpu(SYSTEM_CPU):
                self._postgres = self._opened.enter_context(PostgresServer(durable=True))
        return self._postgres

    @property
    def redis(self) -> RedisServer:
        """Redis, running."""
        if self._redis is None:
            with on_cpu(SYSTEM_CPU):
                self._redis = self._opened.enter_context(RedisServer())
        return self._redis

    def pids(self) -> set[int]:
        """Give the processes of those that run."""
        return {server.pid for server in (self._postgres, self._redis) if server is not None}

    def fresh_redis(self) -> str:
        """Empty Redis; gives its address."""
        with contextlib.closing(redis.Redis.from_url(self.redis.url)) as client:
            client.flushall()
        return self.redis.url

    @contextlib.contextmanager
    def database(self, kind: str, template: str = "") -> Iterator[str]:
        """Give the address of a new database: empty, or a copy of `template` (of the same kind).

        `template` is the address of a database that nobody uses meanwhile.
        """
        if kind == "sqlite":
            with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
                path = Path(folder, "bench.db")
                if template:
                    path.write_bytes(Path(template.removeprefix("sqlite:///")).read_bytes())
                yield f"sqlite:///{path}"
            return
        name = f"bench_{next(_NUMBERS)}"
        source = template.rpartition("/")[2] if template else "template0"
        with created_database(self.postgres.url(), name, source) as url:
            self.checkpoint()
            yield url

    def checkpoint(self) -> None:
        """Let PostgreSQL write out what it has, so that no round pays for the one before."""
        with contextlib.closing(
            psycopg.connect(self.postgres.url(), autocommit=True)
        ) as connection:
            connection.execute("CHECKPOINT")

    def versions(self) -> dict[str, str]:
        """Give the versions of those that run."""
        found = {}
        if self._postgres is not None:
            with contextlib.closing(psycopg.connect(self._postgres.url())) as connection:
                found["postgres"] = f"{connection.info.server_version / 10000:.1f}"
        if self._redis is not None:
            with contextlib.closing(redis.Redis.from_url(self._redis.url)) as client:
                found["redis"] = str(client.info("server")["redis_version"])
        return found
