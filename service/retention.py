"""Retention: rows whose time is over are removed, a portion at a time, and archived before.

A portion is one short transaction, so that nobody waits for it who receives or works. How far it
has come is a row beside the policy: whoever leads next goes on there, and `doctor` sees it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog
from pydantic import BaseModel, Field, ValidationError

from schemas.config import Retention
from service.archive import Archive, ArchiveNotWrittenError, Line, line_of
from service.db import Session
from service.effects import EARLIER
from service.removals import as_sealed, note_removed
from service.retention_rules import archive_directory, current_retention, kept
from service.runtime import Runtime
from service.store import retention as store
from service.store.archiving import describe
from service.store.policies import read_policy, set_policy
from service.store.retention import Kind, Portion
from service.unit_of_work import reading, unit_of_work

log = structlog.get_logger(__name__)

PROGRESS = "retention_progress"

SQLITE_AIM_S = 0.025
"""How long a portion should take on SQLite, where nobody else writes meanwhile."""
POSTGRES_AIM_S = 0.2
"""Likewise on PostgreSQL, where nobody waits for rows that go."""
LOOK_AIM_S = 0.2
"""How long rows are gone through that stay, before others have their turn."""
REST_TIMES = 5.0
"""How many times as long as a portion took others have the machine, before the next is due: a door
under full load slows portions down, and so has them seldom."""
FIRST_ROWS = 100
FEWEST_ROWS = 50
MOST_ROWS = 500
MOST_ARCHIVED_CHARS = 8 * 1024 * 1024

"""Of the time that deliveries are kept: rows go while a comparison takes its time."""
LEASES_KEPT = timedelta(days=1)
MOST_TOLD = 20
"""Altered rows whose ids one line of the log names."""

KINDS: tuple[Kind, ...] = (
    store.DELIVERIES,
    store.RUNS,
    # Only when runs are gone nothing needs their events and effects any more.
    store.EVENTS,
    store.EFFECTS,
    store.ALERTS,
    store.GAPS,
    store.RECONCILIATIONS,
    store.BULK_JOBS,
    store.TOKENS,
    store.AUDIT_EVENTS,
)
SEALED = frozenset({store.DELIVERIES.name, store.AUDIT_EVENTS.name})
_BEFORE_ALL = UUID(int=0)


class Progress(BaseModel):
    """How far the rows have been gone through.

    `kind` is the place in KINDS (None: between two rounds), `after` the id up to which they were.
    `removed` counts the rows of this round, or of the last one.
    `error` is why nothing could be removed, since `failing_since`.
    """

    kind: int | None = Field(default=None, ge=0, lt=len(KINDS))
    after: UUID = _BEFORE_ALL
    removed: dict[str, int] = {}
    began_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    failing_since: datetime | None = None

    def begun(self, now: datetime) -> Progress:
        """Give the place in the round that is under way, or the beginning of the next."""
        if self.kind is not None:
            return self
        return self.model_copy(
            update={"kind": 0, "after": _BEFORE_ALL, "began_at": now, "removed": {}}
        )

    def counting(self, name: str, removed: int) -> Progress:
        """Give the same with rows of this kind that were removed; so nothing hinders it now."""
        counts = self.removed | {name: self.removed.get(name, 0) + removed}
        return self.model_copy(update={"removed": counts, "error": None, "failing_since": None})

    def behind(self, reached: UUID | None, now: datetime) -> Progress:
        """Give the place behind what was looked at (None: all rows of this kind)."""
        if reached is not None:
            return self.model_copy(update={"after": reached})
        if self.kind is not None and self.kind + 1 < len(KINDS):
            return self.model_copy(update={"kind": self.kind + 1, "after": _BEFORE_ALL})
        ended = {"kind": None, "ended_at": now, "error": None, "failing_since": None}
        return self.model_copy(update=ended)


def current_progress(session: Session) -> Progress:
    """Give how far the rows have been gone through."""
    try:
        return Progress.model_validate(read_policy(session, PROGRESS) or {})
    except ValidationError:
        # Another release wrote it: nothing is lost by beginning anew.
        return Progress()


class Remover:
    """Removes rows whose time is over.

    It only remembers how many rows of each kind fit into a portion, until when it rests, and which
    archive files are known to be whole.
    """

    def __init__(self, *, rest_times: float = REST_TIMES) -> None:
        self._rest_times = rest_times
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
        try:
            return self._perform(runtime)
        finally:
            ended = runtime.monotonic()
            self._rests_until = ended + (ended - began) * self._rest_times

    def _perform(self, runtime: Runtime) -> bool:
        now = runtime.clock()
        with reading(runtime.database) as session:
            retention = current_retention(session)
            progress = current_progress(session)
        try:
            progress = self._go_on(runtime, retention, progress, now)
        except ArchiveNotWrittenError as error:
            log.warning("archive_not_written", error=error.message, hint=error.hint)
            since = progress.failing_since or now
            failed = {"error": error.message, "failing_since": since}
            _save(runtime, progress.model_copy(update=failed), now)
            return False
        if progress.kind is None and progress.removed:
            log.info("rows_removed", **progress.removed)
        return progress.kind is not None

    def _go_on(
        self, runtime: Runtime, retention: Retention, progress: Progress, now: datetime
    ) -> Progress:
        began = runtime.monotonic()
        kept_for = kept(retention)
        archive = self._archive_of(retention, runtime)
        progress = progress.begun(now)
        while progress.kind is not None:
            kind = KINDS[progress.kind]
            before = now - kept_for[kind.name]
            limit = self._rows[kind.name]
            portion = _find(runtime, kind, progress.after, before, limit, archive)
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
            set_policy(work.session, PROGRESS, progress.model_dump(mode="json"), now=now)
        took = runtime.monotonic() - began
        store.write_out(runtime.database)
        rows = self._rows[kind.name]
        aim = SQLITE_AIM_S if runtime.database.is_sqlite else POSTGRES_AIM_S
        if took > aim:
            self._rows[kind.name] = max(FEWEST_ROWS, rows // 2)
        elif took < aim / 2:
            self._rows[kind.name] = min(MOST_ROWS, rows * 2)
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
        set_policy(work.session, PROGRESS, progress.model_dump(mode="json"), now=now)


def _find(
    runtime: Runtime,
    kind: Kind,
    after: UUID,
    before: datetime,
    limit: int,
    archive: Archive | None,
) -> Portion:
    """Find rows that may go, and write them to the archive if there is one."""
    with reading(runtime.database) as session:
        portion = store.find_portion(session, kind, after=after, before=before, limit=limit)
        if archive is None or not portion.ids or kind.day is None:
            return portion
        may_go = portion.ids
        if kind.name in SEALED:
            may_go = as_sealed(session, kind.name, portion.ids)
            _tell_of_altered(kind, portion.ids, may_go)
        lines: list[Line] = []
        ids: list[UUID] = []
        chars, reached = 0, portion.reached
        for id_, moment, columns in describe(session, kind, may_go):
            line = line_of(columns)
            lines.append((moment.date(), line))
            ids.append(id_)
            chars += len(line)
            if chars > MOST_ARCHIVED_CHARS:
                reached = reached if portion.branches else id_
                break
    archive.append(kind.name, lines)
    return replace(portion, ids=ids, reached=reached)
