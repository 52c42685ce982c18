"""How the twins sign what they send (reference 0.1, 1.1, 6.1, 7.1, 9)."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

Signed = dict[str, str]
Signer = Callable[[str, bytes, str, int], Signed]


def sign_github(secret: str, body: bytes) -> Signed:
    """GitHub's two headers: SHA-256 and the old SHA-1, both over the raw body."""
    old = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={_hex(secret, body)}", "X-Hub-Signature": f"sha1={old}"}


def sign_slack(secret: str, body: bytes, timestamp: int) -> Signed:
    """Slack's signature over `v0:{timestamp}:{body}`."""
    content = b"v0:%d:" % timestamp + body
    return {
        "X-Slack-Signature": f"v0={_hex(secret, content)}",
        "X-Slack-Request-Timestamp": str(timestamp),
    }


def _sha256_body(secret: str, body: bytes, _: str, __: int) -> Signed:
    return {"X-VibeView-Signature": f"sha256={_hex(secret, body)}"}


def _t_v1(secret: str, body: bytes, _: str, timestamp: int) -> Signed:
    content = b"%d." % timestamp + body
    return {"X-VibeView-Signature": f"t={timestamp},v1={_hex(secret, content)}"}


def _sha256_timestamp_body(secret: str, body: bytes, _: str, timestamp: int) -> Signed:
    content = b"%d." % timestamp + body
    return {
        "X-VibeView-Signature": f"sha256={_hex(secret, content)}",
        "X-VibeView-Timestamp": str(timestamp),
    }


def _standard(prefix: str) -> Signer:
    def sign(secret: str, body: bytes, message_id: str, timestamp: int) -> Signed:
        key = secret.encode()
        if secret.startswith("whsec_"):
            key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{message_id}.{timestamp}.".encode() + body
        digest = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return {
            f"{prefix}-id": message_id,
            f"{prefix}-timestamp": str(timestamp),
            f"{prefix}-signature": f"v1,{digest}",
        }

    return sign


VIBEVIEW_SCHEMES: Mapping[str, Signer] = {
    "sha256-body": _sha256_body,
    "t-v1": _t_v1,
    "sha256-timestamp-body": _sha256_timestamp_body,
    "standard": _standard("webhook"),
    "svix": _standard("svix"),
}


def _hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
