"""A status on a commit, which any token with the permission may write."""

from __future__ import annotations

import hashlib

from pydantic import Field

from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.bodies import StatusFields, StatusState
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, SHA, Repo, Sha, Text, Url, one_line
from service.vendors.reading import as_text, as_whole

MAX_DESCRIPTION_CHARS = 140


class CommitStatusParams(Params):
    """The status to put on a commit; `context` names it, and a later one replaces it."""

    repo: Repo = Field(description=REPO)
    commit_sha: Sha = Field(description=SHA)
    state: StatusState = Field(description="What it says: error, failure, pending or success.")
    context: Text = Field(
        default="hookwright", description="Name of the status; a later one replaces it."
    )
    description: str | None = Field(
        default=None, description="One line beside the name, cut at 140 characters."
    )
    target_url: Url | None = Field(default=None, description="Address its link leads to.")


class CommitStatusOutputs(Outputs):
    """The status that stands now."""

    id: int | None = Field(description="GitHub's id of the status.")
    url: str | None = Field(description="Address of the status in the API.")
    unchanged: bool = Field(default=False, description="Whether it stood there already.")


def commit_status(context: CallContext, params: CommitStatusParams) -> Done:
    """Put a status on a commit, unless it stands there already."""
    status: StatusFields = {"state": params.state, "context": params.context}
    if params.description:
        status["description"] = one_line(params.description, MAX_DESCRIPTION_CHARS)
    if params.target_url:
        status["target_url"] = params.target_url
    digest = hashlib.sha256(repr(sorted(status.items())).encode()).hexdigest()
    known = context.reference or {}
    if known.get("digest") == digest:
        outputs = CommitStatusOutputs(
            id=as_whole(known.get("id")), url=as_text(known.get("url")), unchanged=True
        )
        return Done(outputs, changed=False)
    told = GitHubClient(context).set_status(params.repo, params.commit_sha, status)
    return Done(
        CommitStatusOutputs(id=told.id, url=told.url),
        {"id": told.id, "url": told.url, "digest": digest},
    )


def _status_target(params: CommitStatusParams, _options: object) -> str:
    return f"{params.repo.lower()}@{params.commit_sha}:{params.context.lower()}"


COMMIT_STATUS = Action(
    name="github.commit_status",
    summary="Put a status on a commit",
    params=CommitStatusParams,
    outputs=CommitStatusOutputs,
    perform=commit_status,
    safety=Safety.FIND_AND_UPDATE,
    target=_status_target,
)
