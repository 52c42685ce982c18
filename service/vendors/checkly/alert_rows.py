"""Entries of the vendor's list of alerts as events, the same that their webhooks give.

The members of such an entry are not in the reference, so where each is found is an option.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field, field_validator

from schemas.events import Json
from service.vendors.base import Options, dig
from service.vendors.checkly.payloads import Alert

PATHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "alert_type": ("alertType", "alert_type"),
        "check_id": ("checkId", "check_id"),
        "check_name": ("name", "checkName", "check_name"),
        "check_type": ("checkType", "check_type"),
        "check_result_id": ("checkResultId", "resultId", "check_result_id"),
        "group": ("groupName", "group_name"),
        "location": ("runLocation", "run_location"),
        "response_time_ms": ("responseTime", "response_time"),
        "result_link": ("resultLink", "result_link"),
        "started_at": ("startedAt", "started_at", "created_at"),
        "tags": ("tags",),
        "error": ("error", "errorMessage"),
        "ssl_days_remaining": ("sslDaysRemaining", "ssl_days_remaining"),
        "ssl_check_domain": ("sslCheckDomain", "ssl_check_domain"),
    }
)
"""Where an entry is assumed to have each member of an alert: dotted paths, of which the first that
leads to something counts."""


class AlertRowOptions(Options):
    """Where entries of the list of alerts have what.

    The check, the kind of alert and its start make up its identity: these three must be what the
    webhook's template gives.
    """

    paths: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Where an entry has what, as dotted paths under these names, which replace the "
        f"assumed ones: {', '.join(PATHS)}.",
    )

    @field_validator("paths")
    @classmethod
    def _must_be_known(cls, paths: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        unknown = sorted(paths.keys() - PATHS.keys())
        if unknown:
            message = f"unknown: {', '.join(unknown)}; known: {', '.join(PATHS)}"
            raise ValueError(message)
        return paths


def read_alert(row: Json, options: AlertRowOptions) -> Alert:
    """Read an entry of the list as the alert it is of."""
    places = {**PATHS, **options.paths}
    found: dict[str, Json] = {}
    for member, paths in places.items():
        values = (dig(row, path) for path in paths)
        found[member] = next((value for value in values if value is not None), None)
    return Alert.model_validate(found)
