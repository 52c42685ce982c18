"""What workflows may ask about errors: those that are alike, their cause, putting them away."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal

from pydantic import Field

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkly.check_actions import Text
from service.vendors.checkly.client import client_of


class ErrorGroupsParams(Params):
    """Whose errors."""

    check_id: Text = Field(description="The id of the check.")
    archived: bool = Field(default=False, description="Whether archived groups are given too.")


class ErrorGroupOutputs(Outputs):
    """Errors of a check that are alike."""

    id: str = Field(description="The id of the group, for checkly.analyse.")
    message: str | None = Field(description="The error, without what changes each time.")
    error_hash: str | None = Field(description="The same for errors that are alike.")
    archived: bool = Field(description="Whether somebody has put it away.")
    first_seen: str | None = Field(description="When it was seen first, in ISO form.")
    last_seen: str | None = Field(description="When it was seen last, in ISO form.")


class ErrorGroupsOutputs(Outputs):
    """The groups of a check, the one seen last first."""

    newest_id: str | None = Field(description="The id of the group seen last; none without one.")
    groups: tuple[ErrorGroupOutputs, ...] = Field(description="Every group.")


def error_groups(context: CallContext, params: ErrorGroupsParams) -> Done:
    """Give the errors of a check, grouped."""
    found = client_of(context).errors.groups_of_check(params.check_id)
    kept = [group for group in found if params.archived or not group.is_archived]
    kept.sort(key=lambda group: group.last_seen.timestamp() if group.last_seen else 0.0)
    groups = tuple(
        ErrorGroupOutputs(
            id=group.id,
            message=group.cleaned_error_message or group.raw_error_message,
            error_hash=group.error_hash,
            archived=group.is_archived,
            first_seen=group.first_seen.isoformat() if group.first_seen else None,
            last_seen=group.last_seen.isoformat() if group.last_seen else None,
        )
        for group in reversed(kept)
        if group.id is not None
    )
    newest = groups[0].id if groups else None
    return Done(ErrorGroupsOutputs(newest_id=newest, groups=groups), changed=False)


class GroupParams(Params):
    """Which group of errors."""

    error_group_id: Text = Field(
        description="The id of the group: from a result, a session or checkly.error_groups."
    )
    kind: Literal["check", "test_session"] = Field(
        default="check", description="Whether a check's errors or a test session's are in it."
    )


class AnalyseParams(GroupParams):
    """Which errors to find the cause of."""

    user_context: Text | None = Field(
        default=None, description="What the analysis should know besides."
    )


class AnalyseOutputs(Outputs):
    """The analysis that was begun."""

    analysis_id: str = Field(description="The id of the analysis, for checkly.analysis.")


def analyse(context: CallContext, params: AnalyseParams) -> Done:
    """Begin an analysis of the cause."""
    analysis_id = client_of(context).errors.analyse(
        params.error_group_id, kind=params.kind, user_context=params.user_context
    )
    return Done(AnalyseOutputs(analysis_id=analysis_id), {"analysis_id": analysis_id})


class AnalysisParams(Params):
    """Which analysis."""

    analysis_id: Text = Field(description="The id that checkly.analyse gave.")


class AnalysisOutputs(Outputs):
    """What Checkly takes for the cause; everything but `ready` is empty until it is ready."""

    ready: bool = Field(description="Whether the analysis has ended.")
    classification: str | None = Field(description="What kind of fault it is, in Checkly's words.")
    root_cause: str | None = Field(description="The cause.")
    user_impact: str | None = Field(description="What users notice of it.")
    code_fix: str | None = Field(description="What to change.")
    points_at_test: bool = Field(
        description="Whether the classification says that the test is at fault: it has one of the "
        "words of the connection's option test_words."
    )
    points_at_environment: bool = Field(
        description="Whether it says that neither test nor application is at fault: it has one of "
        "the words of the option environment_words and none of test_words."
    )
    evidence: Json = Field(description="What the analysis rests on, as Checkly gives it.")
    reference_links: Json = Field(description="Where to read more, as Checkly gives it.")


def analysis(context: CallContext, params: AnalysisParams) -> Done:
    """Give an analysis."""
    told = client_of(context).errors.analysis(params.analysis_id)
    named = told.classification if told else None
    is_test = _has(named, context.options.test_words)
    return Done(
        AnalysisOutputs(
            ready=told is not None,
            classification=told.classification if told else None,
            root_cause=told.root_cause if told else None,
            user_impact=told.user_impact if told else None,
            code_fix=told.code_fix if told else None,
            points_at_test=is_test,
            points_at_environment=not is_test and _has(named, context.options.environment_words),
            evidence=told.evidence if told else None,
            reference_links=told.reference_links if told else None,
        ),
        changed=False,
    )


def _has(classification: str | None, words: Iterable[str]) -> bool:
    said = (classification or "").lower()
    return any(word.lower() in said for word in words)


class ArchiveParams(GroupParams):
    """Which group to put away."""

    for_ever: bool = Field(
        default=False,
        description="Whether it stays away when its error comes again; else it comes back then.",
    )


class ArchiveOutputs(Outputs):
    """What was put away."""

    error_group_id: str = Field(description="The id of the group.")
    archived: bool = Field(description="Whether it was there to be put away.")


def archive_error_group(context: CallContext, params: ArchiveParams) -> Done:
    """Put a group of errors away."""
    try:
        client_of(context).errors.archive(
            params.error_group_id,
            kind=params.kind,
            until_next_event=None if params.for_ever else True,
            for_ever=True if params.for_ever else None,
        )
    except Refused as fault:
        if fault.status != HTTPStatus.NOT_FOUND:
            raise
        # Groups vanish with their check: what is gone need not be put away.
        outputs = ArchiveOutputs(error_group_id=params.error_group_id, archived=False)
        return Done(outputs, changed=False)
    outputs = ArchiveOutputs(error_group_id=params.error_group_id, archived=True)
    return Done(outputs, {"error_group_id": params.error_group_id})
