"""VibeView's credit: balance, ledger, usage. All amounts are micro-credits (1 000 000 = 1 USD)."""

from dataclasses import dataclass, field

from examples.twins.clock import Clock, zoneless
from examples.twins.vibeview.bodies import AddedEntry, BalanceChange

# The vendor publishes no rule for `low_balance`; below a fifth of the allowance is assumed.
LOW_SHARE = 5
BUNDLES = {"bundle_10": 10_000_000}
CUSTOM_MIN_MICRO = 5_000_000
CUSTOM_MAX_MICRO = 500_000_000


@dataclass(slots=True)
class Credits:
    """The credit of one organisation."""

    clock: Clock
    allowance_micro: int = 750_000
    prepaid_micro: int = 5_000_000
    plan_allowance_micro: int = 1_000_000
    plan_period_end: str | None = "2026-08-01T00:00:00"
    low_balance: bool | None = None
    entries: list[dict[str, object]] = field(default_factory=list)

    def change(self, change: BalanceChange) -> None:
        """Set what is named; the ledger stays as it is."""
        for name in change.model_fields_set:
            setattr(self, name, getattr(change, name))

    def add_entry(self, entry: AddedEntry) -> dict[str, object]:
        """Add to the ledger, and to the balance if that is asked."""
        row: dict[str, object] = {
            "id": len(self.entries) + 1,
            **entry.model_dump(exclude={"apply", "created_at", "count"}),
            "created_at": entry.created_at or zoneless(self.clock.now()),
        }
        self.entries.append(row)
        if entry.apply and entry.balance_bucket == "allowance":
            self.allowance_micro = max(0, self.allowance_micro + entry.amount_micro)
        elif entry.apply:
            self.prepaid_micro = max(0, self.prepaid_micro + entry.amount_micro)
        return row

    def balance(self) -> dict[str, object]:
        """The balance as the vendor shows it."""
        total = self.allowance_micro + self.prepaid_micro
        low = total * LOW_SHARE < self.plan_allowance_micro
        return {
            "allowance_micro": self.allowance_micro,
            "prepaid_micro": self.prepaid_micro,
            "plan_allowance_micro": self.plan_allowance_micro,
            "plan_period_end": self.plan_period_end,
            "low_balance": low if self.low_balance is None else self.low_balance,
            "bundles": [
                {"bundle_key": key, "amount_micro": micro} for key, micro in BUNDLES.items()
            ],
            "custom_min_micro": CUSTOM_MIN_MICRO,
            "custom_max_micro": CUSTOM_MAX_MICRO,
        }

    def ledger(self, *, limit: int, offset: int) -> dict[str, object]:
        """A page of the ledger, newest first."""
        rows = list(reversed(self.entries))
        return {"total": len(rows), "entries": rows[offset : offset + limit]}

    def usage(self, *, runs: int) -> dict[str, object]:
        """The dashboard's figures."""
        spent = -sum(
            amount
            for entry in self.entries
            if entry["entry_type"] == "usage_deduction"
            and isinstance(amount := entry["amount_micro"], int)
        )
        return {
            "plan_id": "starter",
            "plan_name": "Starter",
            "ai_credit_vibeview": {
                "current": spent / 1_000_000,
                "limit": self.plan_allowance_micro / 1_000_000,
                "unit": "USD",
            },
            "ai_tokens_byok": {"current": 0, "limit": None, "unit": "tokens"},
            "streaming_minutes": {"current": 0, "limit": 500, "unit": "minutes"},
            "active_sessions": {"current": 0, "limit": 5, "unit": "sessions"},
            "monthly_sessions": runs,
            "ai_cost_micro": spent,
            "byok_cost_micro": 0,
            "ai_runs": runs,
            "byok_runs": 0,
            "by_model": [],
            "streaming_overage_minutes": 0,
            "streaming_overage_micro": 0,
        }
