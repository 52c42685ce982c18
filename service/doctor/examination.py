"""The whole examination, part by part, in the order in which one fault explains the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.clock import Clock
from service.db import Database
from service.doctor import configuration, work
from service.doctor.database import NAME, TABLES, WRITING, look_at_database
from service.doctor.machine import look_at_archive, look_at_heartbeat, look_at_machine
from service.doctor.queue import look_at_queue
from service.doctor.verdicts import Grade, Verdict, fail
from service.errors import ConfigurationError, HookwrightError
from service.queue import DramatiqQueue, make_broker
from service.retention_rules import archive_directory, current_retention
from service.settings import Settings
from service.unit_of_work import reading


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the examination; its verdicts come as they are found."""

    title: str
    verdicts: Iterator[Verdict]


def examine(
    settings: Settings,
    variables: Mapping[str, str],
    clock: Clock,
    *,
    heartbeat_file: Path,
    faults: Mapping[str, str],
) -> Iterator[Part]:
    """Look at everything, part by part. Each part's verdicts must be taken before the next.

    `faults` says by their names which settings are wrong; `settings` have the defaults there.
    """
    yield Part("Machine", look_at_machine(settings))
    yield Part("Environment", configuration.look_at_environment(settings, variables, faults))
    with _opened(settings) as database:
        seen = _Seen()
        found = look_at_database(database, clock, data_dir=settings.data_dir)
        yield Part("Database", seen.noting(found))
        yield Part("Queue", _queue(settings, database, clock))
        is_usable = seen.failed.isdisjoint({NAME, TABLES})
        configured = _Configured(
            settings,
            variables,
            database if is_usable else None,
            clock,
            is_writable=WRITING not in seen.failed,
            faults=faults,
        )
        yield Part("Configuration", _guarded(configured.look()))
        if is_usable:
            yield Part("Work", _guarded(_work(settings, database, clock, heartbeat_file)))


class _Seen:
    """Which verdicts of a part were bad: what depends on it is not asked then."""

    def __init__(self) -> None:
        self.failed: set[str] = set()

    def noting(self, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
        for verdict in verdicts:
            if verdict.grade is Grade.FAIL:
                self.failed.add(verdict.name)
            yield verdict


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.effective_database_url)
    try:
        yield database
    finally:
        database.dispose()


def _queue(settings: Settings, database: Database, clock: Clock) -> Iterator[Verdict]:
    try:
        broker = make_broker(settings.redis_url, namespace=settings.redis_namespace)
    except ConfigurationError as error:
        yield fail("Redis", error.message, error.hint or "correct it")
        return
    with closing(broker):
        queue = DramatiqQueue(broker)
        yield from look_at_queue(queue, clock, shared_database=not database.is_sqlite)


@dataclass(frozen=True, slots=True)
class _Configured:
    """What is looked at of the configuration. `database` None: only what needs none."""

    settings: Settings
    variables: Mapping[str, str]
    database: Database | None
    clock: Clock
    is_writable: bool
    faults: Mapping[str, str]

    def look(self) -> Iterator[Verdict]:
        declared, verdict = configuration.read_declared(self.settings, self.variables)
        yield verdict
        box, verdict = configuration.find_box(self.settings, self.faults)
        yield verdict
        if self.database is None:
            return
        # To compare is to write and to take it back.
        if declared is not None and box is not None and self.is_writable:
            yield from configuration.look_at_applied(
                declared, self.database, box, self.settings, self.clock
            )
        yield from configuration.look_at_stored(self.database, box, self.settings)


def _work(
    settings: Settings, database: Database, clock: Clock, heartbeat_file: Path
) -> Iterator[Verdict]:
    yield from look_at_heartbeat(heartbeat_file)
    with reading(database) as session:
        now = clock()
        yield from work.look_at_work(session, now)
        yield from work.look_at_failures(session, now)
        directory = archive_directory(current_retention(session), settings)
    if directory is not None:
        yield from look_at_archive(directory)


def _guarded(verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Give verdicts; what cannot be asked after all is one itself."""
    try:
        yield from verdicts
    except HookwrightError as error:
        hint = error.hint if isinstance(error, ConfigurationError) else None
        yield fail("examination", f"it could not go on: {error.message}", hint or "run it again")
