"""Time as the rest of the code speaks of it: aware UTC, and a clock that can be passed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What a clock is: a call that gives the present as aware UTC."""


def utc_now() -> datetime:
    """Give the present as aware UTC."""
    return datetime.now(UTC)
