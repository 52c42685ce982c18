"""Bodies that GitHub's calls and this twin's levers take (reference 6.2)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Repo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]


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


class Output(_Body):
    """What a check run says."""

    title: str
    summary: str = Field(max_length=65535)
    text: str | None = Field(default=None, max_length=65535)
    annotations: list[dict[str, object]] = Field(default_factory=list, max_length=50)


class Button(_Body):
    """A button on a check run."""

    label: str = Field(max_length=20)
    description: str = Field(max_length=40)
    identifier: str = Field(max_length=20)


CheckStatus = Literal["queued", "in_progress", "completed"]
Conclusion = Literal[
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"
]


class CheckRunChange(_Body):
    """Body of an edited check run; what is left out stays."""

    name: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    status: CheckStatus | None = None
    conclusion: Conclusion | None = None
    output: Output | None = None
    actions: list[Button] = Field(default_factory=list, max_length=3)


class CheckRunBody(CheckRunChange):
    """Body of a new check run."""

    name: str
    head_sha: str


class IssueBody(_Body):
    """Body of a new issue."""

    title: str = Field(min_length=1)
    body: str = ""
    labels: list[str] = Field(default_factory=list)


class IssueChange(_Body):
    """Body of an edited issue; what is left out stays."""

    title: str | None = Field(default=None, min_length=1)
    body: str | None = None
    state: Literal["open", "closed"] | None = None
    state_reason: Literal["completed", "not_planned", "reopened", "duplicate"] | None = None
    labels: list[str] | None = None


class DispatchBody(_Body):
    """Body of a repository dispatch."""

    event_type: str = Field(min_length=1, max_length=100)
    client_payload: dict[str, object] = Field(default_factory=dict)


HookOf = Literal["repository", "organization", "integration"]
"""GitHub's own words for what a hook belongs to; an integration is an app."""


class _Lever(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AddedPull(_Lever):
    """What `POST /_twin/pulls` takes. `commits` are further commits of the pull request.

    Of several (`count`), the others have the next numbers.
    """

    repo: Repo = "acme-co/webapp"
    number: int = Field(default=42, ge=1)
    head_sha: str = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    branch: str = "feature/checkout"
    base: str = "main"
    title: str = "Rework the checkout"
    state: Literal["open", "closed"] = "open"
    commits: list[str] = Field(default_factory=list)
    count: int = Field(default=1, ge=1, le=5000)


class AddedCommit(_Lever):
    """What `POST /_twin/commits` takes: a commit that is in no pull request."""

    repo: Repo
    sha: str


class Deployed(_Lever):
    """What `POST /_twin/deployments` takes: a deployment's status is told to the repository's hook.

    The commit is added to the repository if it is not there. `url` is the deployed site's.
    """

    repo: Repo = "acme-co/webapp"
    sha: str = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    ref: str = "main"
    environment: str = "production"
    state: Literal[
        "error", "failure", "inactive", "in_progress", "pending", "queued", "success"
    ] = "success"
    url: str | None = "https://example.com"
    guid: str | None = None
    receiver: str | None = None
    secret: str | None = None


class AddedComment(_Lever):
    """What `POST /_twin/comments` takes: comments of somebody else, all with this text."""

    repo: Repo = "acme-co/webapp"
    number: int = 42
    body: str
    login: str = "octocat"
    count: int = Field(default=1, ge=1, le=5000)


class AddedIssue(_Lever):
    """What `POST /_twin/issues` takes: issues of somebody else."""

    repo: Repo = "acme-co/webapp"
    title: str = "Something is broken"
    body: str = ""
    login: str = "octocat"
    count: int = Field(default=1, ge=1, le=5000)


class HookEvent(_Lever):
    """What `POST /_twin/send` takes.

    Args:
        hook: whose hook it is: the repository's, the organisation's or the app's.
        guid: the delivery's GUID; a new one when left out.
        repeat: how often the same delivery is sent, all at once.
        receiver, secret: instead of the settings.
    """

    event: str
    payload: dict[str, object] = Field(default_factory=dict)
    hook: HookOf = "repository"
    guid: str | None = None
    repeat: int = Field(default=1, ge=1, le=1000)
    receiver: str | None = None
    secret: str | None = None


class HookFacts(_Lever):
    """What `POST /_twin/happen` takes: issues that are opened, one webhook each.

    Args:
        count: how many.
        withheld: how many of them, evenly spread, are entered in the hook's record and never sent.
        fate: what the record says of those: `failed` (502), `silent` (no answer) or `lost`
            (200, although nobody was asked).
        age_s: how long ago it was.
    """

    count: int = Field(default=1, ge=1, le=10_000)
    withheld: int = Field(default=0, ge=0)
    fate: Literal["failed", "silent", "lost"] = "failed"
    hook: HookOf = "repository"
    age_s: float = Field(default=0, ge=0)
    repo: Repo = "acme-co/webapp"
