"""What workflows may ask of Checksum, by name."""

from __future__ import annotations

from service.vendors.base import Action, Safety
from service.vendors.checksum import asking, healing, starting

ACTIONS = (
    Action(
        name="checksum.auto_heal",
        summary="Heal the failing tests of a run",
        params=healing.AutoHealParams,
        outputs=healing.AutoHealOutputs,
        perform=healing.auto_heal,
        safety=Safety.NATURAL_KEY,
        key=lambda params: str(params.test_run_id),
    ),
    Action(
        name="checksum.heal_progress",
        summary="Say how far a heal has come",
        params=healing.HealProgressParams,
        outputs=healing.HealProgressOutputs,
        perform=healing.heal_progress,
        safety=Safety.READ,
    ),
    Action(
        name="checksum.run_suite",
        summary="Start every test",
        params=starting.RunSuiteParams,
        outputs=starting.DispatchOutputs,
        perform=starting.run_suite,
        safety=Safety.ONCE,
    ),
    Action(
        name="checksum.run_collection",
        summary="Start the tests of a collection",
        params=starting.RunCollectionParams,
        outputs=starting.DispatchOutputs,
        perform=starting.run_collection,
        safety=Safety.ONCE,
    ),
    Action(
        name="checksum.run_tests",
        summary="Start chosen tests",
        params=starting.RunTestsParams,
        outputs=starting.DispatchOutputs,
        perform=starting.run_tests,
        safety=Safety.ONCE,
    ),
    Action(
        name="checksum.run_grep",
        summary="Start the tests that a text or regular expression selects, on a branch",
        params=starting.RunGrepParams,
        outputs=starting.DispatchOutputs,
        perform=starting.run_grep,
        safety=Safety.ONCE,
    ),
    Action(
        name="checksum.run_status",
        summary="Say where a run stands",
        params=asking.RunStatusParams,
        outputs=asking.RunStatusOutputs,
        perform=asking.run_status,
        safety=Safety.READ,
    ),
    Action(
        name="checksum.results",
        summary="Give the counts and tests of a run",
        params=asking.ResultsParams,
        outputs=asking.ResultsOutputs,
        perform=asking.results,
        safety=Safety.READ,
    ),
    Action(
        name="checksum.report",
        summary="Give the address of a run's HTML report",
        params=asking.ReportParams,
        outputs=asking.ReportOutputs,
        perform=asking.report,
        safety=Safety.READ,
    ),
    Action(
        name="checksum.bugs",
        summary="Give the bugs of the health dashboard",
        params=asking.BugsParams,
        outputs=asking.BugsOutputs,
        perform=asking.bugs,
        safety=Safety.READ,
    ),
)
