"""An installation of many processes between which every line can be cut, frozen and delayed.

Receivers and workers are processes of their own on a PostgreSQL and a Redis of their own; what
they call are twins. Nobody reaches anybody but through a proxy, except for whoever balances the
books.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import redis

from examples.twins.launch import TwinProcess
from tests import commands
from tests.faults.plan import CHANNELS, PULL_REQUESTS, SOURCES, Things
from tests.faults.proxy import Proxy
from tests.faults.schedule import RECEIVERS, SERVERS, TWINS, WORKERS
from tests.servers import NO_AUTHORITIES, PostgresServer, RedisServer, Server, free_port, wait_until
from tests.twin_forks import start_twin

ROOT = Path(__file__).parents[2]
WORKFLOWS = Path(__file__).parent / "workflows"
REPOSITORY = "acme-co/webapp"
TICK_CHANNEL = "C00TICK"
TOKEN = "hw_" + "f" * 40
START_S = 60.0
END_S = 60.0
START_TRIES = 10

Running = commands.Command | subprocess.Popen[bytes]


@dataclass
class House:
    """Processes of one installation, by name, in a directory of their own."""

    directory: Path
    environment: dict[str, str]
    installed: bool = False
    processes: dict[str, Running] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, name: str, **environment: str) -> None:
        """Name a process; what stands before the first hyphen is its command."""
        self.environments[name] = environment
        self.ports[name] = free_port()

    def start(self, name: str) -> None:
        """Start a process that was named."""
        begin = commands.begin_installed if self.installed else commands.Command
        self.processes[name] = begin(
            (name.partition("-")[0],),
            cwd=self.directory,
            env=self.environment_of(name),
            log=self.log_of(name),
        )

    def run(self, *arguments: str, timeout_s: float = 60) -> str:
        """Run a command to its end; gives what it printed."""
        done = commands.run(
            arguments, cwd=self.directory, env=self.environment_of(), timeout=timeout_s
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.processes[name].send_signal(number)

    def end(self, name: str, how: signal.Signals) -> None:
        """End a process, if there is one, and wait for it."""
        if name in self.processes:
            self.send(name, how)
            self.wait_end(name)

    def wait_end(self, name: str, timeout_s: float = END_S) -> None:
        """Wait for the end of a process that was asked to end. Raises when it does not."""
        self.processes[name].wait(timeout_s)
        del self.processes[name]

    def is_ready(self, name: str) -> bool:
        """Say whether a receiver answers that it is ready. Raises when its process has ended."""
        process = self.processes[name]
        assert process.poll() is None, f"{name} ended:\n{self.log(name)[-3000:]}"
        try:
            answer = httpx.get(
                f"http://127.0.0.1:{self.ports[name]}/health/ready", verify=NO_AUTHORITIES
            )
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def wait_ready(self, name: str, timeout_s: float = START_S) -> None:
        """Wait until a receiver is ready."""
        wait_until(lambda: self.is_ready(name), timeout_s, what=f"{name} is ready")

    def log_of(self, name: str) -> Path:
        """Where a process writes what it says."""
        return self.directory / f"{name}.log"

    def log(self, name: str) -> str:
        """What a process has said."""
        return self.log_of(name).read_text(errors="replace")

    def environment_of(self, name: str = "") -> dict[str, str]:
        """The environment of one process, or of a command."""
        return {
            **{key: value for key, value in os.environ.items() if "HOOKWRIGHT" not in key},
            "PYTHONPATH": str(ROOT),
            "HOOKWRIGHT_DATA_DIR": str(self.directory / "data"),
            "HOOKWRIGHT_CONFIG": str(self.directory / "hookwright.yaml"),
            "HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES": "true",
            "HOOKWRIGHT_LOG_FORMAT": "json",
            "HOOKWRIGHT_ADMIN_TOKEN": TOKEN,
            "HOOKWRIGHT_PORT": str(self.ports.get(name, 0)),
            **self.environment,
            **self.environments.get(name, {}),
        }

    def close(self) -> None:
        """End every process at once."""
        for name in list(self.processes):
            self.end(name, signal.SIGKILL)


class Site(ABC):
    """An installation with its twins and the lines between them all: what sites have in common.

    Use as a context manager. What `keep_state` was called for is left in the directory.
    """

    receivers: tuple[str, ...]

    def __init__(self, *, installed: bool = False, **environment: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hw-faults-"))
        self.house = House(self.directory, dict(environment), installed)
        self.lines: dict[str, Proxy] = {}
        self.twins: dict[str, TwinProcess] = {}
        self._kept = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stack.callback(self.house.close)
            self._start_twins()
            self._open()
            for name in self.receivers:
                self.house.wait_ready(name)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if not self._kept:
            shutil.rmtree(self.directory, ignore_errors=True)

    @abstractmethod
    def _open(self) -> None:
        """Start the servers and the installation itself."""

    @abstractmethod
    def database_url(self, line: str | None = None) -> str:
        """The address of the database, directly or over a line."""

    @property
    def door_ports(self) -> list[int]:
        """Where senders find the receivers."""
        return [self.lines[f"senders-{name}"].port for name in self.receivers]

    def line(self, name: str, port: int) -> Proxy:
        """Lay a line to a port."""
        self.lines[name] = self._stack.enter_context(Proxy(port))
        return self.lines[name]

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Ask the API of the first receiver, past every line."""
        with httpx.Client(verify=NO_AUTHORITIES, timeout=30) as client:
            answer = client.request(
                method,
                f"http://127.0.0.1:{self.house.ports[self.receivers[0]]}/api/v1{path}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                **more,
            )
        answer.raise_for_status()
        return answer.json()

    def keep_state(self) -> Path:
        """Leave everything behind to look at; gives where. The site is of no use afterwards."""
        self._kept = True
        for name, twin in self.twins.items():
            signal_all(twin.pid, signal.SIGCONT)
            (self.directory / f"{name}-calls.json").write_text(json.dumps(twin.calls(), indent=1))
        self.house.close()
        return self.directory

    def pid_of(self, name: str) -> int:
        """The process id of anything that runs here, by its name."""
        if name in self.twins:
            return self.twins[name].pid
        pid = self.house.processes[name].pid
        assert pid is not None
        return pid

    def _start_twins(self) -> None:
        with ThreadPoolExecutor(len(TWINS)) as pool:
            starting = {name: pool.submit(start_twin, name) for name in TWINS}
        for name, started in starting.items():
            self.twins[name] = self._stack.enter_context(started.result())
            self.line(f"workers-{name}", int(self.twins[name].url.rpartition(":")[2]))
        prepare_twins(self.twins)
        urls = {name: f"http://127.0.0.1:{self.lines[f'workers-{name}'].port}" for name in TWINS}
        write_configuration(self.directory, urls)


class ManyMachines(Site):
    """Receivers and workers as processes of their own, on a PostgreSQL and a Redis of their own.

    Of the names of workers that there are only some may begin.
    """

    def __init__(
        self,
        *,
        workers: Sequence[str] = WORKERS,
        make_redis: Callable[[], RedisServer] = RedisServer,
    ) -> None:
        super().__init__(HOOKWRIGHT_SECRET_KEYS="k" * 40, HOOKWRIGHT_SHUTDOWN_SECONDS="5")
        self.receivers = RECEIVERS
        self._begin_with = workers
        self._make_redis = make_redis

    def _open(self) -> None:
        # As servers are, but that commits would not wait: the product itself has to ask for that.
        self.postgres = self._stack.enter_context(
            PostgresServer(autovacuum="on", full_page_writes="on", synchronous_commit="off")
        )
        self.redis = self._stack.enter_context(self._make_redis())
        for name in ("receivers", "workers"):
            self.line(f"{name}-postgres", self.postgres.port)
        redis_port = self.line("redis-line", self.redis.port).port
        self.house.environment |= {
            "HOOKWRIGHT_DATABASE_URL": self.database_url(),
            "HOOKWRIGHT_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        }
        self.house.run("migrate")
        self.house.run("apply", "-f", "hookwright.yaml")
        for name in (*RECEIVERS, *WORKERS):
            line = "receivers-postgres" if name in RECEIVERS else "workers-postgres"
            self.house.add(name, HOOKWRIGHT_DATABASE_URL=self.database_url(line))
        for name in RECEIVERS:
            self.line(f"senders-{name}", self.house.ports[name])
        for name in (*RECEIVERS, *self._begin_with):
            self.house.start(name)

    def database_url(self, line: str | None = None) -> str:
        """The address of the database, directly or over a line."""
        direct = self.postgres.url()
        if line is None:
            return direct
        return direct.replace(f":{self.postgres.port}/", f":{self.lines[line].port}/")

    def keep_state(self) -> Path:
        """Leave everything behind to look at, the database's files too; gives where."""
        directory = super().keep_state()
        self.postgres.stop()
        shutil.copytree(self.postgres.directory / "data", directory / "postgres")
        return directory

    # --- its servers --------------------------------------------------------------------------

    def pid_of(self, name: str) -> int:
        """The process id of anything that runs here, by its name."""
        return self._server(name).pid if name in SERVERS else super().pid_of(name)

    def kill_server(self, name: str) -> None:
        """End PostgreSQL or Redis, with all its processes, as the kernel would: at once."""
        server = self._server(name)
        signal_all(server.pid, signal.SIGKILL)
        server.kill()

    def stop_server(self, name: str) -> None:
        """Ask PostgreSQL or Redis to end, and wait for it."""
        self._server(name).stop()

    def start_server(self, name: str) -> None:
        """Start PostgreSQL or Redis again, and wait until it answers."""
        for left in reversed(range(START_TRIES)):
            try:
                self._server(name).start()
            except RuntimeError:  # a process of the one before holds its files for a moment
                if not left:
                    raise
                time.sleep(0.2)
            else:
                return

    def flush(self) -> None:
        """Let Redis forget everything, past every line; where it is not there, it need not."""
        with (
            contextlib.closing(redis.Redis.from_url(self.redis.url, socket_timeout=2)) as client,
            contextlib.suppress(redis.ConnectionError, redis.TimeoutError),
        ):
            client.flushall()

    def _server(self, name: str) -> Server:
        return {"postgres": self.postgres, "redis": self.redis}[name]


class OneMachine(Site):
    """`hookwright up`, the installed program: everything in one process, on SQLite."""

    receivers = ("up",)

    def __init__(self) -> None:
        super().__init__(installed=True)

    def _open(self) -> None:
        self.house.add("up")
        self.line("senders-up", self.house.ports["up"])
        self.house.start("up")

    def database_url(self, line: str | None = None) -> str:
        """The address of the database, to which no line leads."""
        assert line is None
        return f"sqlite:///{self.directory / 'data' / 'hookwright.db'}"


def prepare_twins(twins: Mapping[str, TwinProcess]) -> None:
    """Let them take as much as comes, and have what the runs concern."""
    github, slack, checkrd = twins["github"], twins["slack"], twins["checkrd"]
    for number in PULL_REQUESTS:
        pull = {"repo": REPOSITORY, "number": number, "head_sha": f"{number:040}", "branch": "b"}
        github.lever("pulls", pull)
    for name in ("primary", "points", "content", "content_hour"):
        github.limit(name, limit=None)
    for channel in (*CHANNELS, TICK_CHANNEL):
        slack.lever("channels", {"id": channel, "name": channel.lower()})
    slack.limit("message", rate_per_s=10_000, burst=10_000)
    for name in ("chat.update", "conversations.history", "conversations.replies"):
        slack.limit(name, limit=None)
    slack.limit("conversations.list", limit=None)
    checkrd.set(key_scope="all")
    checkrd.limit("api", rate_per_s=10_000, burst=10_000)


def make_things(
    twins: Mapping[str, TwinProcess], kinds: Sequence[str], ids: Iterator[str]
) -> Things:
    """Make what the runs of these workflows concern; `ids` are those of Checksum's test runs."""
    failed = [next(ids) for kind in kinds if kind == "heal"]
    for run_id in failed:
        twins["checksum"].lever("runs", {"status": "failed", "branch": "main", "id": run_id})
    return Things(
        failed_runs=failed,
        agents=_made(twins["checkrd"], "agents", kinds.count("halt")),
        rules=_made(twins["checkrd"], "alerts", kinds.count("mute")),
    )


def _made(twin: TwinProcess, lever: str, count: int) -> list[str]:
    answer: Any = twin.lever(lever, {"count": count}) if count else {"ids": []}
    return list(answer["ids"])


def write_configuration(directory: Path, urls: Mapping[str, str]) -> None:
    """Write the configuration: sources of several vendors, the twins, every workflow."""
    shutil.copytree(WORKFLOWS, directory / "workflows")
    fast = {"per_minute": 100_000}
    subject = {"subject_path": "subject"}
    configuration = {
        "connections": [
            {
                "name": "slack",
                "vendor": "slack",
                "base_url": f"{urls['slack']}/api",
                "credentials": {"bot_token": {"value": "xoxb-twin"}},
                "options": {"channel": CHANNELS[0], **fast},
            },
            {
                "name": "github",
                "vendor": "github",
                "base_url": urls["github"],
                "credentials": {"token": {"value": "ghp_twin"}},
                "options": fast,
            },
            {
                "name": "checksum",
                "vendor": "checksum",
                "base_url": urls["checksum"],
                "credentials": {"api_key": {"value": "checksum-key"}},
                "options": {"repository": "acme-co/my-tests", **fast},
            },
            {
                "name": "checkrd",
                "vendor": "checkrd",
                "base_url": urls["checkrd"],
                "credentials": {"api_key": {"value": "ck_test_twin"}},
                "options": fast,
            },
        ],
        "sources": [
            {
                "name": name,
                "vendor": vendor,
                "secrets": [{"value": secret}],
                "options": subject if vendor == "generic" else {},
                "limits": {"per_second": 10_000, "burst": 10_000},
            }
            for name, (vendor, secret) in SOURCES.items()
        ],
        "workflows": ["workflows/*.yaml"],
    }
    # JSON is YAML 1.2.
    (directory / "hookwright.yaml").write_text(json.dumps(configuration, indent=1))


def processes_below(pid: int) -> list[int]:
    """Give a process and all it has started, it first."""
    children: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return [pid, *(below for child in children for below in processes_below(child))]


def processor_seconds(pid: int) -> float:
    """Give how long a process has had a processor: where many wait for one, it tells more."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signal_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and to all it has started."""
    for one in processes_below(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)
