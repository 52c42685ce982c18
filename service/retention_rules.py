"""What is kept for how long: as it was configured, and by the name of each kind of rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from schemas.config import LONGEST_LOOK_BACK, Retention
from service.db import Session
from service.settings import Settings
from service.store.policies import read_policy

POLICY = "retention"
LOOK_BACK_SHARE = 0.9


def current_retention(session: Session) -> Retention:
    """Give what was configured, or the defaults."""
    said = read_policy(session, POLICY)
    return Retention() if said is None else Retention.model_validate(said)


def longest_look_back(session: Session) -> timedelta:
    """Give how far back a vendor's record may be compared with what is here.

    What was removed is not missing: looking further would have it sent and done once more.
    """
    return current_retention(session).deliveries * LOOK_BACK_SHARE


def plain_retention(retention: Retention) -> dict[str, object]:
    """Give the form that is stored: durations in seconds."""
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in retention.model_dump().items()
    }


def archive_directory(retention: Retention, settings: Settings) -> Path | None:
    """Give where removed rows are written to on this machine; None: nowhere."""
    named = retention.archive_directory
    return None if named is None else settings.data_dir.absolute() / named


def kept(retention: Retention) -> Mapping[str, timedelta]:
    """Give by the name of each kind how long its rows are kept."""
    others = max(retention.runs, LONGEST_LOOK_BACK)
    return {
        "deliveries": retention.deliveries,
        "runs": retention.runs,
        "events": retention.events_kept,
        "effects": retention.effects_kept,
        "alerts": retention.runs,
        # What was compared may be compared again as far back as a comparison can look.
        "gaps": others,
        "reconciliations": others,
        "bulk_jobs": retention.runs,
        "tokens": retention.audit,
        "audit_events": retention.audit,
    }
