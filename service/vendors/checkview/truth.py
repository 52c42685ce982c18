"""What really happened: a webhook is only a hint, and the run is read by the API."""

from __future__ import annotations

from http import HTTPStatus

from schemas.events import EventDraft
from service.errors import Refused, Transient
from service.vendors.base import CallContext, Delivery
from service.vendors.checkview.client import CheckViewClient, of_flow
from service.vendors.checkview.facts import event_of, has_ended
from service.vendors.checkview.options import CheckViewConnectionOptions, CheckViewOptions
from service.vendors.checkview.payloads import TestRun
from service.vendors.reading import first_text, read_object


def read_back(
    context: CallContext, delivery: Delivery, options: CheckViewOptions
) -> list[EventDraft]:
    """Give the event of the run that the delivery names, whatever the body says of it.

    A body that names a flow only stands for the flow's newest run that had been made when the
    delivery came. Raises Transient while the run has not ended, Refused when the vendor does not
    know it or gives another, ValueError when the body is no JSON object or names nothing.
    """
    body = read_object(delivery.body)
    client = CheckViewClient(context.http, context.options)
    connection: CheckViewConnectionOptions = context.options
    run_id = first_text(body, options.run_id_paths)
    flow_id = first_text(body, options.flow_id_paths)
    if run_id is not None:
        run = client.test_run(run_id)
        if run.id is None or run.id.casefold() != run_id.casefold():
            # An answer about something else confirms nothing of what the delivery says.
            raise Refused(
                f"CheckView was asked for the test run {run_id} and gave {run.id}",
                hint="check the connection's options.paths.test_run",
            )
    elif flow_id is not None:
        run = _newest(client, flow_id, delivery)
    else:
        message = "the body names neither a test run nor a test flow"
        raise ValueError(message)
    if not has_ended(run, connection.statuses):
        raise Transient(
            f"the test run {run.id} has not ended yet ({run.status or 'no status'})",
            retry_after=options.ask_again,
        )
    return [event_of(run, connection.statuses)]


def _newest(client: CheckViewClient, flow_id: str, delivery: Delivery) -> TestRun:
    """Give the flow's newest run that was made before the delivery came."""
    for run in of_flow(client.test_runs_page(test_flow_id=flow_id).rows, flow_id):
        if run.listed_at is None or run.listed_at <= delivery.received_at:
            return run
    raise Refused(
        f"CheckView has no run of the test flow {flow_id} from before the delivery",
        status=HTTPStatus.NOT_FOUND,
        hint="check the source's options.flow_id_paths",
    )
