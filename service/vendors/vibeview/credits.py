"""When credit is low: a state machine over balances, without I/O (reference 1.5).

Three tiers, each told once: `warn` (below the floor, or the vendor says so), `critical`, `zero`.
Hysteresis keeps a balance that wavers around a limit from telling again and again: a tier is told
anew only after the balance was above that tier's limit by a fifth, or after credit came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tier = Literal["warn", "critical", "zero"]
Told = Literal["credits.low", "credits.depleted", "credits.restored"]

_ORDER: tuple[Tier | None, ...] = (None, "warn", "critical", "zero")


@dataclass(frozen=True, slots=True)
class CreditLimits:
    """Limits in micro-credits; `rearm` is how far above a limit counts as away from it."""

    floor_micro: int
    critical_micro: int
    rearm: float = 1.2

    def tier(self, total_micro: int, *, low_balance: bool) -> Tier | None:
        """Give the tier of a balance; None when there is enough."""
        if total_micro <= 0:
            return "zero"
        if total_micro < self.critical_micro:
            return "critical"
        return "warn" if low_balance or total_micro < self.floor_micro else None

    def kept_tier(self, total_micro: int, *, low_balance: bool) -> Tier | None:
        """Give the tier a balance still counts for when it comes from below.

        At least as grave as `tier`. Zero has no width of its own: a fifth of the critical limit
        serves for it.
        """
        if total_micro <= max(0, self.critical_micro * (self.rearm - 1)):
            return "zero"
        if total_micro <= self.critical_micro * self.rearm:
            return "critical"
        if low_balance or total_micro <= self.floor_micro * self.rearm:
            return "warn"
        return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a balance means: the event to tell, if any, and the tier that is open afterwards."""

    told: Told | None
    tier: Tier | None


def is_worse(one: Tier | None, other: Tier | None) -> bool:
    """Say whether the first tier is graver than the second."""
    return _ORDER.index(one) > _ORDER.index(other)


def judge(
    open_tier: Tier | None,
    total_micro: int,
    limits: CreditLimits,
    *,
    low_balance: bool,
    refilled: bool,
) -> Judgement:
    """Judge a balance, given the tier that is open (None: no alert).

    `refilled`: the ledger shows credit that came in after the alert. It ends the alert as soon as
    the balance is no longer low, without the distance that is asked for otherwise.
    """
    tier = limits.tier(total_micro, low_balance=low_balance)
    if is_worse(tier, open_tier):
        return Judgement("credits.depleted" if tier == "zero" else "credits.low", tier)
    if open_tier is None:
        return Judgement(None, None)
    kept = tier if refilled else limits.kept_tier(total_micro, low_balance=low_balance)
    if kept is None:
        return Judgement("credits.restored", None)
    return Judgement(None, kept if is_worse(open_tier, kept) else open_tier)


def may_depend_on_refill(
    open_tier: Tier | None, total_micro: int, limits: CreditLimits, *, low_balance: bool
) -> bool:
    """Say whether the ledger has to be asked: the balance is enough, but not by the distance."""
    return (
        open_tier is not None
        and limits.tier(total_micro, low_balance=low_balance) is None
        and limits.kept_tier(total_micro, low_balance=low_balance) is not None
    )
