"""Options of a VibeView source: the places of what the vendor's public pages leave open."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.signatures import HeaderName, SecretEncoding
from service.vendors.base import Options


class VibeViewOptions(Options):
    """How one VibeView webhook arrives. The defaults are the assumptions of vendors.md §1.1.

    `scheme` is what the webhook is signed with; the receiver never tries another by itself.
    `secret_encoding` None is the scheme's own: `base64` for Standard Webhooks and Svix, `utf-8`
    (the text as displayed) otherwise. The header names are those of VibeView's own schemes;
    `tolerance_s` (seconds, either way) counts where a time is signed.

    The paths lead into the body. The delivery key is read from `id_paths` first, because a
    redelivery has the same event id and perhaps another delivery id; then from the delivery
    header, then from `delivery_id_paths`. `events` adds to the table of event names, as in
    `{"billing.balance_low": "credits.low"}`.
    """

    scheme: Literal["sha256-body", "t-v1", "sha256-timestamp-body", "standard-webhooks", "svix"] = (
        "sha256-body"
    )
    secret_encoding: SecretEncoding | None = None
    signature_header: HeaderName = Field(default="X-VibeView-Signature", min_length=1)
    timestamp_header: HeaderName = Field(default="X-VibeView-Timestamp", min_length=1)
    event_header: HeaderName = Field(default="X-VibeView-Event", min_length=1)
    delivery_header: HeaderName = Field(default="X-VibeView-Delivery", min_length=1)
    tolerance_s: int = Field(default=300, ge=0)
    event_paths: tuple[str, ...] = ("event", "event_type", "type")
    id_paths: tuple[str, ...] = ("id", "event_id")
    delivery_id_paths: tuple[str, ...] = ("delivery_id",)
    time_paths: tuple[str, ...] = ("created_at", "timestamp")
    data_path: str = "data"
    metadata_paths: tuple[str, ...] = ("metadata", "data.metadata")
    billing_prefix: str = Field(default="billing.", min_length=1)
    events: dict[str, str] = Field(default_factory=dict)
