"""Checkly's twin as every test finds it, and who calls it."""

from __future__ import annotations

from typing import Any

from examples.twins.launch import TwinProcess

ACCOUNT = "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"
CREDENTIALS = {"api_key": "checkly-key", "account_id": ACCOUNT}
SECRET = "checkly-webhook-secret"


def install(process: TwinProcess, **settings: Any) -> TwinProcess:
    """Runs move only when the test moves the clock: one phase is 1000 s."""
    usual: dict[str, Any] = {
        "pace": 1000,
        "receiver": None,
        "secret": SECRET,
        "retry_pause_s": 0.01,
        "timestamp_unit": "ms",
        "arrays": "repeat",
        "time_unit": "s",
        "newest_first": True,
        "rows_name_result": False,
        "retry_after": False,
    }
    process.set(**{**usual, **settings})
    process.limit("api", limit=600, window_s=60)
    return process
