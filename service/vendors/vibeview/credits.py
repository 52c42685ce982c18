"""When credit is low: a state machine over balances, without I/O (reference 1.5).

Three tiers, each told once: `warn` (below the floor, or the vendor says so), `critical`, `zero`.
Hysteresis keeps a balance that wavers around a limit from telling again and again: a tier is told
anew only after the balance was above that tier's limit by a fifth, or after credit came in. At
which balance the vendor says so is not published: it is learnt while the alert is open.
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

    def kept_tier(
        self, total_micro: int, *, low_balance: bool, flagged_micro: int | None
    ) -> Tier | None:
        """Give the tier a balance still counts for when it comes from below.

        At least as grave as `tier`. Zero has no width of its own: a fifth of the critical limit
        serves for it. The vendor's own limit is at `flagged_micro` or above it (None: unknown).
        """
        if total_micro <= max(0, self.critical_micro * (self.rearm - 1)):
            return "zero"
        if total_micro <= self.critical_micro * self.rearm:
            return "critical"
        warned_micro = max(self.floor_micro, flagged_micro or 0)
        if low_balance or total_micro <= warned_micro * self.rearm:
            return "warn"
        return None


@dataclass(frozen=True, slots=True)
class CreditAlert:
    """The alert that is open; a tier of None: there is none.

    `flagged_micro` is the largest balance that the vendor called low while it was open, None when
    it called none so.
    """

    tier: Tier | None = None
    flagged_micro: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a balance means: the event to tell, if any, and the alert that is open afterwards."""

    told: Told | None
    alert: CreditAlert


def is_worse(one: Tier | None, other: Tier | None) -> bool:
    """Say whether the first tier is graver than the second."""
    return _ORDER.index(one) > _ORDER.index(other)


def judge(
    alert: CreditAlert,
    total_micro: int,
    limits: CreditLimits,
    *,
    low_balance: bool,
    refilled: bool,
) -> Judgement:
    """Judge a balance, given the alert that is open.

    `refilled`: the ledger shows credit that came in after the alert. It ends the alert as soon as
    the balance is no longer low, without the distance that is asked for otherwise.
    """
    flagged = _learnt(alert, total_micro, low_balance=low_balance)
    tier = limits.tier(total_micro, low_balance=low_balance)
    if is_worse(tier, alert.tier):
        told: Told = "credits.depleted" if tier == "zero" else "credits.low"
        return Judgement(told, CreditAlert(tier, flagged))
    if alert.tier is None:
        return Judgement(None, CreditAlert())
    kept = tier
    if not refilled:
        kept = limits.kept_tier(total_micro, low_balance=low_balance, flagged_micro=flagged)
    if kept is None:
        return Judgement("credits.restored", CreditAlert())
    return Judgement(None, CreditAlert(kept if is_worse(alert.tier, kept) else alert.tier, flagged))


def may_depend_on_refill(
    alert: CreditAlert, total_micro: int, limits: CreditLimits, *, low_balance: bool
) -> bool:
    """Say whether the ledger has to be asked: the balance is enough, but not by the distance."""
    flagged = alert.flagged_micro
    return (
        alert.tier is not None
        and limits.tier(total_micro, low_balance=low_balance) is None
        and limits.kept_tier(total_micro, low_balance=low_balance, flagged_micro=flagged)
        is not None
    )


def _learnt(alert: CreditAlert, total_micro: int, *, low_balance: bool) -> int | None:
    """Give the largest balance that was called low, this one included."""
    if not low_balance:
        return alert.flagged_micro
    known = alert.flagged_micro
    return total_micro if known is None else max(total_micro, known)
