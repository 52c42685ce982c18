"""Credit: the balance, the ledger, what was used, a link to buy more (vendors.md §1.5).

A balance without its amounts is no balance: nobody shall be alarmed by a number that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from service.vendors.reading import Flag, Payload, Text, Time, Whole
from service.vendors.vibeview.api.calling import PAGE, Calls, Number, Objects, Page, page_of, walk

REFILLS = frozenset({"prepaid_topup", "subscription_refill"})
DEDUCTION = "usage_deduction"


class Balance(Payload):
    """The credit that is left, in micro-credits: 1 000 000 = 1.00 USD."""

    allowance_micro: int
    prepaid_micro: int
    plan_allowance_micro: Whole = None
    plan_period_end: Time = None
    low_balance: bool = False
    bundles: Objects = ()
    custom_min_micro: Whole = None
    custom_max_micro: Whole = None

    @property
    def total_micro(self) -> int:
        """Allowance and bought credit together."""
        return self.allowance_micro + self.prepaid_micro


class LedgerEntry(Payload):
    """One movement of credit; deductions are negative. The set of types is open."""

    id: Text = None
    created_at: Time = None
    entry_type: Text = None
    balance_bucket: Text = None
    amount_micro: Whole = None
    model: Text = None
    test_run_id: Text = None
    is_streaming: Flag = None

    @property
    def is_refill(self) -> bool:
        """Whether credit came in."""
        return self.entry_type in REFILLS or (self.amount_micro or 0) > 0


class TopUp(Payload):
    """The page where a person pays; the balance changes only then."""

    url: str


class Metric(Payload):
    """One figure of the dashboard; a limit of None means there is none."""

    current: Number = None
    limit: Number = None
    unit: Text = None


class Usage(Payload):
    """The dashboard's figures of the current month."""

    plan_id: Text = None
    plan_name: Text = None
    ai_credit_vibeview: Metric = Field(default_factory=Metric)
    ai_tokens_byok: Metric = Field(default_factory=Metric)
    streaming_minutes: Metric = Field(default_factory=Metric)
    active_sessions: Metric = Field(default_factory=Metric)
    monthly_sessions: Whole = None
    ai_cost_micro: Whole = None
    byok_cost_micro: Whole = None
    ai_runs: Whole = None
    byok_runs: Whole = None
    by_model: Objects = ()
    streaming_overage_minutes: Whole = None
    streaming_overage_micro: Whole = None


class CreditCalls(Calls):
    """What is left, where it went, and how to buy more."""

    def balance(self) -> Balance:
        """Give the credit that is left."""
        return self._get("/credits/balance", role="viewer").read(Balance)

    def topup(self, *, bundle_key: str | None = None, amount_usd: int | None = None) -> TopUp:
        """Give a link where a person pays for a bundle, or for an amount in whole USD.

        Nothing is bought by asking, so asking twice does no harm.
        """
        chosen = {"bundle_key": bundle_key, "amount_usd": amount_usd}
        body = {name: value for name, value in chosen.items() if value is not None}
        answer = self._ask("POST", "/credits/topup", json=body, safe=True, role="admin")
        return answer.read(TopUp)

    def ledger_page(self, *, offset: int = 0, limit: int = PAGE) -> Page[LedgerEntry]:
        """Give a page of the ledger, newest first; `limit` is at most 100."""
        params = {"limit": limit, "offset": offset}
        answer = self._get("/credits/ledger", params, role="viewer")
        return page_of(answer, LedgerEntry, "entries")

    def ledger(self, *, pages: int | None = None) -> Iterator[LedgerEntry]:
        """Give the ledger's entries, newest first: all, or at most so many pages of 100."""
        return walk(lambda offset: self.ledger_page(offset=offset), pages=pages)

    def usage(self) -> Usage:
        """Give the dashboard's figures of the current month."""
        return self._get("/usage/dashboard", role="viewer").read(Usage)
