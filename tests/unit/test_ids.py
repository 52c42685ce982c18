"""Ids rise, so that what came first sorts first, and are UUIDv7."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from schemas.ids import first_id, made_at, new_id


def test_ids_of_one_process_rise_also_within_a_millisecond() -> None:
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(id_.version, id_.variant) for id_ in made} == {(7, "specified in RFC 4122")}


def test_threads_never_make_the_same_id() -> None:
    made: list[object] = []
    threads = [
        threading.Thread(target=lambda: made.extend(new_id() for _ in range(2_000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 8_000


def test_an_id_says_when_it_was_made() -> None:
    before = datetime.now(UTC)
    id_ = new_id()
    assert timedelta(milliseconds=-1) < made_at(id_) - before < timedelta(seconds=5)
    assert first_id(made_at(id_)) <= id_ < first_id(made_at(id_) + timedelta(seconds=1))
