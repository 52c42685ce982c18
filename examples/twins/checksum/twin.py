"""The Checksum twin put together: admission, errors, levers.

The vendor publishes no request limit; the limit `api` is open until a test sets it.
"""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checksum.execution import Execution
from examples.twins.checksum.healing import Healing
from examples.twins.checksum.outcomes import RunOutcome, Script
from examples.twins.checksum.project import (
    V1,
    Bug,
    BugFilling,
    ChecksumSettings,
    Project,
    refusal,
)
from examples.twins.checksum.results import Results
from examples.twins.clock import Clock
from examples.twins.ratelimit import Limits, Window
from examples.twins.twin import Refusal


class AddedRun(RunOutcome):
    """What `POST /_twin/runs` takes: a run that has ended already."""

    branch: str = "main"
    id: UUID | None = None


class ChecksumTwin:
    """Checksum's public API over one project."""

    name = "checksum"

    def __init__(self, settings: ChecksumSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=None)}
        self._project = Project(settings, self.clock)

    def clear(self) -> None:
        """A project without runs, whose next runs pass and whose heals give a pull request."""
        self._project.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of both versions."""
        return (
            Route(f"{V1}/me", self.me, methods=["GET"]),
            *Execution(self._project).routes(),
            *Results(self._project).routes(),
            *Healing(self._project).routes(),
        )

    def levers(self) -> Sequence[Route]:
        """Scripted outcomes, runs that have ended already, bugs; a bug of a known id is changed."""
        return (
            Route("/outcomes", self.script, methods=["POST"]),
            Route("/runs", self.add_run, methods=["POST"]),
            Route("/bugs", self.add_bug, methods=["POST"]),
            Route("/fill", self.fill, methods=["POST"]),
        )

    async def admit(self, request: Request) -> None:
        """A bearer key, or the header of the vendor's own action; then the request limit."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        bearer = given.strip() if scheme.lower() == "bearer" else ""
        if self.settings.key not in {bearer, request.headers.get("checksumappcode", "")}:
            raise refusal(401, "Invalid or missing API key")
        standing = self.limits["api"].take("project", self.clock.seconds())
        if not standing.allowed:
            body = {"error": "Too Many Requests", "message": "Rate limit exceeded"}
            raise Refusal(429, body, (("retry-after", str(standing.retry_after_s)),))

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"error", "message"}`."""
        return refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 that names what does not fit."""
        found = [
            ".".join(map(str, problem["loc"])) + f": {problem['msg']}" for problem in error.errors()
        ]
        return refusal(400, "; ".join(found))

    def state(self) -> dict[str, object]:
        """Runs, batches and bugs."""
        bugs = [bug.show() for bug in self._project.bugs]
        return {**self._project.book.show(), "bugs": bugs}

    async def me(self, _: Request) -> Response:
        """The project of this key."""
        return JSONResponse({"id": "project-abc-123", "name": "My Project"})

    async def script(self, request: Request) -> Response:
        """Lever: how the next runs and heals end."""
        self._project.outcomes.follow(Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    async def add_run(self, request: Request) -> Response:
        """Lever: add a run that has ended already."""
        asked = AddedRun.model_validate_json(await request.body())
        run_id = str(asked.id) if asked.id else None
        run = self._project.book.add_finished(asked, branch=asked.branch, run_id=run_id)
        return JSONResponse({"id": run.run_id, "name": run.name}, 201)

    async def add_bug(self, request: Request) -> Response:
        """Lever: add a bug to the health dashboard, or change the one with this id."""
        bug = Bug.model_validate_json(await request.body() or b"{}")
        places = [n for n, one in enumerate(self._project.bugs) if one.id == bug.id]
        if places:
            self._project.bugs[places[0]] = bug
        else:
            self._project.bugs.append(bug)
        return JSONResponse(bug.show(), 201)

    async def fill(self, request: Request) -> Response:
        """Lever: many bugs at once."""
        asked = BugFilling.model_validate_json(await request.body())
        first = len(self._project.bugs)
        for number in range(first, first + asked.bugs):
            severity = "critical" if number % 2 else "minor"
            self._project.bugs.append(
                Bug.model_validate({"id": f"bug-{number}", "severity": severity})
            )
        return JSONResponse(asked.model_dump(), 201)
