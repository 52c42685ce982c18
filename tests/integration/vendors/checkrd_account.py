"""Checkrd's twin as every test finds it, and who calls it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from examples.twins.launch import TwinProcess
from service.vendors.checkrd import VENDOR
from service.vendors.checkrd.client import CheckrdClient
from tests.integration.vendors.conftest import Caller

SECRET = "checkrd-webhook-secret"
LOGIN = {"jwt": "jwt_twin"}
RENEWED = {"jwt": "jwt_twin", "refresh_token": "refresh_twin"}
KEY = {"api_key": "ck_test_twin"}
START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def install(process: TwinProcess) -> TwinProcess:
    process.set(
        pace=0,
        receiver=None,
        role="admin",
        key_scope="control",
        heartbeat_s=15,
        write_s=0,
        hits_to_fire=1,
        token_s=900,
        rotate_refresh=False,
        plan="team",
        jwt="jwt_twin",
        refresh_token="refresh_twin",
        key="ck_test_twin",
        own_ids=False,
        body="notification",
    )
    process.limit("api", rate_per_s=10_000, burst=10_000)
    process.limit("telemetry", limit=None)
    return process


def caller_of(twin: TwinProcess, credentials: dict[str, str] = LOGIN, **options: Any) -> Caller:
    given = {"per_minute": 60_000, **options}
    return Caller(VENDOR, twin.url, credentials, given)


def client_of(caller: Caller) -> CheckrdClient:
    return CheckrdClient.of(caller.context())
