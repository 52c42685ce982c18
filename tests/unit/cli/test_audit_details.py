"""What was noted of an act fits into a column."""

from __future__ import annotations

from typing import Any

import pytest

from service.cli.audit_details import details_in_words


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({}, ""),
        ({"from_file": True, "fields": ["secrets", "limits"]}, "from file; fields secrets, limits"),
        (
            {"note": "seen,\nknown", "retries": 0, "why": None},
            "note seen, known; retries 0",
        ),
        ({"filter": {"source": "shots", "state": None}}, "filter source shots"),
        (
            {"fields": ["runs"], "old": {"runs": "90d"}, "new": {"runs": "1d"}},
            "runs 90d → 1d",
        ),
        ({"old": {"x": 1}}, "old x 1"),
    ],
)
def test_details_are_told_on_one_line(details: dict[str, Any], said: str) -> None:
    assert details_in_words(details) == said
