"""Levers of the GitHub twin: what people, repositories and time do without being asked."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account
from examples.twins.github.bodies import (
    AddedComment,
    AddedCommit,
    AddedIssue,
    AddedPull,
    Deployed,
    HookEvent,
    HookFacts,
    IssueBody,
)
from examples.twins.github.happenings import deployment_told
from examples.twins.github.issues import Issues
from examples.twins.twin import Refusal


class Levers:
    """Control calls of this twin alone."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._deployments: list[tuple[str, str, str]] = []

    def routes(self) -> Sequence[Route]:
        """Paths below `/_twin` and methods."""
        return (
            Route("/pulls", self.add_pull, methods=["POST"]),
            Route("/commits", self.add_commit, methods=["POST"]),
            Route("/comments", self.add_comment, methods=["POST"]),
            Route("/comments/{id:int}", self.remove_comment, methods=["DELETE"]),
            Route("/issues", self.add_issues, methods=["POST"]),
            Route("/tokens/revoke", self.revoke_tokens, methods=["POST"]),
            Route("/send", self.send, methods=["POST"]),
            Route("/deployments", self.deploy, methods=["POST"]),
            Route("/happen", self.happen, methods=["POST"]),
        )

    async def add_pull(self, request: Request) -> Response:
        """Add or replace a pull request."""
        asked = AddedPull.model_validate_json(await request.body() or b"{}")
        return JSONResponse(self._account.add_pull(asked).show(), 201)

    async def add_commit(self, request: Request) -> Response:
        """Add a commit that is in no pull request."""
        asked = AddedCommit.model_validate_json(await request.body())
        self._account.store.commits.setdefault(asked.repo, set()).add(asked.sha)
        return JSONResponse(asked.model_dump(), 201)

    async def add_comment(self, request: Request) -> Response:
        """Add comments of somebody else; gives the last."""
        asked = AddedComment.model_validate_json(await request.body())
        made = (asked.repo, asked.number, asked.body, asked.login)
        for _ in range(asked.count - 1):
            self._account.store.add_comment(*made)
        comment = self._account.store.add_comment(*made)
        return JSONResponse(comment.show(), 201)

    async def remove_comment(self, request: Request) -> Response:
        """Somebody deletes a comment."""
        comment_id: int = request.path_params["id"]
        if not self._account.store.delete_comment(comment_id):
            raise Refusal(404, {"error": f"no comment {comment_id}"})
        return JSONResponse({"deleted": comment_id})

    async def add_issues(self, request: Request) -> Response:
        """Somebody opens issues."""
        asked = AddedIssue.model_validate_json(await request.body() or b"{}")
        issue = IssueBody(title=asked.title, body=asked.body)
        issues = Issues(self._account)
        made = [issues.add(asked.repo, issue, asked.login).number for _ in range(asked.count)]
        return JSONResponse(made, 201)

    async def revoke_tokens(self, _: Request) -> Response:
        """End the installation's tokens before their time."""
        return JSONResponse({"revoked": self._account.callers.revoke_all()})

    async def send(self, request: Request) -> Response:
        """Deliver a webhook to the receiver and wait for its answer."""
        return await self._send(HookEvent.model_validate_json(await request.body()))

    async def deploy(self, request: Request) -> Response:
        """A deployment gets a status, which the repository's hook tells."""
        asked = Deployed.model_validate_json(await request.body() or b"{}")
        store = self._account.store
        store.commits.setdefault(asked.repo, set()).add(asked.sha)
        deployment = (asked.repo, asked.sha, asked.environment)
        if deployment not in self._deployments:
            self._deployments.append(deployment)
        number = self._deployments.index(deployment) + 1
        payload = deployment_told(asked, number=number, at=self._account.clock.now())
        return await self._send(
            HookEvent(
                event="deployment_status",
                payload=payload,
                guid=asked.guid,
                receiver=asked.receiver,
                secret=asked.secret,
            )
        )

    async def _send(self, event: HookEvent) -> Response:
        settings = self._account.settings
        secret = settings.secret if event.secret is None else event.secret
        hook = self._account.hooks[event.hook]
        sent = await hook.send(event, receiver=self._receiver(event.receiver), secret=secret)
        return JSONResponse([one.show(full=True) for one in sent])

    async def happen(self, request: Request) -> Response:
        """Let issues be opened; some of the webhooks are never sent."""
        facts = HookFacts.model_validate_json(await request.body() or b"{}")
        told = await self._account.hooks[facts.hook].happen(
            facts, receiver=self._receiver(None), secret=self._account.settings.secret
        )
        return JSONResponse(told)

    def _receiver(self, given: str | None) -> str:
        receiver = given or self._account.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        return receiver
