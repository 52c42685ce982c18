"""What must never be read in a log line, an error or a page, and how it is struck out.

Lives here: the patterns of secrets as the vendors write them. Encryption of stored secrets lives in
`secretbox.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

STRUCK = "[redacted]"

_SENSITIVE_NAMES = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "checksumappcode",
        "x-gitlab-token",
        "x-buildkite-token",
        "password",
        "passphrase",
        "secret",
        "secrets",
        "credentials",
        "private-key",
        "webhook-url",
    }
)
_SENSITIVE_ENDINGS = ("-token", "-secret", "-password", "-key", "-signature")
# Words that end like a secret and name none: they identify rows and are wanted in logs.
_PLAIN_NAMES = frozenset({"delivery-key", "idempotency-key", "concurrency-key", "event-key"})

# The scheme stays readable, what follows it does not.
_NAMED = re.compile(
    r"(?i)\b((?:proxy-)?authorization|x-api-key|checksumappcode|set-cookie|cookie)"
    r"(['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\",;]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}")
_USER_INFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@")
_SLACK_WEBHOOK = re.compile(
    r"(?i)(hooks\.slack(?:-gov)?\.com/"
    r"(?:services|workflows|triggers|actions|commands|app)/)\S+"
)
# Token forms by their beginning: CheckView, Checkrd, VibeView, Slack, Standard Webhooks, GitHub,
# our own, Stripe, and JSON web tokens (VibeView's log-in).
_TOKENS = re.compile(
    r"\b(cvpat_|ck_(?:live|test)_|tok_|xox[abeoprs]-|xapp-|whsec_|gh[oprsu]_|github_pat_|hw_"
    r"|sk_(?:live|test)_)[A-Za-z0-9_+/=.-]{6,}"
)
_JSON_WEB_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)?")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)

_SHORTEST_SECRET = 6
"""Known values below this many characters are left alone: they would strike out common words."""


def is_sensitive_name(name: str) -> bool:
    """Say whether a header, field or setting of this name holds a secret."""
    plain = name.lower().replace("_", "-").strip()
    if plain in _PLAIN_NAMES:
        return False
    return plain in _SENSITIVE_NAMES or plain.endswith(_SENSITIVE_ENDINGS)


def redact(text: str, known: Iterable[str] = ()) -> str:
    """Give the text with every secret struck out.

    `known` are secret values that are struck out wherever they stand, whatever they look like.
    """
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, STRUCK)
    text = _PRIVATE_KEY.sub(STRUCK, text)
    text = _NAMED.sub(rf"\1\2{STRUCK}", text)
    text = _BEARER.sub(rf"\1\2{STRUCK}", text)
    text = _USER_INFO.sub(rf"\1{STRUCK}@", text)
    text = _SLACK_WEBHOOK.sub(rf"\1{STRUCK}", text)
    text = _TOKENS.sub(rf"\1{STRUCK}", text)
    return _JSON_WEB_TOKEN.sub(STRUCK, text)


def redact_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Give the fields of a log line: sensitive names struck out, every text redacted, any depth."""
    return {
        name: STRUCK if is_sensitive_name(name) and value is not None else _redact_value(value)
        for name, value in fields.items()
    }


def _redact_value(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return redact_fields({str(key): inner for key, inner in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(inner) for inner in value]
    return value
