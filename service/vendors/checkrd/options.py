"""Options of a Checkrd source: the places of what the vendor's public pages leave open."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from service.signatures import HeaderName
from service.vendors.base import Options

Identity: TypeAlias = Literal["evaluation", "id"]
"""What makes an alert's change the same fact in a webhook and in the vendor's history."""


class CheckrdOptions(Options):
    """How Checkrd's webhooks arrive; the defaults are assumptions.

    Paths lead into the body, with full stops between the members.
    """

    signature_header: HeaderName = Field(
        default="Checkrd-Signature", min_length=1, description="The header with the signature."
    )
    tolerance_s: int = Field(
        default=300, ge=0, description="How old or early a signature may be, in seconds."
    )
    id_paths: tuple[str, ...] = Field(
        default=("id",), description="Where the body names the delivery; the first that does."
    )
    type_paths: tuple[str, ...] = Field(
        default=("type", "data.type"),
        description="Where the body names its event; the first that does.",
    )
    time_paths: tuple[str, ...] = Field(
        default=("timestamp", "data.evaluated_at", "evaluated_at"),
        description="Where the body says when it happened; an alert's own time goes before.",
    )
    data_path: str = Field(
        default="data", description="Where the facts are; without it, the body itself has them."
    )
    schema_version_path: str = Field(
        default="schema_version", description="Where an envelope tells its version."
    )
    schema_version: int = Field(
        default=1,
        ge=1,
        description="The highest version that is read; above it a body is kept and not read.",
    )
    alert_prefixes: tuple[str, ...] = Field(
        default=("alert.",),
        description="How the names of events begin that carry an alert rule's change of state.",
    )
    identity: Identity = Field(
        default="evaluation",
        description="How a change is known in Checkrd's alert history: by rule, new state and "
        "second of the evaluation, or by the id at history_id_paths. Give poll and record the "
        "same.",
    )
    history_id_paths: tuple[str, ...] = Field(
        default=("id",), description="Where the body names the entry of the alert history."
    )
    events: dict[str, str] = Field(
        default_factory=dict,
        description="More names of events and our types for them, such as "
        '{"agent.paused": "agent.kill_switch_changed"}.',
    )
