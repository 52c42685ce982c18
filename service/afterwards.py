"""What a process makes while it already does its first work: loaded and made on one thread."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def loading() -> Iterator[None]:
    """Import and make what stays, without looking through it for garbage.

    To look through it again and again as it grows takes a fifth of the time, and to look through it
    later gains nothing either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Afterwards:
    """Makes things one after the other, once it is told to begin.

    One thread, because two that import at a time would wait for one another. When one of them
    cannot be made, `on_failure` is called, and `end` raises the reason.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._wanted: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def add(self, make: Callable[[], T]) -> Future[T]:
        """Give what `make` will give. To be called before `begin`."""
        promised: Future[T] = Future()
        self._wanted.append((promised, make))
        return promised

    def begin(self) -> None:
        """Begin to make what was added, in that order."""
        self._thread = threading.Thread(target=self._run, name="afterwards")
        self._thread.start()

    def end(self) -> None:
        """Wait until no more is made. Raises what a making raised."""
        for promised, _ in self._wanted:
            promised.cancel()
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        with loading():
            for promised, make in self._wanted:
                if not promised.set_running_or_notify_cancel():
                    continue
                try:
                    promised.set_result(make())
                except Exception as error:  # noqa: BLE001  # `end` raises it
                    self._failure = error
                    promised.set_exception(error)
                    self._on_failure()
                    return
