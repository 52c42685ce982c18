"""Groups of errors, and what is taken for their cause (reference 2.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import Account, Group, refusal
from examples.twins.record import mark_effect

Kind = Literal["check", "session"]
KINDS: dict[str, Kind] = {"error-groups": "check", "test-session-error-groups": "session"}


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis, ready a phase after it was asked for."""

    analysis_id: str
    group_id: str
    user_context: str | None
    text: bodies.AnalysisText
    ready_at: datetime


class Errors:
    """The calls about error groups and analyses."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.clear()

    def clear(self) -> None:
        """Nothing was analysed."""
        self._analyses: dict[str, Analysis] = {}

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get, analyses = ["GET"], "/v1/root-cause-analyses"
        return (
            Route("/v1/error-groups/checks/{owner}", self.list_of_check, methods=get),
            Route("/v1/test-session-error-groups", self.list_of_sessions, methods=get),
            Route(
                "/v1/test-session-error-groups/projects/{owner}",
                self.list_of_sessions,
                methods=get,
            ),
            Route(f"{analyses}/{{id}}", self.show_analysis, methods=get),
            Route(f"{analyses}/{{kind}}/{{id}}", self.analyse, methods=["POST"]),
            Route("/v1/{kind}/{id}", self.show_group, methods=get),
            Route("/v1/{kind}/{id}", self.archive, methods=["PATCH"]),
        )

    def state(self) -> list[dict[str, object]]:
        """Every analysis that was asked for."""
        return [
            {"id": one.analysis_id, "group": one.group_id, "user_context": one.user_context}
            for one in self._analyses.values()
        ]

    async def list_of_check(self, request: Request) -> Response:
        """The groups of a check."""
        check = self._account.known_check(request.path_params["owner"])
        return JSONResponse(self._groups("check", check.check_id))

    async def list_of_sessions(self, request: Request) -> Response:
        """The groups of test sessions, of one project when named."""
        return JSONResponse(self._groups("session", request.path_params.get("owner")))

    async def show_group(self, request: Request) -> Response:
        """One group."""
        return JSONResponse(self._known(request).show())

    async def archive(self, request: Request) -> Response:
        """Put a group away, or take it back."""
        group = self._known(request)
        asked = bodies.Archive.model_validate_json(await request.body())
        if asked.archivedUntilNextEvent is not None:
            group.archived_until_next = asked.archivedUntilNextEvent
        if asked.archiveForEver is not None:
            group.archived_for_ever = asked.archiveForEver
        mark_effect(request)
        return JSONResponse(group.show())

    async def analyse(self, request: Request) -> Response:
        """Begin an analysis."""
        group = self._known(request)
        asked = bodies.Analyse.model_validate_json(await request.body() or b"{}")
        ready = self._account.clock.now() + timedelta(seconds=self._account.settings.pace)
        text = self._account.outcomes.analysis()
        one = Analysis(str(uuid4()), group.group_id, asked.userContext, text, ready)
        self._analyses[one.analysis_id] = one
        mark_effect(request)
        return JSONResponse({"id": one.analysis_id}, 202)

    async def show_analysis(self, request: Request) -> Response:
        """An analysis; 202 until it is ready."""
        one = self._analyses.get(request.path_params["id"])
        if one is None:
            raise refusal(404, "Root cause analysis not found")
        if self._account.clock.now() < one.ready_at:
            return JSONResponse({"id": one.analysis_id}, 202)
        return JSONResponse({"id": one.analysis_id, "analysis": one.text.model_dump()})

    def _groups(self, kind: Kind, owner: str | None) -> list[dict[str, object]]:
        return [
            group.show()
            for group in self._account.groups.values()
            if group.kind == kind and owner in {None, group.owner}
        ]

    def _known(self, request: Request) -> Group:
        kind = KINDS.get(request.path_params["kind"])
        group = self._account.groups.get(request.path_params["id"])
        if kind is None or group is None or group.kind != kind:
            raise refusal(404, "Error group not found")
        return group
