"""Jobs: what may be asked of the workers. A job carries ids, never payloads.

A job is only a bell: everything it needs stands in rows, and ringing twice does no harm.
One contract test holds these classes and the actors of `workers/` equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IngestDeliveries:
    """Normalise these stored deliveries and start the workflows their events match."""

    actor: ClassVar[str] = "ingest_deliveries"
    queue: ClassVar[str] = "ingest"

    delivery_ids: tuple[UUID, ...]

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(tuple(UUID(item) for item in ids["delivery_ids"]))


@dataclass(frozen=True, slots=True)
class IngestFew(IngestDeliveries):
    """The same for the few deliveries of sources that are not to wait behind the many of others."""

    actor: ClassVar[str] = "ingest_few"
    queue: ClassVar[str] = "runs"


@dataclass(frozen=True, slots=True)
class IngestOneByOne(IngestDeliveries):
    """The same for deliveries that a worker has perhaps been lost with: each by itself."""

    actor: ClassVar[str] = "ingest_one_by_one"


@dataclass(frozen=True, slots=True)
class AdvanceRun:
    """Carry one run on until it ends or has to wait."""

    actor: ClassVar[str] = "advance_run"
    queue: ClassVar[str] = "runs"

    run_id: UUID

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(UUID(ids["run_id"]))


@dataclass(frozen=True, slots=True)
class AdvanceRunInBulk(AdvanceRun):
    """The same for a run that is one of many: nobody waits for just this one.

    A new run, a branch that begins, and what the sweeper finds in a backlog.
    """

    actor: ClassVar[str] = "advance_run_in_bulk"
    queue: ClassVar[str] = "bulk_runs"


@dataclass(frozen=True, slots=True)
class PerformPoll:
    """Ask a vendor once what no webhook tells."""

    actor: ClassVar[str] = "perform_poll"
    queue: ClassVar[str] = "polls"

    poll_id: UUID

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(UUID(ids["poll_id"]))


@dataclass(frozen=True, slots=True)
class ReadBackDelivery:
    """Ask the vendor what a delivery that proves little really speaks of."""

    actor: ClassVar[str] = "read_back_delivery"
    queue: ClassVar[str] = "read_backs"

    delivery_id: UUID

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(UUID(ids["delivery_id"]))


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Go on comparing a vendor's record with what a source has stored."""

    actor: ClassVar[str] = "reconcile"
    queue: ClassVar[str] = "polls"

    reconciliation_id: UUID

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(UUID(ids["reconciliation_id"]))


@dataclass(frozen=True, slots=True)
class PerformBulk:
    """Go on doing one thing to everything that a filter finds."""

    actor: ClassVar[str] = "perform_bulk"
    queue: ClassVar[str] = "polls"

    bulk_job_id: UUID

    @classmethod
    def from_ids(cls, ids: Mapping[str, Any]) -> Self:
        """Read the job back from its message: ids as text under the field's name."""
        return cls(UUID(ids["bulk_job_id"]))


Job = (
    IngestDeliveries
    | IngestFew
    | IngestOneByOne
    | AdvanceRun
    | AdvanceRunInBulk
    | PerformPoll
    | ReadBackDelivery
    | Reconcile
    | PerformBulk
)
JOBS: tuple[type[Job], ...] = (
    IngestDeliveries,
    IngestFew,
    IngestOneByOne,
    AdvanceRun,
    AdvanceRunInBulk,
    PerformPoll,
    ReadBackDelivery,
    Reconcile,
    PerformBulk,
)
