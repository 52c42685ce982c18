"""Retention: rows whose time is over are removed, a portion at a time, and archived before.

A portion is one short transaction, so that nobody waits for it who receives or works. How far it
has come is a row beside the policy: whoever leads next goes on there, and `doctor` sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from schemas.config import Retention
from schemas.ids import first_id
from service.archive import Archive, ArchiveNotWrittenError, Line, line_of
from service.db import Session
from service.effects import EARLIER
from service.errors import Unavailable
from service.removals import SealsChangedError, as_sealed, note_removed
from service.removing_whole import LARGE_BYTES, Wholes, WrittenMeanwhileError
from service.retention_progress import (
    KINDS,
    KeysLeft,
    OvertakenError,
    Progress,
    current_progress,
    write_progress,
)
from service.retention_rules import archive_directory, current_retention, kept
from service.runtime import Runtime
from service.store import retention as store
from service.store.archiving import describe
from service.store.partitions import (
    Partition,
    StillNeededError,
    forget_keys_from,
    is_locked,
)
from service.store.retention import Kind, Portion
from service.unit_of_work import reading, unit_of_work

log = structlog.get_logger(__name__)

SQLITE_AIM_S = 0.025
"""How long a portion should take on SQLite, where nobody else writes meanwhile."""
POSTGRES_AIM_S = 0.2
"""Likewise on PostgreSQL, where nobody waits for rows that go."""
LOOK_AIM_S = 0.2
"""How long rows are gone through that stay, before others have their turn."""
REST_TIMES = 12.0
"""How many times as long as a portion took others have the machine, before the next is due: a door
under full load slows portions down, and so has them seldom."""
FIRST_ROWS = 100
FEWEST_ROWS = 50
MOST_ROWS = 500
MOST_ARCHIVED_CHARS = 8 * 1024 * 1024
KEYS_AT_ONCE = 5000
KEY_COST_S = 0.00002
"""What a forgotten key costs PostgreSQL, most of it later: to write out and to clear away what it
changed. The rest behind a portion is for that too."""
LEASES_KEPT = timedelta(days=1)
MOST_TOLD = 20
"""Altered rows whose ids one line of the log names."""

SEALED = frozenset({store.DELIVERIES.name, store.AUDIT_EVENTS.name})


class Remover:
    """Removes rows whose time is over.

    It only remembers how many rows of each kind fit into a portion, until when it rests, and which
    archive files are known to be whole.
    """

    def __init__(self, *, rest_times: float = REST_TIMES, large_bytes: int = LARGE_BYTES) -> None:
        self._rest_times = rest_times
        self._wholes = Wholes(large_bytes=large_bytes)
        self._rests_until = 0.0
        self._rows = dict.fromkeys(kept(Retention()), FIRST_ROWS)
        self._archives: dict[Path, Archive] = {}

    def remove_portion(self, runtime: Runtime) -> bool:
        """Remove the next rows whose time is over; says whether there may be more now.

        Rows that stay are passed over until some are found, or for a fifth of a second. Does
        nothing while it rests. Raises Unavailable when the database is away.
        """
        began = runtime.monotonic()
        if began < self._rests_until:
            return True
        left_to_others_s = 0.0
        try:
            there_is_more, left_to_others_s = self._perform(runtime)
            return there_is_more
        finally:
            ended = runtime.monotonic()
            cost = max(ended - began, left_to_others_s)
            self._rests_until = ended + cost * self._rest_times

    def _perform(self, runtime: Runtime) -> tuple[bool, float]:
        """Give whether there may be more now, and the seconds it leaves the database to do."""
        now = runtime.clock()
        with reading(runtime.database) as session:
            retention = current_retention(session)
            progress = current_progress(session)
        try:
            if progress.keys:
                progress = _forget_keys(runtime, progress, now)
                left_to_others_s = KEYS_AT_ONCE * KEY_COST_S
            else:
                progress = self._go_on(runtime, retention, progress, now)
                left_to_others_s = 0.0
        except OvertakenError:
            log.info("retention_overtaken")
            return True, 0.0
        except ArchiveNotWrittenError as error:
            log.warning("archive_not_written", error=error.message, hint=error.hint)
            since = progress.failing_since or now
            failed = {"error": error.message, "failing_since": since}
            _save(runtime, progress.model_copy(update=failed), now)
            return False, 0.0
        if progress.kind is None and progress.removed:
            log.info("rows_removed", **progress.removed)
        return progress.kind is not None, left_to_others_s

    def _go_on(
        self, runtime: Runtime, retention: Retention, progress: Progress, now: datetime
    ) -> Progress:
        began = runtime.monotonic()
        kept_for = kept(retention)
        archive = self._archive_of(retention, runtime)
        if progress.kind is None:
            self._wholes.begin_round()
        progress = progress.begun(now)
        while progress.kind is not None:
            kind = KINDS[progress.kind]
            before = now - kept_for[kind.name]
            with reading(runtime.database) as session:
                whole = self._wholes.next(session, kind, progress.after, before)
            if whole is not None and whole.first.int <= progress.after.int + 1:
                if whole.behind <= first_id(before):
                    return self._take_whole(runtime, kind, whole, before, progress, now, archive)
                # Its rows wait until the time of all of them is over.
                progress = progress.behind(whole.last, now)
                continue
            until = None if whole is None else whole.first
            limit = self._rows[kind.name]
            portion = _find(runtime, kind, progress.after, before, limit, archive, until)
            if portion.ids:
                return self._remove(runtime, kind, portion, before, progress, now)
            progress = progress.behind(portion.reached, now)
            if runtime.monotonic() - began > LOOK_AIM_S:
                break
        _save(runtime, progress, now)
        return progress

    def _remove(
        self,
        runtime: Runtime,
        kind: Kind,
        portion: Portion,
        before: datetime,
        progress: Progress,
        now: datetime,
    ) -> Progress:
        with unit_of_work(runtime.database, runtime.queue) as work:
            began = runtime.monotonic()
            gone = store.lock_portion(work.session, kind, portion, before=before)
            if kind.name in SEALED:
                locked = gone
                gone = note_removed(runtime, work.session, kind.name, locked)
                _tell_of_altered(kind, locked, gone)
            store.remove_locked(work.session, kind, gone, spare_since=now - EARLIER)
            # Branches are found again until there are none; what somebody holds waits a round.
            reached = None if portion.branches and not gone else portion.reached
            progress = progress.counting(kind.name, len(gone)).behind(reached, now)
            write_progress(work.session, progress, now)
        took = runtime.monotonic() - began
        store.write_out(runtime.database)
        rows = self._rows[kind.name]
        aim = SQLITE_AIM_S if runtime.database.is_sqlite else POSTGRES_AIM_S
        if took > aim:
            self._rows[kind.name] = max(FEWEST_ROWS, rows // 2)
        elif took < aim / 2:
            self._rows[kind.name] = min(MOST_ROWS, rows * 2)
        return progress

    def _take_whole(
        self,
        runtime: Runtime,
        kind: Kind,
        whole: Partition,
        before: datetime,
        progress: Progress,
        now: datetime,
        archive: Archive | None,
    ) -> Progress:
        """Look at the next rows of a partition; at its end it is dropped."""
        try:
            with reading(runtime.database) as session:
                needed = archive is not None
                looked = self._wholes.look_on(session, kind, whole, before, ids=needed)
                if archive is not None:
                    for lines in _parts(_lines(session, kind, looked.ids)):
                        archive.append(kind.name, lines)
        except BaseException:
            # What was not archived must not be taken for looked at.
            self._wholes.forget()
            raise
        if looked.to_end:
            return self._drop(runtime, kind, whole, progress, now)
        _save(runtime, progress, now)
        return progress

    def _drop(
        self, runtime: Runtime, kind: Kind, whole: Partition, progress: Progress, now: datetime
    ) -> Progress:
        try:
            with unit_of_work(runtime.database, runtime.queue) as work:
                rows = self._wholes.drop(runtime, work.session, kind)
                left = KeysLeft(table=kind.name, first=whole.first, behind=whole.behind)
                done = progress.counting(kind.name, rows).behind(whole.last, now)
                done = done.model_copy(update={"keys": (*progress.keys, left)})
                write_progress(work.session, done, now)
        except (WrittenMeanwhileError, SealsChangedError):
            self._wholes.begin_anew(whole)
        except Unavailable as error:
            if not is_locked(error.__cause__):
                raise
            if self._wholes.is_held(whole):
                progress = progress.behind(whole.last, now)
                _save(runtime, progress, now)
        except StillNeededError:
            self._wholes.give_up(whole)
        else:
            self._wholes.forget()
            log.info("partition_dropped", partition=whole.name, rows=rows)
            return done
        return progress

    def _archive_of(self, retention: Retention, runtime: Runtime) -> Archive | None:
        directory = archive_directory(retention, runtime.settings)
        if directory is None:
            return None
        return self._archives.setdefault(directory, Archive(directory))


def _tell_of_altered(kind: Kind, asked: Collection[UUID], good: Collection[UUID]) -> None:
    """Log the rows that stay because they are not as they were sealed: in every round once."""
    altered = sorted(map(str, set(asked) - set(good)))
    if altered:
        log.error(
            "sealed_row_altered",
            table=kind.name,
            ids=altered[:MOST_TOLD],
            rows=len(altered),
            hint="run `hookwright verify`; what is not as it was sealed is not removed",
        )


def _save(runtime: Runtime, progress: Progress, now: datetime) -> None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        if progress.kind is None:
            store.forget_leases(work.session, before=now - LEASES_KEPT)
        write_progress(work.session, progress, now)


def _forget_keys(runtime: Runtime, progress: Progress, now: datetime) -> Progress:
    """Forget keys of a partition that is gone. Until then a delivery that comes anew is known."""
    left, *others = progress.keys
    with unit_of_work(runtime.database, runtime.queue) as work:
        first = forget_keys_from(work.session, left.table, left.first, left.behind, KEYS_AT_ONCE)
        if first < left.behind:
            others.insert(0, left.model_copy(update={"first": first}))
        progress = progress.model_copy(update={"keys": tuple(others)})
        write_progress(work.session, progress, now)
    return progress


def _parts(lines: Iterable[tuple[UUID, Line]]) -> Iterator[list[Line]]:
    """Give lines in lists that are not too long for memory."""
    part: list[Line] = []
    chars = 0
    for _, line in lines:
        part.append(line)
        chars += len(line[1])
        if chars > MOST_ARCHIVED_CHARS:
            yield part
            part, chars = [], 0
    if part:
        yield part


def _lines(session: Session, kind: Kind, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Line]]:
    for id_, moment, columns in describe(session, kind, ids):
        yield id_, (moment.date(), line_of(columns))


def _find(
    runtime: Runtime,
    kind: Kind,
    after: UUID,
    before: datetime,
    limit: int,
    archive: Archive | None,
    until: UUID | None,
) -> Portion:
    """Find rows that may go, and write them to the archive if there is one."""
    with reading(runtime.database) as session:
        portion = store.find_portion(
            session, kind, after=after, before=before, limit=limit, until=until
        )
        if archive is None or not portion.ids or kind.day is None:
            return portion
        may_go = portion.ids
        if kind.name in SEALED:
            may_go = as_sealed(session, kind.name, portion.ids)
            _tell_of_altered(kind, portion.ids, may_go)
        lines: list[Line] = []
        ids: list[UUID] = []
        chars, reached = 0, portion.reached
        for id_, line in _lines(session, kind, may_go):
            lines.append(line)
            ids.append(id_)
            chars += len(line[1])
            if chars > MOST_ARCHIVED_CHARS:
                reached = reached if portion.branches else id_
                break
    archive.append(kind.name, lines)
    return replace(portion, ids=ids, reached=reached)
