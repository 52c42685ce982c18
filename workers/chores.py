"""Chores: what has to be done from time to time by one process, in small portions.

They are performed one after another, in a thread of their own, by the process whose scheduler
leads. For a moment two may lead, so a chore must do no harm when it is performed twice at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from service.diagnosing import diagnose_next
from service.errors import HookwrightError
from service.faults import note_fault
from service.partitioning import make_partitions
from service.queue_policy import warn_of_eviction
from service.retention import Remover
from service.runtime import Runtime
from service.sealing import seal_rows, warn_of_closed_key
from service.statistics import tidy_statistics

log = structlog.get_logger(__name__)

FIRST_AFTER_S = 2.0
"""Nothing of this is urgent: a process that has just started has better things to do."""
PORTION_PAUSE_S = 0.05
"""Between two portions of one chore, so that it never holds up what is urgent."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done `every` so often.

    `perform` does a portion that takes well under a second, and says whether more is to be done
    now.
    """

    name: str
    every: timedelta
    perform: Callable[[Runtime], bool]


def _watch_queue(runtime: Runtime) -> bool:
    warn_of_eviction(runtime.queue, clock=runtime.clock)
    return False


CHORES: tuple[Chore, ...] = (
    Chore("sealing", timedelta(seconds=5), seal_rows),
    Chore("sealing_key", timedelta(hours=1), warn_of_closed_key),
    Chore("retention", timedelta(minutes=10), Remover().remove_portion),
    Chore("partitions", timedelta(hours=1), make_partitions),
    Chore("queue_policy", timedelta(minutes=5), _watch_queue),
    Chore("diagnosis", timedelta(seconds=5), diagnose_next),
    Chore("statistics", timedelta(seconds=10), tidy_statistics),
)


class Housekeeper:
    """Performs the chores while `leads` says that this process is the one to do it."""

    def __init__(
        self, runtime: Runtime, chores: Sequence[Chore], leads: Callable[[], bool]
    ) -> None:
        self._runtime = runtime
        self._leads = leads
        self._stop = threading.Event()
        began = runtime.monotonic() + FIRST_AFTER_S
        self._due = dict.fromkeys(chores, began)
        self._thread = threading.Thread(target=self._work, name="chores")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the portion under way, and end."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while self._due and not self._stop.wait(self._pause()):
            self.perform_due()

    def _pause(self) -> float:
        next_due: float = min(self._due.values())
        return max(PORTION_PAUSE_S, next_due - self._runtime.monotonic())

    def perform_due(self) -> None:
        """Perform a portion of each chore that is due."""
        for chore, due in self._due.items():
            if due > self._runtime.monotonic():
                continue
            more = self._leads() and self._perform(chore)
            pause = 0.0 if more else chore.every.total_seconds()
            self._due[chore] = self._runtime.monotonic() + pause

    def _perform(self, chore: Chore) -> bool:
        try:
            return chore.perform(self._runtime)
        except HookwrightError as error:
            log.warning("chore_put_off", chore=chore.name, error=error.message)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            # The outermost frame of the thread: one faulty chore must not keep the others.
            note_fault(error, "chore_faulty", chore=chore.name)
        return False
