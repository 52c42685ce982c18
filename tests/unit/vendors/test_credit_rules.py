"""The state machine over credit balances: every property it promises, for any balances."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.vendors.vibeview.credits import (
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

    def see(self, total: int, *, low: bool = False, refilled: bool = False) -> Judgement:
        verdict = judge(self.tier, total, self.limits, low_balance=low, refilled=refilled)
        self.tier = verdict.tier
        if verdict.told:
            self.told.append((verdict.told, verdict.tier))
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
    assert story.told == [("credits.low", "warn"), ("credits.restored", None)]


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
        before = story.tier
        verdict = story.see(total, low=low, refilled=refilled)
        if verdict.told == "credits.restored":
            assert before is not None
            assert verdict.tier is None
            assert total >= limits.floor_micro
            assert not low
            assert refilled or total > limits.floor_micro * limits.rearm
        elif verdict.told is not None:
            assert is_worse(verdict.tier, before)
            assert (verdict.told == "credits.depleted") is (verdict.tier == "zero")
        if before is not None and verdict.tier is None:
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
    for total, low, refilled in steps:
        if refilled or (total > LIMITS.floor_micro * LIMITS.rearm and not low):
            rearmed["warn"] = True
        if refilled or total > LIMITS.critical_micro * LIMITS.rearm:
            rearmed["critical"] = True
        if refilled or total > LIMITS.critical_micro * (LIMITS.rearm - 1):
            rearmed["zero"] = True
        verdict = story.see(total, low=low, refilled=refilled)
        if verdict.told in {"credits.low", "credits.depleted"}:
            assert rearmed[verdict.tier]
            rearmed[verdict.tier] = False


@given(tier=TIERS, total=AMOUNTS, low=st.booleans(), limits=any_limits())
def test_the_ledger_is_asked_exactly_when_it_decides(
    *, tier: Tier | None, total: int, low: bool, limits: CreditLimits
) -> None:
    without = judge(tier, total, limits, low_balance=low, refilled=False)
    with_refill = judge(tier, total, limits, low_balance=low, refilled=True)
    asks = may_depend_on_refill(tier, total, limits, low_balance=low)
    assert asks is (without.told != with_refill.told)
