"""VibeView's event catalog and the envelopes of its events (reference 1.1)."""

from datetime import datetime
from uuid import uuid4

from examples.twins.clock import zoneless

# type, category, description, on by default
CATALOG: tuple[tuple[str, str, str, bool], ...] = (
    ("run.started", "tests", "A suite or standalone run begins", False),
    ("run.passed", "tests", "Every case passed", True),
    ("run.failed", "tests", "One or more failures", True),
    ("run.cancelled", "tests", "Cancelled mid-run, or the device session timed out", False),
    ("case.failed", "tests", "One case of a suite failed", False),
    ("run.warning.flaky", "tests", "Mixed results over recent runs", False),
    ("run.warning.slow", "tests", "Longer than twice the suite's median", False),
    ("run.warning.ai_fallback_used", "tests", "Replay failed and AI took over", False),
    ("run.warning.byok_quota_low", "tests", "Own-key provider signals rate limiting", False),
    ("visual.regression_warning", "visual", "Warn tier crossed, fail tier not", False),
    ("visual.regression_detected", "visual", "Fail tier crossed; the step fails", True),
    ("visual.run_completed_with_regressions", "visual", "A run ended with regressions", True),
    ("visual.baseline_updated", "visual", "Baseline accepted, replaced or deleted", False),
    ("app.uploaded", "platform", "A new app build was uploaded", False),
    ("billing.credits_low", "billing", "Credit is low", True),
    ("billing.credits_depleted", "billing", "Credit is used up", True),
    ("billing.topup_completed", "billing", "Credit was bought", False),
    ("billing.plan_changed", "billing", "The plan was changed", False),
    ("billing.payment_failed", "billing", "A payment failed", True),
)
EVENT_TYPES = frozenset(row[0] for row in CATALOG)
ON_BY_DEFAULT = tuple(row[0] for row in CATALOG if row[3])


def show_catalog() -> list[dict[str, object]]:
    """The catalog as the vendor lists it."""
    return [
        {"type": kind, "category": category, "description": text, "default": on}
        for kind, category, text, on in CATALOG
    ]


def make_envelope(event: str, *, data: dict[str, object], now: datetime) -> dict[str, object]:
    """An envelope with a fresh event id."""
    return {
        "id": f"evt_{uuid4().hex[:26].upper()}",
        "event": event,
        "created_at": zoneless(now),
        "organization_id": 1,
        "data": data,
    }


def typical_data(event: str, *, balance: dict[str, object]) -> dict[str, object]:
    """What an event of this type carries, for a suite of the reference's sample."""
    if event == "app.uploaded":
        return _app()
    return _billing(balance) if event.startswith("billing.") else _run(event)


def merge(base: dict[str, object], over: dict[str, object]) -> dict[str, object]:
    """`base` with the members of `over`, objects merged member by member, arrays replaced."""
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[name] = merge(known, value) if both else value  # type: ignore[arg-type]  # both are objects
    return merged


def _app() -> dict[str, object]:
    return {
        "app_id": "app_7hk2",
        "app_name": "Acme Shop",
        "platform": "ios",
        "build_id": 318,
        "version": "4.12.0",
        "build_number": "2207",
        "uploaded_by": "ci@acme.example",
    }


def _billing(balance: dict[str, object]) -> dict[str, object]:
    names = ("allowance_micro", "prepaid_micro", "plan_period_end", "low_balance")
    return {name: balance[name] for name in names}


def _run(event: str) -> dict[str, object]:
    failed = event in {"run.failed", "case.failed", "visual.regression_detected"}
    visual = None
    if event.startswith("visual."):
        visual = "fail" if event == "visual.regression_detected" else "warn"
    case_status = "failed" if failed else "passed"
    status = {"run.started": "running", "run.cancelled": "cancelled"}.get(event, case_status)
    case = {
        "case_name": "Open profile",
        "run_id": "run_pq",
        "status": case_status,
        "visual_regression_status": visual,
        "duration_ms": 4200,
        "url": "https://vibeview.io/tests/runs/run_pq",
    }
    return {
        "type": "suite_run",
        "run_id": "sr9def456y",
        "suite_id": "suite_abc123",
        "suite_name": "Login Flow",
        "status": status,
        "passed": 4 if failed else 5,
        "failed": int(failed),
        "visual_regression_status": visual,
        "commit_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "duration_ms": 300000,
        "run_url": "https://vibeview.io/tests/runs/sr9def456y",
        "case_runs": [case],
        "metadata": {
            "pr_number": 42,
            "repo": "acme-co/webapp",
            "branch": "feature/checkout",
        },
    }
