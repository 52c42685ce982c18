"""Whoever receives the deliveries of the benchmark: Hookwright and the baselines.

Each is started in a process of its own on the system's processor, answers at `/hooks/github`, and
says how many rows it has stored.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import text

from bench.baselines import debian_webhook, n8n, node_red
from bench.installation import (
    Installation,
    answered_status,
    deliver,
    has_ended,
    new_installation,
)
from bench.loading import CONNECTIONS, WarmUp
from bench.machine import ROOT, SYSTEM_CPU, on_cpu
from bench.servers import Servers
from service.db import Database
from tests.servers import free_port, wait_until

START_S = 90.0
STOP_S = 30.0
AT_ONCE = WarmUp()
COMPILING = WarmUp(seconds=20.0, connections=CONNECTIONS)
"""Of programs in JavaScript, which become faster for many seconds after each start."""
STILL_FOR_S = 0.5
UVICORN = (
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    *("--host", "127.0.0.1", "--no-server-header"),
)


@dataclass(frozen=True)
class Running:
    """A receiver that runs. `database_url` and `table` are empty when it stores nothing."""

    port: int
    path: str = "/hooks/github"
    database_url: str = ""
    table: str = ""
    pid: int = 0

    def rows(self) -> int | None:
        """Count what is stored, once nothing has been added for half a second."""
        if not self.table:
            return None
        database = Database(self.database_url)
        try:
            return settled_rows(database, self.table)
        finally:
            database.dispose()


@dataclass(frozen=True)
class Receiver:
    """A receiver by name (`postgres/door`). `absent`: why it cannot be run here."""

    name: str
    start: Callable[[Servers], AbstractContextManager[Running]]
    absent: Callable[[], str] = lambda: ""
    warm_up: WarmUp = AT_ONCE


def settled_rows(database: Database, table: str) -> int:
    """Count the rows of a table once nothing has been stored for half a second."""
    count, since = -1, time.monotonic()

    def is_still() -> bool:
        nonlocal count, since
        with database.session(read_only=True) as session:
            statement = text(f"SELECT count(*) FROM {table}")  # noqa: S608  # our own constants
            now = session.connection().execute(statement).scalar_one()
        if now != count:
            count, since = now, time.monotonic()
        return time.monotonic() - since > STILL_FOR_S

    wait_until(is_still, START_S, what="an end of the storing")
    return count


class Prepared:
    """Databases with the tables and the configuration, made once and copied for each round."""

    def __init__(self) -> None:
        self._templates: dict[str, str] = {}
        self._opened = contextlib.ExitStack()

    def close(self) -> None:
        """Drop the templates."""
        self._opened.close()
        self._templates.clear()

    @contextlib.contextmanager
    def installation(self, servers: Servers, kind: str) -> Iterator[Installation]:
        """Give an installation whose database is a fresh copy."""
        redis_url = servers.fresh_redis()
        with (
            servers.database(kind, self._template(servers, kind)) as url,
            new_installation(url, redis_url) as installation,
        ):
            yield installation

    def _template(self, servers: Servers, kind: str) -> str:
        if kind not in self._templates:
            url = self._opened.enter_context(servers.database(kind))
            with new_installation(url, servers.redis.url) as installation:
                installation.prepare()
            self._templates[kind] = url
        return self._templates[kind]


PREPARED = Prepared()


@contextlib.contextmanager
def _door(kind: str, servers: Servers) -> Iterator[Running]:
    with (
        PREPARED.installation(servers, kind) as installation,
        installation.running("serve") as process,
    ):
        yield Running(
            installation.port,
            database_url=installation.database_url,
            table="deliveries",
            pid=process.pid,
        )


@contextlib.contextmanager
def _uvicorn(
    application: str, servers: Servers, *, kind: str = "", table: str = ""
) -> Iterator[Running]:
    with contextlib.ExitStack() as opened:
        url = opened.enter_context(servers.database(kind)) if kind else ""
        redis_url = servers.fresh_redis() if kind else ""
        application = f"bench.baselines.{application}"
        yield opened.enter_context(by_uvicorn(application, url, redis_url, table))


@contextlib.contextmanager
def by_uvicorn(
    application: str, database_url: str, redis_url: str, table: str
) -> Iterator[Running]:
    """Serve an ASGI application, or what makes one (`…:make_…`), on the system's processor."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", application, *UVICORN, "--port", str(port)),
        *(["--factory"] if ":make_" in application else []),
    ]
    environment = {"BENCH_DATABASE_URL": database_url, "BENCH_REDIS_URL": redis_url}
    with serving(command, port, environment) as process:
        yield Running(port, database_url=database_url, table=table, pid=process.pid)


@contextlib.contextmanager
def _debian_webhook(_servers: Servers) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        port = free_port()
        with serving(debian_webhook.command(Path(folder), port), port, {}) as process:
            yield Running(port, pid=process.pid)


@contextlib.contextmanager
def _node_red(_servers: Servers) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        port = free_port()
        command = node_red.command(Path(folder), port)
        with serving(command, port, {}, is_up=_takes_deliveries(node_red.PATH)) as process:
            yield Running(port, path=node_red.PATH, pid=process.pid)


@contextlib.contextmanager
def _n8n(_servers: Servers) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        port = free_port()
        variables = n8n.environment(Path(folder), port)
        n8n.prepare(Path(folder), variables)
        command = n8n.command(Path(folder), port)
        with serving(command, port, variables, is_up=_takes_deliveries(n8n.PATH)) as process:
            yield Running(port, path=n8n.PATH, pid=process.pid)


def _takes_deliveries(path: str) -> Callable[[int], bool]:
    def is_up(port: int) -> bool:
        return deliver(port, path) == 202

    return is_up


@contextlib.contextmanager
def serving(
    command: list[str],
    port: int,
    environment: dict[str, str],
    *,
    is_up: Callable[[int], bool] = lambda port: answered_status(port, "/hooks/none") is not None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on the system's processor until this ends."""
    with tempfile.TemporaryFile() as log:
        with on_cpu(SYSTEM_CPU):
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=ROOT
            )
        try:
            wait_until(
                lambda: has_ended(process) or is_up(port), START_S, what=f"{command[0]} answers"
            )
            if has_ended(process):
                log.seek(0)
                message = f"{' '.join(command)} ended: {log.read()[-2000:].decode()}"
                raise RuntimeError(message)
            yield process
        finally:
            process.terminate()
            process.wait(STOP_S)


def _absent(program: str, installing: str = "") -> str:
    """Say that a program is not installed, and how it would be; empty when it is."""
    if shutil.which(program):
        return ""
    return f"`{program}` is not installed" + (f": {installing}" if installing else "")


_COMMIT = partial(_uvicorn, "fastapi_commit:make_app", table="handwritten_deliveries")
_QUEUED = partial(_uvicorn, "fastapi_commit:make_queued_app", table="handwritten_deliveries")
_BLOCKING = partial(_uvicorn, "fastapi_commit:make_blocking_app", table="handwritten_deliveries")
RECEIVERS = {
    receiver.name: receiver
    for receiver in (
        Receiver("postgres/door", partial(_door, "postgres")),
        Receiver("sqlite/door", partial(_door, "sqlite")),
        Receiver("echo", partial(_uvicorn, "asgi_echo:app")),
        Receiver("verify", partial(_uvicorn, "fastapi_verify:app")),
        Receiver("postgres/commit", partial(_COMMIT, kind="postgres")),
        Receiver("sqlite/commit", partial(_COMMIT, kind="sqlite")),
        Receiver("sqlite/commit-queued", partial(_QUEUED, kind="sqlite")),
        Receiver("postgres/commit-async", partial(_BLOCKING, kind="postgres")),
        Receiver("sqlite/commit-async", partial(_BLOCKING, kind="sqlite")),
        Receiver(
            "webhook",
            _debian_webhook,
            partial(_absent, debian_webhook.PROGRAM, f"`{debian_webhook.INSTALL}`"),
        ),
        Receiver("node-red", _node_red, partial(_absent, node_red.PROGRAM), COMPILING),
        Receiver("n8n", _n8n, partial(_absent, n8n.PROGRAM), COMPILING),
    )
}
