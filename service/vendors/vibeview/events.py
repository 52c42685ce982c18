"""VibeView's events in our words: the delivery key, the tables of names, and the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.events import EventDraft, Json, VisualStatus
from service.vendors.base import Delivery, dig
from service.vendors.reading import (
    as_key,
    as_mapping,
    as_name,
    as_time,
    body_id,
    first_text,
    header_text,
    read_object,
    texts_at,
)
from service.vendors.vibeview.facts import app_facts, credit_facts, run_facts, visual_of
from service.vendors.vibeview.options import VibeViewOptions
from service.vendors.vibeview.payloads import AppData, RunData
from service.vendors.vibeview.signing import delivery_headers

# The catalog of vendors.md §1.1. The billing names are assumed, which is why options can add to
# this table; the credit alert works without any of them, by polling.
EVENTS: Mapping[str, str] = {
    "run.started": "test_run.started",
    "run.passed": "test_run.passed",
    "run.failed": "test_run.failed",
    "run.cancelled": "test_run.cancelled",
    "case.failed": "test_case.failed",
    "visual.regression_warning": "visual_regression.warned",
    "visual.regression_detected": "visual_regression.failed",
    "visual.run_completed_with_regressions": "visual_regression.warned",
    "visual.baseline_updated": "visual_regression.baseline_updated",
    "app.uploaded": "app.uploaded",
    "billing.credits_low": "credits.low",
    "billing.credits_depleted": "credits.depleted",
    "billing.topup_completed": "credits.restored",
}
KEPT = (
    "run.warning.flaky",
    "run.warning.slow",
    "run.warning.ai_fallback_used",
    "run.warning.byok_quota_low",
    "billing.plan_changed",
    "billing.payment_failed",
)
"""Events that are kept under VibeView's own name, as no family of ours has them."""

TYPES: Mapping[str, str] = {
    **EVENTS,
    **{name: f"vibeview.{name}" for name in KEPT},
    "*": "vibeview.*",
}
_RUN_WARNING = "run.warning."
_TERMINAL = frozenset(
    {
        "test_run.passed",
        "test_run.failed",
        "test_run.errored",
        "test_run.cancelled",
    }
)
# A run that broke off compared only what it had reached: that is no proof of a clean page.
_COMPLETE = frozenset({"test_run.passed", "test_run.failed"})


def delivery_key(delivery: Delivery, options: VibeViewOptions) -> str:
    """Give the event's id, else the delivery's, else the body's digest.

    The event's id comes first: a redelivery may bring another delivery id.
    """
    found = (
        body_id(delivery, options.id_paths)
        or header_text(delivery, delivery_headers(options))
        or body_id(delivery, options.delivery_id_paths)
    )
    return as_key(found) if found else delivery.body_digest()


def normalise(delivery: Delivery, options: VibeViewOptions) -> list[EventDraft]:
    """Give the event, and the visual verdict of a finished run as a second one.

    Raises ValueError when the body is no JSON object or nothing names its event.
    """
    body = read_object(delivery.body)
    vendor_type = _vendor_type(delivery, options, body)
    data = as_mapping(dig(body, options.data_path)) or body
    time = next(filter(None, (as_time(dig(body, path)) for path in options.time_paths)), None)
    event_id = first_text(body, options.id_paths)
    drafts: list[EventDraft] = []
    for type_, subject, facts in _read(vendor_type, data, _metadata(body, options), body, options):
        key = type_.partition(".")[0] if drafts else ""
        drafts.append(
            EventDraft(
                type=type_,
                vendor_type=vendor_type,
                subject=subject,
                time=time,
                facts=facts,
                payload=body,
                key=key,
                fact=fact_of("event", event_id, key) if event_id else "",
            )
        )
    return drafts


def fact_of(kind: str, name: str, key: str) -> str:
    """Give the identity of an event by an id of the vendor, the same however it reaches us."""
    return ":".join(filter(None, (kind, as_key(name), key)))


def _vendor_type(delivery: Delivery, options: VibeViewOptions, body: Json) -> str:
    """Give the vendor's name of the event.

    The body goes before the header, since only the body is signed; but a body may have a `type`
    that names the kind of its data, so a known name goes before an unknown one.
    """
    header = header_text(delivery, (options.event_header,))
    names = [*texts_at(body, options.event_paths), *([header] if header else [])]
    if not names:
        message = "neither the body nor a header names the event"
        raise ValueError(message)
    known = (name for name in names if _is_known(name, options))
    return as_name(next(known, header or names[0]))


def _is_known(name: str, options: VibeViewOptions) -> bool:
    return (
        name in options.events
        or name in EVENTS
        or name.startswith((_RUN_WARNING, options.billing_prefix))
    )


def _metadata(body: Json, options: VibeViewOptions) -> dict[str, Json]:
    merged: dict[str, Json] = {}
    for path in reversed(options.metadata_paths):
        merged.update(as_mapping(dig(body, path)))
    return merged


_Read = tuple[str, str | None, dict[str, Json]]


def _read(
    vendor_type: str,
    data: dict[str, Json],
    metadata: dict[str, Json],
    body: dict[str, Json],
    options: VibeViewOptions,
) -> Iterator[_Read]:
    """Give type, subject and facts of every event in the body."""
    type_ = options.events.get(vendor_type) or EVENTS.get(vendor_type)
    if type_ == "app.uploaded":
        app = app_facts(AppData.model_validate(data))
        yield type_, app.app_id, app.model_dump(mode="json")
    elif vendor_type.startswith(options.billing_prefix) or (type_ or "").startswith("credits."):
        credit = credit_facts(type_, data, body)
        yield type_ or f"vibeview.{vendor_type}", credit.account, credit.model_dump(mode="json")
    elif type_ is None and not vendor_type.startswith(_RUN_WARNING) and "run_id" not in data:
        yield f"vibeview.{vendor_type}", None, {}
    else:
        run = RunData.model_validate(data)
        type_ = _run_type(vendor_type, type_, run)
        facts = run_facts(vendor_type, type_, run, metadata, (data, body))
        written = facts.model_dump(mode="json")
        yield type_ or f"vibeview.{vendor_type}", facts.run_id, written
        verdict = _verdict(facts.visual) if type_ in _TERMINAL else None
        if verdict and (verdict != "visual_regression.cleared" or type_ in _COMPLETE):
            yield verdict, facts.run_id, written


def _run_type(vendor_type: str, type_: str | None, run: RunData) -> str | None:
    if type_ == "test_run.failed" and run.status == "error":
        return "test_run.errored"
    if (
        vendor_type == "visual.run_completed_with_regressions"
        and visual_of(vendor_type, run) == "fail"
    ):
        return "visual_regression.failed"
    return type_


def _verdict(visual: VisualStatus | None) -> str | None:
    return {
        "ok": "visual_regression.cleared",
        "warn": "visual_regression.warned",
        "fail": "visual_regression.failed",
        None: None,
    }[visual]
