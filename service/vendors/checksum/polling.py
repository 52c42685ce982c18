"""What must be asked of Checksum, since it sends no webhooks: runs, heals and bugs."""

from __future__ import annotations

from service.vendors.base import Poll
from service.vendors.checksum.bug_poll import BugsOptions, ask_bugs
from service.vendors.checksum.heal_poll import HealBatchesOptions, ask_heal_batches
from service.vendors.checksum.run_poll import RunsOptions, ask_runs

POLLS = (
    Poll(
        name="runs",
        summary="Test runs that have ended",
        options=RunsOptions,
        ask=ask_runs,
    ),
    Poll(
        name="heal_batches",
        summary="Heals of failed runs that have begun or ended",
        options=HealBatchesOptions,
        ask=ask_heal_batches,
    ),
    Poll(
        name="bugs",
        summary="Bugs of the health dashboard that are new or have changed",
        options=BugsOptions,
        ask=ask_bugs,
    ),
)
