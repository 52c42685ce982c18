"""Rings the workers for stored deliveries, in a thread of its own.

The door's writer must not wait for Redis: a queue that hangs may cost time and never an answer.
What is not rung here is rung by the sweeper, which finds the rows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue
from uuid import UUID

from schemas.jobs import IngestDeliveries
from service.faults import note_fault
from service.queue import Queue

DELIVERIES_A_JOB = 100
MAX_WAITING_GROUPS = 1_000
PAUSE_S = 0.05
"""Between two rings. Ringing costs more than storing a group, so that under load what comes in this
time shares a job; the first delivery after a pause is rung for at once."""

STOP_TIMEOUT_S = 2.0


class Bell:
    """Rings for groups of deliveries, at once when it was quiet, else many with one job."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._groups: SimpleQueue[Sequence[UUID] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="door-bell", daemon=True)

    def start(self) -> None:
        """Begin to ring."""
        self._thread.start()

    def ring(self, ids: Sequence[UUID]) -> None:
        """Ring soon for these deliveries. Never waits, never raises."""
        if self._groups.qsize() < MAX_WAITING_GROUPS:
            self._groups.put(ids)

    def stop(self) -> None:
        """Ring for what waits and end, in 2 seconds at most."""
        self._groups.put(None)
        self._thread.join(STOP_TIMEOUT_S)

    def _work(self) -> None:
        running = True
        while running:
            groups = [self._groups.get()]
            while not self._groups.empty():
                groups.append(self._groups.get())
            running = None not in groups
            ids = [delivery for group in groups if group is not None for delivery in group]
            jobs = [
                IngestDeliveries(tuple(ids[start : start + DELIVERIES_A_JOB]))
                for start in range(0, len(ids), DELIVERIES_A_JOB)
            ]
            try:
                self._queue.ring(jobs)
            except Exception as error:  # noqa: BLE001  # note_fault logs it
                said = "the sweeper rings for these deliveries"
                note_fault(error, "bell_failed", consequence=said)
            time.sleep(PAUSE_S)
