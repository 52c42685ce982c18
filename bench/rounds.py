"""One round of load on a receiver, and its books: answers compared with rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.figures import Context
from bench.installation import Installation
from bench.loading import CONNECTIONS, Answers, Load, WarmUp, send
from bench.processor_time import seconds
from bench.receivers import Running
from schemas.clock import utc_now
from schemas.ids import first_id

LONG = WarmUp(seconds=8.0, connections=CONNECTIONS)
"""Of a door that stays for many rounds. What PostgreSQL pays after a checkpoint is not to fill the
first of them: it writes the first change of each page whole to its log."""


@dataclass(frozen=True)
class Round:
    """What a round gave. `void` says what is wrong with its books; empty when they balance."""

    answers: Answers
    cpu_us: float
    """Processor time of receiver, database and Redis for each request."""
    void: str

    @property
    def rate(self) -> float:
        """Answers of the wanted kind, a second."""
        return self.answers.rate

    @property
    def answered(self) -> bool:
        """Say whether there was any answer: without one there is nothing to divide by."""
        return self.answers.good + self.answers.unproven > 0

    def noted(self, context: Context, name: str, **more: Any) -> Round:
        """Keep it among the samples; gives it with its name in the fault."""
        void = f"{name}: {self.void}" if self.void else ""
        context.note(
            name,
            **more,
            rate=round(self.rate, 1),
            cpu_us=round(self.cpu_us),
            **asdict(self.answers),
            void=self.void or "no",
        )
        return replace(self, void=void)


def load_round(
    context: Context,
    running: Running,
    *,
    signature: str = "",
    warm_up: WarmUp | None = WarmUp(),  # noqa: B008  # frozen
) -> Round:
    """Warm up, load once, and compare answers with rows.

    `signature` replaces the right one. `warm_up`: None for a receiver that is warm.
    """
    load = Load(running.port, context.seconds, CONNECTIONS, path=running.path, signature=signature)
    if warm_up:
        send(load.lasting(1.0 if context.quick else warm_up.seconds, warm_up.connections))
    before = running.rows()
    measured = context.servers.pids() | {running.pid}
    used = seconds(measured)
    answers = send(load)
    used = seconds(measured) - used
    requests = max(1, answers.good + answers.unproven)
    return Round(answers, used / requests * 1e6, fault_of(load, answers, running, before))


@contextmanager
def warm_door(context: Context, installation: Installation) -> Iterator[Running]:
    """Give the door of an installation, running and warm; what was stored before does not count."""
    with installation.running("serve") as process:
        send(Load(installation.port, context.seconds if context.quick else LONG.seconds))
        yield Running(
            installation.port,
            database_url=installation.database_url,
            table=f"deliveries WHERE id >= '{first_id(utc_now())}'",
            pid=process.pid,
        )


def fault_of(load: Load, answers: Answers, running: Running, before: int | None) -> str:
    """Say what is wrong with the books of a load before which there were so many rows."""
    wrong = bool(load.signature)
    unwanted = answers.others + (answers.good if wrong else answers.unproven)
    if unwanted:
        return f"{unwanted} answers were others than wanted"
    if answers.is_load_bound:
        return "the load had no processor left: what is measured could have done more"
    if not (answers.unproven if wrong else answers.good):
        return "nothing was answered"
    if before is None:
        return ""
    stored = (running.rows() or 0) - before
    # wrk hangs up without reading the answers under way: so many rows may be more.
    most = 0 if wrong else answers.unread
    if not 0 <= stored - answers.good <= most:
        return f"{answers.good} answers 2xx and {stored} rows"
    return ""
