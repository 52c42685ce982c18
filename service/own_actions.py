"""Actions on our own rows. They are performed inside the run's transaction: done once by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.alerts import AlertOutputs, OpenParams, ResolveParams, open_alert, resolve_alert
from service.own_events import Announce
from service.unit_of_work import UnitOfWork
from service.vendors.base import Outputs, Params


@dataclass(frozen=True, slots=True)
class OwnContext:
    """What an action on our own rows is given."""

    work: UnitOfWork
    now: datetime
    run_id: UUID
    event_id: UUID
    announce: Announce


@dataclass(frozen=True, slots=True)
class OwnAction:
    """An action without an outside call. Shadowed runs do not perform it."""

    name: str
    summary: str
    params: type[Params]
    outputs: type[Outputs]
    perform: Callable[[OwnContext, Any], Outputs]


def _open(context: OwnContext, params: OpenParams) -> AlertOutputs:
    return open_alert(
        context.work,
        params,
        now=context.now,
        announce=context.announce,
        event_id=context.event_id,
        run_id=context.run_id,
    )


def _resolve(context: OwnContext, params: ResolveParams) -> AlertOutputs:
    return resolve_alert(context.work, params, now=context.now, announce=context.announce)


OWN_ACTIONS: tuple[OwnAction, ...] = (
    OwnAction(
        name="alert.open",
        summary="Open the alert of a key, or bring the open one up to date.",
        params=OpenParams,
        outputs=AlertOutputs,
        perform=_open,
    ),
    OwnAction(
        name="alert.resolve",
        summary="Resolve the alert of a key; nothing happens when none is open.",
        params=ResolveParams,
        outputs=AlertOutputs,
        perform=_resolve,
    ),
)
