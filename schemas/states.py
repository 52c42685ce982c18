"""How far things have come: the states that rows, answers and commands speak of."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """How far a stored delivery has come."""

    RECEIVED = "received"
    INGESTED = "ingested"
    MALFORMED = "malformed"
    """Authentic, kept, but not what its vendor documents: it gave no events."""
    UNCONFIRMED = "unconfirmed"
    """Its vendor, asked over its API, knows nothing of what it speaks of: it gave no events."""
    DEAD = "dead"
    """Ingesting it failed for good; a redelivery or a replay tries again."""


class ReconciliationState(StrEnum):
    """How far a comparison with a vendor's record has come."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class GapState(StrEnum):
    """What became of an entry of a vendor's record that we did not have."""

    FOUND = "found"
    ASKED = "asked"
    """The vendor was asked to send it once more, and it has not come yet."""
    FILLED = "filled"
    """Its delivery has come, or its events were read from the vendor's API."""
    OPEN = "open"
    """It could be had in no way; `error` says why."""


class EffectState(StrEnum):
    """What is known of a call that changes something outside."""

    INTENDED = "intended"
    MADE = "made"
    NOT_MADE = "not_made"
    IN_DOUBT = "in_doubt"
    SHADOWED = "shadowed"


class AlertState(StrEnum):
    """The life of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How urgent an alert is, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
