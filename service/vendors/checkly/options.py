"""Options of a Checkly source: what the vendor leaves open about the headers of its webhooks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.signatures import HeaderName
from service.vendors.base import Options


class ChecklyOptions(Options):
    """How one Checkly webhook arrives. The vendor does not sign the time of sending.

    Lateness therefore keeps late deliveries out and is no proof against a replay.
    """

    signature_header: HeaderName = Field(
        default="x-checkly-signature", min_length=1, description="The header with the signature."
    )
    timestamp_header: HeaderName = Field(
        default="x-checkly-timestamp",
        min_length=1,
        description="The header with the time of sending.",
    )
    timestamp_unit: Literal["auto", "s", "ms", "iso"] = Field(
        default="auto",
        description="How that time is written: Unix seconds, milliseconds, ISO text, or any.",
    )
    max_lateness_s: int | None = Field(
        default=None,
        ge=1,
        description="Deliveries sent more seconds ago, or ahead, are refused; none takes any age.",
    )
