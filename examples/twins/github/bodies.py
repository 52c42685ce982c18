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


class DispatchBody(_Body):
    """Body of a repository dispatch."""

    event_type: str = Field(min_length=1, max_length=100)
    client_payload: dict[str, object] = Field(default_factory=dict)


class _Lever(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AddedPull(_Lever):
    """What `POST /_twin/pulls` takes. `commits` are further commits of the pull request."""

    repo: Repo = "acme-co/webapp"
    number: int = Field(default=42, ge=1)
    head_sha: str = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    branch: str = "feature/checkout"
    base: str = "main"
    title: str = "Rework the checkout"
    state: Literal["open", "closed"] = "open"
    commits: list[str] = Field(default_factory=list)


class AddedCommit(_Lever):
    """What `POST /_twin/commits` takes: a commit that is in no pull request."""

    repo: Repo
    sha: str


class AddedComment(_Lever):
    """What `POST /_twin/comments` takes: a comment of somebody else."""

    repo: Repo = "acme-co/webapp"
    number: int = 42
    body: str
    login: str = "octocat"


class HookEvent(_Lever):
    """What `POST /_twin/send` takes.

    Args:
        guid: the delivery's GUID; a new one when left out.
        repeat: how often the same delivery is sent, all at once.
        receiver, secret: instead of the settings.
    """

    event: str
    payload: dict[str, object] = Field(default_factory=dict)
    guid: str | None = None
    repeat: int = Field(default=1, ge=1, le=1000)
    receiver: str | None = None
    secret: str | None = None
