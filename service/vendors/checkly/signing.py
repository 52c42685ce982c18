"""How a Checkly delivery is proven, and a body signed as Checkly would.

The signature is over the raw body alone (checklyhq.com/docs/integrations/alerts/webhooks). The time
of sending stands beside it, unsigned and in a unit that is not published.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from service.errors import SignatureError
from service.signatures import Scheme, compile_verifier, preset, sign_with, time_text
from service.vendors.base import Delivery, Secret, Signed, Verifier
from service.vendors.checkly.options import ChecklyOptions
from service.vendors.reading import as_time, as_whole, read_object


def scheme_of(options: ChecklyOptions) -> Scheme:
    """Give Checkly's scheme with the options' header."""
    return preset("checkly").changed({"signature_header": options.signature_header})


def verifier(options: ChecklyOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    prove = compile_verifier(scheme_of(options), secrets)
    lateness_s = options.max_lateness_s
    if lateness_s is None:
        return prove

    def verify(delivery: Delivery, now: datetime) -> None:
        prove(delivery, now)
        _check_lateness(delivery, now, options, lateness_s)

    return verify


def _check_lateness(
    delivery: Delivery, now: datetime, options: ChecklyOptions, lateness_s: int
) -> None:
    text = delivery.headers.one(options.timestamp_header.lower())
    if text is None:
        raise SignatureError("missing_header", "the time of sending was not sent")
    sent = sent_at(text, options)
    if sent is None:
        raise SignatureError("malformed_time", "the time of sending is malformed")
    age = (now - sent).total_seconds()
    if age > lateness_s:
        raise SignatureError("stale", f"the delivery was sent {age:.0f} s ago")
    if age < -lateness_s:
        raise SignatureError("from_the_future", f"the delivery was sent {-age:.0f} s ahead")


def sent_at(text: str, options: ChecklyOptions) -> datetime | None:
    """Read the time of sending in the unit of the options; None when it is none."""
    if options.timestamp_unit in {"auto", "iso"}:
        is_number = text.strip().isdigit()
        return None if is_number and options.timestamp_unit == "iso" else as_time(text)
    number = as_whole(text)
    if number is None:
        return None
    with suppress(ValueError, OverflowError, OSError):
        seconds = number / 1000 if options.timestamp_unit == "ms" else number
        return datetime.fromtimestamp(seconds, UTC)
    return None


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: ChecklyOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as Checkly would send it; type of alert and result id are set in an object."""
    with suppress(ValueError):  # what is no JSON is sent as it is: templates can break
        document = read_object(body)
        if event:
            document["alert_type"] = event
        if delivery_id:
            document["check_result_id"] = delivery_id
        body = json.dumps(document).encode()
    unit = "s" if options.timestamp_unit == "auto" else options.timestamp_unit
    return Signed(
        headers=(
            ("Content-Type", "application/json"),
            (options.timestamp_header, time_text(now, unit)),
            *sign_with(scheme_of(options), body, secret, now, delivery_id),
        ),
        body=body,
    )
