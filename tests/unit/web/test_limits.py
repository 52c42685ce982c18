"""How often a caller may ask, and what pages and their cursors promise."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.errors import Invalid
from service.paging import read_cursor, write_cursor
from service.web import limits
from service.web.limits import Limiter, name_caller


def test_a_window_lets_so_many_pass_and_then_none() -> None:
    now = [100.0]
    limiter = Limiter(limit=2, monotonic=lambda: now[0])
    assert [limiter.take("a").allowed for _ in range(4)] == [True, True, False, False]
    now[0] += 59.5
    refused = limiter.take("a")
    assert (refused.allowed, refused.headers()["Retry-After"]) == (False, "1")
    now[0] += 0.5
    assert limiter.take("a").remaining == 1


def test_callers_are_counted_apart_and_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "KEPT_CALLERS", 2)
    limiter = Limiter(limit=1, monotonic=lambda: 0.0)
    assert all(limiter.take(caller).allowed for caller in "abc")
    assert not limiter.take("c").allowed
    assert limiter.take("a").allowed


def test_a_caller_is_named_without_keeping_its_token() -> None:
    assert "secret" not in name_caller("Bearer hw_secret", "127.0.0.1")
    assert name_caller("Bearer a", "127.0.0.1") != name_caller("Bearer b", "127.0.0.1")
    assert name_caller(None, "127.0.0.1") == "127.0.0.1"


def test_a_cursor_leads_back_to_its_row_for_the_same_question_only() -> None:
    last, question = UUID(int=7 << 64), {"list": "runs", "status": "failed"}
    cursor = write_cursor(last, question)
    assert read_cursor(cursor, question) == last
    with pytest.raises(Invalid):
        read_cursor(cursor, {**question, "status": "succeeded"})
    broken = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    with pytest.raises(Invalid):
        read_cursor(broken, question)
