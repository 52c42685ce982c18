"""GitHub's REST API as Hookwright uses it (vendors.md §6.2, §6.3).

The calls about webhooks' deliveries, which `GitHubClient` has too, stand in `hooks.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.events import Json
from service.errors import Refused
from service.http import path_of
from service.vendors.base import CallContext, dig
from service.vendors.github.answers import (
    Account,
    App,
    CheckRun,
    Comment,
    CommitStatus,
    Issue,
    Meta,
    PullRequest,
    RateLimits,
)
from service.vendors.github.app_tokens import FORBIDDEN, NOT_FOUND
from service.vendors.github.asking import GONE, UNPROCESSABLE, repo_path
from service.vendors.github.bodies import (
    CheckRunFields,
    DispatchFields,
    IssueFields,
    StatusFields,
)
from service.vendors.github.hooks import HookClient
from service.vendors.reading import as_text

_OF_INSTALLATION = "ghs_"
_SAID_TO_INSTALLATIONS = "by integration"
"""How tokens of installations begin and how a refusal of theirs ends, where others read "by
personal access token" (general knowledge of GitHub's API)."""

_TALK = "“Issues” or “Pull requests” (write)"
_ISSUES = "“Issues” (write)"
_PULLS = "“Pull requests” (read)"
_STATUSES = "“Commit statuses” (write)"
_CHECKS = "“Checks” (write)"
_CONTENTS = "“Contents” (write)"


class GitHubClient(HookClient):
    """The calls Hookwright makes. Errors are those of VendorHttp."""

    def own_login(self) -> str | None:
        """Give who writes with these credentials; None when it may not ask. Asked once."""
        return self.options.login or self.http.remember("github.login", self._ask_login)

    def _ask_login(self) -> str | None:
        if self.credentials.is_app:
            slug = self.app().slug
            return f"{slug}[bot]" if slug else None
        try:
            return self.user().login
        except Refused as fault:
            if fault.status in {FORBIDDEN, NOT_FOUND}:
                return None
            raise

    def user(self) -> Account:
        """Give whose token it is. Tokens of installations are nobody's: Refused (403)."""
        return self.ask("GET", "/user").read(Account)

    def app(self) -> App:
        """Give which GitHub App this is. Refused when the connection has a token only."""
        return self.ask("GET", "/app", as_app=True).read(App)

    def meta(self) -> Meta:
        """Give what GitHub tells about itself, such as where its webhooks come from."""
        return self.ask("GET", "/meta").read(Meta)

    def rate_limits(self) -> RateLimits:
        """Give where the limits stand; asking does not count."""
        return self.ask("GET", "/rate_limit").read(RateLimits)

    # --- comments ---------------------------------------------------------------------------

    def comments(
        self, repo: str, number: int, *, since: datetime | None = None
    ) -> Iterator[Comment]:
        """Give the comments of an issue or pull request, oldest first; those changed `since`."""
        path = f"{repo_path(repo)}{path_of('issues', number, 'comments')}"
        wanted = {"since": since.isoformat()} if since else None
        for answer in self.pages(path, needs=_TALK, params=wanted):
            for row in answer.objects():
                yield answer.fit(Comment, row)

    def create_comment(self, repo: str, number: int, body: str) -> Comment:
        """Add a comment."""
        path = f"{repo_path(repo)}{path_of('issues', number, 'comments')}"
        return self.ask("POST", path, needs=_TALK, json={"body": body}).read(Comment)

    def update_comment(self, repo: str, comment_id: int, body: str) -> Comment:
        """Replace the text of a comment; doing so twice does no harm."""
        path = f"{repo_path(repo)}{path_of('issues', 'comments', comment_id)}"
        answer = self.ask("PATCH", path, needs=_TALK, json={"body": body}, safe=True)
        return answer.read(Comment)

    def delete_comment(self, repo: str, comment_id: int) -> None:
        """Remove a comment; one that is gone, or may not be removed, stays as it is."""
        path = f"{repo_path(repo)}{path_of('issues', 'comments', comment_id)}"
        try:
            self.ask("DELETE", path, needs=_TALK, safe=True)
        except Refused as fault:
            if fault.status not in {FORBIDDEN, NOT_FOUND, GONE}:
                raise

    # --- pull requests and commits ----------------------------------------------------------

    def pull_request(self, repo: str, number: int) -> PullRequest:
        """Give one pull request."""
        path = f"{repo_path(repo)}{path_of('pulls', number)}"
        return self.ask("GET", path, needs=_PULLS).read(PullRequest)

    def pull_requests_of(self, repo: str, commit_sha: str) -> Iterator[PullRequest]:
        """Give the pull requests that hold a commit; none when GitHub does not know the commit."""
        path = f"{repo_path(repo)}{path_of('commits', commit_sha, 'pulls')}"
        try:
            for answer in self.pages(path, needs=_PULLS):
                for row in answer.objects():
                    yield answer.fit(PullRequest, row)
        except Refused as fault:
            if fault.status != UNPROCESSABLE:
                raise

    def statuses(self, repo: str, commit_sha: str) -> Iterator[CommitStatus]:
        """Give the statuses of a commit, newest first."""
        path = f"{repo_path(repo)}{path_of('commits', commit_sha, 'statuses')}"
        for answer in self.pages(path, needs="“Commit statuses” (read)"):
            for row in answer.objects():
                yield answer.fit(CommitStatus, row)

    def set_status(self, repo: str, commit_sha: str, status: StatusFields) -> CommitStatus:
        """Put a status on a commit; the newest of one context is the one that counts."""
        path = f"{repo_path(repo)}{path_of('statuses', commit_sha)}"
        answer = self.ask("POST", path, needs=_STATUSES, json=dict(status), safe=True)
        return answer.read(CommitStatus)

    # --- check runs (GitHub Apps only) ------------------------------------------------------

    def check_runs(
        self, repo: str, commit_sha: str, *, name: str | None = None
    ) -> Iterator[CheckRun]:
        """Give the check runs of a commit, those of one name if given."""
        path = f"{repo_path(repo)}{path_of('commits', commit_sha, 'check-runs')}"
        params = {"check_name": name, "filter": "all"}
        for answer in self.pages(path, needs="“Checks” (read)", params=params):
            for row in answer.objects("check_runs"):
                yield answer.fit(CheckRun, row)

    def create_check_run(self, repo: str, run: CheckRunFields) -> CheckRun:
        """Begin a check run; `name` and `head_sha` are needed."""
        path = f"{repo_path(repo)}/check-runs"
        return self.ask("POST", path, needs=_CHECKS, json=dict(run)).read(CheckRun)

    def update_check_run(self, repo: str, run_id: int, run: CheckRunFields) -> CheckRun:
        """Change a check run. Annotations are added to those that are there."""
        path = f"{repo_path(repo)}{path_of('check-runs', run_id)}"
        is_harmless = not run.get("output", {}).get("annotations")
        answer = self.ask("PATCH", path, needs=_CHECKS, json=dict(run), safe=is_harmless)
        return answer.read(CheckRun)

    # --- workflows --------------------------------------------------------------------------

    def dispatch(self, repo: str, event_type: str, client_payload: dict[str, Json]) -> None:
        """Start the workflows on the default branch that listen to this `repository_dispatch`."""
        body: DispatchFields = {"event_type": event_type, "client_payload": client_payload}
        self.ask("POST", f"{repo_path(repo)}/dispatches", needs=_CONTENTS, json=dict(body))

    # --- issues -----------------------------------------------------------------------------

    def issues(
        self,
        repo: str,
        *,
        state: str = "open",
        creator: str | None = None,
        most_pages: int | None = None,
    ) -> Iterator[Issue]:
        """Give issues, newest first, without pull requests; `state` open, closed or all.

        With `most_pages` only so many pages are read, of 100 issues and pull requests each.
        """
        path, params = f"{repo_path(repo)}/issues", {"state": state, "creator": creator}
        for answer in self.pages(path, needs=_ISSUES, params=params, most=most_pages):
            for row in answer.objects():
                issue = answer.fit(Issue, row)
                if issue.pull_request is None:
                    yield issue

    def create_issue(self, repo: str, issue: IssueFields) -> Issue:
        """Open an issue."""
        path = f"{repo_path(repo)}/issues"
        return self.ask("POST", path, needs=_ISSUES, json=dict(issue)).read(Issue)

    def update_issue(self, repo: str, number: int, issue: IssueFields) -> Issue:
        """Change an issue; doing so twice does no harm."""
        path = f"{repo_path(repo)}{path_of('issues', number)}"
        answer = self.ask("PATCH", path, needs=_ISSUES, json=dict(issue), safe=True)
        return answer.read(Issue)


def check(context: CallContext) -> str:
    """Ask whose token it is."""
    client = GitHubClient(context)
    if client.credentials.is_app:
        login = client.own_login()
        _prove_token(client)
        return f"GitHub App {login}, installation {client.credentials.installation_id}"
    try:
        login = client.user().login
    except Refused as fault:
        if fault.status != FORBIDDEN:
            raise
        return _nameless(client, fault)
    if login is None:
        raise Refused(
            "GitHub answered the question whose token this is without naming an account",
            hint="is `base_url` of the connection the address of GitHub's API? On Enterprise "
            "Server it ends in /api/v3",
        )
    return f"account {login}"


def _nameless(client: GitHubClient, fault: Refused) -> str:
    """Give whose token it is when GitHub refuses to tell. Raises Refused when it must tell."""
    token = client.credentials.token
    said = as_text(dig(fault.body, "message")) or ""
    known = client.options.login
    of_app = token is not None and token.get_secret_value().startswith(_OF_INSTALLATION)
    if not (known or of_app or said.endswith(_SAID_TO_INSTALLATIONS)):
        raise Refused(
            f"GitHub knows this token and does not let it ask whose it is: {fault.message}",
            status=fault.status,
            hint="it lacks a permission, is not authorised for single sign-on, or calls from an "
            "address that is not allowed: look at the token in GitHub's settings; where all is as "
            "meant, name its account with `options: {login: NAME}`",
        ) from fault
    _prove_token(client)
    if known:
        return f"account {known}, as the option login says; GitHub does not tell"
    return "a token of a GitHub App's installation, which is no account's"


def _prove_token(client: GitHubClient) -> None:
    """Make a call that needs a good token and no permission."""
    try:
        client.rate_limits()
    except Refused as fault:
        # Enterprise Server says so where limits are switched off; the token was given all the same.
        if fault.status != NOT_FOUND:
            raise
