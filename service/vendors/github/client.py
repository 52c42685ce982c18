"""GitHub's REST API: comments, pull requests of a commit, statuses (reference 6.2, 6.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from service.errors import Permanent, Refused, VendorBroken
from service.http import VendorHttp, path_of
from service.vendors.base import CallContext, Options
from service.vendors.github.answers import Account, Comment, CommitStatus, PullRequest
from service.vendors.reading import Text

API_VERSION = "2022-11-28"
"""Pinned: later versions may break what is read here (reference 6.2)."""
PAGE = 100
MAX_PAGES = 50
FORBIDDEN = 403
NOT_FOUND = 404
GONE = 410
UNPROCESSABLE = 422

_NEXT = re.compile(r'<[^<>]*>\s*;[^,<>]*\brel="?next"?', re.IGNORECASE)
_APP_FIELDS = ("app_id", "private_key", "installation_id")


class GitHubCredentials(BaseModel):
    """A personal access token, or an installation token made elsewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _no_app(cls, value: object) -> object:
        if isinstance(value, Mapping) and any(name in value for name in _APP_FIELDS):
            message = "credentials of a GitHub App are not supported by this version; give a token"
            raise ValueError(message)
        return value


class GitHubConnectionOptions(Options):
    """Options of a connection. `login` names whose token it is where GitHub does not tell."""

    api_version: str = Field(default=API_VERSION, pattern=r"^\d{4}-\d{2}-\d{2}$")
    login: Text = None
    per_minute: float = Field(default=80, gt=0)


def auth_headers(
    credentials: GitHubCredentials, options: GitHubConnectionOptions
) -> Mapping[str, str]:
    """Give the token as a bearer, with the version of the API that is pinned."""
    return {
        "Authorization": f"Bearer {credentials.token.get_secret_value()}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": options.api_version,
    }


class GitHubClient:
    """The calls Hookwright makes. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp, options: GitHubConnectionOptions) -> None:
        self._http = http
        self._options = options

    def own_login(self) -> str | None:
        """Give whose token it is; None when it may not ask (tokens of apps). Asked once."""
        return self._options.login or self._http.remember("github.login", self._ask_login)

    def _ask_login(self) -> str | None:
        try:
            return self._http.request("GET", "/user").read(Account).login
        except Refused as fault:
            if fault.status in {FORBIDDEN, NOT_FOUND}:
                return None
            raise

    def comments(self, repo: str, number: int) -> Iterator[Comment]:
        """Give every comment of an issue or pull request, oldest first, over all pages."""
        path = f"{_repo(repo)}{path_of('issues', number, 'comments')}"
        for page in range(1, MAX_PAGES + 1):
            answer = self._http.request("GET", path, params={"per_page": PAGE, "page": page})
            for row in answer.items():
                yield answer.fit(Comment, row)
            if not _NEXT.search(answer.headers.get("link", "")):
                return
        raise VendorBroken(f"{repo}#{number} has more comments than can be read")

    def create_comment(self, repo: str, number: int, body: str) -> Comment:
        """Add a comment."""
        path = f"{_repo(repo)}{path_of('issues', number, 'comments')}"
        return self._http.request("POST", path, json={"body": body}).read(Comment)

    def update_comment(self, repo: str, comment_id: int, body: str) -> Comment:
        """Replace the text of a comment; doing so twice does no harm."""
        path = f"{_repo(repo)}{path_of('issues', 'comments', comment_id)}"
        return self._http.request("PATCH", path, json={"body": body}, safe=True).read(Comment)

    def delete_comment(self, repo: str, comment_id: int) -> None:
        """Remove a comment; one that is gone, or may not be removed, stays as it is."""
        path = f"{_repo(repo)}{path_of('issues', 'comments', comment_id)}"
        try:
            self._http.request("DELETE", path, safe=True)
        except Refused as fault:
            if fault.status not in {FORBIDDEN, NOT_FOUND, GONE}:
                raise

    def pull_requests_of(self, repo: str, commit_sha: str) -> list[PullRequest]:
        """Give the pull requests that hold a commit; none when GitHub does not know the commit."""
        path = f"{_repo(repo)}{path_of('commits', commit_sha, 'pulls')}"
        try:
            answer = self._http.request("GET", path, params={"per_page": PAGE})
        except Refused as fault:
            if fault.status == UNPROCESSABLE:
                return []
            raise
        return [answer.fit(PullRequest, row) for row in answer.items()]

    def set_status(self, repo: str, commit_sha: str, body: Mapping[str, Any]) -> CommitStatus:
        """Put a status on a commit; the newest of one context is the one that counts."""
        path = f"{_repo(repo)}{path_of('statuses', commit_sha)}"
        return self._http.request("POST", path, json=dict(body), safe=True).read(CommitStatus)


def check(context: CallContext) -> str:
    """Ask whose token it is."""
    login = GitHubClient(context.http, context.options).own_login()
    return f"account {login}" if login else "a token of an app"


def _repo(repo: str) -> str:
    owner, _, name = repo.partition("/")
    if not owner or not name or "/" in name:
        raise Permanent(f"{repo!r} is no repository", hint="write it as owner/name")
    return path_of("repos", owner, name)
