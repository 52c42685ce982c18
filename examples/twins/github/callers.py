"""Who calls: the owner of the token, the app by its web token, an installation of the app."""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request

from examples.twins.clock import Clock
from examples.twins.github.refusals import refusal
from examples.twins.github.settings import GitHubSettings
from examples.twins.twin import Refusal

TOKEN_LIFE = timedelta(hours=1)
MAX_JWT_LIFE_S = 600
CLOCK_DRIFT_S = 30
SCOPE_KEY = "twin.github.caller"
UNREADABLE = "A JSON web token could not be decoded"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with a call."""

    kind: Literal["user", "installation", "app"]
    login: str

    @property
    def refused(self) -> str:
        """What GitHub says when this caller may not do something."""
        kind = "personal access token" if self.kind == "user" else "integration"
        return f"Resource not accessible by {kind}"


def caller_of(request: Request) -> Caller:
    """Give who calls, as admission found it."""
    caller: Caller = request.scope[SCOPE_KEY]
    return caller


class Callers:
    """The tokens that are good now."""

    def __init__(self, settings: GitHubSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens: dict[str, datetime] = {}

    def admit(self, request: Request) -> Caller:
        """Find out who calls and keep it with the request; 401 otherwise.

        The app itself may only speak about the app, and nobody else may.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise refusal(401, "Requires authentication")
        if scheme.lower() not in {"bearer", "token"}:
            raise refusal(401, "Bad credentials")
        path = request.url.path
        if path == "/app" or path.startswith("/app/"):
            self._check_web_token(token.strip())
            caller = Caller("app", f"{self._settings.app_slug}[bot]")
        else:
            caller = self._owner_of(token.strip())
        request.scope[SCOPE_KEY] = caller
        return caller

    def issue(self) -> tuple[str, datetime]:
        """Give a token of the installation and when it ends."""
        token, ends = f"ghs_{secrets.token_hex(18)}", self._clock.now() + TOKEN_LIFE
        self._tokens[token] = ends
        return token, ends

    def revoke_all(self) -> int:
        """End every token of the installation before its time; tells how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def _owner_of(self, token: str) -> Caller:
        if token == self._settings.key:
            return Caller("user", self._settings.login)
        ends = self._tokens.get(token)
        if ends is None or self._clock.now() >= ends:
            raise refusal(401, "Bad credentials")
        return Caller("installation", f"{self._settings.app_slug}[bot]")

    def _check_web_token(self, token: str) -> None:
        """RS256 over header and claims, issued by the app, for at most ten minutes."""
        claims = self._verified_claims(token)
        # Web tokens are made in real time, whatever a test has skipped here.
        now = datetime.now(UTC).timestamp()
        issued, ends = claims.get("iat"), claims.get("exp")
        if str(claims.get("iss")) != self._settings.app_id:
            raise _claim("Issuer", "iss", "must be the id of a GitHub App")
        if not isinstance(issued, int) or issued > now + CLOCK_DRIFT_S:
            raise _claim("Issued at", "iat", "must be the time that the assertion was issued")
        if not isinstance(ends, int) or ends <= now:
            raise _claim("Expiration time", "exp", "must be a time in the future")
        if ends > now + MAX_JWT_LIFE_S:
            raise _claim("Expiration time", "exp", "is too far in the future")

    def _verified_claims(self, token: str) -> dict[str, object]:
        try:
            signed, _, signature = token.rpartition(".")
            head, _, body = signed.partition(".")
            key = load_pem_public_key(self._settings.app_public_key.encode())
            if not isinstance(key, RSAPublicKey) or _part(head).get("alg") != "RS256":
                raise refusal(401, UNREADABLE)
            key.verify(_bytes(signature), signed.encode(), PKCS1v15(), SHA256())
            return _part(body)
        except (ValueError, binascii.Error, InvalidSignature, UnsupportedAlgorithm) as fault:
            raise refusal(401, UNREADABLE) from fault


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _part(text: str) -> dict[str, object]:
    value: object = json.loads(_bytes(text))
    if not isinstance(value, dict):
        raise refusal(401, UNREADABLE)
    return value


def _claim(name: str, key: str, fault: str) -> Refusal:
    return refusal(401, f"'{name}' claim ('{key}') {fault}")
