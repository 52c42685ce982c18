"""The twin of GitHub: comments, pull requests of a commit, statuses, hooks (reference 6)."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock, zulu
from examples.twins.front import HEADERS_KEY
from examples.twins.github_hooks import HOOK_ID, Delivery, Hook, HookEvent
from examples.twins.github_limits import (
    DOCS,
    check_secondary,
    primary_headers,
    usual_limits,
)
from examples.twins.github_paging import page_of
from examples.twins.github_store import Comment, PullRequest, Store, show_user
from examples.twins.ratelimit import Limits
from examples.twins.record import mark_effect
from examples.twins.twin import Refusal, Settings

MAX_BODY_CHARS = 65536
MAX_DESCRIPTION_CHARS = 140
MAX_PAYLOAD_BYTES = 65536
Repo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]


class GitHubSettings(Settings):
    """Settings of this twin. `login` is whose token it is."""

    key: str = Field(default="ghp_twin", min_length=1)
    secret: str = "github-webhook-secret"
    login: str = "qa-bot"


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class CommentBody(_Body):
    """Body of a new or edited comment."""

    body: str


class StatusBody(_Body):
    """Body of a commit status."""

    state: Literal["error", "failure", "pending", "success"]
    target_url: str | None = None
    description: str | None = None
    context: str = "default"


class DispatchBody(_Body):
    """Body of a repository dispatch."""

    event_type: str = Field(min_length=1, max_length=100)
    client_payload: dict[str, object] = Field(default_factory=dict)


class AddedPull(BaseModel):
    """What `POST /_twin/pulls` takes. `commits` are further commits of the pull request."""

    model_config = ConfigDict(extra="forbid")

    repo: Repo = "acme-co/webapp"
    number: int = Field(default=42, ge=1)
    head_sha: str = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    branch: str = "feature/checkout"
    base: str = "main"
    title: str = "Rework the checkout"
    state: Literal["open", "closed"] = "open"
    commits: list[str] = Field(default_factory=list)


class AddedCommit(BaseModel):
    """What `POST /_twin/commits` takes: a commit that is in no pull request."""

    model_config = ConfigDict(extra="forbid")

    repo: Repo
    sha: str


class AddedComment(BaseModel):
    """What `POST /_twin/comments` takes: a comment of somebody else."""

    model_config = ConfigDict(extra="forbid")

    repo: Repo = "acme-co/webapp"
    number: int = 42
    body: str
    login: str = "octocat"


class GitHubTwin:
    """GitHub's REST API over the repositories one token can see."""

    name = "github"

    def __init__(self, settings: GitHubSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self._limits = usual_limits()
        self.limits: Limits = self._limits.by_name()
        self.clear()

    def clear(self) -> None:
        """One repository with one open pull request: `acme-co/webapp` number 42."""
        self._store = Store(self.clock)
        self._hook = Hook(self.clock)
        self._add_pull(AddedPull())

    def routes(self) -> Sequence[Route]:
        """The calls of the API."""
        repo = "/repos/{owner}/{repo}"
        issue, comment = (
            f"{repo}/issues/{{number:int}}/comments",
            f"{repo}/issues/comments/{{id:int}}",
        )
        deliveries = f"{repo}/hooks/{{hook:int}}/deliveries"
        get, post = ["GET"], ["POST"]
        return (
            Route("/user", self.user, methods=get),
            Route("/rate_limit", self.rate_limit, methods=get),
            Route("/meta", self.meta, methods=get),
            Route(issue, self.list_comments, methods=get),
            Route(issue, self.create_comment, methods=post),
            Route(comment, self.show_comment, methods=get),
            Route(comment, self.edit_comment, methods=["PATCH"]),
            Route(comment, self.delete_comment, methods=["DELETE"]),
            Route(f"{repo}/commits/{{sha}}/pulls", self.pulls_of_commit, methods=get),
            Route(f"{repo}/commits/{{sha}}/statuses", self.list_statuses, methods=get),
            Route(f"{repo}/pulls/{{number:int}}", self.show_pull, methods=get),
            Route(f"{repo}/statuses/{{sha}}", self.set_status, methods=post),
            Route(f"{repo}/dispatches", self.dispatch, methods=post),
            Route(f"{repo}/check-runs", self.refuse_check_run, methods=post),
            Route(deliveries, self.list_deliveries, methods=get),
            Route(f"{deliveries}/{{id:int}}", self.show_delivery, methods=get),
            Route(f"{deliveries}/{{id:int}}/attempts", self.redeliver, methods=post),
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
        """User-Agent, token, then the limits, in the order GitHub checks them."""
        path = request.url.path
        if not request.headers.get("user-agent"):
            text = "Request forbidden by administrative rules. Please make sure your request has a "
            raise Refusal(403, text + "User-Agent header.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise self.refusal(401, "Requires authentication")
        if scheme.lower() not in {"bearer", "token"} or token.strip() != self.settings.key:
            raise self.refusal(401, "Bad credentials")
        conditional = "if-none-match" in request.headers and path.endswith("/comments")
        free = path == "/rate_limit" or conditional
        headers = primary_headers(self._limits, self.clock, cost=0 if free else 1)
        _answer_with(request, headers)
        check_secondary(self._limits, self.clock, request)

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"message", "documentation_url", "status"}`."""
        body = {"message": message, "documentation_url": DOCS, "status": str(status)}
        return Refusal(status, body)

    def invalid(self, error: ValidationError) -> Refusal:
        """400 for broken JSON, otherwise 422 that names what does not fit."""
        problems = error.errors()
        if any(problem["type"] == "json_invalid" for problem in problems):
            return self.refusal(400, "Problems parsing JSON")
        first = problems[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            return self.refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return self.refusal(422, f'Invalid request.\n\nFor "{name}": {first["msg"]}.')

    def state(self) -> dict[str, object]:
        """Pull requests, comments, statuses, dispatches, hook deliveries."""
        deliveries = [one.show(full=True) for one in self._hook.newest_first()]
        return {**self._store.show(), "deliveries": deliveries}

    async def user(self, _: Request) -> Response:
        """Whose token it is."""
        return JSONResponse(show_user(self.settings.login))

    async def rate_limit(self, request: Request) -> Response:
        """Where the caller stands, without counting."""
        standing = {
            name.decode().removeprefix("x-ratelimit-"): int(value)
            for name, value in request.scope[HEADERS_KEY]
            if name != b"x-ratelimit-resource"
        }
        return JSONResponse({"resources": {"core": standing}, "rate": standing})

    async def meta(self, _: Request) -> Response:
        """Addresses webhooks come from."""
        return JSONResponse({"hooks": ["127.0.0.1/32", "::1/128"]})

    async def list_comments(self, request: Request) -> Response:
        """Comments of an issue, oldest first, in pages, with an entity tag."""
        repo, number = self._known_issue(request)
        since = self._since(request)
        found = [
            one
            for one in self._store.comments_of(repo, number)
            if not since or one.updated_at >= since
        ]
        shown, link = page_of([one.show() for one in found], request)
        answer = JSONResponse(shown)
        tag = f'W/"{hashlib.sha256(bytes(answer.body)).hexdigest()}"'
        headers = {"etag": tag} | ({"link": link} if link else {})
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "if-none-match" in request.headers:
            _answer_with(request, primary_headers(self._limits, self.clock, cost=1))
        answer.headers.update(headers)
        return answer

    async def create_comment(self, request: Request) -> Response:
        """Add a comment."""
        repo, number = self._known_issue(request)
        text = await self._comment_text(request)
        comment = self._store.add_comment(repo, number, text, self.settings.login)
        mark_effect(request)
        shown = comment.show()
        return JSONResponse(shown, 201, headers={"location": str(shown["url"])})

    async def show_comment(self, request: Request) -> Response:
        """One comment."""
        return JSONResponse(self._known_comment(request).show())

    async def edit_comment(self, request: Request) -> Response:
        """Replace a comment's text; only one's own."""
        comment = self._own_comment(request)
        self._store.edit_comment(comment, await self._comment_text(request))
        mark_effect(request)
        return JSONResponse(comment.show())

    async def delete_comment(self, request: Request) -> Response:
        """Remove a comment; only one's own."""
        self._store.delete_comment(self._own_comment(request).comment_id)
        mark_effect(request)
        return Response(status_code=204)

    async def pulls_of_commit(self, request: Request) -> Response:
        """Pull requests that hold a commit."""
        repo, sha = self._known_commit(request)
        held = [
            pull.show()
            for pull in self._store.pulls.values()
            if pull.repo == repo and pull.holds(sha)
        ]
        shown, link = page_of(held, request)
        return JSONResponse(shown, headers={"link": link} if link else None)

    async def show_pull(self, request: Request) -> Response:
        """One pull request."""
        pull = self._store.pulls.get((self._known_repo(request), request.path_params["number"]))
        if pull is None:
            raise self.refusal(404, "Not Found")
        return JSONResponse(pull.show())

    async def list_statuses(self, request: Request) -> Response:
        """Statuses of a commit, newest first."""
        repo, sha = self._known_commit(request)
        held = [one for one in self._store.statuses if (one["repo"], one["sha"]) == (repo, sha)]
        shown, link = page_of(list(reversed(held)), request)
        return JSONResponse(shown, headers={"link": link} if link else None)

    async def set_status(self, request: Request) -> Response:
        """Put a status on a commit."""
        repo, sha = self._known_commit(request)
        asked = StatusBody.model_validate_json(await request.body() or b"{}")
        if len(asked.description or "") > MAX_DESCRIPTION_CHARS:
            limit = f"description is too long (maximum is {MAX_DESCRIPTION_CHARS} characters)"
            raise self._validation_failed("Status", "description", limit)
        status: dict[str, object] = {
            "id": 5000000 + len(self._store.statuses),
            "repo": repo,
            "sha": sha,
            "creator": show_user(self.settings.login),
            "created_at": zulu(self.clock.now()),
            **asked.model_dump(),
        }
        self._store.statuses.append(status)
        mark_effect(request)
        return JSONResponse(status, 201)

    async def dispatch(self, request: Request) -> Response:
        """Start workflows that listen to a dispatch."""
        repo = self._known_repo(request)
        raw = await request.body()
        asked = DispatchBody.model_validate_json(raw or b"{}")
        if len(asked.client_payload) > 10:
            raise self.refusal(
                422,
                "Invalid request.\n\nNo more than 10 properties are allowed; "
                f"{len(asked.client_payload)} were supplied.",
            )
        if len(raw) > MAX_PAYLOAD_BYTES:
            raise self.refusal(422, "client_payload is too large.")
        self._store.dispatches.append({"repo": repo, **asked.model_dump()})
        mark_effect(request)
        return Response(status_code=204)

    async def refuse_check_run(self, request: Request) -> Response:
        """Check runs are for GitHub Apps; a user's token is refused."""
        self._known_repo(request)
        raise self.refusal(403, "You must authenticate via a GitHub App.")

    async def list_deliveries(self, request: Request) -> Response:
        """Deliveries of the hook, newest first."""
        self._known_hook(request)
        rows = [one.show(full=False) for one in self._hook.newest_first()]
        shown, link = page_of(rows, request)
        return JSONResponse(shown, headers={"link": link} if link else None)

    async def show_delivery(self, request: Request) -> Response:
        """One delivery with request and response."""
        return JSONResponse(self._known_delivery(request).show(full=True))

    async def redeliver(self, request: Request) -> Response:
        """Send a past delivery again under the same GUID."""
        delivery = self._known_delivery(request)
        if not self._hook.can_redeliver(delivery):
            raise self.refusal(422, "The delivery is too old to be redelivered")
        mark_effect(request)
        await self._hook.redeliver(delivery, receiver=delivery.url, secret=self.settings.secret)
        return JSONResponse({}, 202)

    def _known_repo(self, request: Request) -> str:
        repo = f"{request.path_params['owner']}/{request.path_params['repo']}"
        if repo not in self._store.commits:
            raise self.refusal(404, "Not Found")
        return repo

    def _known_issue(self, request: Request) -> tuple[str, int]:
        place = self._known_repo(request), int(request.path_params["number"])
        if place not in self._store.pulls:
            raise self.refusal(404, "Not Found")
        return place

    def _known_comment(self, request: Request) -> Comment:
        comment = self._store.find_comment(self._known_repo(request), request.path_params["id"])
        if comment is None:
            raise self.refusal(404, "Not Found")
        return comment

    def _own_comment(self, request: Request) -> Comment:
        comment = self._known_comment(request)
        if comment.login != self.settings.login:
            raise self.refusal(403, "Resource not accessible by personal access token")
        return comment

    def _known_commit(self, request: Request) -> tuple[str, str]:
        repo, sha = self._known_repo(request), str(request.path_params["sha"])
        if not self._store.knows_commit(repo, sha):
            raise self.refusal(422, f"No commit found for SHA: {sha}")
        return repo, sha

    def _known_hook(self, request: Request) -> None:
        self._known_repo(request)
        if request.path_params["hook"] != HOOK_ID:
            raise self.refusal(404, "Not Found")

    def _known_delivery(self, request: Request) -> Delivery:
        self._known_hook(request)
        delivery = self._hook.find(request.path_params["id"])
        if delivery is None:
            raise self.refusal(404, "Not Found")
        return delivery

    async def _comment_text(self, request: Request) -> str:
        text = CommentBody.model_validate_json(await request.body() or b"{}").body
        if not text.strip():
            raise self._validation_failed("IssueComment", "body", "body can't be blank")
        if len(text) > MAX_BODY_CHARS:
            limit = f"body is too long (maximum is {MAX_BODY_CHARS} characters)"
            raise self._validation_failed("IssueComment", "body", limit)
        return text

    def _since(self, request: Request) -> datetime | None:
        given = request.query_params.get("since")
        if not given:
            return None
        try:
            moment = datetime.fromisoformat(given)
        except ValueError as fault:
            raise self.refusal(422, "since is not an ISO 8601 time") from fault
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _validation_failed(self, resource: str, name: str, message: str) -> Refusal:
        error = {"resource": resource, "code": "unprocessable", "field": name, "message": message}
        body = {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS}
        return Refusal(422, body)

    def _add_pull(self, asked: AddedPull) -> PullRequest:
        pull = PullRequest(**asked.model_dump())
        self._store.add_pull(pull)
        return pull

    async def add_pull(self, request: Request) -> Response:
        """Lever: add or replace a pull request."""
        asked = AddedPull.model_validate_json(await request.body() or b"{}")
        return JSONResponse(self._add_pull(asked).show(), 201)

    async def add_commit(self, request: Request) -> Response:
        """Lever: add a commit that is in no pull request."""
        asked = AddedCommit.model_validate_json(await request.body())
        self._store.commits.setdefault(asked.repo, set()).add(asked.sha)
        return JSONResponse(asked.model_dump(), 201)

    async def add_comment(self, request: Request) -> Response:
        """Lever: add a comment of somebody else."""
        asked = AddedComment.model_validate_json(await request.body())
        comment = self._store.add_comment(asked.repo, asked.number, asked.body, asked.login)
        return JSONResponse(comment.show(), 201)

    async def remove_comment(self, request: Request) -> Response:
        """Lever: somebody deletes a comment."""
        self._store.delete_comment(request.path_params["id"])
        return JSONResponse({"deleted": request.path_params["id"]})

    async def send(self, request: Request) -> Response:
        """Lever: deliver a webhook to the receiver and wait for its answer."""
        event = HookEvent.model_validate_json(await request.body())
        receiver = event.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        secret = self.settings.secret if event.secret is None else event.secret
        sent = await self._hook.send(event, receiver=receiver, secret=secret)
        return JSONResponse([one.show(full=True) for one in sent])


def _answer_with(request: Request, headers: list[tuple[str, str]]) -> None:
    request.scope[HEADERS_KEY] = [(name.encode(), value.encode()) for name, value in headers]
