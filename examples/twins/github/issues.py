"""Issues of a repository."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account
from examples.twins.github.bodies import IssueBody, IssueChange
from examples.twins.github.callers import caller_of
from examples.twins.github.issue import Issue
from examples.twins.github.paging import answer_page
from examples.twins.github.refusals import refusal
from examples.twins.record import mark_effect


class Issues:
    """The calls about issues; lists hold pull requests too, as GitHub's do."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        base = "/repos/{owner}/{repo}/issues"
        return (
            Route(base, self.list_issues, methods=["GET"]),
            Route(base, self.create, methods=["POST"]),
            Route(f"{base}/{{number:int}}", self.show, methods=["GET"]),
            Route(f"{base}/{{number:int}}", self.edit, methods=["PATCH"]),
        )

    def add(self, repo: str, asked: IssueBody, login: str) -> Issue:
        """Open an issue under the next number of the repository."""
        store = self._account.store
        taken = [number for place, number in [*store.pulls, *store.issues] if place == repo]
        number = max(taken, default=0) + 1
        issue = Issue(
            repo, number, asked.title, asked.body, login, self._account.clock.now(), asked.labels
        )
        store.issues[repo, number] = issue
        return issue

    async def list_issues(self, request: Request) -> Response:
        """Issues and pull requests, newest first; open ones, or those asked for."""
        repo = self._account.known_repo(request)
        wanted = request.query_params.get("state", "open")
        creator = request.query_params.get("creator")
        store = self._account.store
        found = [one.show() for place, one in store.issues.items() if place[0] == repo]
        for place, pull in store.pulls.items():
            if place[0] == repo:
                found.append(pull.show() | {"pull_request": {"url": pull.show()["url"]}})
        kept = [
            one
            for one in found
            if wanted in {"all", one["state"]} and creator in {None, _login_of(one)}
        ]
        return answer_page(sorted(kept, key=lambda one: -int(str(one["number"]))), request)

    async def create(self, request: Request) -> Response:
        """Open an issue."""
        repo = self._account.known_repo(request)
        asked = IssueBody.model_validate_json(await request.body() or b"{}")
        issue = self.add(repo, asked, caller_of(request).login)
        mark_effect(request)
        return JSONResponse(issue.show(), 201)

    async def show(self, request: Request) -> Response:
        """One issue."""
        return JSONResponse(self._known_issue(request).show())

    async def edit(self, request: Request) -> Response:
        """Change an issue."""
        issue = self._known_issue(request)
        asked = IssueChange.model_validate_json(await request.body() or b"{}")
        for name, value in asked.model_dump(exclude_none=True).items():
            setattr(issue, name, value)
        mark_effect(request)
        return JSONResponse(issue.show())

    def _known_issue(self, request: Request) -> Issue:
        place = self._account.known_issue(request)
        issue = self._account.store.issues.get(place)
        if issue is None:
            raise refusal(404, "Not Found")
        return issue


def _login_of(shown: dict[str, object]) -> object:
    user = shown["user"]
    return user["login"] if isinstance(user, dict) else None
