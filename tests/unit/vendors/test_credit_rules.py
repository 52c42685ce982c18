"""The state machine over credit balances: every property it promises, for any balances."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.vendors.vibeview.credits import (
    CreditAlert,
    CreditLimits,
    Judgement,
    Tier,
    is_worse,
    judge,
    may_depend_on_refill,
)

LIMITS = CreditLimits(floor_micro=5_000_000, critical_micro=1_000_000)
TIERS = st.sampled_from([None, "warn", "critical", "zero"])
AMOUNTS = st.integers(min_value=-2_000_000, max_value=12_000_000)
STEPS = st.lists(st.tuples(AMOUNTS, st.booleans(), st.booleans()), max_size=40)


@st.composite
def any_limits(draw: st.DrawFn) -> CreditLimits:
    floor = draw(st.integers(min_value=1, max_value=20_000_000))
    critical = draw(st.integers(min_value=0, max_value=floor))
    return CreditLimits(floor, critical, draw(st.floats(min_value=1, max_value=3)))


@dataclass
class Story:
    limits: CreditLimits = LIMITS
    tier: Tier | None = None
    told: list[tuple[str, Tier | None]] = field(default_factory=list)
    flagged_micro: int | None = None

    def see(self, total: int, *, low: bool = False, refilled: bool = False) -> Judgement:
        alert = CreditAlert(self.tier, self.flagged_micro)
        verdict = judge(alert, total, self.limits, low_balance=low, refilled=refilled)
        self.tier, self.flagged_micro = verdict.alert.tier, verdict.alert.flagged_micro
        if verdict.told:
            self.told.append((verdict.told, verdict.alert.tier))
        return verdict


def usd(amount: float) -> int:
    return int(amount * 1_000_000)


def test_a_balance_that_sinks_is_told_three_times_and_its_return_once() -> None:
    story = Story()
    for amount in (20, 5, 4.99, 3, 1, 0.99, 0.5, 0, 0, 30, 30):
        story.see(usd(amount))
    assert story.told == [
        ("credits.low", "warn"),
        ("credits.low", "critical"),
        ("credits.depleted", "zero"),
        ("credits.restored", None),
    ]


def test_a_balance_that_falls_at_once_is_told_at_its_gravest() -> None:
    story = Story()
    story.see(usd(20))
    story.see(0)
    assert story.told == [("credits.depleted", "zero")]


def test_the_vendors_own_sign_is_a_warning() -> None:
    story = Story()
    story.see(usd(50), low=True)
    story.see(usd(50), low=True)
    story.see(usd(50))
    assert story.told == [("credits.low", "warn")], "it ended at once, so it may come back at once"
    story.see(usd(60.000001))
    assert story.told == [("credits.low", "warn"), ("credits.restored", None)]


def test_a_flag_that_flaps_far_above_the_floor_is_told_once() -> None:
    story = Story()
    for turn in range(8):
        story.see(usd(19.9 if turn % 2 == 0 else 20.1), low=turn % 2 == 0)
    assert story.told == [("credits.low", "warn")]


def test_what_is_learnt_of_the_vendors_threshold_ends_with_the_alert() -> None:
    story = Story()
    story.see(usd(50), low=True)
    story.see(usd(61))
    assert story.flagged_micro is None
    story.see(usd(4))
    story.see(usd(7))
    assert [told for told, _ in story.told] == ["credits.low", "credits.restored"] * 2


def test_a_refill_ends_an_alert_of_the_vendors_sign_at_once() -> None:
    story = Story()
    story.see(usd(20), low=True)
    story.see(usd(20.1), refilled=True)
    assert story.told[-1] == ("credits.restored", None)


@pytest.mark.parametrize(("amount", "restored"), [(5, False), (6, False), (6.000001, True)])
def test_restored_needs_a_fifth_above_the_floor(amount: float, *, restored: bool) -> None:
    story = Story(tier="warn")
    story.see(usd(amount))
    assert story.told == ([("credits.restored", None)] if restored else [])


@pytest.mark.parametrize(
    ("amount", "low", "restored"), [(4.99, False, False), (5, False, True), (5, True, False)]
)
def test_a_refill_restores_from_the_floor_on(amount: float, *, low: bool, restored: bool) -> None:
    story = Story(tier="critical")
    story.see(usd(amount), low=low, refilled=True)
    assert story.told == ([("credits.restored", None)] if restored else [])


def test_a_tier_is_told_again_only_after_its_distance_was_passed() -> None:
    story = Story(tier="critical")
    for amount in (1.1, 0.9, 1.2, 0.9):
        story.see(usd(amount))
    assert story.told == [], "wavering around the limit tells nothing"
    story.see(usd(1.3))
    assert story.tier == "warn"
    story.see(usd(0.9))
    assert story.told == [("credits.low", "critical")]


def test_zero_is_told_again_after_a_little_credit_came_and_went() -> None:
    story = Story(tier="zero")
    story.see(usd(0.1))
    story.see(0)
    assert story.told == []
    story.see(usd(0.5))
    story.see(0)
    assert story.told == [("credits.depleted", "zero")]


@given(
    tier=TIERS,
    total=AMOUNTS,
    low=st.booleans(),
    refilled=st.booleans(),
    limits=any_limits(),
)
def test_seeing_the_same_balance_again_tells_nothing(
    *, tier: Tier | None, total: int, low: bool, refilled: bool, limits: CreditLimits
) -> None:
    story = Story(limits, tier)
    story.see(total, low=low, refilled=refilled)
    before = len(story.told)
    for _ in range(3):
        story.see(total, low=low)
    assert len(story.told) == before


@given(STEPS, any_limits())
def test_the_open_tier_is_never_milder_than_the_balance(
    steps: list[tuple[int, bool, bool]], limits: CreditLimits
) -> None:
    story = Story(limits)
    for total, low, refilled in steps:
        story.see(total, low=low, refilled=refilled)
        now = limits.tier(total, low_balance=low)
        assert not is_worse(now, story.tier)


@given(STEPS, any_limits())
def test_low_and_restored_alternate(
    steps: list[tuple[int, bool, bool]], limits: CreditLimits
) -> None:
    story = Story(limits)
    for total, low, refilled in steps:
        before, flagged = story.tier, story.flagged_micro
        verdict = story.see(total, low=low, refilled=refilled)
        if verdict.told == "credits.restored":
            assert before is not None
            assert verdict.alert.tier is None
            assert total >= limits.floor_micro
            assert not low
            assert refilled or total > max(limits.floor_micro, flagged or 0) * limits.rearm
        elif verdict.told is not None:
            assert is_worse(verdict.alert.tier, before)
            assert (verdict.told == "credits.depleted") is (verdict.alert.tier == "zero")
        if before is not None and verdict.alert.tier is None:
            assert verdict.told == "credits.restored", "an alert never ends in silence"


@given(st.lists(AMOUNTS, max_size=30), any_limits())
def test_a_balance_that_only_sinks_tells_at_most_three_times(
    amounts: list[int], limits: CreditLimits
) -> None:
    story = Story(limits)
    for total in sorted(amounts, reverse=True):
        story.see(total)
    assert len(story.told) <= 3
    order = [tier for _, tier in story.told]
    assert all(is_worse(later, earlier) for earlier, later in pairwise(order))


@given(st.lists(st.integers(min_value=1_200_001, max_value=6_000_000), max_size=30))
def test_wavering_around_the_floor_is_told_once(amounts: list[int]) -> None:
    story = Story()
    story.see(usd(4))
    for total in amounts:
        story.see(total)
    assert story.told == [("credits.low", "warn")]


@given(STEPS)
def test_a_tier_is_told_twice_only_with_its_distance_or_a_refill_in_between(
    steps: list[tuple[int, bool, bool]],
) -> None:
    story = Story()
    rearmed: dict[Tier | None, bool] = {"warn": True, "critical": True, "zero": True}
    flagged = 0
    for total, low, refilled in steps:
        away = max(LIMITS.floor_micro, flagged) * LIMITS.rearm
        flagged = max(flagged, total) if low else flagged
        if refilled or (total > away and not low):
            flagged = 0
            rearmed["warn"] = True
        if refilled or total > LIMITS.critical_micro * LIMITS.rearm:
            rearmed["critical"] = True
        if refilled or total > LIMITS.critical_micro * (LIMITS.rearm - 1):
            rearmed["zero"] = True
        verdict = story.see(total, low=low, refilled=refilled)
        if verdict.told in {"credits.low", "credits.depleted"}:
            assert rearmed[verdict.alert.tier]
            rearmed[verdict.alert.tier] = False


@given(STEPS)
def test_the_largest_flagged_balance_of_an_alert_is_known_as_long_as_it_is_open(
    steps: list[tuple[int, bool, bool]],
) -> None:
    story = Story()
    seen: list[int] = []
    for total, low, refilled in steps:
        story.see(total, low=low, refilled=refilled)
        seen = [*seen, total] if low else seen
        if story.tier is None:
            seen = []
        assert story.flagged_micro == max(seen, default=None)


@given(
    start=st.integers(min_value=1, max_value=10**12),
    steps=st.lists(st.tuples(st.floats(min_value=0.01, max_value=1), st.booleans()), max_size=30),
    limits=any_limits(),
)
def test_a_flag_that_flaps_below_its_distance_never_ends_the_alert(
    start: int, steps: list[tuple[float, bool]], limits: CreditLimits
) -> None:
    story = Story(limits)
    story.see(start, low=True)
    for share, low in steps:
        story.see(int(start * limits.rearm * share) if not low else start, low=low)
        assert story.tier is not None
    assert all(told != "credits.restored" for told, _ in story.told)


@given(
    tier=TIERS,
    flagged=st.none() | AMOUNTS,
    total=AMOUNTS,
    low=st.booleans(),
    limits=any_limits(),
)
def test_the_ledger_is_asked_exactly_when_it_decides(
    *, tier: Tier | None, flagged: int | None, total: int, low: bool, limits: CreditLimits
) -> None:
    alert = CreditAlert(tier, flagged if tier else None)
    without = judge(alert, total, limits, low_balance=low, refilled=False)
    with_refill = judge(alert, total, limits, low_balance=low, refilled=True)
    asks = may_depend_on_refill(alert, total, limits, low_balance=low)
    assert asks is (without.told != with_refill.told)
