"""What workflows may ask of GitHub.

A comment is kept, not repeated: it carries a hidden marker in its first line and is found again by
it, so that whatever happened to an earlier answer, there is one comment for one marker. Two
installations that share an account and nothing else may both find none and each make one: whoever
then sees an older one gives way to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.events import Json
from service.errors import Refused, Transient
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.answers import Comment, PullRequest
from service.vendors.github.client import FORBIDDEN, GONE, NOT_FOUND, GitHubClient
from service.vendors.github.markdown import has_marker, is_same, marked_body, marker_name
from service.vendors.reading import as_text, as_time, as_whole

Repo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,64}$", to_lower=True)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
MAX_DESCRIPTION_CHARS = 140
_MISSING = frozenset({NOT_FOUND, GONE})


class CommentParams(Params):
    """A comment on a pull request or issue.

    `marker` tells several comments on one pull request apart. `as_of` is the time of what the
    comment says: an older one does not replace a newer one. Without `create` a comment that is
    there is updated and none is begun.
    """

    repo: Repo
    pr_number: int = Field(ge=1)
    body: Text
    marker: Text = "hookwright"
    as_of: datetime | None = None
    create: bool = True


class CommentOutputs(Outputs):
    """What became of the comment; exactly one of the last four is true."""

    comment_id: int | None
    url: str | None
    created: bool = False
    updated: bool = False
    unchanged: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the comment shall be, and what it says it is as of.

    `is_alone` is False while it is not known whether there is an older comment with the marker.
    """

    params: CommentParams
    body: str
    as_of: datetime | None
    is_alone: bool = True

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()

    def done(
        self,
        found: Comment,
        login: str | None,
        how: Literal["created", "updated", "unchanged"],
    ) -> Done:
        """Give the outcome, with what finds the comment again without a search."""
        outputs = CommentOutputs(comment_id=found.id, url=found.html_url)
        reference = {
            "comment_id": found.id,
            "url": found.html_url,
            "digest": self.digest,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "login": login,
            "is_alone": self.is_alone,
        }
        changed = how != "unchanged"
        return Done(outputs.model_copy(update={how: True}), reference, changed=changed)


def comment(context: CallContext, params: CommentParams) -> Done:
    """Write the comment, or bring the one that is there up to date."""
    client = GitHubClient(context.http, context.options)
    known = context.reference or {}
    as_of, told = _aware(params.as_of), as_time(known.get("as_of"))
    if as_of is not None and told is not None and as_of < told:
        return _skipped(known)
    wanted = _Wanted(params, marked_body(params.marker, params.body), as_of or told)
    known_id, login = as_whole(known.get("comment_id")), as_text(known.get("login"))
    if known_id is not None and known.get("is_alone") is False:
        wanted, done = _try_to_give_way(client, wanted, known_id, login)
        if done is not None:
            return done
    done = _bring_known(client, wanted, known)
    if done is not None:
        return done
    login = login or client.own_login()
    done = _bring_found(client, wanted, login)
    if done is not None:
        return done
    if not params.create:
        return _skipped({})
    made = client.create_comment(params.repo, params.pr_number, wanted.body)
    login = login or (made.user.login if made.user else None)
    wanted, done = _try_to_give_way(client, replace(wanted, is_alone=True), made.id, login)
    return done or wanted.done(made, login, "created")


def _skipped(known: Mapping[str, Json]) -> Done:
    outputs = CommentOutputs(
        comment_id=as_whole(known.get("comment_id")), url=as_text(known.get("url")), skipped=True
    )
    return Done(outputs, changed=False)


def _bring_known(client: GitHubClient, wanted: _Wanted, known: Mapping[str, Json]) -> Done | None:
    """Update the comment we remember; None when there is none or it is gone."""
    comment_id, login = as_whole(known.get("comment_id")), as_text(known.get("login"))
    if comment_id is None:
        return None
    if known.get("digest") == wanted.digest:
        same = Comment(id=comment_id, html_url=as_text(known.get("url")))
        return wanted.done(same, login, "unchanged")
    found = _update(client, wanted, comment_id)
    return wanted.done(found, login, "updated") if found else None


def _try_to_give_way(
    client: GitHubClient, wanted: _Wanted, our_id: int, login: str | None
) -> tuple[_Wanted, Done | None]:
    """Give way to an older comment; what cannot be done now is noted for the next call."""
    try:
        return replace(wanted, is_alone=True), _give_way(client, wanted, our_id, login)
    except (Refused, Transient):
        # Our comment is there and says what it shall, so this is no reason to fail the step.
        return replace(wanted, is_alone=False), None


def _give_way(client: GitHubClient, wanted: _Wanted, our_id: int, login: str | None) -> Done | None:
    """Keep the oldest of our comments with the marker and delete this one; None: it is the oldest.

    Ids rise, and whoever makes one lists afterwards: so all but the oldest see it and give way.
    """
    if login is None:
        return None
    oldest = _bring_found(client, replace(wanted, is_alone=True), login, before=our_id)
    if oldest is None:
        return None
    client.delete_comment(wanted.params.repo, our_id)
    return replace(oldest, changed=True)


def _bring_found(
    client: GitHubClient, wanted: _Wanted, login: str | None, *, before: int | None = None
) -> Done | None:
    """Update the oldest comment of ours that carries the marker; None when there is none.

    Others may write the marker too, so the author counts as well where we know who we are. With
    `before` only comments with a lower id count.
    """
    for found in client.comments(wanted.params.repo, wanted.params.pr_number):
        if before is not None and found.id >= before:
            continue
        author = (found.user.login if found.user else None) or ""
        is_own = login is None or author.lower() == login.lower()
        if not is_own or not has_marker(found.body, wanted.params.marker):
            continue
        if is_same(found.body, wanted.body):
            return wanted.done(found, login, "unchanged")
        updated = _update(client, wanted, found.id, may_be_foreign=login is None)
        if updated is not None:
            return wanted.done(updated, login, "updated")
    return None


def _update(
    client: GitHubClient, wanted: _Wanted, comment_id: int, *, may_be_foreign: bool = False
) -> Comment | None:
    """Replace a comment's text; None when it is gone, or turns out to be somebody else's."""
    try:
        return client.update_comment(wanted.params.repo, comment_id, wanted.body)
    except Refused as fault:
        if fault.status in _MISSING or (may_be_foreign and fault.status == FORBIDDEN):
            return None
        raise


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class FindPullRequestParams(Params):
    """Which commit."""

    repo: Repo
    commit_sha: Sha


class FindPullRequestOutputs(Outputs):
    """The pull request of the commit, an open one before a closed one."""

    found: bool
    number: int | None = None
    url: str | None = None
    head_branch: str | None = None
    state: str | None = None


def find_pull_request(context: CallContext, params: FindPullRequestParams) -> Done:
    """Find the pull request a commit belongs to."""
    pulls = GitHubClient(context.http, context.options).pull_requests_of(
        params.repo, params.commit_sha
    )
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


class CommitStatusParams(Params):
    """The status to put on a commit; `context` names it, and a later one replaces it."""

    repo: Repo
    commit_sha: Sha
    state: Literal["error", "failure", "pending", "success"]
    context: Text = "hookwright"
    description: str | None = None
    target_url: str | None = Field(default=None, pattern=r"^https?://\S+$")


class CommitStatusOutputs(Outputs):
    """The status that stands now."""

    id: int | None
    url: str | None
    unchanged: bool = False


def commit_status(context: CallContext, params: CommitStatusParams) -> Done:
    """Put a status on a commit, unless it stands there already."""
    body: dict[str, Json] = {"state": params.state, "context": params.context}
    if params.description:
        body["description"] = _shortened(params.description)
    if params.target_url:
        body["target_url"] = params.target_url
    digest = hashlib.sha256(repr(sorted(body.items())).encode()).hexdigest()
    known = context.reference or {}
    if known.get("digest") == digest:
        outputs = CommitStatusOutputs(
            id=as_whole(known.get("id")), url=as_text(known.get("url")), unchanged=True
        )
        return Done(outputs, changed=False)
    client = GitHubClient(context.http, context.options)
    told = client.set_status(params.repo, params.commit_sha, body)
    return Done(
        CommitStatusOutputs(id=told.id, url=told.url),
        {"id": told.id, "url": told.url, "digest": digest},
    )


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_DESCRIPTION_CHARS else f"{line[: MAX_DESCRIPTION_CHARS - 1]}…"


def _comment_target(params: CommentParams, _options: object) -> str:
    return f"{params.repo.lower()}#{params.pr_number}:{marker_name(params.marker)}"


def _status_target(params: CommitStatusParams, _options: object) -> str:
    return f"{params.repo.lower()}@{params.commit_sha}:{params.context.lower()}"


ACTIONS = (
    Action(
        name="github.comment",
        summary="Keep one comment on a pull request up to date",
        params=CommentParams,
        outputs=CommentOutputs,
        perform=comment,
        safety=Safety.FIND_AND_UPDATE,
        target=_comment_target,
    ),
    Action(
        name="github.find_pull_request",
        summary="Find the pull request a commit belongs to",
        params=FindPullRequestParams,
        outputs=FindPullRequestOutputs,
        perform=find_pull_request,
        safety=Safety.READ,
    ),
    Action(
        name="github.commit_status",
        summary="Put a status on a commit",
        params=CommitStatusParams,
        outputs=CommitStatusOutputs,
        perform=commit_status,
        safety=Safety.FIND_AND_UPDATE,
        target=_status_target,
    ),
)
