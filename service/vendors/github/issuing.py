"""One issue for one matter, found again by a hidden marker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from pydantic import Field

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.answers import Issue
from service.vendors.github.app_tokens import NOT_FOUND
from service.vendors.github.asking import GONE
from service.vendors.github.bodies import IssueFields, IssueState
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, Repo, Text, one_line
from service.vendors.github.markdown import has_marker, is_same, marked_body, marker_name
from service.vendors.reading import as_text, as_whole

MAX_TITLE_CHARS = 250
BOT_PAGES = 5
"""GitHub Enterprise Cloud was seen to give nothing when asked for the issues of an App's bot
(renovatebot/renovate issue 44730), so the newest ones are looked through as well."""
_BOT = "[bot]"
_MISSING = frozenset({NOT_FOUND, GONE})


class IssueParams(Params):
    """The issue to keep. `marker` names the matter: there is one issue for it."""

    repo: Repo = Field(description=REPO)
    marker: Text = Field(description="Name of the matter, such as a bug's id: one issue for each.")
    title: Text = Field(description="Title of the issue, cut at 250 characters.")
    body: str = Field(default="", description="Its text in GitHub's Markdown.")
    labels: tuple[Text, ...] = Field(
        default=(), description="Labels it is opened with; later ones are left to people."
    )
    state: IssueState = Field(default="open", description="Whether it shall be open or closed.")
    create: bool = Field(
        default=True, description="Whether an issue is opened when there is none yet."
    )
    reopen: bool = Field(
        default=False, description="Whether an issue that somebody closed is opened again."
    )


class IssueOutputs(Outputs):
    """What became of the issue."""

    number: int | None = Field(description="Number of the issue; null when there is none.")
    url: str | None = Field(description="Its address.")
    state: str | None = Field(description="`open` or `closed`, as it is now.")
    created: bool = Field(default=False, description="Whether it was opened now.")
    unchanged: bool = Field(default=False, description="Whether it was as wanted already.")


def issue(context: CallContext, params: IssueParams) -> Done:
    """Open the issue, or bring the one that is there up to date."""
    client = GitHubClient(context)
    wanted: IssueFields = {
        "title": one_line(params.title, MAX_TITLE_CHARS),
        "body": marked_body(params.marker, params.body),
    }
    known = context.reference or {}
    digest = hashlib.sha256(
        json.dumps([wanted, params.state, params.reopen], sort_keys=True).encode()
    ).hexdigest()
    if known.get("digest") == digest and not params.reopen:
        outputs = IssueOutputs(
            number=as_whole(known.get("number")),
            url=as_text(known.get("url")),
            state=as_text(known.get("state")),
            unchanged=True,
        )
        return Done(outputs, changed=False)
    found = _update_known(client, params, wanted, known)
    if found is None:
        there = _find(client, params)
        found = None if there is None else _bring(client, params, wanted, there)
    if found is not None:
        told, changed = found
        return _done(told, digest, unchanged=not changed)
    if not params.create or params.state == "closed":
        return Done(IssueOutputs(number=None, url=None, state=None), changed=False)
    made = client.create_issue(params.repo, {**wanted, "labels": list(params.labels)})
    return _done(made, digest, created=True)


def _update_known(
    client: GitHubClient, params: IssueParams, wanted: IssueFields, known: Mapping[str, Json]
) -> tuple[Issue, bool] | None:
    """Bring the issue we remember up to date; None when there is none or it is gone."""
    number = as_whole(known.get("number"))
    if number is None:
        return None
    try:
        return client.update_issue(params.repo, number, wanted | _state(params, None)), True
    except Refused as fault:
        if fault.status in _MISSING:
            return None
        raise


def _bring(
    client: GitHubClient, params: IssueParams, wanted: IssueFields, there: Issue
) -> tuple[Issue, bool]:
    """Bring an issue that was found up to date, and say whether it had to be changed."""
    fields = wanted | _state(params, there.state)
    is_wanted = (
        there.title == wanted["title"]
        and is_same(there.body, wanted["body"])
        and fields.get("state", there.state) == there.state
    )
    if is_wanted:
        return there, False
    return client.update_issue(params.repo, there.number, fields), True


def _state(params: IssueParams, state: str | None) -> IssueFields:
    """Give what is to be said of its state: who closed an issue is only overruled by `reopen`."""
    if params.state == "closed":
        return {} if state == "closed" else {"state": "closed", "state_reason": "completed"}
    if params.reopen:
        return {"state": "open"}
    return {}


def _find(client: GitHubClient, params: IssueParams) -> Issue | None:
    """Find the oldest of our issues with the marker.

    The list is asked and not the search, which knows of a new issue only after a while.
    """
    login = client.own_login()
    ours = client.issues(params.repo, state="all", creator=login)
    found = _oldest(ours, params.marker, login)
    if found is None and login is not None and login.endswith(_BOT):
        newest = client.issues(params.repo, state="all", most_pages=BOT_PAGES)
        found = _oldest(newest, params.marker, login)
    return found


def _oldest(issues: Iterable[Issue], marker: str, login: str | None) -> Issue | None:
    """Give the last one with the marker, by us where we know who we are."""
    oldest = None
    for one in issues:
        author = (one.user.login if one.user else None) or ""
        is_own = login is None or author.lower() == login.lower()
        if is_own and has_marker(one.body, marker):
            oldest = one
    return oldest


def _done(told: Issue, digest: str, *, created: bool = False, unchanged: bool = False) -> Done:
    outputs = IssueOutputs(
        number=told.number,
        url=told.html_url,
        state=told.state,
        created=created,
        unchanged=unchanged,
    )
    reference = {
        "number": told.number,
        "url": told.html_url,
        "state": told.state,
        "digest": digest,
    }
    return Done(outputs, reference, changed=not unchanged)


def _issue_target(params: IssueParams, _options: object) -> str:
    return f"{params.repo.lower()}:issue:{marker_name(params.marker)}"


ISSUE = Action(
    name="github.issue",
    summary="Keep one issue for one matter: open it, update it, close it",
    params=IssueParams,
    outputs=IssueOutputs,
    perform=issue,
    safety=Safety.FIND_AND_UPDATE,
    target=_issue_target,
)
