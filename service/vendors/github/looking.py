"""What workflows may look up at GitHub: pull requests."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.answers import PullRequest
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, SHA, Repo, Sha, Url

_PULL_REQUEST = re.compile(
    r"https?://[^/\s]+/([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)/pull/(\d{1,9})(?!\d)"
)


class FindPullRequestParams(Params):
    """Which commit."""

    repo: Repo = Field(description=REPO)
    commit_sha: Sha = Field(description=SHA)


class FindPullRequestOutputs(Outputs):
    """The pull request of the commit, an open one before a closed one."""

    found: bool = Field(description="Whether the commit belongs to a pull request.")
    number: int | None = Field(default=None, description="Its number.")
    url: str | None = Field(default=None, description="Its address.")
    head_branch: str | None = Field(default=None, description="The branch it comes from.")
    state: str | None = Field(default=None, description="`open` or `closed`.")


def find_pull_request(context: CallContext, params: FindPullRequestParams) -> Done:
    """Find the pull request a commit belongs to."""
    pulls = list(GitHubClient(context).pull_requests_of(params.repo, params.commit_sha))
    if not pulls:
        return Done(FindPullRequestOutputs(found=False), changed=False)
    best = min(pulls, key=lambda pull: _rank(pull, params.commit_sha))
    return Done(
        FindPullRequestOutputs(
            found=True,
            number=best.number,
            url=best.html_url,
            head_branch=best.head.ref,
            state=best.state,
        ),
        changed=False,
    )


def _rank(pull: PullRequest, commit_sha: str) -> tuple[bool, bool, int]:
    """Open ones first, then those that end in the commit, then the newest."""
    is_head = (pull.head.sha or "").lower().startswith(commit_sha)
    return pull.state != "open", not is_head, -pull.number


class PullRequestParams(Params):
    """Which pull request: by its address, or by repository and number."""

    url: Url | None = Field(
        default=None, description="Address of the pull request, instead of repo and number."
    )
    repo: Repo | None = Field(default=None, description=REPO)
    number: int | None = Field(default=None, ge=1, description="Number of the pull request.")

    @model_validator(mode="after")
    def _need_one(self) -> PullRequestParams:
        if self.url is not None and _PULL_REQUEST.match(self.url) is None:
            message = "url must be the address of a pull request, …/owner/name/pull/7"
            raise ValueError(message)
        if self.url is None and (self.repo is None or self.number is None):
            message = "give url, or repo and number"
            raise ValueError(message)
        return self

    @property
    def place(self) -> tuple[str, int]:
        """Give repository and number."""
        found = _PULL_REQUEST.match(self.url or "")
        return (found[1], int(found[2])) if found else (self.repo or "", self.number or 0)


class PullRequestOutputs(Outputs):
    """The pull request as it is now."""

    repo: str = Field(description="Its repository, as owner/name.")
    number: int = Field(description="Its number.")
    url: str | None = Field(description="Its address.")
    title: str | None = Field(description="Its title.")
    state: str | None = Field(description="`open` or `closed`.")
    draft: bool | None = Field(description="Whether it is a draft.")
    merged: bool = Field(description="Whether it was merged.")
    mergeable: bool | None = Field(
        description="Whether it could be merged; null while GitHub finds out."
    )
    author: str | None = Field(description="Login of who opened it.")
    head_branch: str | None = Field(description="The branch it comes from.")
    head_sha: str | None = Field(description="The commit it ends in.")
    base_branch: str | None = Field(description="The branch it goes to.")
    merge_commit_sha: str | None = Field(description="The commit of the merge.")


def pull_request(context: CallContext, params: PullRequestParams) -> Done:
    """Read one pull request."""
    repo, number = params.place
    pull = GitHubClient(context).pull_request(repo, number)
    return Done(
        PullRequestOutputs(
            repo=repo,
            number=pull.number,
            url=pull.html_url,
            title=pull.title,
            state=pull.state,
            draft=pull.draft,
            merged=bool(pull.merged) or pull.merged_at is not None,
            mergeable=pull.mergeable,
            author=pull.user.login if pull.user else None,
            head_branch=pull.head.ref,
            head_sha=pull.head.sha,
            base_branch=pull.base.ref,
            merge_commit_sha=pull.merge_commit_sha,
        ),
        changed=False,
    )


FIND_PULL_REQUEST = Action(
    name="github.find_pull_request",
    summary="Find the pull request a commit belongs to",
    params=FindPullRequestParams,
    outputs=FindPullRequestOutputs,
    perform=find_pull_request,
    safety=Safety.READ,
)
PULL_REQUEST = Action(
    name="github.pull_request",
    summary="Read a pull request: its state, its branches, whether it is merged",
    params=PullRequestParams,
    outputs=PullRequestOutputs,
    perform=pull_request,
    safety=Safety.READ,
)
