"""The GitHub twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.github.account import Account
from examples.twins.github.addresses import show_user
from examples.twins.github.app import App
from examples.twins.github.callers import caller_of
from examples.twins.github.checks import Checks
from examples.twins.github.comments import Comments
from examples.twins.github.commits import Commits
from examples.twins.github.deliveries import Deliveries
from examples.twins.github.issues import Issues
from examples.twins.github.levers import Levers
from examples.twins.github.limits import check_secondary, count_primary, show_standing
from examples.twins.github.refusals import refusal
from examples.twins.github.settings import GitHubSettings
from examples.twins.ratelimit import Limits
from examples.twins.twin import Refusal


class GitHubTwin:
    """GitHub's REST API over the repositories one token can see."""

    name = "github"

    def __init__(self, settings: GitHubSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self._account = Account(settings, self.clock)
        self.limits: Limits = self._account.limits.by_name()

    def clear(self) -> None:
        """One repository with one open pull request: `acme-co/webapp` number 42."""
        self._account.clear()

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        return (
            Route("/user", self.user, methods=["GET"]),
            Route("/rate_limit", self.rate_limit, methods=["GET"]),
            Route("/meta", self.meta, methods=["GET"]),
            *App(self._account).routes(),
            *Issues(self._account).routes(),
            *Comments(self._account).routes(),
            *Commits(self._account).routes(),
            *Checks(self._account).routes(),
            *Deliveries(self._account).routes(),
        )

    def levers(self) -> Sequence[Route]:
        """What people and time do at GitHub."""
        return Levers(self._account).routes()

    async def admit(self, request: Request) -> None:
        """User-Agent, token, then the limits."""
        if not request.headers.get("user-agent"):
            rules = "Request forbidden by administrative rules."
            raise Refusal(403, f"{rules} Please make sure your request has a User-Agent header.")
        caller = self._account.callers.admit(request)
        path = request.url.path
        conditional = "if-none-match" in request.headers and path.endswith("/comments")
        cost = 0 if path == "/rate_limit" or conditional else 1
        limits, who = self._account.limits, caller.login
        count_primary(limits, self.clock, request, cost=cost, who=who)
        check_secondary(limits, self.clock, request, who=who)

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"message", "documentation_url", "status"}`."""
        return refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 for broken JSON, otherwise 422 that names what does not fit."""
        problems = error.errors()
        if any(problem["type"] == "json_invalid" for problem in problems):
            return refusal(400, "Problems parsing JSON")
        first = problems[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            return refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return refusal(422, f'Invalid request.\n\nFor "{name}": {first["msg"]}.')

    def state(self) -> dict[str, object]:
        """All that is in the repositories, and the deliveries of every hook, newest first."""
        hooks = {
            name: [one.show(full=True) for one in hook.newest_first()]
            for name, hook in self._account.hooks.items()
        }
        return {**self._account.store.show(), "deliveries": hooks["repository"], "hooks": hooks}

    async def user(self, request: Request) -> Response:
        """Whose token it is; an installation is nobody."""
        caller = caller_of(request)
        if caller.kind != "user":
            raise refusal(403, caller.refused)
        return JSONResponse(show_user(caller.login))

    async def rate_limit(self, request: Request) -> Response:
        """Where the caller stands, without counting."""
        login = caller_of(request).login
        standing = show_standing(self._account.limits, self.clock, who=login)
        return JSONResponse({"resources": {"core": standing}, "rate": standing})

    async def meta(self, _: Request) -> Response:
        """Addresses webhooks come from."""
        return JSONResponse({"hooks": ["127.0.0.1/32", "::1/128"]})
