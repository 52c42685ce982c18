"""What people do with alerts: take one on, or say that it is over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog

from service import alerts, audit
from service.db import Database
from service.own_events import Announce
from service.queue import Queue
from service.tokens import Caller
from service.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)


def acknowledge(
    database: Database,
    queue: Queue,
    alert_id: UUID,
    *,
    note: str | None,
    caller: Caller,
    now: datetime,
    announce: Announce,
) -> None:
    """Take an open alert on; once is enough. Raises NotFound, and Conflict when it is resolved."""
    with unit_of_work(database, queue) as work:
        found = alerts.acknowledge_alert(
            work, alert_id, who=caller.label, note=note, now=now, announce=announce
        )
        if found.changed or note is not None:
            audit.record(
                work.session, caller, "alert.ack", str(alert_id), now=now, details={"note": note}
            )
    log.info("alert_acknowledged", alert_id=str(alert_id), who=caller.label)


def resolve(
    database: Database,
    queue: Queue,
    alert_id: UUID,
    *,
    note: str | None,
    caller: Caller,
    now: datetime,
    announce: Announce,
) -> None:
    """Say that an alert is over; once is enough. Raises NotFound."""
    with unit_of_work(database, queue) as work:
        found = alerts.resolve_one(
            work, alert_id, who=caller.label, note=note, now=now, announce=announce
        )
        if found.changed or note is not None:
            audit.record(
                work.session,
                caller,
                "alert.resolve",
                str(alert_id),
                now=now,
                details={"note": note},
            )
    log.info("alert_resolved", alert_id=str(alert_id), who=caller.label)
