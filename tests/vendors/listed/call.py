"""What a vendor's list of calls is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call that vendors.md lists, and the client's method that makes it.

    `path` is what stands below the connection's `base_url`, with `{name}` for every variable part.
    """

    method: str
    path: str
    by: str
    section: str

    def is_made_by(self, method: str, path: str) -> bool:
        """Say whether a request that a twin saw is this call."""
        pattern = re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path) is not None


def in_section(section: str, *calls: tuple[str, str, str]) -> tuple[Call, ...]:
    """Give the calls of a section; each is its method, its path and who makes it."""
    return tuple(Call(method, path, by, section) for method, path, by in calls)


def unmade(listed: Iterable[Call], seen: Iterable[Mapping[str, object]]) -> list[Call]:
    """Give the listed calls that are none of those a twin saw."""
    made = set(_requests(seen))
    return [call for call in listed if not any(call.is_made_by(*one) for one in made)]


def unlisted(listed: Iterable[Call], seen: Iterable[Mapping[str, object]]) -> list[tuple[str, str]]:
    """Give method and path of what a twin saw and no list names."""
    calls = tuple(listed)
    return [one for one in _requests(seen) if not any(call.is_made_by(*one) for call in calls)]


def _requests(seen: Iterable[Mapping[str, object]]) -> list[tuple[str, str]]:
    return [(str(one["method"]), str(one["path"])) for one in seen]
