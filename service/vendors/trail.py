"""The pages of a list that were read on one way through it, kept in a position.

A server whose pages lead back to an earlier one, or never end, would be asked for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

MOST_PAGES = 1000
"""No list is read further in one go."""
_MARK_CHARS = 12


def follow(read: Sequence[str], page: str) -> tuple[str, ...] | None:
    """Give the pages that were read and this one, which is named by its cursor or its content.

    None when it is among them already, or they are as many as are ever read.
    """
    mark = hashlib.sha256(page.encode()).hexdigest()[:_MARK_CHARS]
    return None if mark in read or len(read) >= MOST_PAGES else (*read, mark)
