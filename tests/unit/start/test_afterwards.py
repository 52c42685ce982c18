"""What is made while the process already does its first work."""

from __future__ import annotations

import threading

import pytest

from service.afterwards import Afterwards


def test_things_are_made_in_order_on_one_thread_once_it_is_begun() -> None:
    made: list[tuple[str, int]] = []
    afterwards = Afterwards(on_failure=lambda: made.append(("failed", 0)))

    def make(name: str) -> str:
        made.append((name, threading.get_ident()))
        return name

    first, second = afterwards.add(lambda: make("a")), afterwards.add(lambda: make("b"))
    assert made == []
    afterwards.begin()
    assert (first.result(10), second.result(10)) == ("a", "b")
    afterwards.end()
    assert [name for name, _ in made] == ["a", "b"]
    assert len({thread for _, thread in made} | {threading.get_ident()}) == 2


def test_what_cannot_be_made_is_told_and_nothing_is_made_behind_it() -> None:
    told: list[str] = []
    afterwards = Afterwards(on_failure=lambda: told.append("failed"))

    def break_down() -> None:
        raise ValueError("broken")

    bad, behind = afterwards.add(break_down), afterwards.add(lambda: told.append("made"))
    afterwards.begin()
    assert isinstance(bad.exception(10), ValueError)
    with pytest.raises(ValueError, match="broken"):
        afterwards.end()
    assert told == ["failed"]
    assert behind.cancelled()


def test_what_was_never_begun_is_cancelled() -> None:
    afterwards = Afterwards(on_failure=lambda: None)
    promised = afterwards.add(lambda: 1)
    afterwards.end()
    assert promised.cancelled()
