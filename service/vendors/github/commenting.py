"""One comment on a pull request, kept and not repeated.

It carries a hidden marker in its first line and is found again by it, so that whatever happened to
an earlier answer, there is one comment for one marker. Two installations that share an account and
nothing else may both find none and each make one: whoever then sees an older one gives way to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from schemas.events import Json
from service.errors import Refused, Transient
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.answers import Comment
from service.vendors.github.app_tokens import FORBIDDEN, NOT_FOUND
from service.vendors.github.asking import GONE
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, Repo, Text
from service.vendors.github.markdown import has_marker, is_same, marked_body, marker_name
from service.vendors.reading import as_text, as_time, as_whole

_MISSING = frozenset({NOT_FOUND, GONE})


class CommentParams(Params):
    """A comment on a pull request or issue.

    `marker` tells several comments on one pull request apart. `as_of` is the time of what the
    comment says: an older one does not replace a newer one. Without `create` a comment that is
    there is updated and none is begun.
    """

    repo: Repo = Field(description=REPO)
    pr_number: int = Field(ge=1, description="Number of the pull request or issue.")
    body: Text = Field(description="The comment's text in GitHub's Markdown.")
    marker: Text = Field(
        default="hookwright",
        description="Name that tells several comments on one pull request apart.",
    )
    as_of: datetime | None = Field(
        default=None,
        description="Time of what the comment says; older news does not replace newer.",
    )
    create: bool = Field(
        default=True, description="Whether a comment is begun when there is none yet."
    )


class CommentOutputs(Outputs):
    """What became of the comment; exactly one of the last four is true."""

    comment_id: int | None = Field(description="GitHub's id of the comment.")
    url: str | None = Field(description="Address of the comment.")
    created: bool = Field(default=False, description="Whether the comment was made now.")
    updated: bool = Field(default=False, description="Whether its text was replaced.")
    unchanged: bool = Field(default=False, description="Whether it said this already.")
    skipped: bool = Field(
        default=False,
        description="Whether nothing was done: older news, or none there and `create` is false.",
    )


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
    client = GitHubClient(context)
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


def _comment_target(params: CommentParams, _options: object) -> str:
    return f"{params.repo.lower()}#{params.pr_number}:{marker_name(params.marker)}"


COMMENT = Action(
    name="github.comment",
    summary="Keep one comment on a pull request up to date",
    params=CommentParams,
    outputs=CommentOutputs,
    perform=comment,
    safety=Safety.FIND_AND_UPDATE,
    target=_comment_target,
)
