"""Vendors that send: signed requests over sockets, again until they are answered 2xx."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.faults.plan import Planned

ANSWER_WITHIN_S = 5.0
"""How long a vendor waits for an answer; then it sends the same once more."""
PATIENCE_S = 120.0
"""How long a vendor goes on; then it gives up, and nothing was promised to it."""
LOOK_AGAIN_S = 0.05
PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class Sent:
    """What a vendor knows of one delivery."""

    planned: Planned
    key: str
    digest: str
    ids: set[str] = field(default_factory=set)
    tries: int = 0

    @property
    def acknowledged(self) -> bool:
        """Whether it was ever answered 2xx."""
        return bool(self.ids)


@dataclass
class Ledger:
    """Everything that was sent, by source and key, and how it was answered."""

    sent: dict[tuple[str, str], Sent] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> int:
        """How many different deliveries were answered 2xx."""
        return sum(1 for one in self.sent.values() if one.acknowledged)


class Load:
    """Senders in threads that share what is to be sent, at `per_second` altogether.

    `ports` are those of the doors. `then` is given what was acknowledged first and gives what is
    sent some time later because of it.
    """

    def __init__(
        self,
        deliveries: Iterable[Planned],
        ports: Sequence[int],
        *,
        per_second: float,
        senders: int = 12,
        seed: int = 0,
        then: Callable[[Planned], Planned | None] = lambda _: None,
    ) -> None:
        self.ledger = Ledger()
        self._deliveries: Iterator[Planned] = iter(deliveries)
        self._ports = tuple(ports)
        self._pause_s = 1 / per_second
        self._then = then
        self._lock = threading.Lock()
        self._due: list[tuple[float, int, Planned]] = []
        self._begun_at = 0.0
        self._taken = 0
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._send_all, args=(f"{seed} {number}",), name="sender")
            for number in range(senders)
        ]

    def start(self) -> None:
        """Begin to send."""
        self._begun_at = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether anything is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Begin with nothing new; what is under way goes on until it is answered."""
        self._stopped.set()

    def join(self) -> Ledger:
        """Wait until all is answered or given up; gives what was sent. Raises what a sender met."""
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self.ledger

    # --- in a sender's thread ---------------------------------------------------------------

    def _send_all(self, seed: str) -> None:
        chance = random.Random(seed)  # noqa: S311  # it chooses doors, and can be repeated
        lines = {port: _Line(port) for port in self._ports}
        try:
            while (planned := self._next()) is not None:
                self._deliver(planned, lines, chance)
        except BaseException as error:  # noqa: BLE001  # raised where the senders are waited for
            self._errors.append(error)
            self._stopped.set()
        finally:
            for line in lines.values():
                line.close()

    def _next(self) -> Planned | None:
        while True:
            with self._lock:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                planned = None if self._stopped.is_set() else next(self._deliveries, None)
                if planned is not None:
                    wait = self._begun_at + self._taken * self._pause_s - now
                    self._taken += 1
                elif not self._due:
                    return None
                else:
                    wait = min(self._due[0][0] - now, LOOK_AGAIN_S)
            if wait > 0:
                time.sleep(wait)
            if planned is not None:
                return planned

    def _deliver(self, planned: Planned, lines: dict[int, _Line], chance: random.Random) -> None:
        first = planned.delivery(datetime.now(UTC))
        key = planned.incoming.delivery_key(first, planned.incoming.options())
        sent = Sent(planned, key, hashlib.sha256(first.body).hexdigest())
        with self._lock:
            self.ledger.sent[planned.source, key] = sent
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            if self._try(sent, lines[chance.choice(self._ports)]):
                break
            pause = PAUSES_S[min(sent.tries - 1, len(PAUSES_S) - 1)]
            time.sleep(pause * chance.uniform(0.5, 1))
        else:
            return
        for _ in range(planned.repeats):
            self._try(sent, lines[chance.choice(self._ports)])
        if (follower := self._then(planned)) is not None:
            with self._lock:
                due = time.monotonic() + chance.uniform(0.5, 5)
                heapq.heappush(self._due, (due, planned.number, follower))

    def _try(self, sent: Sent, line: _Line) -> bool:
        """Send once; say whether it was taken."""
        sent.tries += 1
        signed = sent.planned.signed(datetime.now(UTC))
        status, body = line.post(f"/hooks/{sent.planned.source}", signed.headers, signed.body)
        taken = 200 <= status < 300
        with self._lock:
            self.ledger.statuses[str(status) if status else "no answer"] += 1
            if taken:
                sent.ids.add(str(json.loads(body)["id"]))
        return taken


class _Line:
    """A sender's connection to one door, made again whenever it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        """Give status and body of the answer; 0 and nothing when none came."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=ANSWER_WITHIN_S
                )
            self._connection.request("POST", path, body=body, headers=dict(headers))
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, b""

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None
