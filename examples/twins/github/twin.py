"""The GitHub twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.github.account import Account, GitHubSettings, refusal
from examples.twins.github.bodies import AddedComment, AddedCommit, AddedPull, HookEvent
from examples.twins.github.comments import Comments
from examples.twins.github.commits import Commits
from examples.twins.github.deliveries import Deliveries
from examples.twins.github.limits import check_secondary, count_primary, show_standing
from examples.twins.github.store import show_user
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
            *Comments(self._account).routes(),
            *Commits(self._account).routes(),
            *Deliveries(self._account).routes(),
        )

    def levers(self) -> Sequence[Route]:
        """Pull requests, commits, foreign comments, webhooks."""
        return (
            Route("/pulls", self.add_pull, methods=["POST"]),
            Route("/commits", self.add_commit, methods=["POST"]),
            Route("/comments", self.add_comment, methods=["POST"]),
            Route("/comments/{id:int}", self.remove_comment, methods=["DELETE"]),
            Route("/send", self.send, methods=["POST"]),
        )

    async def admit(self, request: Request) -> None:
        """User-Agent, token, then the limits."""
        if not request.headers.get("user-agent"):
            rules = "Request forbidden by administrative rules."
            raise Refusal(403, f"{rules} Please make sure your request has a User-Agent header.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise refusal(401, "Requires authentication")
        if scheme.lower() not in {"bearer", "token"} or token.strip() != self.settings.key:
            raise refusal(401, "Bad credentials")
        path = request.url.path
        conditional = "if-none-match" in request.headers and path.endswith("/comments")
        cost = 0 if path == "/rate_limit" or conditional else 1
        count_primary(self._account.limits, self.clock, request, cost=cost)
        check_secondary(self._account.limits, self.clock, request)

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
        """Pull requests, comments, statuses, dispatches, hook deliveries."""
        deliveries = [one.show(full=True) for one in self._account.hook.newest_first()]
        return {**self._account.store.show(), "deliveries": deliveries}

    async def user(self, _: Request) -> Response:
        """Whose token it is."""
        return JSONResponse(show_user(self.settings.login))

    async def rate_limit(self, _: Request) -> Response:
        """Where the caller stands, without counting."""
        standing = show_standing(self._account.limits, self.clock)
        return JSONResponse({"resources": {"core": standing}, "rate": standing})

    async def meta(self, _: Request) -> Response:
        """Addresses webhooks come from."""
        return JSONResponse({"hooks": ["127.0.0.1/32", "::1/128"]})

    async def add_pull(self, request: Request) -> Response:
        """Lever: add or replace a pull request."""
        asked = AddedPull.model_validate_json(await request.body() or b"{}")
        return JSONResponse(self._account.add_pull(asked).show(), 201)

    async def add_commit(self, request: Request) -> Response:
        """Lever: add a commit that is in no pull request."""
        asked = AddedCommit.model_validate_json(await request.body())
        self._account.store.commits.setdefault(asked.repo, set()).add(asked.sha)
        return JSONResponse(asked.model_dump(), 201)

    async def add_comment(self, request: Request) -> Response:
        """Lever: add a comment of somebody else."""
        asked = AddedComment.model_validate_json(await request.body())
        comment = self._account.store.add_comment(asked.repo, asked.number, asked.body, asked.login)
        return JSONResponse(comment.show(), 201)

    async def remove_comment(self, request: Request) -> Response:
        """Lever: somebody deletes a comment."""
        comment_id: int = request.path_params["id"]
        if not self._account.store.delete_comment(comment_id):
            raise Refusal(404, {"error": f"no comment {comment_id}"})
        return JSONResponse({"deleted": comment_id})

    async def send(self, request: Request) -> Response:
        """Lever: deliver a webhook to the receiver and wait for its answer."""
        event = HookEvent.model_validate_json(await request.body())
        receiver = event.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        secret = self.settings.secret if event.secret is None else event.secret
        sent = await self._account.hook.send(event, receiver=receiver, secret=secret)
        return JSONResponse([one.show(full=True) for one in sent])
