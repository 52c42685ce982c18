"""What a vendor's list of calls is made of."""

from __future__ import annotations

import re
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
