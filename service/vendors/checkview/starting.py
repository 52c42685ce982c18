"""Starting runs and audits: once, also when the answer is lost.

A start carries our idempotency key, which the vendor knows for 60 minutes. Within them a lost
answer is looked up by the same call with the same key, which is answered as the first time was.
Later the same key would start a second run: then the list is asked whether anything can have come
of the first call, and where that cannot be told a person decides. That is why these actions are
done ONCE and do not rely on the vendor's key alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import Field, model_validator

from schemas.events import Json
from service.errors import Permanent
from service.vendors.base import CallContext, Done, Params
from service.vendors.checkview.asking import Text, audit_outputs, client_of, run_outputs
from service.vendors.checkview.client import of_flow
from service.vendors.checkview.options import CheckViewConnectionOptions

RUN_TEST_FLOW = "checkview.run_test_flow"
CREATE_UX_AUDIT = "checkview.create_ux_audit"
CLOCK_SKEW = timedelta(minutes=5)
_V7 = 7


class RunTestFlowParams(Params):
    """Which test flow to run."""

    test_flow_id: Text = Field(description="The test flow's id at CheckView.")
    body: dict[str, Json] = Field(
        default_factory=dict,
        description="What to send along; CheckView publishes nothing that it takes.",
    )


def run_test_flow(context: CallContext, params: RunTestFlowParams) -> Done:
    """Start a run of a test flow."""
    run = client_of(context).run_test_flow(
        params.test_flow_id, idempotency_key=context.idempotency_key, body=params.body
    )
    return Done(run_outputs(context, run), reference={"test_run_id": run.id})


def look_up_run(context: CallContext, params: RunTestFlowParams) -> Done | None:
    """Give the run of a call whose answer was lost; None when certainly none came of it."""
    if _key_is_known(context):
        return run_test_flow(context, params)
    ours = {reference.get("test_run_id") for reference in context.earlier(RUN_TEST_FLOW)}
    page = client_of(context).test_runs_page(test_flow_id=params.test_flow_id)
    runs = of_flow(page.rows, params.test_flow_id)
    rows = [(run.id, run.listed_at) for run in runs if run.id not in ours]
    _refuse_doubt(context, rows, is_whole=page.next is None, what="test run")
    return None


class CreateUxAuditParams(Params):
    """What to audit: a website by its id, or an address."""

    website_id: Text | None = Field(default=None, description="The website's id at CheckView.")
    url: Text | None = Field(default=None, description="The address to audit.")
    body: dict[str, Json] = Field(
        default_factory=dict, description="What else to send along, as CheckView wants it."
    )

    @model_validator(mode="after")
    def _need_something(self) -> CreateUxAuditParams:
        if not (self.website_id or self.url or self.body):
            message = "give website_id or url"
            raise ValueError(message)
        return self


def create_ux_audit(context: CallContext, params: CreateUxAuditParams) -> Done:
    """Start a UX audit."""
    audit = client_of(context).create_ux_audit(
        idempotency_key=context.idempotency_key,
        website_id=params.website_id,
        url=params.url,
        body=params.body,
    )
    return Done(audit_outputs(context, audit), reference={"ux_audit_id": audit.id})


def look_up_audit(context: CallContext, params: CreateUxAuditParams) -> Done | None:
    """Give the audit of a call whose answer was lost; None when certainly none came of it."""
    if _key_is_known(context):
        return create_ux_audit(context, params)
    ours = {reference.get("ux_audit_id") for reference in context.earlier(CREATE_UX_AUDIT)}
    page = client_of(context).ux_audits_page()
    rows = [(audit.id, audit.created_at) for audit in page.rows if audit.id not in ours]
    _refuse_doubt(context, rows, is_whole=page.next is None, what="UX audit")
    return None


def _began(context: CallContext) -> datetime | None:
    """Give a time before which the call was certainly not made first: the run's beginning.

    The key begins with the run's id, a UUIDv7; None when it does not.
    """
    try:
        run_id = UUID(context.idempotency_key.partition(":")[0])
    except ValueError:
        return None
    if run_id.version != _V7:
        return None
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)


def _key_is_known(context: CallContext) -> bool:
    """Say whether the vendor certainly still knows the key, so that the call may be repeated."""
    connection: CheckViewConnectionOptions = context.options
    began = _began(context)
    return began is not None and context.now - began < connection.key_lasts - CLOCK_SKEW


def _refuse_doubt(
    context: CallContext,
    rows: Iterable[tuple[str | None, datetime | None]],
    *,
    is_whole: bool,
    what: str,
) -> None:
    """Raise Permanent when one of the rows may be ours, or older ones are needed to tell."""
    began = _began(context)
    since = None if began is None else began - CLOCK_SKEW
    rows = list(rows)
    perhaps = [id_ or "?" for id_, at in rows if since is None or at is None or at >= since]
    if perhaps or not (is_whole or rows):
        named = ", ".join(perhaps[:5]) or "unknown"
        raise Permanent(
            f"CheckView's answer to an earlier try is lost and its idempotency key has ended; "
            f"whether a {what} began is open (it may be: {named})",
            hint=f"look for the {what} at CheckView, then settle the step",
        )
