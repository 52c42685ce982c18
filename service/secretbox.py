"""Secrets at rest: sealed with the first key, opened with any (contract §3, SECRET_KEYS)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from schemas.events import Json
from service.errors import ConfigurationError


class SecretBox:
    """Seals JSON values. A key is any long text; it is hashed to the 32 bytes Fernet needs."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigurationError("no secret key was given")
        self._fernet = MultiFernet(
            [
                Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))
                for key in keys
            ]
        )

    def seal(self, value: Json) -> bytes:
        """Give the encrypted and authenticated form of a JSON value."""
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, sealed: bytes) -> Json:
        """Give the value back. Raises ConfigurationError when no key fits."""
        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise ConfigurationError(
                "a stored secret cannot be opened with any of HOOKWRIGHT_SECRET_KEYS",
                hint="add the key it was sealed with to the end of the list",
            ) from error
