"""A lock that is given in the order in which it was asked for.

Python's own goes to whoever is awake when it becomes free. That is nearly always the thread that
has just had it, and with a few busy threads another may wait for half a minute.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turns:
    """Lets threads in one at a time, first come, first served. To be used with `with`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for one's turn."""
        mine = threading.Lock()
        mine.acquire()  # whoever has the turn releases it
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            self._waiting.append(mine)
        try:
            mine.acquire()
        except BaseException:
            # Whoever is interrupted while it waits must not keep the turn it may have been given.
            self._leave(mine)
            raise

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        with self._guard:
            self._pass_on()

    def _leave(self, mine: threading.Lock) -> None:
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._is_taken = False
