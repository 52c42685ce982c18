"""Threads are let in one at a time, in the order in which they asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

from service.turns import Turns


def test_whoever_asked_first_is_let_in_first(wait_until: Callable[..., object]) -> None:
    turns, came, inside = Turns(), [], 0
    asking: list[threading.Thread] = []

    def ask(number: int) -> None:
        nonlocal inside
        with turns:
            inside += 1
            assert inside == 1
            came.append(number)
            inside -= 1

    with turns:
        for number in range(5):
            thread = threading.Thread(target=ask, args=(number,))
            asking.append(thread)
            thread.start()
            wait_until(lambda: len(turns._waiting) == len(asking))  # the order
        assert came == []
    for thread in asking:
        thread.join()
    assert came == list(range(5))
    with turns:
        came.append(5)
