"""Options of a Checkly source: what the vendor leaves open about the headers of its webhooks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.signatures import HeaderName
from service.vendors.base import Options


class ChecklyOptions(Options):
    """How one Checkly webhook arrives.

    `timestamp_unit` is how the time of sending is written: Unix seconds, Unix milliseconds or ISO
    text; `auto` takes any of them. The vendor does not sign that time. With `max_lateness_s`
    deliveries that were sent more than so many seconds ago, or are as far ahead, are refused; this
    keeps late ones out and is no proof against a replay. None takes deliveries of any age.
    """

    signature_header: HeaderName = Field(default="x-checkly-signature", min_length=1)
    timestamp_header: HeaderName = Field(default="x-checkly-timestamp", min_length=1)
    timestamp_unit: Literal["auto", "s", "ms", "iso"] = "auto"
    max_lateness_s: int | None = Field(default=None, ge=1)
