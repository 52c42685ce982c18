"""Calls about errors: groups of those that are alike, and their analysis (vendors.md §2.4)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal, TypeAlias

from service.errors import VendorBroken
from service.http import HttpAnswer, path_of
from service.vendors.checkly.answers import Analysis, AnalysisAnswer, AnalysisStarted, ErrorGroup
from service.vendors.checkly.calling import Api

GroupKind: TypeAlias = Literal["check", "test_session"]
"""Whose errors a group holds: those of a check, or those of a project's test sessions."""

_PATHS: dict[GroupKind, str] = {
    "check": "error-groups",
    "test_session": "test-session-error-groups",
}


class ErrorCalls:
    """Groups of errors, and what the vendor takes for their cause."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def group(self, group_id: str, *, kind: GroupKind = "check") -> ErrorGroup:
        """Give one group."""
        return self._api.get(f"/v1/{_PATHS[kind]}{path_of(group_id)}").read(ErrorGroup)

    def groups_of_check(self, check_id: str) -> list[ErrorGroup]:
        """Give the groups of a check."""
        return _groups(self._api.get(f"/v1/error-groups/checks{path_of(check_id)}"))

    def session_groups(self, project_id: str | None = None) -> list[ErrorGroup]:
        """Give the groups of test sessions, those of one project when named."""
        below = path_of("projects", project_id) if project_id is not None else ""
        return _groups(self._api.get(f"/v1/test-session-error-groups{below}"))

    def archive(
        self,
        group_id: str,
        *,
        kind: GroupKind = "check",
        until_next_event: bool | None = None,
        for_ever: bool | None = None,
    ) -> ErrorGroup:
        """Put a group away until its error comes again, or for ever; or, with False, take it back.

        What is None is left as it is. Doing it twice does no harm.
        """
        wanted = {"archivedUntilNextEvent": until_next_event, "archiveForEver": for_ever}
        body = {name: value for name, value in wanted.items() if value is not None}
        path = f"/v1/{_PATHS[kind]}{path_of(group_id)}"
        return self._api.send("PATCH", path, body, safe=True).read(ErrorGroup)

    def analyse(
        self, group_id: str, *, kind: GroupKind = "check", user_context: str | None = None
    ) -> str:
        """Ask for the cause of a group's error, and give the id of the analysis.

        `user_context` are words of ours that it takes into account.
        """
        path = f"/v1/root-cause-analyses/{_PATHS[kind]}{path_of(group_id)}"
        body = {"userContext": user_context} if user_context else {}
        started = self._api.send("POST", path, body).read(AnalysisStarted)
        if started.id is None:
            raise VendorBroken("Checkly began an analysis and did not name it", perhaps_done=True)
        return started.id

    def analysis(self, analysis_id: str) -> Analysis | None:
        """Give an analysis; None as long as it is not ready."""
        answer = self._api.get(f"/v1/root-cause-analyses{path_of(analysis_id)}")
        if answer.status == HTTPStatus.ACCEPTED:
            return None
        return answer.read(AnalysisAnswer).analysis


def _groups(answer: HttpAnswer) -> list[ErrorGroup]:
    return [answer.fit(ErrorGroup, row) for row in answer.objects("entries", "data")]
