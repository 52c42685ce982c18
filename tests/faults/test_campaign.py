"""A short campaign of faults under load; `make faults` is the long one."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign, run_campaign
from tests.faults.house import ManyMachines
from tests.faults.schedule import CHANCES, make_schedule
from tests.faults.striking import Striker

SEED = 20261122
SECONDS = 6.0
FAULTS = 12
LONGEST_S = 1.0

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(400)


def test_faults_at_random_lose_nothing_and_do_nothing_twice() -> None:
    faults = make_schedule(SEED, seconds=SECONDS, faults=FAULTS, longest=LONGEST_S)
    told: list[str] = []
    with ManyMachines() as site:
        campaign = Campaign(
            "short",
            SEED,
            deliveries=200,
            starts=40,
            seconds=SECONDS,
            strike=lambda go_on: Striker(site, told.append).strike_all(faults, go_on),
            senders=6,
            say=told.append,
        )
        line = run_campaign(site, campaign)

    assert line.kept, "\n".join(told)
    assert (line.acknowledged or 0) >= campaign.deliveries
    assert (line.runs or 0) >= campaign.starts


def test_the_faults_follow_from_the_seed() -> None:
    once, again, other = (
        make_schedule(seed, seconds=900, faults=300) for seed in (SEED, SEED, SEED + 1)
    )

    assert once == again != other


def test_every_kind_of_fault_happens_to_everybody_it_may_happen_to() -> None:
    happened = {
        (fault.kind, fault.target) for fault in make_schedule(SEED, seconds=9000, faults=3000)
    }

    assert happened == {(one.kind, target) for one in CHANCES for target in one.targets}


def test_nothing_happens_to_what_still_suffers() -> None:
    free_at: dict[str, float] = {}
    for fault in make_schedule(SEED, seconds=300, faults=300):
        assert fault.at >= free_at.get(fault.target, 0)
        assert fault.at + fault.lasts <= 300
        free_at[fault.target] = fault.at + fault.lasts
