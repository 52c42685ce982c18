"""The webhook itself: which events it is sent, and past events once more."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.actions.params import Text
from service.vendors.vibeview.client import VibeViewClient


class SubscribeParams(Params):
    """Which events a webhook shall be sent."""

    webhook_id: Text = Field(description="The webhook's id, from its page in VibeView.")
    event_types: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="Events that are added to those it is sent already."
    )


class SubscribeOutputs(Outputs):
    """What a webhook is sent."""

    event_types: tuple[str, ...] = Field(description="Every event it is sent now.")
    added: tuple[str, ...] = Field(description="Those of them that are new.")


def subscribe(context: CallContext, params: SubscribeParams) -> Done:
    """Add events to those that a webhook is sent."""
    calls = VibeViewClient(context.http).webhooks
    known = calls.subscriptions(params.webhook_id)
    added = tuple(name for name in dict.fromkeys(params.event_types) if name not in known)
    if not added:
        return Done(SubscribeOutputs(event_types=tuple(known), added=()), changed=False)
    # The vendor replaces the whole set, so what is there already is sent along.
    now = calls.replace_subscriptions(params.webhook_id, [*known, *added])
    return Done(SubscribeOutputs(event_types=tuple(now), added=added))


def _webhook(params: SubscribeParams, _options: object) -> str:
    return f"webhook:{params.webhook_id}"


class RedeliverParams(Params):
    """Which past event."""

    webhook_id: Text = Field(description="The webhook's id, from its page in VibeView.")
    delivery_id: Text = Field(description="The delivery's id; not older than 30 days.")


class RedeliverOutputs(Outputs):
    """What became of the new attempt, as far as VibeView says it."""

    delivery_id: str | None = Field(description="The new attempt's id.")
    status: str | None = Field(description="VibeView's word for how it went.")
    response_code: int | None = Field(description="The status we answered with.")


def redeliver(context: CallContext, params: RedeliverParams) -> Done:
    """Ask for a past event once more. What was stored already is not stored again."""
    told = VibeViewClient(context.http).webhooks.redeliver(params.webhook_id, params.delivery_id)
    return Done(
        RedeliverOutputs(delivery_id=told.id, status=told.status, response_code=told.response_code)
    )


WEBHOOK_ACTIONS = (
    Action(
        name="vibeview.subscribe",
        summary="Add events to those that a webhook is sent",
        params=SubscribeParams,
        outputs=SubscribeOutputs,
        perform=subscribe,
        safety=Safety.FIND_AND_UPDATE,
        target=_webhook,
    ),
    Action(
        name="vibeview.redeliver",
        summary="Ask for a past event once more",
        params=RedeliverParams,
        outputs=RedeliverOutputs,
        perform=redeliver,
        safety=Safety.ONCE,
    ),
)
