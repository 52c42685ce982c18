"""A token that has to be asked for and renewed, kept by one client for as long as it is good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.vendors.base import Token

RENEW_EARLY = timedelta(seconds=60)
"""How long before its end a token is no longer used: longer than a call may take."""


class HeldToken:
    """The token that is in use. One thread fetches while the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.held: Token | None = None

    def get(self, now: datetime, fetch: Callable[[], Token | None]) -> Token | None:
        """Give the token, a fresh one when there is none or it ends soon."""
        with self._lock:
            held = self.held
            if held is None or (held.expires_at and now >= held.expires_at - RENEW_EARLY):
                self.held = fetch()
            return self.held

    def forget(self, token: Token) -> None:
        """Use this token no more; a fresher one, which another thread fetched, is kept."""
        with self._lock:
            if self.held is token:
                self.held = None
