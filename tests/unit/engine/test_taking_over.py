"""When a lease that ran out says that its worker is lost; and by whose clock leases go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from structlog.testing import capture_logs

from service.database_clock import ADJUST_EVERY_S, DatabaseClock
from service.db import Database
from service.runtime import HOLD_BACK_S, SILENCE_S
from tests.unit.engine.test_leases import Clock, runtime_at

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_process_that_asks_no_database_takes_over_what_it_is_told_to() -> None:
    assert runtime_at(Clock()).may_take_over()


def test_nothing_is_taken_over_for_a_while_after_the_start_and_after_a_silence() -> None:
    clock = Clock()
    runtime = runtime_at(clock)

    def hear_for(seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            clock.now += 0.5
            runtime.database_answered()

    runtime.database_answered()
    hear_for(HOLD_BACK_S - 1)
    assert not runtime.may_take_over()
    hear_for(1)
    assert runtime.may_take_over()
    clock.now += SILENCE_S + 0.1
    assert not runtime.may_take_over()
    runtime.database_answered()
    hear_for(HOLD_BACK_S - 1)
    assert not runtime.may_take_over()
    hear_for(1)
    assert runtime.may_take_over()


class ServerClock:
    """A database as far as its clock goes. Each answer takes two seconds."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self.clock, self.ahead, self.asked = clock, ahead, 0

    def time(self) -> datetime:
        self.asked += 1
        self.clock.now += 1
        moment = START + timedelta(seconds=self.clock.now) + self.ahead
        self.clock.now += 1
        return moment


def database_clock(clock: Clock, server: ServerClock) -> DatabaseClock:
    def local() -> datetime:
        return START + timedelta(seconds=clock.now)

    return DatabaseClock(cast("Database", server), local=local, monotonic=clock)


def test_processes_with_different_clocks_go_by_that_of_the_database() -> None:
    clock = Clock()
    server = ServerClock(clock, timedelta(seconds=-40))
    shared = database_clock(clock, server)
    assert shared() == START + timedelta(seconds=clock.now)
    with capture_logs() as logs:
        shared.adjust()
    assert shared() == START + timedelta(seconds=clock.now - 40)
    assert [entry["event"] for entry in logs] == ["clocks_differ"]
    clock.now += 20
    shared.adjust()
    assert server.asked == 1
    assert shared() == START + timedelta(seconds=clock.now - 40)
    clock.now += ADJUST_EVERY_S
    server.ahead = timedelta(seconds=3)
    shared.adjust()
    assert shared() == START + timedelta(seconds=clock.now + 3)


def test_small_differences_are_not_told() -> None:
    clock = Clock()
    shared = database_clock(clock, ServerClock(clock, timedelta(seconds=2)))
    with capture_logs() as logs:
        shared.adjust()
    assert logs == []
