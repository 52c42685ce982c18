"""What the readings of GitHub's events have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from service.vendors.github.facts import RepositoryFacts
from service.vendors.github.payloads import Body, PullRequest

_BRANCH_PREFIX = "refs/heads/"
_TAG_PREFIX = "refs/tags/"

Reading: TypeAlias = tuple[RepositoryFacts, str | None, datetime | None]
"""Facts, subject and time of one event."""


def common_facts(body: Body) -> dict[str, Any]:
    """Give the facts that every event has."""
    return {
        "repository": body.repository.full_name,
        "sender": body.sender.login,
        "action": body.action,
    }


def number_in(pull_requests: tuple[PullRequest, ...]) -> int | None:
    """Give the number of the first pull request; none for forks."""
    return pull_requests[0].number if pull_requests else None


def of_repository(body: Body, number: int | None) -> str | None:
    """Give what has a number in a repository: `owner/name#7`."""
    repository = body.repository.full_name
    return f"{repository}#{number}" if repository and number is not None else repository


def as_subject(number: int | None, body: Body) -> str | None:
    """Give an id as subject, or else the repository."""
    return str(number) if number is not None else body.repository.full_name


def branch_of(ref: str | None) -> str | None:
    """Give the branch a ref names; None for a tag."""
    if ref is None or (ref.startswith("refs/") and not ref.startswith(_BRANCH_PREFIX)):
        return None
    return ref.removeprefix(_BRANCH_PREFIX)


def tag_of(ref: str | None) -> str | None:
    """Give the tag a ref names; None for a branch."""
    return ref.removeprefix(_TAG_PREFIX) if ref and ref.startswith(_TAG_PREFIX) else None
