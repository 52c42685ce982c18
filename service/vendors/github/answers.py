"""Answers of GitHub's API (reference 6.2): the fields we read."""

from __future__ import annotations

from pydantic import Field

from service.vendors.reading import Payload, Text, Time


class Account(Payload):
    """A user, or the bot of an app."""

    login: Text = None
    type: Text = None


class Comment(Payload):
    """A comment of an issue or pull request."""

    id: int
    html_url: Text = None
    body: str | None = None
    user: Account | None = None
    updated_at: Time = None


class Head(Payload):
    """The branch a pull request comes from."""

    ref: Text = None
    sha: Text = None


class PullRequest(Payload):
    """A pull request as it is listed."""

    number: int
    state: Text = None
    html_url: Text = None
    title: Text = None
    head: Head = Field(default_factory=Head)
    merged_at: Time = None


class CommitStatus(Payload):
    """A status that was put on a commit."""

    id: int
    url: Text = None
