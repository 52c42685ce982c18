"""The answer to a commit is lost: nothing is done twice, and nothing uncalled is in doubt."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import select

from schemas.run_tables import RunRow
from schemas.states import EffectState
from schemas.tables import EffectRow
from schemas.workflow import RunStatus, StepStatus
from service import runs
from service.arriving import ingest_and_begin
from service.db import Database, Session
from service.errors import TimedOut, Unavailable, Unreachable
from service.ingest import ingest_deliveries
from service.losses import SUSPECT_AFTER_RINGS
from service.queue import UnheardQueue
from service.runs import LEASE, advance_run
from service.unit_of_work import reading, unit_of_work
from service.vendors.base import Done
from tests.integration.engine.installation import Installation, Made
from tests.servers import wait_until

THREE_STEPS = """
name: three
on: [{event: go}]
steps:
  - {id: first, uses: robot.once, with: {name: a}}
  - {id: second, uses: robot.natural, with: {name: "got ${{ steps.first.value }}"}}
  - {id: third, uses: robot.looked_up, with: {name: c}}
"""
MOST_COMMITS = 9


class LosingCommits:
    """Lets the answers to some commits of a database get lost, counted from 1."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: set[int] = set()
        self.taken_place = True
        self.count = 0
        self._session: Callable[..., Session] = database.session
        monkeypatch.setattr(database, "session", self._open)

    def _open(self, **options: Any) -> Session:
        session = self._session(**options)
        commit = session.commit

        def committed() -> None:
            self.count += 1
            is_lost = self.count in self.lost
            if not is_lost or self.taken_place:
                commit()
            if is_lost:
                fault = Exception("the connection is lost")
                raise OperationalError("COMMIT", {}, fault, connection_invalidated=True)

        object.__setattr__(session, "commit", committed)
        return session


@pytest.fixture
def losing(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> LosingCommits:
    # Nobody has to wait for a database that comes back at once.
    monkeypatch.setattr(installation.runtime.stopping, "wait", lambda _seconds: False)
    return LosingCommits(installation.database, monkeypatch)


@pytest.mark.parametrize("taken_place", [True, False])
@pytest.mark.parametrize("number", range(1, MOST_COMMITS))
def test_whichever_commit_loses_its_answer_every_call_is_made_once(
    installation: Installation, losing: LosingCommits, number: int, *, taken_place: bool
) -> None:
    installation.workflow(THREE_STEPS)
    run_id = installation.start()
    losing.lost = {losing.count + number}
    losing.taken_place = taken_place
    advance_run(installation.runtime, run_id)
    run = installation.advance(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert len(installation.script.calls) == 3
    assert {effect.state for effect in installation.effects(run_id)} == {EffectState.MADE}
    for step in ("first", "second", "third"):
        made = [row for row in installation.attempts_of(run_id, step) if row.error is None]
        assert [row.status for row in made] == [StepStatus.SUCCEEDED]


def test_there_are_no_more_commits_than_were_tried(
    installation: Installation, losing: LosingCommits
) -> None:
    installation.workflow(THREE_STEPS)
    run_id = installation.start()
    before = losing.count
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert 4 <= losing.count - before < MOST_COMMITS


def test_what_was_in_doubt_before_stays_so(
    installation: Installation, losing: LosingCommits
) -> None:
    installation.workflow("""
name: one
on: [{event: go}]
steps: [{id: only, uses: robot.looked_up, retry: {attempts: 3, first: 1s}}]
""")
    installation.script.answers = [TimedOut(perhaps_done=True), Done(Made(value=9))]
    installation.script.look_ups = [Done(Made(value=5))]
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.WAITING
    losing.lost = {losing.count + 1, losing.count + 2}
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert installation.step(run_id, "only").output == {"value": 5, "ready": None}
    assert len(installation.script.calls) == 1


@pytest.mark.parametrize("in_a_row", [1, 3])
def test_what_surely_was_not_made_before_is_in_no_doubt(
    installation: Installation, losing: LosingCommits, in_a_row: int
) -> None:
    def clock() -> datetime:
        installation.now += timedelta(microseconds=1)
        return installation.now

    installation.runtime.clock = clock
    installation.workflow("""
name: one
on: [{event: go}]
steps: [{id: only, uses: robot.once, retry: {attempts: 3, first: 1s}}]
""")
    installation.script.answers = [Unreachable("nobody is there"), Done(Made(value=1))]
    run_id = installation.start()
    advance_run(installation.runtime, run_id)
    assert installation.run(run_id).status == RunStatus.WAITING
    installation.now += timedelta(seconds=1)
    losing.lost = {losing.count + number for number in range(1, in_a_row + 1)}
    assert installation.advance(run_id).status == RunStatus.SUCCEEDED
    assert [effect.state for effect in installation.effects(run_id)] == [EffectState.MADE]
    assert len(installation.script.calls) == 2


def test_what_was_answered_while_everything_stops_is_recorded(
    installation: Installation, losing: LosingCommits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "FIRST_OUTAGE_PAUSE_S", 0.0)
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    run_id = installation.start()
    stopping = installation.runtime.stopping
    monkeypatch.setattr(stopping, "wait", lambda _seconds: stopping.is_set())

    def stop() -> Done:
        stopping.set()
        losing.lost, losing.taken_place = {losing.count + 1}, False
        return Done(Made(value=7))

    installation.script.answers = [stop]
    advance_run(installation.runtime, run_id)
    assert [row.state for row in installation.effects(run_id)] == [EffectState.MADE]


def lose_in_call(installation: Installation, run_id: UUID) -> None:
    """Lose the worker of a run when its call has left."""

    def lost() -> None:
        raise SystemExit

    installation.script.answers = [lost, *installation.script.answers]
    with pytest.raises(SystemExit):
        advance_run(installation.runtime, run_id)
    installation.now += LEASE + timedelta(seconds=1)


def fail_after_call(installation: Installation, run_id: UUID) -> None:
    """Let a fault of ours hinder the recording of what a call has come to."""

    def fault(*_: Any) -> None:
        raise RecursionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "record_outcome", fault)
        with pytest.raises(RecursionError):
            advance_run(installation.runtime, run_id)
    run = installation.run(run_id)
    run.rings = SUSPECT_AFTER_RINGS + 1
    installation.store(run)


@pytest.mark.parametrize("taken_place", [True, False])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("before", [lose_in_call, fail_after_call])
def test_what_was_called_before_is_not_taken_for_uncalled(
    installation: Installation,
    losing: LosingCommits,
    before: Callable[[Installation, UUID], None],
    number: int,
    *,
    taken_place: bool,
) -> None:
    installation.workflow("{name: w, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    run_id = installation.start()
    before(installation, run_id)
    losing.lost, losing.taken_place = {losing.count + number}, taken_place
    with suppress(Unavailable):
        advance_run(installation.runtime, run_id)
    installation.advance(run_id)
    assert installation.step(run_id, "only").status == StepStatus.IN_DOUBT
    assert len(installation.script.calls) == 1


@pytest.mark.parametrize("taken_place", [True, False])
def test_a_delivery_is_read_once_whichever_commit_loses_its_answer(
    installation: Installation, losing: LosingCommits, *, taken_place: bool
) -> None:
    installation.workflow(THREE_STEPS)
    delivery = installation.deliver({"type": "go"})
    losing.lost, losing.taken_place = {losing.count + 1}, taken_place
    with pytest.raises(Unavailable):
        ingest_deliveries(installation.runtime, [delivery])
    ingest_deliveries(installation.runtime, [delivery])
    assert len(installation.rows(RunRow)) == 1


def test_only_a_failure_of_the_commit_itself_leaves_it_open(
    database: Database, losing: LosingCommits
) -> None:
    losing.lost = {losing.count + 1}
    with pytest.raises(Unavailable) as in_commit, unit_of_work(database, UnheardQueue()):
        pass
    assert in_commit.value.perhaps_done
    fault = OperationalError("SELECT 1", {}, Exception("lost"), connection_invalidated=True)
    with pytest.raises(Unavailable) as before_it, unit_of_work(database, UnheardQueue()):
        raise fault
    assert not before_it.value.perhaps_done


@pytest.mark.parametrize("open_one", [lambda db: unit_of_work(db, UnheardQueue()), reading])
def test_to_get_no_connection_is_an_outage(
    database: Database, open_one: Callable[[Database], AbstractContextManager[object]]
) -> None:
    with pytest.raises(Unavailable) as raised, open_one(database):
        raise PoolTimeoutError
    assert not raised.value.perhaps_done


# --- a commit that goes on although its line was cut ------------------------------------------

SLOW_COMMIT = """
CREATE TABLE slowed (once int);
CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM slowed) THEN
        INSERT INTO slowed VALUES (1);
        PERFORM pg_sleep(1);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_down AFTER INSERT ON effects
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_down();
"""
"""A check that PostgreSQL makes in the commit, as slow as a standby that is to confirm it."""


class CutInCommit:
    """Cuts the line of the transaction that begins an effect, while its commit is under way."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.was_cut = False
        self._database = database
        self._session: Callable[..., Session] = database.session
        monkeypatch.setattr(database, "session", self._open)

    def _open(self, **options: Any) -> Session:
        session = self._session(**options)
        commit = session.commit

        def cut() -> None:
            if not self.was_cut and session.exec(select(EffectRow.id)).first() is not None:
                self.was_cut = True
                line = session.connection().connection.driver_connection
                assert line is not None
                thread = threading.Thread(target=self._cut, args=(os.dup(line.fileno()),))
                thread.start()
            commit()

        object.__setattr__(session, "commit", cut)
        return session

    def _cut(self, descriptor: int) -> None:
        wait_until(self._is_committing, what="the commit is under way")
        with socket.socket(fileno=descriptor) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _is_committing(self) -> bool:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        with self._database.engine.connect() as connection:
            return bool(connection.execute(text(asked)).scalar_one())


@pytest.mark.parametrize("begins_where_it_was_read", [False, True])
def test_a_commit_that_goes_on_after_its_line_was_cut_leaves_nothing_in_doubt(
    postgres_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    *,
    begins_where_it_was_read: bool,
) -> None:
    installation = Installation(postgres_database)
    installation.workflow("{name: one, on: [{event: go}], steps: [{id: only, uses: robot.once}]}")
    with postgres_database.engine.begin() as connection:
        connection.exec_driver_sql(SLOW_COMMIT)
    delivery_id = installation.deliver({"type": "go"})
    started = () if begins_where_it_was_read else installation.ingest(delivery_id)
    line = CutInCommit(postgres_database, monkeypatch)
    with suppress(Unavailable):
        if begins_where_it_was_read:
            ingest_and_begin(installation.runtime, [delivery_id])
        for run_id in started:
            advance_run(installation.runtime, run_id)
    assert line.was_cut
    ingest_deliveries(installation.runtime, [delivery_id])
    installation.carry_on()
    (run,) = installation.rows(RunRow)
    (effect,) = installation.rows(EffectRow)
    assert (run.status, effect.state) == (RunStatus.SUCCEEDED, EffectState.MADE)
    assert len(installation.script.calls) == 1
