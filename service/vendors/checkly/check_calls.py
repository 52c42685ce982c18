"""Calls about checks: running them now, their present state, their results (vendors.md §2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal

from service.errors import VendorBroken
from service.http import HttpAnswer, path_of
from service.vendors.checkly.answers import CheckResult, CheckSession, CheckStatus
from service.vendors.checkly.calling import LONGEST_WAIT_S, NOTHING_FITS, Api, Page, every
from service.vendors.checkly.session_calls import Target
from service.vendors.reading import as_list, as_mapping


class CheckCalls:
    """Running existing checks, and what is known of them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    # --- running them now -----------------------------------------------------------------------

    def trigger(self, target: Target, *, refresh_cache: bool | None = None) -> list[CheckSession]:
        """Run the checks that fit, one session each. Refused with 404 when none fits."""
        body: dict[str, Any] = {"target": target.body()}
        if refresh_cache is not None:
            body["refreshCache"] = refresh_cache
        hints: Mapping[int, str] = {HTTPStatus.NOT_FOUND: NOTHING_FITS}
        answer = self._api.send("POST", "/v2/check-sessions/trigger", body, hints=hints)
        sessions = _sessions(answer)
        if not any(session.session_id for session in sessions):
            raise VendorBroken("Checkly ran checks and named no session", perhaps_done=True)
        return sessions

    def session(self, session_id: str) -> CheckSession:
        """Give one run of a check."""
        return self._api.get(f"/v2/check-sessions{path_of(session_id)}").read(CheckSession)

    def completion(
        self, session_id: str, *, max_wait_s: int = LONGEST_WAIT_S
    ) -> CheckSession | None:
        """Wait 1 to 30 s for the run of a check to end; None when it has not."""
        path = f"/v2/check-sessions{path_of(session_id)}/completion"
        answer = self._api.long_poll(path, max_wait_s)
        return answer.read(CheckSession) if answer else None

    def cancel(self, session_id: str) -> None:
        """Stop the run of a check; one that is stopped already stays so."""
        self._api.send("POST", f"/v1/check-sessions{path_of(session_id)}/cancel", safe=True)

    def deployment_trigger(
        self,
        check_id: str,
        token: str,
        *,
        group: bool = False,
        deployment: bool | None = None,
        repository: str | None = None,
        sha: str | None = None,
        environment: str | None = None,
    ) -> bool:
        """Run a check, or a group of checks, by its old trigger address: True when all passed.

        It takes up to 30 s and is allowed 10 times a minute; `trigger` has taken its place.
        """
        kind: Literal["checks", "check-groups"] = "check-groups" if group else "checks"
        params = {
            "deployment": deployment,
            "repository": repository,
            "sha": sha,
            "environment": environment,
        }
        return self._api.trigger(path_of(kind, check_id, "trigger", token), params, token)

    # --- what is known of them ------------------------------------------------------------------

    def statuses(self) -> list[CheckStatus]:
        """Give the present state of every check."""
        answer = self._api.get("/v1/check-statuses")
        return [answer.fit(CheckStatus, row) for row in answer.objects("data")]

    def status(self, check_id: str) -> CheckStatus:
        """Give the present state of one check."""
        return self._api.get(f"/v1/check-statuses{path_of(check_id)}").read(CheckStatus)

    def results_page(
        self,
        check_id: str,
        *,
        fields: tuple[str, ...] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[CheckResult]:
        """Give one page of a check's results; `cursor` is the `next` of the page before.

        `fields` names the members to be given (empty: all); a `limit` of None is the vendor's own.
        """
        params = {"limit": limit, "fields": fields, "nextId": cursor}
        return self._api.cursor_page(f"/v2/check-results{path_of(check_id)}", params, CheckResult)

    def results(self, check_id: str, *, fields: tuple[str, ...] = ()) -> Iterator[CheckResult]:
        """Give every result of a check that the vendor has kept, page by page."""
        return every(lambda cursor: self.results_page(check_id, fields=fields, cursor=cursor))

    def result(self, check_id: str, result_id: str) -> CheckResult:
        """Give one result with all its details."""
        return self._api.get(f"/v1/check-results{path_of(check_id, result_id)}").read(CheckResult)


def _sessions(answer: HttpAnswer) -> list[CheckSession]:
    """Read one session or several, whichever form the answer has."""
    body = answer.json()
    rows = as_list(body) or as_list(as_mapping(body).get("sessions")) or [body]
    return [answer.fit(CheckSession, row) for row in answer.objects_of(rows)]
