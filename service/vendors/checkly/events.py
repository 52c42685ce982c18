"""Checkly's alerts in our words: delivery key, table of names, facts.

The body is ours: the vendor fills the template of `guide.py`. The same facts are made of the
entries of the vendor's own list of alerts, so that an alert is one event whichever way it came.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.events import CertificateFacts, CheckFacts, EventDraft, Json
from service.vendors.base import Delivery
from service.vendors.checkly.options import ChecklyOptions
from service.vendors.checkly.payloads import Alert
from service.vendors.reading import as_key, as_name, as_text, body_id, read_object

# The vendor's alert states (checklyhq.com/docs/alerting-and-retries/alert-states, vendors.md §2.1).
EVENTS: Mapping[str, str] = {
    "NO_ALERT": "checkly.no_alert",
    "ALERT_FAILURE": "check.failed",
    "ALERT_DEGRADED_FAILURE": "check.failed",
    "ALERT_DEGRADED": "check.degraded",
    "ALERT_FAILURE_DEGRADED": "check.degraded",
    "ALERT_FAILURE_REMAIN": "check.still_failing",
    "ALERT_DEGRADED_REMAIN": "check.still_failing",
    "ALERT_RECOVERY": "check.recovered",
    "ALERT_DEGRADED_RECOVERY": "check.recovered",
    "ALERT_SSL": "certificate.expiring",
}
TYPES: Mapping[str, str] = {**EVENTS, "*": "checkly.*"}
STATUSES: Mapping[str, str] = {
    "ALERT_FAILURE": "failed",
    "ALERT_DEGRADED_FAILURE": "failed",
    "ALERT_FAILURE_REMAIN": "failed",
    "ALERT_DEGRADED": "degraded",
    "ALERT_DEGRADED_REMAIN": "degraded",
    "ALERT_FAILURE_DEGRADED": "degraded",
    "ALERT_RECOVERY": "passed",
    "ALERT_DEGRADED_RECOVERY": "passed",
}
_RESULT_ID = ("check_result_id",)
_ALERT_TYPE = ("alert_type",)


def delivery_key(delivery: Delivery, _options: ChecklyOptions) -> str:
    """Give result id and type of the alert, else the body's digest.

    One result may give two alerts, so the id alone is not enough. The vendor sends no id of its
    own.
    """
    result_id = body_id(delivery, _RESULT_ID)
    alert_type = body_id(delivery, _ALERT_TYPE)
    if result_id is None or alert_type is None:
        return delivery.body_digest()
    return alert_key(result_id, alert_type)


def alert_key(result_id: str, alert_type: str) -> str:
    """Give the key under which an alert's webhook is stored."""
    return as_key(f"{result_id}:{alert_type}")


def normalise(delivery: Delivery, _options: ChecklyOptions) -> list[EventDraft]:
    """Give the one event.

    Raises ValueError when the body is no JSON object, which a quotation mark in the name of a check
    is enough for, or when it does not say what kind of alert it is.
    """
    body = read_object(delivery.body)
    if as_text(body.get("alert_type")) is None:
        message = "the body has no alert_type: is it made by Hookwright's template?"
        raise ValueError(message)
    return [alert_event(Alert.model_validate(body), body)]


def alert_event(alert: Alert, payload: Json) -> EventDraft:
    """Give the event that an alert is."""
    name = as_name(alert.alert_type or "unknown")
    type_ = EVENTS.get(name) or f"checkly.{name}"
    fact = alert_fact(alert)
    return EventDraft(
        type=type_,
        vendor_type=name,
        subject=alert.check_id,
        time=alert.started_at,
        facts=_facts(type_, name, alert),
        payload=payload,
        fact=fact,
    )


def alert_fact(alert: Alert) -> str:
    """Give the identity of an alert; empty when the check or its time is not known.

    The vendor gives an alert no id that its webhook tells too. A check alerts once in a run, and
    the runs of a check are at least seconds apart.
    """
    if alert.check_id is None or alert.started_at is None or alert.alert_type is None:
        return ""
    second = int(alert.started_at.timestamp())
    return as_key(f"alert:{alert.check_id}:{as_name(alert.alert_type)}:{second}")


def _facts(type_: str, name: str, alert: Alert) -> dict[str, Json]:
    if type_ == "certificate.expiring":
        return CertificateFacts(
            domain=alert.ssl_check_domain,
            days_remaining=alert.ssl_days_remaining,
            check_id=alert.check_id,
            name=alert.check_name,
            url=alert.result_link,
        ).model_dump(mode="json")
    return CheckFacts(
        check_id=alert.check_id,
        name=alert.check_name,
        kind=alert.check_type,
        status=STATUSES.get(name, "unknown"),
        result_id=alert.check_result_id,
        url=alert.result_link,
        error=alert.error,
        group=alert.group,
        location=alert.location,
        response_time_ms=alert.response_time_ms,
        tags=alert.tags,
    ).model_dump(mode="json")
