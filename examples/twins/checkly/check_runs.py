"""Running existing checks now, their states and their results (reference 2.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import APP, Account, Check, iso, refusal
from examples.twins.checkly.paging import by_cursor, several
from examples.twins.checkly.waiting import answer_when
from examples.twins.record import mark_effect

FAILING = frozenset({"FAILED", "TIMED_OUT"})
ERROR = "Expected the status 200 and got 500"


@dataclass(slots=True)
class CheckSession:
    """One check that runs now: `STARTED` for a phase, `PROGRESS` for a phase, then its end."""

    session_id: str
    check: Check
    end: str
    begun_at: datetime
    pace: timedelta
    group_id: str | None

    def status(self, now: datetime) -> str:
        """Its status now; a run that fails shows that before it has ended."""
        if now >= self.begun_at + 2 * self.pace:
            return self.end
        if now < self.begun_at + self.pace:
            return "STARTED"
        return {"FAILED": "PROGRESS_FAILED", "DEGRADED": "PROGRESS_DEGRADED"}.get(
            self.end, "PROGRESS"
        )

    def has_ended(self, now: datetime) -> bool:
        """Whether it has ended."""
        return now >= self.begun_at + 2 * self.pace or self.end == "CANCELLED"

    def show(self, now: datetime) -> dict[str, object]:
        """The run as the answers have it."""
        ended = self.has_ended(now)
        status = self.end if ended else self.status(now)
        groups = [self.group_id] if ended and status in FAILING and self.group_id else []
        return {
            "checkSessionId": self.session_id,
            "checkSessionLink": f"{APP}/checks/{self.check.check_id}/sessions/{self.session_id}",
            "checkId": self.check.check_id,
            "checkType": self.check.type,
            "name": self.check.name,
            "status": status,
            "errorGroupIds": groups,
            "startedAt": iso(self.begun_at),
            "stoppedAt": iso(now) if ended else None,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a check."""

    result_id: str
    check: Check
    at: datetime
    failing: bool
    degraded: bool = False
    attempt: bool = False
    group_id: str | None = None

    def show(self) -> dict[str, object]:
        """The result as the answers have it."""
        return {
            "id": self.result_id,
            "checkId": self.check.check_id,
            "name": self.check.name,
            "resultType": "ATTEMPT" if self.attempt else "FINAL",
            "hasFailures": self.failing,
            "hasErrors": False,
            "isDegraded": self.degraded,
            "responseTime": 812,
            "runLocation": "eu-west-1",
            "attempts": 1,
            "startedAt": iso(self.at),
            "stoppedAt": iso(self.at),
            "created_at": iso(self.at),
            "errorGroupIds": [self.group_id] if self.group_id else [],
        }


class CheckRuns:
    """Runs and results of all checks, and the calls about them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.clear()

    def clear(self) -> None:
        """Nothing has run."""
        self._sessions: dict[str, CheckSession] = {}
        self._results: dict[str, list[Result]] = {}
        self.deployment_runs = 0

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get, post = ["GET"], ["POST"]
        return (
            Route("/v2/check-sessions/trigger", self.trigger, methods=post),
            Route("/v2/check-sessions/{id}", self.show_session, methods=get),
            Route("/v2/check-sessions/{id}/completion", self.complete, methods=get),
            Route("/v1/check-sessions/{id}/cancel", self.cancel, methods=post),
            Route("/v1/check-statuses", self.list_statuses, methods=get),
            Route("/v1/check-statuses/{id}", self.show_status, methods=get),
            Route("/v2/check-results/{id}", self.list_results, methods=get),
            Route("/v1/check-results/{id}/{result}", self.show_result, methods=get),
            Route("/checks/{id}/trigger/{token}", self.deploy, methods=get),
            Route("/check-groups/{id}/trigger/{token}", self.deploy, methods=get),
        )

    def add_results(self, asked: bodies.AddedResults) -> list[Result]:
        """Lever: results one second apart, the last of them now."""
        check, now = self._account.known_check(asked.check_id), self._account.clock.now()
        return [
            self.note(
                check,
                now - timedelta(seconds=asked.count - 1 - number),
                failing=asked.failing,
                attempt=asked.attempt,
            )
            for number in range(asked.count)
        ]

    def note(
        self,
        check: Check,
        at: datetime,
        *,
        failing: bool,
        degraded: bool = False,
        attempt: bool = False,
        error: str = "",
    ) -> Result:
        """Enter a result."""
        group = (
            self._account.note_error(check.check_id, error or ERROR, at, kind="check")
            if failing
            else None
        )
        result = Result(str(uuid4()), check, at, failing, degraded, attempt, group)
        self._results.setdefault(check.check_id, []).append(result)
        return result

    def state(self) -> list[dict[str, object]]:
        """Every run of a check."""
        now = self._account.clock.now()
        return [session.show(now) for session in self._sessions.values()]

    async def trigger(self, request: Request) -> Response:
        """Run every check that fits."""
        asked = bodies.StartChecks.model_validate_json(await request.body() or b"{}")
        checks, account = self._account.matching(asked.target), self._account
        if not checks:
            raise refusal(404, "No checks matched the target")
        now, started = account.clock.now(), []
        for check in checks:
            end = account.outcomes.check()
            result = self.note(check, now, failing=end in FAILING, degraded=end == "DEGRADED")
            session = CheckSession(
                str(uuid4()),
                check,
                end,
                now,
                timedelta(seconds=account.settings.pace),
                result.group_id,
            )
            self._sessions[session.session_id] = session
            started.append(session.show(now))
        mark_effect(request)
        return JSONResponse({"sessions": started}, 201)

    async def show_session(self, request: Request) -> Response:
        """One run of a check."""
        session = self._known(request)
        return JSONResponse(session.show(self._account.clock.now()))

    async def complete(self, request: Request) -> Response:
        """Wait for the run of a check."""
        session, clock = self._known(request), self._account.clock
        return await answer_when(
            request,
            self._account,
            lambda: session.has_ended(clock.now()),
            lambda: session.show(clock.now()),
        )

    async def cancel(self, request: Request) -> Response:
        """Stop the run of a check."""
        session, now = self._known(request), self._account.clock.now()
        if not session.has_ended(now):
            session.end = "CANCELLED"
            mark_effect(request)
        return JSONResponse(session.show(now))

    async def list_statuses(self, _: Request) -> Response:
        """The state of every check."""
        return JSONResponse([self._status(check) for check in self._account.checks.values()])

    async def show_status(self, request: Request) -> Response:
        """The state of one check."""
        return JSONResponse(self._status(self._account.known_check(request.path_params["id"])))

    async def list_results(self, request: Request) -> Response:
        """A page of the results of a check, newest first."""
        check = self._account.known_check(request.path_params["id"])
        rows = [result.show() for result in reversed(self._results.get(check.check_id, []))]
        wanted = several(request, "fields", self._account)
        if wanted:
            kept = {"id", *wanted}
            rows = [{name: row[name] for name in row if name in kept} for row in rows]
        return by_cursor(rows, request)

    async def show_result(self, request: Request) -> Response:
        """One result with what it holds besides."""
        check = self._account.known_check(request.path_params["id"])
        for result in self._results.get(check.check_id, []):
            if result.result_id == request.path_params["result"]:
                return JSONResponse({**result.show(), "apiCheckResult": None})
        raise refusal(404, "Check result not found")

    async def deploy(self, request: Request) -> Response:
        """The old trigger: it waits for the end, and a failure is a 503."""
        if request.path_params["id"] not in self._account.checks:
            raise refusal(404, "Check not found")
        mark_effect(request)
        self.deployment_runs += 1
        fails = self._account.outcomes.check() in FAILING
        return JSONResponse({"hasFailures": fails, "responseTime": 812}, 503 if fails else 200)

    def _status(self, check: Check) -> dict[str, object]:
        results = [one for one in self._results.get(check.check_id, []) if not one.attempt]
        last = results[-1] if results else None
        return {
            "checkId": check.check_id,
            "name": check.name,
            "hasErrors": False,
            "hasFailures": last.failing if last else False,
            "isDegraded": last.degraded if last else False,
            "lastCheckRunId": last.result_id if last else None,
            "lastRunLocation": "eu-west-1",
            "sslDaysRemaining": 80,
            "updated_at": iso(last.at) if last else None,
        }

    def _known(self, request: Request) -> CheckSession:
        session = self._sessions.get(request.path_params["id"])
        if session is None:
            raise refusal(404, "Check session not found")
        return session
