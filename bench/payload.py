"""The delivery that is sent: a fixed JSON document of 2048 bytes, signed as GitHub signs."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

SECRET = "bench-secret-0123456789abcdef"
BODY_BYTES = 2048
LEFT_BYTES = 148


def body_of(size: int) -> bytes:
    """Give a JSON document of so many bytes, at least 400."""
    tests: list[dict[str, Any]] = []
    run = {
        "id": 4711,
        "status": "failed",
        "url": "https://example.test/runs/4711",
        "tests": tests,
    }
    body: dict[str, Any] = {
        "event": "run.failed",
        "id": "evt_0001",
        "suite": "checkout",
        "run": run,
    }
    while len(_dump(body)) < size - LEFT_BYTES:
        number = len(tests)
        tests.append(
            {
                "n": number,
                "name": f"test case number {number}",
                "ok": number % 3 > 0,
                "ms": 120 + number,
            }
        )
    body["pad"] = "x" * (size - len(_dump(body)) - len(',"pad":""'))
    dumped = _dump(body)
    assert len(dumped) == size
    return dumped


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def signature_of(body: bytes) -> str:
    """Sign as GitHub does."""
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


BODY = body_of(BODY_BYTES)
SIGNATURE = signature_of(BODY)
PLAIN_HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "GitHub-Hookshot/044aadd"),
    ("X-GitHub-Event", "check_run"),
)
HEADERS = (*PLAIN_HEADERS, ("X-Hub-Signature-256", SIGNATURE))
ID_HEADER = "X-GitHub-Delivery"
"""Signed over the body alone, so that the id may differ from request to request."""
