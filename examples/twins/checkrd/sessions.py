"""Log-in tokens that end, and what renews them."""

import base64
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from examples.twins.clock import Clock

if TYPE_CHECKING:
    from examples.twins.checkrd.account import CheckrdSettings


class Sessions:
    """Tokens that are good now. Those that were renewed are JWTs in form, with an `exp`."""

    def __init__(self, settings: "CheckrdSettings", clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._ends: dict[str, float] = {}
        self._first_is_over = False
        self._refresh: str | None = None
        self.renewals = 0

    def knows(self, token: str) -> bool:
        """Whether the token is good now."""
        if token == self._settings.jwt:
            return not self._first_is_over
        return self._ends.get(token, -1.0) > self._clock.seconds()

    def expire(self) -> None:
        """End every log-in there is; what renews them stays."""
        self._first_is_over = True
        self._ends.clear()

    def issue(self, lasts_s: float | None = None) -> dict[str, object]:
        """A new log-in, as the answer of a renewal."""
        seconds = self._settings.token_s if lasts_s is None else lasts_s
        end = self._clock.now() + timedelta(seconds=seconds)
        claims = {"sub": "user_twin", "exp": int(end.timestamp()), "jti": secrets.token_hex(8)}
        token = ".".join((_coded({"alg": "HS256", "typ": "JWT"}), _coded(claims), "c2ln"))
        self._ends[token] = self._clock.seconds() + seconds
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)}

    def renew(self, refresh_token: object) -> dict[str, object] | None:
        """A new log-in for this refresh token; `None` when it is not good."""
        if refresh_token != (self._refresh or self._settings.refresh_token):
            return None
        self.renewals += 1
        answer = self.issue()
        if self._settings.rotate_refresh:
            self._refresh = secrets.token_hex(16)
            answer["refresh_token"] = self._refresh
        return answer


def _coded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
