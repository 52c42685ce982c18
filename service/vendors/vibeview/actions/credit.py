"""Credit: what is left, what was used, and a link to buy more."""

from __future__ import annotations

from pydantic import Field, model_validator

from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.actions.params import NoParams, Text
from service.vendors.vibeview.api.credits import Metric
from service.vendors.vibeview.client import VibeViewClient

MICRO = 1_000_000


class CreditBalanceOutputs(Outputs):
    """The credit that is left. Micro-credits: 1 000 000 = 1.00 USD."""

    allowance_micro: int = Field(description="What is left of the month's allowance.")
    prepaid_micro: int = Field(description="What is left of the credit that was bought.")
    total_micro: int = Field(description="Both together, in micro-credits.")
    total_usd: float = Field(description="Both together, in USD.")
    low_balance: bool = Field(description="Whether VibeView itself calls the credit low.")
    plan_period_end: str | None = Field(description="When the allowance is filled up again.")


def credit_balance(context: CallContext, _params: NoParams) -> Done:
    """Give the credit that is left."""
    balance = VibeViewClient(context.http).credits.balance()
    end = balance.plan_period_end
    return Done(
        CreditBalanceOutputs(
            allowance_micro=balance.allowance_micro,
            prepaid_micro=balance.prepaid_micro,
            total_micro=balance.total_micro,
            total_usd=balance.total_micro / MICRO,
            low_balance=balance.low_balance,
            plan_period_end=end.isoformat() if end else None,
        ),
        changed=False,
    )


class TopupLinkParams(Params):
    """How much credit the link is for."""

    bundle_key: Text | None = Field(
        default=None, description="A bundle, as the balance lists them (`bundle_10`)."
    )
    amount_usd: int | None = Field(
        default=None, ge=1, description="An amount in whole USD, instead of a bundle."
    )

    @model_validator(mode="after")
    def _one_amount(self) -> TopupLinkParams:
        if (self.bundle_key is None) == (self.amount_usd is None):
            message = "give either bundle_key or amount_usd"
            raise ValueError(message)
        return self


class TopupLinkOutputs(Outputs):
    """The page where a person pays."""

    url: str = Field(description="The page; credit comes only when a person has paid there.")


def topup_link(context: CallContext, params: TopupLinkParams) -> Done:
    """Give a link where a person can buy credit."""
    calls = VibeViewClient(context.http).credits
    link = calls.topup(bundle_key=params.bundle_key, amount_usd=params.amount_usd)
    return Done(TopupLinkOutputs(url=link.url), changed=False)


class MetricOutputs(Outputs):
    """One figure of the dashboard."""

    current: float | None = Field(description="How much was used.")
    limit: float | None = Field(description="How much there is; none: no limit.")
    unit: str | None = Field(description="The unit of both.")


class UsageOutputs(Outputs):
    """What was used in the current month."""

    plan: str | None = Field(description="The name of the plan.")
    ai_credit: MetricOutputs = Field(description="Credit that the AI used, in USD.")
    own_key_tokens: MetricOutputs = Field(description="Tokens used on the organisation's own keys.")
    streaming_minutes: MetricOutputs = Field(description="Minutes that device sessions streamed.")
    active_sessions: MetricOutputs = Field(description="Sessions that run now.")
    monthly_sessions: int | None = Field(description="Sessions of the month.")
    ai_runs: int | None = Field(description="Runs by the AI on VibeView's credit.")
    own_key_runs: int | None = Field(description="Runs by the AI on own keys.")
    ai_cost_micro: int | None = Field(description="What the AI cost, in micro-credits.")
    overage_micro: int | None = Field(
        description="What streaming beyond its minutes cost, in micro-credits."
    )


def usage(context: CallContext, _params: NoParams) -> Done:
    """Give what was used in the current month."""
    told = VibeViewClient(context.http).credits.usage()
    return Done(
        UsageOutputs(
            plan=told.plan_name or told.plan_id,
            ai_credit=_metric(told.ai_credit_vibeview),
            own_key_tokens=_metric(told.ai_tokens_byok),
            streaming_minutes=_metric(told.streaming_minutes),
            active_sessions=_metric(told.active_sessions),
            monthly_sessions=told.monthly_sessions,
            ai_runs=told.ai_runs,
            own_key_runs=told.byok_runs,
            ai_cost_micro=told.ai_cost_micro,
            overage_micro=told.streaming_overage_micro,
        ),
        changed=False,
    )


def _metric(told: Metric) -> MetricOutputs:
    return MetricOutputs(current=told.current, limit=told.limit, unit=told.unit)


CREDIT_ACTIONS = (
    Action(
        name="vibeview.credit_balance",
        summary="Give the credit that is left",
        params=NoParams,
        outputs=CreditBalanceOutputs,
        perform=credit_balance,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.topup_link",
        summary="Give a link where a person can buy credit",
        params=TopupLinkParams,
        outputs=TopupLinkOutputs,
        perform=topup_link,
        # A link that nobody pays changes nothing.
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.usage",
        summary="Give what was used in the current month",
        params=NoParams,
        outputs=UsageOutputs,
        perform=usage,
        safety=Safety.READ,
    ),
)
