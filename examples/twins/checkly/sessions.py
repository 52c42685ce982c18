"""Test sessions: the runs of a pipeline (reference 2.3). Where one stands follows from the time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import APP, Account, Check, iso, refusal
from examples.twins.checkly.paging import by_cursor, flag, moment, several
from examples.twins.checkly.waiting import answer_when
from examples.twins.record import mark_effect

V1 = "/v1/test-sessions"
PROJECT = "project-webapp"
QUERY = frozenset(
    {
        "from",
        "to",
        "limit",
        "statuses",
        "branches",
        "users",
        "providers",
        "noUsers",
        "nextId",
        "textSearch",
        "errorGroupId",
    }
)


@dataclass(slots=True)
class Session:
    """One test session. The first of its checks carries what is wrong."""

    session_id: str
    account_id: str
    name: str
    provider: str
    checks: list[Check]
    created_at: datetime
    run_location: str
    metadata: dict[str, object]
    ends_at: datetime | None = None
    end: str = "PASSED"
    group_id: str | None = None
    result_ids: list[str] = field(default_factory=list)

    def status(self, now: datetime) -> str:
        """`RUNNING`, then how it ended."""
        return "RUNNING" if self.ends_at is None or now < self.ends_at else self.end

    def entry(self, now: datetime) -> dict[str, object]:
        """The session as the list has it: without a status."""
        status, ids = self.status(now), [check.check_id for check in self.checks]
        bad = ids[:1] if status in {"FAILED", "CANCELLED"} else []
        stopped = self.ends_at if status != "RUNNING" else None
        return {
            "id": self.session_id,
            "accountId": self.account_id,
            "name": self.name,
            "provider": self.provider,
            "projectId": PROJECT,
            "region": self.run_location,
            "privateLocationId": None,
            "startedAt": iso(self.created_at),
            "stoppedAt": iso(stopped) if stopped else None,
            "created_at": iso(self.created_at),
            "updated_at": iso(stopped or self.created_at),
            "running": ids if status == "RUNNING" else [],
            "passed": [] if status == "RUNNING" else ids[len(bad) :],
            "failed": bad if status == "FAILED" else [],
            "cancelled": bad if status == "CANCELLED" else [],
            "invoker": {"name": self.metadata.get("commitOwner"), "picture": None},
            **{
                name: self.metadata.get(name)
                for name in (
                    "repoUrl",
                    "commitId",
                    "commitOwner",
                    "commitMessage",
                    "branchName",
                    "environment",
                )
            },
        }

    def show(self, now: datetime) -> dict[str, object]:
        """The session by itself, with its results."""
        status = self.status(now)
        stopped = self.ends_at if status != "RUNNING" else None
        elapsed = (stopped or now) - self.created_at
        failed = status == "FAILED" and self.group_id is not None
        return {
            "testSessionId": self.session_id,
            "testSessionLink": f"{APP}/test-sessions/{self.session_id}",
            "name": self.name,
            "status": status,
            "errorGroupIds": [self.group_id] if failed else [],
            "startedAt": iso(self.created_at),
            "stoppedAt": iso(stopped) if stopped else None,
            "timeElapsed": elapsed // timedelta(milliseconds=1),
            "metadata": self.metadata,
            "results": [self.result(number, now) for number in range(len(self.checks))],
        }

    def result(self, number: int, now: datetime) -> dict[str, object]:
        """What one check gave."""
        status, check = self.status(now), self.checks[number]
        fails = number == 0 and status == "FAILED"
        own = status if status == "RUNNING" or number == 0 else "PASSED"
        result_id = self.result_ids[number]
        return {
            "testSessionResultId": result_id,
            "testSessionResultLink": f"{APP}/test-sessions/{self.session_id}/results/{result_id}",
            "checkId": check.check_id,
            "checkType": check.type,
            "name": check.name,
            "status": own,
            "hasErrors": False,
            "hasFailures": fails,
            "isDegraded": False,
            "aborted": status == "CANCELLED" and number == 0,
            "runLocation": self.run_location,
            "errorGroupIds": [self.group_id] if fails and self.group_id else [],
        }


@dataclass(frozen=True, slots=True)
class Scheduling:
    """A session that is begun a phase later, or not at all."""

    scheduling_id: str
    end: bodies.Scheduled
    begun_at: datetime
    ready_at: datetime
    session: Session | None

    def status(self, now: datetime) -> str:
        """`RUNNING`, then how it ended."""
        return "RUNNING" if now < self.ready_at else self.end

    def show(self, now: datetime) -> dict[str, object]:
        """The scheduling as the answers have it."""
        status = self.status(now)
        shown: dict[str, object] = {"schedulingId": self.scheduling_id, "status": status}
        if status == "SUCCEEDED" and self.session is not None:
            shown["testSessionId"] = self.session.session_id
        if status == "FAILED":
            shown["error"] = "SCHEDULING_ERROR"
        return shown


class Sessions:
    """All test sessions, and the calls about them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.clear()

    def clear(self) -> None:
        """No sessions."""
        self._sessions: dict[str, Session] = {}
        self._schedulings: dict[str, Scheduling] = {}

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get, post = ["GET"], ["POST"]
        one = f"{V1}/{{id}}"
        return (
            Route(V1, self.list_sessions, methods=get),
            Route(f"{V1}/trigger", self.trigger, methods=post),
            Route(f"{V1}/run", self.run, methods=post),
            Route(f"{V1}/scheduling/{{id}}/completion", self.complete_scheduling, methods=get),
            Route(one, self.show, methods=get),
            Route(f"{one}/completion", self.complete, methods=get),
            Route(f"{one}/results/{{result}}", self.show_result, methods=get),
            Route(f"{one}/cancel", self.cancel, methods=post),
        )

    # --- levers ---------------------------------------------------------------------------------

    def add(self, asked: bodies.AddedSessions) -> list[Session]:
        """Sessions that somebody else started, oldest first."""
        last = self._account.clock.now() - timedelta(seconds=asked.ago_s)
        found = []
        for number in range(asked.count):
            created = last - timedelta(seconds=asked.every_s * (asked.count - 1 - number))
            ends = created + timedelta(seconds=asked.duration_s)
            metadata: dict[str, object] = {
                "branchName": asked.branch,
                "commitOwner": asked.owner,
                "commitId": f"{number:040x}",
                "commitMessage": f"Change {number}",
                "repoUrl": "https://github.com/acme-co/webapp",
                "environment": "production",
            }
            session = self._begin(
                asked.name,
                asked.provider,
                list(self._account.matching(bodies.Target())),
                created,
                "eu-west-1",
                metadata,
            )
            if asked.status != "RUNNING":
                self._let_end(session, asked.status, ends)
            found.append(session)
        return found

    def end(self, session_id: str, status: bodies.SessionEnd) -> dict[str, object]:
        """End a session now."""
        session = self._known(session_id)
        now = self._account.clock.now()
        self._let_end(session, status, now)
        return session.entry(now)

    def state(self) -> list[dict[str, object]]:
        """Every session, oldest first."""
        now = self._account.clock.now()
        return [session.show(now) for session in self._sessions.values()]

    # --- calls ----------------------------------------------------------------------------------

    async def list_sessions(self, request: Request) -> Response:
        """A page of the sessions that fit."""
        account, now = self._account, self._account.clock.now()
        styled = {f"{name}[]" for name in QUERY} if account.settings.arrays == "brackets" else set()
        unknown = set(request.query_params) - QUERY - styled
        if unknown:
            raise refusal(400, f"{', '.join(sorted(unknown))} is not allowed")
        since, until = moment(request, "from", account), moment(request, "to", account)
        search = request.query_params.get("textSearch", "")
        if "textSearch" in request.query_params and not 3 <= len(search) <= 200:
            raise refusal(400, '"textSearch" must have 3 to 200 characters')
        wanted = {name: several(request, name, account) for name in ("statuses", "providers")}
        branches, users = (several(request, name, account) for name in ("branches", "users"))
        nobody, group = flag(request, "noUsers"), request.query_params.get("errorGroupId")
        rows = [
            session.entry(now)
            for session in sorted(self._sessions.values(), key=lambda one: one.created_at)
            if (since is None or session.created_at >= since)
            and (until is None or session.created_at < until)
            and (not wanted["statuses"] or session.status(now) in wanted["statuses"])
            and (not wanted["providers"] or session.provider in wanted["providers"])
            and (not branches or session.metadata.get("branchName") in branches)
            and (not users or session.metadata.get("commitOwner") in users)
            and (not nobody or session.metadata.get("commitOwner") is None)
            and (group is None or session.group_id == group)
            and search.lower() in f"{session.name} {session.metadata}".lower()
        ]
        return by_cursor(account.ordered(rows), request)

    async def trigger(self, request: Request) -> Response:
        """Start a session now."""
        asked = bodies.StartSession.model_validate_json(await request.body() or b"{}")
        session = self._start(asked)
        mark_effect(request)
        return JSONResponse(session.show(self._account.clock.now()), 201)

    async def run(self, request: Request) -> Response:
        """Schedule a session, which begins a phase later."""
        asked = bodies.StartSession.model_validate_json(await request.body() or b"{}")
        self._needed(asked.target)
        now = self._account.clock.now()
        end = self._account.outcomes.scheduling()
        scheduling = Scheduling(
            str(uuid4()),
            end,
            now,
            now + timedelta(seconds=self._account.settings.pace),
            self._start(asked) if end == "SUCCEEDED" else None,
        )
        self._schedulings[scheduling.scheduling_id] = scheduling
        mark_effect(request)
        return JSONResponse({"schedulingId": scheduling.scheduling_id, "status": "PENDING"}, 202)

    async def complete_scheduling(self, request: Request) -> Response:
        """Wait for a scheduling."""
        scheduling = self._schedulings.get(request.path_params["id"])
        if scheduling is None:
            raise refusal(404, "Scheduling not found")
        clock = self._account.clock
        return await answer_when(
            request,
            self._account,
            lambda: scheduling.status(clock.now()) != "RUNNING",
            lambda: scheduling.show(clock.now()),
        )

    async def show(self, request: Request) -> Response:
        """A session with its results."""
        session = self._known(request.path_params["id"])
        return JSONResponse(session.show(self._account.clock.now()))

    async def complete(self, request: Request) -> Response:
        """Wait for a session."""
        session, clock = self._known(request.path_params["id"]), self._account.clock
        return await answer_when(
            request,
            self._account,
            lambda: session.status(clock.now()) != "RUNNING",
            lambda: session.show(clock.now()),
        )

    async def show_result(self, request: Request) -> Response:
        """One result with what it holds besides."""
        session = self._known(request.path_params["id"])
        if request.path_params["result"] not in session.result_ids:
            raise refusal(404, "Result not found")
        number = session.result_ids.index(request.path_params["result"])
        result = session.result(number, self._account.clock.now())
        return JSONResponse({**result, "logs": [], "assets": []})

    async def cancel(self, request: Request) -> Response:
        """Stop a session; one that has ended stays as it is."""
        session, now = self._known(request.path_params["id"]), self._account.clock.now()
        if session.status(now) == "RUNNING":
            session.end, session.ends_at = "CANCELLED", now
            mark_effect(request)
        return JSONResponse(session.show(now))

    def _start(self, asked: bodies.StartSession) -> Session:
        checks, account = self._needed(asked.target), self._account
        session = self._begin(
            asked.name,
            "TRIGGER",
            checks,
            account.clock.now(),
            asked.runLocation,
            {name: value for name, value in asked.metadata.model_dump().items() if value},
        )
        ends = session.created_at + timedelta(seconds=2 * account.settings.pace)
        self._let_end(session, account.outcomes.session(), ends)
        return session

    def _let_end(self, session: Session, end: bodies.SessionEnd, at: datetime) -> None:
        session.end, session.ends_at = end, at
        if end == "FAILED":
            message = f"expect(page) to have the heading {session.name!r}"
            session.group_id = self._account.note_error(PROJECT, message, at, kind="session")

    def _begin(
        self,
        name: str,
        provider: str,
        checks: list[Check],
        created: datetime,
        location: str,
        metadata: dict[str, object],
    ) -> Session:
        session = Session(
            str(uuid4()),
            self._account.settings.account,
            name,
            provider,
            checks,
            created,
            location,
            metadata,
            result_ids=[str(uuid4()) for _ in checks],
        )
        self._sessions[session.session_id] = session
        return session

    def _needed(self, target: bodies.Target) -> list[Check]:
        checks = self._account.matching(target)
        if not checks:
            raise refusal(403, "No matching checks were found.", "ERR_NO_MATCHING_CHECKS")
        return checks

    def _known(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise refusal(404, "Test session not found")
        return session
