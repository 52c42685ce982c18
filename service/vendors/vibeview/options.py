"""Options of a VibeView source: the places of what the vendor's public pages leave open."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.signatures import HeaderName, SecretEncoding
from service.vendors.base import Options


class VibeViewOptions(Options):
    """How one VibeView webhook arrives. The defaults are assumptions.

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
        Field(default="sha256-body", description="What the webhook is signed with.")
    )
    secret_encoding: SecretEncoding | None = Field(
        default=None, description="How the secret is read; the scheme's own way if none."
    )
    signature_header: HeaderName = Field(
        default="X-VibeView-Signature", min_length=1, description="Where the signature is."
    )
    timestamp_header: HeaderName = Field(
        default="X-VibeView-Timestamp",
        min_length=1,
        description="Where the signed time is, under `sha256-timestamp-body`.",
    )
    event_header: HeaderName = Field(
        default="X-VibeView-Event",
        min_length=1,
        description="Where the event is named, if not in the body.",
    )
    delivery_header: HeaderName = Field(
        default="X-VibeView-Delivery", min_length=1, description="Where the delivery's id is."
    )
    tolerance_s: int = Field(
        default=300,
        ge=0,
        description="How many seconds a signed time may lie in the past or the future.",
    )
    event_paths: tuple[str, ...] = Field(
        default=("event", "event_type", "type"), description="Where the body names the event."
    )
    id_paths: tuple[str, ...] = Field(
        default=("id", "event_id"), description="Where the body has the event's id."
    )
    delivery_id_paths: tuple[str, ...] = Field(
        default=("delivery_id",), description="Where the body has the delivery's id."
    )
    time_paths: tuple[str, ...] = Field(
        default=("created_at", "timestamp"), description="Where the body has the event's time."
    )
    data_path: str = Field(
        default="data", description="Where the body has what the event is about."
    )
    metadata_paths: tuple[str, ...] = Field(
        default=("metadata", "data.metadata"),
        description="Where the body has the metadata that a run was started with.",
    )
    billing_prefix: str = Field(
        default="billing.", min_length=1, description="How the names of billing events begin."
    )
    events: dict[str, str] = Field(
        default_factory=dict,
        description="VibeView's names of further events, and our names for them.",
    )
