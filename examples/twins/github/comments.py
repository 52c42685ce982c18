"""Comments of an issue or pull request (reference 6.2)."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account
from examples.twins.github.bodies import CommentBody
from examples.twins.github.callers import caller_of
from examples.twins.github.limits import count_primary
from examples.twins.github.paging import page_of
from examples.twins.github.refusals import refusal, validation_failed
from examples.twins.github.store import Comment
from examples.twins.record import mark_effect

MAX_BODY_CHARS = 65536


class Comments:
    """The comment calls. The path of one comment has no issue number."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        issues = "/repos/{owner}/{repo}/issues"
        listed, single = f"{issues}/{{number:int}}/comments", f"{issues}/comments/{{id:int}}"
        return (
            Route(listed, self.list_comments, methods=["GET"]),
            Route(listed, self.create_comment, methods=["POST"]),
            Route(single, self.show_comment, methods=["GET"]),
            Route(single, self.edit_comment, methods=["PATCH"]),
            Route(single, self.delete_comment, methods=["DELETE"]),
        )

    async def list_comments(self, request: Request) -> Response:
        """Comments oldest first, in pages; 304 when the entity tag still fits."""
        repo, number = self._account.known_issue(request)
        since = _since(request)
        comments = self._account.store.comments_of(repo, number)
        found = [one.show() for one in comments if not since or one.updated_at >= since]
        shown, link = page_of(found, request)
        answer = JSONResponse(shown)
        tag = f'W/"{hashlib.sha256(bytes(answer.body)).hexdigest()}"'
        headers = {"etag": tag} | ({"link": link} if link else {})
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "if-none-match" in request.headers:
            # Only a 304 is free, so this call is counted after all.
            who = caller_of(request).login
            count_primary(self._account.limits, self._account.clock, request, cost=1, who=who)
        answer.headers.update(headers)
        return answer

    async def create_comment(self, request: Request) -> Response:
        """Add a comment."""
        repo, number = self._account.known_issue(request)
        text = await _text(request)
        login = caller_of(request).login
        shown = self._account.store.add_comment(repo, number, text, login).show()
        mark_effect(request)
        return JSONResponse(shown, 201, headers={"location": str(shown["url"])})

    async def show_comment(self, request: Request) -> Response:
        """One comment."""
        return JSONResponse(self._known_comment(request).show())

    async def edit_comment(self, request: Request) -> Response:
        """Replace a comment's text; only one's own."""
        comment = self._own_comment(request)
        self._account.store.edit_comment(comment, await _text(request))
        mark_effect(request)
        return JSONResponse(comment.show())

    async def delete_comment(self, request: Request) -> Response:
        """Remove a comment; only one's own."""
        self._account.store.delete_comment(self._own_comment(request).comment_id)
        mark_effect(request)
        return Response(status_code=204)

    def _known_comment(self, request: Request) -> Comment:
        repo = self._account.known_repo(request)
        comment = self._account.store.find_comment(repo, request.path_params["id"])
        if comment is None:
            raise refusal(404, "Not Found")
        return comment

    def _own_comment(self, request: Request) -> Comment:
        comment = self._known_comment(request)
        if comment.login != caller_of(request).login:
            raise refusal(403, caller_of(request).refused)
        return comment


async def _text(request: Request) -> str:
    text = CommentBody.model_validate_json(await request.body() or b"{}").body
    if not text.strip():
        raise validation_failed("IssueComment", "body", "body can't be blank")
    if len(text) > MAX_BODY_CHARS:
        limit = f"body is too long (maximum is {MAX_BODY_CHARS} characters)"
        raise validation_failed("IssueComment", "body", limit)
    return text


def _since(request: Request) -> datetime | None:
    given = request.query_params.get("since")
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as fault:
        raise refusal(422, "since is not an ISO 8601 time") from fault
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
