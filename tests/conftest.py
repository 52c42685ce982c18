"""Fixtures for every test: fresh databases, Redis, waiting, and no way out to the network.

`HOOKWRIGHT_TEST_POSTGRES_URL` (an account that may create databases) and
`HOOKWRIGHT_TEST_REDIS_URL` name servers to use instead of those started here.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_socket
import redis
from xdist.remote import Producer  # type: ignore[import-untyped]  # it has no types

from service.db import Database
from tests import servers
from tests.databases import KeptPostgres, KeptSqlite, make_tables
from tests.servers import PostgresServer, RedisServer, created_database, memory
from tests.sharing import Sharing

UNIT_TESTS = Path(__file__).parent / "unit"
# No names: each would be resolved anew for every test, and sockets are connected to addresses.
LOOPBACK = ["127.0.0.1", "::1"]
WAITING_FIRST = (
    *("e2e", "faults", "vendors", "house", "integration"),
    *("migrations", "twins", "helm", "unit/workflows"),
)
"""Folders in the order in which they begin; the others after them. What waits much goes beside what
computes, and what is last is short, so that no processor is idle at the end."""
OBJECTS_A_COLLECTION = 20_000
"""As the server has it, see service/web/main.py."""


def pytest_configure() -> None:
    """Let temporary folders be in memory where there is room: nothing here survives a power cut."""
    gc.set_threshold(OBJECTS_A_COLLECTION)
    room = memory()
    if room is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(room))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes stays: it is not looked through for garbage, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Look once through what the tests left behind, not five times as pytest does afterwards."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders in their order."""
    ranks = {UNIT_TESTS.parent / name: at for at, name in enumerate(WAITING_FIRST)}

    @functools.cache
    def rank(module: Path) -> int:
        return min((ranks[one] for one in module.parents if one in ranks), default=len(ranks))

    items.sort(key=lambda item: rank(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Say which tests go to one process together."""
    return Sharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Unit tests open no sockets; the others reach loopback only. The plugin undoes both."""
    if item.path.is_relative_to(UNIT_TESTS):
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., object]:
    """`wait_until(condition, timeout=10.0)` gives the first truthy answer of the condition."""
    return servers.wait_until


# --- PostgreSQL -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_main_url() -> Iterator[str]:
    """The address of a PostgreSQL in which databases may be created; one for each test worker."""
    named = os.environ.get("HOOKWRIGHT_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    with PostgresServer() as server:
        yield server.url()


@pytest.fixture(scope="session")
def postgres_template(postgres_main_url: str) -> Iterator[str]:
    """The name of a database that holds every table, to be copied."""
    name = f"hw_template_{uuid4().hex}"
    with created_database(postgres_main_url, name) as url:
        make_tables(url)
        yield name


@pytest.fixture
def postgres_url(postgres_main_url: str, postgres_template: str) -> Iterator[str]:
    """The address of a fresh PostgreSQL database with every table and no rows."""
    with created_database(postgres_main_url, f"hw_{uuid4().hex}", postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def kept_postgres(postgres_main_url: str, postgres_template: str) -> Iterator[KeptPostgres]:
    """The PostgreSQL database that one test after another is lent."""
    kept = KeptPostgres(postgres_main_url, postgres_template)
    yield kept
    kept.end()


@pytest.fixture
def postgres_database(kept_postgres: KeptPostgres) -> Iterator[Database]:
    """A PostgreSQL database with every table and no rows."""
    with kept_postgres.lent() as database:
        yield database


@pytest.fixture
def empty_postgres_url(postgres_main_url: str) -> Iterator[str]:
    """The address of a fresh PostgreSQL database without tables."""
    with created_database(postgres_main_url, f"hw_{uuid4().hex}") as url:
        yield url


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be stopped, killed and started."""
    with PostgresServer() as server:
        yield server


# --- SQLite -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that holds every table, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The address of a fresh SQLite file with every table and no rows."""
    path = tmp_path / "hookwright.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def kept_sqlite(sqlite_template: Path) -> Iterator[KeptSqlite]:
    """The SQLite file that one test after another is lent; in memory, where there is room."""
    with tempfile.TemporaryDirectory(prefix="hw-", dir=memory()) as folder:
        yield KeptSqlite(Path(folder), sqlite_template)


@pytest.fixture
def sqlite_database(kept_sqlite: KeptSqlite) -> Iterator[Database]:
    """A SQLite database with every table and no rows."""
    with kept_sqlite.lent() as database:
        yield database


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


# --- both -------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with every table and no rows: the test runs once on each kind."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


# --- Redis ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a Redis that the tests of one worker share; see `redis_namespace`."""
    named = os.environ.get("HOOKWRIGHT_TEST_REDIS_URL")
    if named:
        yield named
        return
    with RedisServer() as server:
        yield server.url


@pytest.fixture
def redis_namespace(redis_url: str) -> Iterator[str]:
    """The test's own beginning of key names in the shared Redis; its keys go with the test."""
    namespace = f"hw_{uuid4().hex}"
    yield namespace
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        for key in client.scan_iter(f"{namespace}*"):
            client.delete(key)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be stopped and started."""
    with RedisServer() as server:
        yield server
