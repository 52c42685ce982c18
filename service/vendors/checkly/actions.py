"""What workflows may ask of Checkly, by name.

Checkly has no idempotency keys: what starts something is done once for its step. Archiving and
stopping may be done twice.
"""

from __future__ import annotations

from service.vendors.base import Action, Safety
from service.vendors.checkly import check_actions as checks
from service.vendors.checkly import error_actions as errors
from service.vendors.checkly import session_actions as sessions

ACTIONS = (
    Action(
        name="checkly.trigger_checks",
        summary="Run checks now, as they are in the monitoring",
        params=checks.TriggerChecksParams,
        outputs=checks.TriggerChecksOutputs,
        perform=checks.trigger_checks,
        safety=Safety.ONCE,
    ),
    Action(
        name="checkly.check_session",
        summary="Say where the run of a check stands",
        params=checks.CheckSessionParams,
        outputs=checks.CheckSessionOutputs,
        perform=checks.check_session,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.cancel_check_session",
        summary="Stop the run of a check",
        params=checks.CancelCheckSessionParams,
        outputs=checks.CancelledOutputs,
        perform=checks.cancel_check_session,
        safety=Safety.FIND_AND_UPDATE,
        target=lambda params, _options: f"check-session:{params.session_id}",
    ),
    Action(
        name="checkly.trigger_test_session",
        summary="Start a test session of chosen checks",
        params=sessions.TriggerSessionParams,
        outputs=sessions.TriggerSessionOutputs,
        perform=sessions.trigger_test_session,
        safety=Safety.ONCE,
    ),
    Action(
        name="checkly.test_session",
        summary="Say where a test session stands, with its results",
        params=sessions.TestSessionParams,
        outputs=sessions.TestSessionOutputs,
        perform=sessions.test_session,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.cancel_test_session",
        summary="Stop a test session",
        params=sessions.CancelSessionParams,
        outputs=checks.CancelledOutputs,
        perform=sessions.cancel_test_session,
        safety=Safety.FIND_AND_UPDATE,
        target=lambda params, _options: f"test-session:{params.session_id}",
    ),
    Action(
        name="checkly.check_status",
        summary="Give the present state of a check",
        params=checks.CheckStatusParams,
        outputs=checks.CheckStatusOutputs,
        perform=checks.check_status,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.check_result",
        summary="Give one result of a check, with the groups of its errors",
        params=checks.CheckResultParams,
        outputs=checks.CheckResultOutputs,
        perform=checks.check_result,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.error_groups",
        summary="Give the errors of a check, those that are alike together",
        params=errors.ErrorGroupsParams,
        outputs=errors.ErrorGroupsOutputs,
        perform=errors.error_groups,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.analyse",
        summary="Begin an analysis of the cause of an error",
        params=errors.AnalyseParams,
        outputs=errors.AnalyseOutputs,
        perform=errors.analyse,
        safety=Safety.ONCE,
    ),
    Action(
        name="checkly.analysis",
        summary="Give an analysis: what is at fault, why, and what to change",
        params=errors.AnalysisParams,
        outputs=errors.AnalysisOutputs,
        perform=errors.analysis,
        safety=Safety.READ,
    ),
    Action(
        name="checkly.archive_error_group",
        summary="Put a group of errors away until it comes again, or for ever",
        params=errors.ArchiveParams,
        outputs=errors.ArchiveOutputs,
        perform=errors.archive_error_group,
        safety=Safety.FIND_AND_UPDATE,
        target=lambda params, _options: f"error-group:{params.kind}:{params.error_group_id}",
    ),
)
