"""How long rows are kept: what may be written, and what it means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.config import Retention
from service.retention_rules import kept, plain_retention


def days(**written: Any) -> dict[str, int]:
    return {name: time.days for name, time in kept(Retention(**written)).items()}


def test_what_follows_from_what_is_written() -> None:
    assert days() == {
        "deliveries": 30,
        "runs": 90,
        "events": 30,
        "effects": 365,
        "alerts": 90,
        "gaps": 90,
        "reconciliations": 90,
        "bulk_jobs": 90,
        "tokens": 365,
        "audit_events": 365,
    }
    longer = days(deliveries="60d", runs="400d", audit="10d")
    assert (longer["events"], longer["effects"], longer["gaps"]) == (60, 400, 400)
    assert (longer["audit_events"], longer["alerts"]) == (10, 400)
    assert days(runs="7d")["gaps"] == 90
    assert days(events="36500d")["events"] == 36500


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"deliveries": "1h"}, "greater than or equal to"),
        ({"events": "10d"}, "events must be kept at least as long as deliveries"),
        ({"effects": "10d"}, "effects must be kept at least as long as runs"),
        ({"deliverys": "10d"}, "Extra inputs are not permitted"),
        ({"archive": {"directory": ""}}, "at least 1 character"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Retention.model_validate(written)


@pytest.mark.parametrize(
    ("written", "directory"),
    [(False, None), (True, "archive"), ({"directory": "/srv/old"}, "/srv/old")],
)
def test_what_is_stored_is_read_back(written: Any, directory: str | None) -> None:
    retention = Retention.model_validate({"runs": "100d", "archive": written})
    assert Retention.model_validate(plain_retention(retention)) == retention
    assert retention.archive_directory == directory
