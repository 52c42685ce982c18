"""Performs the faults of a schedule on a site, and undoes them when their time is over."""

from __future__ import annotations

import contextlib
import heapq
import signal
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from tests.faults.house import END_S, ManyMachines, signal_all
from tests.faults.proxy import commits, executes
from tests.faults.schedule import Fault, Kind

SLOWER_THAN_PATIENCE_S = 3.0
"""How much later a vendor answers than the step `hurry` waits."""
DELAY_S = 0.15
RETRY_AFTER = {"retry-after": "2"}
POSTS = (b"POST ", b"PUT ", b"PATCH ")
MOST_CALLS = 4
"""How many calls a vendor spoils at most in one fault."""

Undo = Callable[[], object]
"""Undoes a fault. Gives False when it is too early, and is asked again."""
ASK_AGAIN_S = 0.2


def changes_something(data: bytes) -> bool:
    """Say whether a call of a vendor's API that changes something begins here."""
    return data.startswith(POSTS)


class Striker:
    """Performs faults, one after the other; those that last overlap."""

    def __init__(self, site: ManyMachines, say: Callable[[str], None]) -> None:
        self._site = site
        self._say = say
        self._timeline: list[str] = []
        self._undos: list[tuple[float, int, Undo]] = []
        self._numbers = count()

    def strike_all(self, faults: Sequence[Fault], go_on: Callable[[], bool]) -> list[str]:
        """Perform every fault at its time, and undo it; none is begun once `go_on` says no.

        Gives what was done and when, in seconds from now.
        """
        try:
            self._strike_all(faults, go_on)
        except BaseException:
            # Nothing may stay halted that is to be ended.
            for _, _, undo in self._undos:
                with contextlib.suppress(Exception):
                    undo()
            raise
        return self._timeline

    def _strike_all(self, faults: Sequence[Fault], go_on: Callable[[], bool]) -> None:
        began = time.monotonic()
        for fault in faults:
            self._wait(began + fault.at, go_on)
            if not go_on():
                break
            self._note(fault, time.monotonic() - began)
            undo = self._strike(fault)
            if undo is not None:
                due = time.monotonic() + fault.lasts
                heapq.heappush(self._undos, (due, next(self._numbers), undo))
        while self._undos:
            self._undo_due(self._undos[0][0])

    def _wait(self, until: float, go_on: Callable[[], bool]) -> None:
        while time.monotonic() < until and go_on():
            self._undo_due(min(until, time.monotonic() + 0.5))

    def _undo_due(self, until: float) -> None:
        """Undo what is due, and wait for nothing else than that until then."""
        if self._undos and self._undos[0][0] <= until:
            due, _, undo = heapq.heappop(self._undos)
            _let_pass(due)
            if undo() is False:
                later = time.monotonic() + ASK_AGAIN_S
                heapq.heappush(self._undos, (later, next(self._numbers), undo))
        else:
            _let_pass(until)

    def _note(self, fault: Fault, at: float) -> None:
        told = f"{fault}" if at - fault.at < 1 else f"{fault}, {at - fault.at:.1f} s late"
        self._timeline.append(told)
        self._say(told)

    # --- each kind ----------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> Undo | None:
        target = fault.target
        match fault.kind:
            case Kind.KILL:
                return self._kill(target)
            case Kind.RESTART:
                return self._restart(target)
            case Kind.HALT:
                return self._halt(target)
            case Kind.FLUSH:
                self._site.flush()
            case Kind.CUT | Kind.REFUSE | Kind.FREEZE | Kind.DELAY:
                return self._disturb(fault.kind, target)
            case Kind.CUT_COMMIT:
                self._site.lines[target].cut_after(
                    lambda data: commits(data) or executes(data), times=2
                )
            case Kind.LOSE_ANSWERS:
                self._site.lines[target].cut_after(changes_something, times=2)
            case _:
                return self._spoil(fault.kind, target)
        return None

    def _kill(self, target: str) -> Undo:
        if target in {"postgres", "redis"}:
            self._site.kill_server(target)
            return lambda: self._site.start_server(target)
        self._site.house.end(target, signal.SIGKILL)
        return lambda: self._site.house.start(target)

    def _restart(self, target: str) -> Undo | None:
        if target in {"postgres", "redis"}:
            self._site.stop_server(target)
            self._site.start_server(target)
            return None
        house = self._site.house
        house.send(target, signal.SIGTERM)
        end_by = time.monotonic() + END_S

        def start_again() -> bool:
            # Nobody waits here: what else is broken meanwhile may be what it waits for.
            if house.processes[target].poll() is None and time.monotonic() < end_by:
                return False
            house.wait_end(target, timeout_s=1)
            house.start(target)
            return True

        return start_again

    def _halt(self, target: str) -> Undo:
        pid = self._site.pid_of(target)
        signal_all(pid, signal.SIGSTOP)
        return lambda: signal_all(pid, signal.SIGCONT)

    def _disturb(self, kind: Kind, target: str) -> Undo | None:
        line = self._site.lines[target]
        match kind:
            case Kind.FREEZE:
                line.freeze()
                return line.thaw
            case Kind.DELAY:
                line.delay(DELAY_S)
                return lambda: line.delay(0)
            case Kind.REFUSE:
                line.refuse()
                line.cut()
                return line.restore
            case _:
                line.cut()
                return None

    def _spoil(self, kind: Kind, target: str) -> Undo:
        twin = self._site.twins[target]
        given: dict[str, Any]
        match kind:
            case Kind.DROP:
                given = {"mode": "drop_before"}
            case Kind.FAIL:
                given = {"mode": "status", "status": 503}
            case Kind.FAIL_DONE:
                given = {"mode": "status", "status": 502, "effect": True}
            case Kind.LIMIT:
                given = {"mode": "status", "status": 429, "headers": RETRY_AFTER}
            case Kind.SLOW:
                given = {"mode": "slow", "delay_s": SLOWER_THAN_PATIENCE_S}
            case _:
                given = {"mode": "garbage"}
        mode = str(given.pop("mode"))
        number = twin.fault(mode, method="POST", times=MOST_CALLS, **given)
        return lambda: self._heal(target, number)

    def _heal(self, target: str, number: int) -> None:
        self._site.twins[target].lever(f"faults/{number}", method="DELETE")


def _let_pass(until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
