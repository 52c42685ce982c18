"""A cause that nobody has looked for yet is told how to find."""

from __future__ import annotations

from service.cli.rejections import hint_of


def test_only_a_cause_that_is_not_known_needs_the_hint() -> None:
    assert hint_of([]) is None
    assert hint_of([{"cause": "clock"}]) is None
    assert "rejection show ID" in (hint_of([{"cause": "clock"}, {"cause": None}]) or "")
