"""Options of a Checkrd source: the places of what the vendor's public pages leave open."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from service.signatures import HeaderName
from service.vendors.base import Options

Identity: TypeAlias = Literal["evaluation", "id"]
"""What makes an alert's change the same fact in a webhook and in the vendor's history."""


class CheckrdOptions(Options):
    """How Checkrd's webhooks arrive. The defaults are the assumptions of vendors.md §4.1.

    `tolerance_s` is the age of a signature in seconds, either way. The paths lead into the body,
    and the first that has something counts. `alert_prefixes` begin the types of what carries a
    rule's change of state; `events` adds to the table of event names, as in
    `{"agent.paused": "agent.kill_switch_changed"}`.

    `identity` says how a change is recognised in the vendor's alert history, and has to be the
    same here, in the poll and in the record: `evaluation` by rule, new state and second of the
    evaluation, which both of them carry, or `id` by the id at `history_id_paths`. An envelope whose
    `schema_version` is above `schema_version` is kept, and nothing is read from it.
    """

    signature_header: HeaderName = Field(default="Checkrd-Signature", min_length=1)
    tolerance_s: int = Field(default=300, ge=0)
    id_paths: tuple[str, ...] = ("id",)
    type_paths: tuple[str, ...] = ("type", "data.type")
    time_paths: tuple[str, ...] = ("timestamp", "data.evaluated_at", "evaluated_at")
    data_path: str = "data"
    schema_version_path: str = "schema_version"
    schema_version: int = Field(default=1, ge=1)
    alert_prefixes: tuple[str, ...] = ("alert.",)
    identity: Identity = "evaluation"
    history_id_paths: tuple[str, ...] = ("id",)
    events: dict[str, str] = Field(default_factory=dict)
