"""What CheckView's webhooks say in our words. It proves nothing: `truth.py` reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.events import EventDraft, Json
from service.vendors.base import Delivery, dig
from service.vendors.checkview.facts import TYPES, UNKNOWN, fact_of, outcome_of, run_facts
from service.vendors.checkview.options import CheckViewOptions, Outcome
from service.vendors.checkview.payloads import TestRun
from service.vendors.reading import as_name, body_id, first_text, read_object

_STATUS_OF: Mapping[str, Outcome] = MappingProxyType(
    {
        "test_flow.started": "running",
        "test_flow.passed": "passed",
        "test_flow.failed": "failed",
        "test_flow.error": "error",
        "test_flow.cancelled": "cancelled",
    }
)
EVENTS: Mapping[str, str] = MappingProxyType(
    {name: TYPES[status] for name, status in _STATUS_OF.items()}
)
"""The names of events, which are assumed (vendors.md §3.1); options can add to them."""

_OUTCOME_OF = {type_: outcome for outcome, type_ in TYPES.items()}


def delivery_key(delivery: Delivery, options: CheckViewOptions) -> str:
    """Give run id and status; else the body's digest with the stretch of time it came in."""
    run_id = body_id(delivery, options.run_id_paths)
    word = body_id(delivery, options.status_paths) or body_id(delivery, options.event_paths)
    if run_id and word:
        return fact_of(run_id, word.lower())
    window = options.digest_window_s
    stretch = int(delivery.received_at.timestamp()) // window if window else 0
    return f"{delivery.body_digest()}:{stretch}"


def normalise(delivery: Delivery, options: CheckViewOptions) -> list[EventDraft]:
    """Give the one event. The run's own status goes before the event's name.

    Raises ValueError when the body is no JSON object.
    """
    body = read_object(delivery.body)
    name = first_text(body, options.event_paths)
    named = None if name is None else options.events.get(name) or EVENTS.get(name)
    status_text = first_text(body, options.status_paths)
    outcome = outcome_of(status_text, options.statuses)
    vendor_type = as_name(name or status_text or UNKNOWN)
    type_ = other = f"checkview.{vendor_type}"
    if name is not None and named is None:
        # It tells of something else, although it may well have a run with a status in it.
        outcome = None
    else:
        outcome = outcome or _OUTCOME_OF.get(named or "")
        type_ = TYPES.get(outcome, other) if outcome else other
    run = _run_of(body, options)
    return [
        EventDraft(
            type=type_,
            vendor_type=vendor_type,
            subject=run.id,
            time=run.finished_at or run.started_at,
            facts=run_facts(run, outcome or UNKNOWN).model_dump(mode="json"),
            payload=body,
            fact=fact_of(run.id, outcome) if run.id and outcome else "",
        )
    ]


def _run_of(body: dict[str, Json], options: CheckViewOptions) -> TestRun:
    """Give the run that the body tells of, wherever its parts lie."""
    lies_in = next((there for path in options.run_paths if (there := _object(body, path))), body)
    run = dict(lies_in)
    for member, paths in (
        ("test_flow", options.flow_paths),
        ("website", options.website_paths),
    ):
        found = next((there for path in paths if (there := _object(body, path))), None)
        if found is not None:
            run[member] = found
    flow_id, run_id = (
        first_text(body, paths) for paths in (options.flow_id_paths, options.run_id_paths)
    )
    if flow_id and "test_flow" not in run:
        run["test_flow"] = {"id": flow_id}
    return TestRun.model_validate({**run, "id": run_id})


def _object(body: Json, path: str) -> dict[str, Json] | None:
    found = dig(body, path)
    return found if isinstance(found, dict) else None
