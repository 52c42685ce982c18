"""Jobs: what may be asked of the workers. A job carries ids, never payloads.

A job is only a bell: everything it needs stands in rows, and ringing twice does no harm.
One contract test holds these classes and the actors of `workers/` equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IngestDeliveries:
    """Normalise these stored deliveries and start the workflows their events match."""

    actor: ClassVar[str] = "ingest_deliveries"
    queue: ClassVar[str] = "ingest"

    delivery_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class AdvanceRun:
    """Carry one run on until it ends or has to wait."""

    actor: ClassVar[str] = "advance_run"
    queue: ClassVar[str] = "runs"

    run_id: UUID


@dataclass(frozen=True, slots=True)
class PerformPoll:
    """Ask a vendor once what no webhook tells."""

    actor: ClassVar[str] = "perform_poll"
    queue: ClassVar[str] = "polls"

    poll_id: UUID


Job = IngestDeliveries | AdvanceRun | PerformPoll
JOBS: tuple[type[Job], ...] = (IngestDeliveries, AdvanceRun, PerformPoll)
