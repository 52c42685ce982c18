"""What a process knows of its own leases: how long it may surely act on what they hold."""

from __future__ import annotations

from datetime import timedelta

from service.connections import Connections
from service.db import Database
from service.queue import UnheardQueue
from service.runtime import UNSURE_S, Runtime
from service.settings import Settings

KEYS = ("k" * 40,)
LASTS = timedelta(seconds=8)


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def runtime_at(clock: Clock) -> Runtime:
    return Runtime(
        database=Database("sqlite:///never-opened.db"),
        queue=UnheardQueue(),
        settings=Settings(secret_keys=KEYS),
        connections=Connections(KEYS, private_addresses=False),
        monotonic=clock,
    )


def test_a_lease_is_sure_until_shortly_before_its_end() -> None:
    clock = Clock()
    runtime = runtime_at(clock)
    with runtime.holding(LASTS) as lease:
        assert runtime.surely_holds(lease)
        clock.now += 8 - UNSURE_S - 0.01
        assert runtime.surely_holds(lease)
        clock.now += 0.02
        assert not runtime.surely_holds(lease)


def test_a_renewed_lease_lasts_from_when_renewing_began() -> None:
    clock = Clock()
    runtime = runtime_at(clock)
    with runtime.holding(LASTS) as lease, runtime.holding(LASTS) as other:
        clock.now += 6
        began = clock.now
        clock.now += 4  # the database took its time
        runtime.renewed([lease, "somebody else's"], began)
        assert runtime.surely_holds(lease)
        assert not runtime.surely_holds(other)
        clock.now = began + 8
        assert not runtime.surely_holds(lease)


def test_what_was_given_up_is_not_held() -> None:
    runtime = runtime_at(Clock())
    with runtime.holding(LASTS) as lease:
        pass
    assert runtime.leases() == ()
    assert not runtime.surely_holds(lease)
