"""What the steps of workflows may do at a vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.events import Json
from service.vendors.base.outgoing import CallContext


class Params(BaseModel):
    """Base of an action's parameters: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Outputs(BaseModel):
    """Base of an action's outputs, which workflows read as `steps.<id>.<field>`."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Safety(StrEnum):
    """How an action is kept from being done twice (architecture.md, life of a delivery, 5)."""

    READ = "read"
    """It changes nothing outside and may be repeated freely."""
    VENDOR_KEY = "vendor_key"
    """The vendor honours our idempotency key."""
    FIND_AND_UPDATE = "find_and_update"
    """Repeating finds what was made and updates it; calls for one target are serialised."""
    NATURAL_KEY = "natural_key"
    """It is done once for its key, ever; a doubtful outcome is in doubt."""
    ONCE = "once"
    """It is done once for its step; a doubtful outcome is in doubt."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action gives back: its outputs, and what to remember about the thing outside.

    `changed` is False when the vendor already had what was wanted and nothing was called to
    change it. A `reference` of None keeps the one there was.
    """

    outputs: Outputs
    reference: Mapping[str, Json] | None = None
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """Something a workflow step can use.

    `perform` raises Transient, RateLimited, TimedOut, ... or Permanent errors of service/errors.py.
    `key(params)` names what a NATURAL_KEY action does once; `target(params, connection options)`
    names the thing outside whose reference is kept and whose calls are serialised
    (`acme/webapp#42:visual`), or None when this call leaves nothing to come back to. `look_up`
    finds out whether a doubtful call took effect: Done when it did, None when it certainly did
    not; it raises when that cannot be told now. `key_lasts` is how long the vendor knows the key
    of a VENDOR_KEY action (None: for ever): a doubtful call is not repeated after that.
    """

    name: str
    summary: str
    params: type[Params]
    outputs: type[Outputs]
    perform: Callable[[CallContext, Any], Done]
    safety: Safety
    key: Callable[[Any], str] | None = None
    target: Callable[[Any, Any], str | None] | None = None
    look_up: Callable[[CallContext, Any], Done | None] | None = None
    key_lasts: timedelta | None = None
