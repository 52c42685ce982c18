"""What tells runs and deliveries apart at a glance: replays, why something failed, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.cli.output import reason_with_fault

Row = Mapping[str, Any]

_TO_DO = {
    "dead": "mend the cause, then: hookwright delivery replay {id}",
    "malformed": "compare the body with what {vendor} documents; once it can be read: "
    "hookwright delivery replay {id}",
    "unconfirmed": "check the options and paths of its connection; if those are right, somebody "
    "else knows the path token. To ask once more: hookwright delivery replay {id}",
}


def replay_mark(run: Row) -> str:
    """Say that a run was started anew for its event; nothing for one that was not.

    An older server does not tell.
    """
    return f"replay {run['replay']}" if run.get("replay") else ""


def by_whom(run: Row) -> str:
    """Say who started a run, and with which work in bulk; nothing when its event did by itself."""
    if not run.get("started_by"):
        return replay_mark(run)
    by = f"by {run['started_by']}" + (
        f" with bulk {run['bulk_job_id']}" if run.get("bulk_job_id") else ""
    )
    return f"{replay_mark(run) or 'started'} {by}"


def why_run(run: Row) -> str | None:
    """Say why a run failed, was skipped or was cancelled."""
    error = run["error"]
    if error:
        return reason_with_fault(error.get("message") or str(error), error.get("fault"))
    return run["reason"] if run["status"] in {"skipped", "cancelled"} else None


def why_delivery(row: Row) -> str | None:
    """Say why a delivery gave no events."""
    return reason_with_fault(row["error"], row.get("fault"))


def to_do_delivery(row: Row) -> str | None:
    """Say what somebody does with a delivery that gave no events."""
    words = _TO_DO.get(row["state"])
    if words is None:
        return None
    said = words.format(id=row["id"], vendor=row["vendor"])
    if row.get("fault"):
        said = f"look in the log for fault={row['fault']}; {said}"
    return said
