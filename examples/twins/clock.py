"""The time a twin lives by: real time, plus what a test has skipped.

Signatures of sent webhooks do not use this clock: their receivers live in real time.
"""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Monotonic and calendar time that can be moved forward."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def seconds(self) -> float:
        """Monotonic seconds, for durations."""
        return time.monotonic() + self._skipped_s

    def now(self) -> datetime:
        """Calendar time in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._skipped_s)

    def skip(self, seconds: float) -> None:
        """Move forward by `seconds`, which is never negative."""
        if seconds < 0:
            raise ValueError("a clock is only moved forward")
        self._skipped_s += seconds

    def clear(self) -> None:
        """Return to real time."""
        self._skipped_s = 0.0


def zulu(moment: datetime) -> str:
    """The form GitHub and Checksum use: whole seconds and a `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def zoneless(moment: datetime) -> str:
    """The form VibeView uses: ISO without a zone, meaning UTC (reference 1.2)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
