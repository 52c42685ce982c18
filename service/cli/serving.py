"""`up`, `serve` and `work`: the processes."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import click
import structlog

from schemas.clock import utc_now
from service.afterwards import Afterwards
from service.cli.output import console, json_option, print_line, shown_command
from service.data_dir_lock import ensure_unheld, hold_data_dir
from service.db import Database
from service.errors import ConfigurationError, HookwrightError
from service.log import configure_logging
from service.opening import may_open
from service.queue import DramatiqQueue, Queue, UnheardQueue, make_broker
from service.queue_policy import warn_of_eviction
from service.settings import Settings, environment, load_settings, unknown_variables
from service.source_address import public_base, shown_address, source_address
from service.store.revision import ensure_current
from service.store.sources import read_sources
from service.tokens import keep_local_token
from service.unit_of_work import reading
from service.web import main as web

if TYPE_CHECKING:
    from concurrent.futures import Future

    from workers.main import Running

log = structlog.get_logger(__name__)

HEARTBEAT_LIMIT_S = 30.0
HEAR_SIGNALS_S = 0.5
LOOPBACK = "127.0.0.1"
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # told apart, not listened at


@click.command("up", epilog="Example: HOOKWRIGHT_PORT=9000 hookwright up")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Once it is up, print its address and those of the sources as one line of JSON.",
)
def up_command(*, as_json: bool) -> int:
    """Migrate, apply the configuration, receive and work: everything in one process.

    Uses SQLite and a queue in the process unless HOOKWRIGHT_DATABASE_URL and
    HOOKWRIGHT_REDIS_URL name others. A secret key is generated in the data directory.
    """
    settings = load_settings()
    _begin_log(settings)
    # Nothing is made or changed before it is certain that this process may serve.
    with (
        _opened(settings) as (database, queue),
        closing(_listen(settings, database)) as listening,
        _held(settings) if database.is_sqlite else nullcontext(),
    ):
        settings = settings.with_generated_keys()
        ensure_current(database)
        # Deliveries are taken as soon as that is possible; all else is loaded and begins meanwhile.
        afterwards = Afterwards(on_failure=_stop)
        if may_open(database, settings, environment()):
            afterwards.add(lambda: _apply(settings, database, queue))
        else:
            _apply(settings, database, queue)
        keep_local_token(settings.data_dir, database, queue, now=utc_now())
        working = afterwards.add(lambda: _start_workers(settings, database, queue))
        application = web.make_application(settings, database, queue, afterwards)
        tell = _banner(settings, database, as_json=as_json)

        def begin() -> None:
            tell()
            afterwards.begin()

        try:
            good = web.serve(
                application,
                settings,
                listening,
                on_ready=begin,
                on_stopping=lambda: working.add_done_callback(_begin_to_stop),
            )
        finally:
            afterwards.end()
            if working.done() and not working.cancelled():
                working.result().stop()
    return 0 if good else 1


def _listen(settings: Settings, database: Database) -> socket:
    """Open the listening socket; whoever holds the data directory is told of before the port.

    The directory is asked for only when the port is taken: a start that may go on loses no time,
    and one that may not makes no directory.
    """
    try:
        return web.listen(settings)
    except ConfigurationError:
        if database.is_sqlite:
            ensure_unheld(settings.data_dir)
        raise


@contextmanager
def _held(settings: Settings) -> Iterator[None]:
    settings.make_data_dir()
    with hold_data_dir(settings.data_dir):
        yield


def _start_workers(settings: Settings, database: Database, queue: DramatiqQueue) -> Running:
    from workers import main as workers  # noqa: PLC0415  # loaded while deliveries are taken

    return workers.start(settings, database, queue.broker, alone=database.is_sqlite)


def _begin_to_stop(working: Future[Running]) -> None:
    if not working.cancelled() and working.exception() is None:
        working.result().begin_to_stop()


def _stop() -> None:
    """End this process as if it were told to."""
    os.kill(os.getpid(), signal.SIGTERM)


@click.command("serve", epilog="Example: HOOKWRIGHT_HOST=0.0.0.0 hookwright serve")
def serve_command() -> int:
    """Receive deliveries and serve the API; `hookwright work` does what they ask for.

    Refuses to start without HOOKWRIGHT_SECRET_KEYS. Without HOOKWRIGHT_REDIS_URL nothing rings the
    workers: they find what was received when they next look, within seconds.
    """
    settings = load_settings()
    settings.required_secret_keys()
    _begin_log(settings)
    with _opened(settings) as (database, shared):
        queue: Queue = shared
        if settings.redis_url is None:
            queue = UnheardQueue()
            log.warning(
                "no_queue",
                consequence="workers find deliveries some seconds later",
                to_do="set HOOKWRIGHT_REDIS_URL here and for `hookwright work`",
            )
        afterwards = Afterwards(on_failure=_stop)
        application = web.make_application(settings, database, queue, afterwards)
        listening = web.listen(settings)

        def begin() -> None:
            log.info("serving", address=settings.server_url)
            afterwards.begin()

        try:
            good = web.serve(application, settings, listening, on_ready=begin)
        finally:
            afterwards.end()
    return 0 if good else 1


@click.command("work", epilog="Example: hookwright work --check")
@click.option(
    "--check", is_flag=True, help="Only say whether the worker of this data directory is alive."
)
@json_option
def work_command(*, check: bool, as_json: bool) -> int:
    """Perform what is to be done: read deliveries, carry runs on, ask polls.

    Refuses to start without HOOKWRIGHT_SECRET_KEYS. Without HOOKWRIGHT_REDIS_URL it finds work by
    looking into the database, and its queue is in the process.
    """
    from workers import main as workers  # noqa: PLC0415  # `up` loads it later

    settings = load_settings()
    if check:
        return _check_heartbeat(settings.data_dir / workers.HEARTBEAT_FILE, as_json=as_json)
    settings.required_secret_keys()
    _begin_log(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with _opened(settings) as (database, queue):
        running = workers.start(settings, database, queue.broker)
        # The system may give a signal to any thread. Python hears of it in this one, when it wakes.
        while not stopping.wait(HEAR_SIGNALS_S):
            pass
        running.stop()
    return 0


def _begin_log(settings: Settings) -> None:
    configure_logging(settings)
    for sentence in unknown_variables(environment()):
        log.warning("unknown_variable", problem=sentence)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, DramatiqQueue]]:
    broker = make_broker(settings.redis_url, namespace=settings.redis_namespace)
    database = Database(settings.effective_database_url)
    queue = DramatiqQueue(broker)
    warn_of_eviction(queue, clock=utc_now)
    try:
        yield database, queue
    finally:
        database.dispose()
        broker.close()


def _apply(settings: Settings, database: Database, queue: Queue) -> None:
    if not settings.config.is_file():
        log.warning(
            "no_configuration",
            file=str(settings.config),
            hint="`hookwright init` writes one to begin with",
        )
        return
    from service.cli.applying import apply_at_start  # noqa: PLC0415  # mostly after the door opened

    apply_at_start(settings, database, queue)


def _banner(settings: Settings, database: Database, *, as_json: bool) -> Callable[[], None]:
    def tell() -> None:
        with reading(database) as session:
            sources = read_sources(session)
        base = public_base(settings)
        if as_json:
            hooks = {source.name: source_address(source, settings) for source in sources}
            print_line({"url": base, "sources": hooks})
            return
        out = console()
        out.print(f"\n[bold green]Hookwright is up[/] at [bold]{base}[/]")
        for source in sorted(sources, key=lambda row: row.name):
            address = source_address(source, settings)
            has_path_token = source.path_token_sha256 is not None
            shown = shown_address(address, has_path_token=has_path_token)
            out.print(f"  {source.vendor:<11} sends to  {shown}")
        if not sources:
            out.print("  no sources yet: `hookwright init` writes a configuration to begin with")
        command = shown_command()
        if variables := _variables(settings):
            out.print(f"\n  first     export {variables}", markup=False)
        else:
            out.print()
        out.print(f"  watch it  {command} tail runs")
        out.print(f"            {command} run list")
        if sources:
            example = next((row for row in sources if row.vendor == "vibeview"), sources[0])
            sample = "run.failed" if example.vendor == "vibeview" else "SAMPLE"
            out.print(f"  try it    {command} send {example.name} {sample}")
        out.print("  stop it   Ctrl-C\n")

    return tell


def _variables(settings: Settings) -> str:
    """Give what another terminal has to set so that commands find this server and its files."""
    host = LOOPBACK if settings.host in EVERYWHERE else settings.host
    known = Settings.model_fields
    wanted = {}
    if (host, settings.port) != (known["host"].default, known["port"].default):
        wanted["URL"] = f"http://{host}:{settings.port}"
    for name in ("data_dir", "config"):
        value = getattr(settings, name)
        if value != known[name].default:
            wanted[name.upper()] = str(value.absolute())
    return " ".join(f"HOOKWRIGHT_{name}={shlex.quote(text)}" for name, text in wanted.items())


def _check_heartbeat(file: Path, *, as_json: bool) -> int:
    try:
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError as error:
        raise HookwrightError(f"no worker runs here: there is no {file}") from error
    if age > HEARTBEAT_LIMIT_S:
        raise HookwrightError(f"the worker's last sign of life is {round(age)} seconds old")
    if as_json:
        print_line({"alive": True, "seconds_since": round(age, 1)})
    else:
        click.echo(f"alive: the last sign of life is {round(age)} seconds old")
    return 0
