"""Answers of GitHub's API (vendors.md §6.1, §6.2): the fields we read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr

from service.vendors.reading import Object, Payload, Text, Texts, Time, Whole, as_mapping


class Account(Payload):
    """A user, or the bot of an app."""

    login: Text = None
    type: Text = None


class App(Payload):
    """A GitHub App; its comments are by `<slug>[bot]`."""

    id: Whole = None
    slug: Text = None
    name: Text = None


class InstallationToken(Payload):
    """A token of an installation."""

    token: SecretStr = Field(min_length=1)
    expires_at: AwareDatetime


class Comment(Payload):
    """A comment of an issue or pull request."""

    id: int
    html_url: Text = None
    body: str | None = None
    user: Account | None = None
    updated_at: Time = None


class Side(Payload):
    """One side of a pull request: a branch and the commit it ends in."""

    ref: Text = None
    sha: Text = None


class PullRequest(Payload):
    """A pull request. A list leaves out `merged` and the figures."""

    number: int
    state: Text = None
    html_url: Text = None
    title: Text = None
    body: Text = None
    draft: bool | None = None
    merged: bool | None = None
    mergeable: bool | None = None
    merge_commit_sha: Text = None
    head: Side = Field(default_factory=Side)
    base: Side = Field(default_factory=Side)
    user: Account | None = None
    merged_at: Time = None
    changed_files: Whole = None


class CommitStatus(Payload):
    """A status that was put on a commit."""

    id: int
    url: Text = None
    state: Text = None
    context: Text = None
    description: Text = None
    target_url: Text = None
    created_at: Time = None


class CheckOutput(Payload):
    """What a check run says."""

    title: Text = None
    summary: Text = None
    annotations_count: Whole = None


class CheckRun(Payload):
    """A check run."""

    id: int
    name: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    details_url: Text = None
    external_id: Text = None
    app: App = Field(default_factory=App)
    output: CheckOutput = Field(default_factory=CheckOutput)
    started_at: Time = None
    completed_at: Time = None


class Issue(Payload):
    """An issue; in lists also a pull request, which then has `pull_request`."""

    number: int
    title: Text = None
    body: str | None = None
    state: Text = None
    state_reason: Text = None
    html_url: Text = None
    user: Account | None = None
    pull_request: dict[str, Any] | None = None
    updated_at: Time = None


class HookDelivery(Payload):
    """One try to deliver an event, as the list of a hook's deliveries shows it."""

    id: int
    guid: str = Field(min_length=1)
    delivered_at: AwareDatetime
    redelivery: bool = False
    status: Text = None
    status_code: Whole = None
    event: str = Field(min_length=1)
    action: Text = None

    @property
    def succeeded(self) -> bool:
        """Say whether the receiver took it."""
        return self.status_code is not None and 200 <= self.status_code < 300  # noqa: PLR2004

    @property
    def name(self) -> str:
        """Give the event's name with its action, as events have it."""
        return f"{self.event}.{self.action}" if self.action else self.event


class HookRequest(Payload):
    """What was sent in a delivery; the body as it was read, not as it was signed."""

    headers: Annotated[dict[str, Any], BeforeValidator(as_mapping)] = Field(default_factory=dict)
    payload: Any = None


class HookResponse(Payload):
    """What the receiver answered."""

    headers: Annotated[dict[str, Any], BeforeValidator(as_mapping)] = Field(default_factory=dict)
    payload: Any = None


class FullDelivery(HookDelivery):
    """A delivery with its request and response."""

    url: Text = None
    request: HookRequest = Field(default_factory=HookRequest)
    response: HookResponse = Field(default_factory=HookResponse)


class Meta(Payload):
    """What GitHub tells about itself. `hooks`: the networks its webhooks come from."""

    hooks: Texts = ()
    api: Texts = ()
    web: Texts = ()


class Standing(Payload):
    """Where a limit stands; `reset` is when it begins anew."""

    limit: int
    remaining: int
    used: Whole = None
    reset: Time = None


class RateLimits(Payload):
    """Where the limits stand, by what they are for; asking costs nothing."""

    rate: Standing
    resources: Object = Field(default_factory=dict)

    @property
    def resets_at(self) -> datetime | None:
        """Give when the hourly limit begins anew."""
        return self.rate.reset
