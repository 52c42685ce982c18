"""What workers do in these tests: work at the same time, carry on whatever is rung for, die."""

from __future__ import annotations

import threading
from collections.abc import Callable

from schemas.jobs import AdvanceRun
from service.runs import advance_run
from tests.integration.engine.installation import Installation


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it runs."""


def at_once(tasks: list[Callable[[], object]]) -> None:
    """Perform these at the same time, and raise what any of them raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(tasks))

    def perform(task: Callable[[], object]) -> None:
        try:
            barrier.wait(20)
            task()
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=perform, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def go_on_with_all(installation: Installation) -> None:
    """Carry on every run that was rung for, and those that these ring for."""
    seen = 0
    while seen < len(installation.bell.rung):
        job = installation.bell.rung[seen]
        seen += 1
        if isinstance(job, AdvanceRun):
            advance_run(installation.runtime, job.run_id)
