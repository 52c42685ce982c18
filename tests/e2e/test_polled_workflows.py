"""Workflows that polls start, where no vendor sends anything, on one machine and on many."""

from __future__ import annotations

import pytest

from tests.e2e.house import END_S, House, Twins, steps
from tests.servers import wait_until

POLLS = True

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


def test_a_failed_run_of_checksum_found_by_polling_is_healed_once_and_reported(
    house: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"heals": ["pr"]})
    twins.checksum.lever("runs", {"status": "failed", "branch": "main"})
    (run,) = house.ended_runs("heal-failed-run")
    assert run["status"] == "succeeded", run["error"]
    (heal,) = twins.checksum.effects(method="POST", path="/auto-heal")
    assert heal["body"]["testRunId"] == run["event"]["subject"]
    assert steps(run)["healed"]["output"]["all_terminal"] is True
    (message,) = twins.messages()
    assert "Healed" in message["text"]


def test_low_credit_by_polling_alone_is_one_message_that_ends_resolved(
    house: House, twins: Twins
) -> None:
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 4_000_000})
    wait_until(twins.messages, END_S, what="a message")
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 0})
    wait_until(lambda: "used up" in twins.messages()[0]["text"], END_S, what="it is used up")
    # Above the floor but below the floor times 1.2: still the same alert.
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 5_500_000})
    twins.vibeview.lever("balance", {"allowance_micro": 0, "prepaid_micro": 50_000_000})
    wait_until(lambda: "Resolved" in twins.messages()[0]["text"], END_S, what="it is resolved")
    assert len(twins.messages()) == 1
    (alert,) = house.get("/alerts")["data"]
    assert alert["state"] == "resolved"
