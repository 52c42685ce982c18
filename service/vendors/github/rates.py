"""How often GitHub may be called (vendors.md §6.3): by the hour, by the minute, for new content."""

from __future__ import annotations

from service.vendors.base import Rate

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_CONTENT = ("/access_tokens", "/attempts")


def _is_write(method: str, path: str) -> bool:
    return method not in _READS and not path.endswith("/access_tokens")


def _makes_content(method: str, path: str) -> bool:
    """Say whether people may see it; sending a delivery again shows nobody anything."""
    return method not in _READS and not path.endswith(_NO_CONTENT)


RATES = (
    Rate(calls=5000, seconds=3600, name="hour"),
    Rate(calls=900, name="points"),
    # A write counts as five of the 900 points a minute.
    Rate(calls=180, name="writes", covers=_is_write),
    Rate(calls=80, name="content", covers=_makes_content),
    Rate(calls=500, seconds=3600, name="content_hour", covers=_makes_content),
)
