"""A check run on a commit, which only GitHub Apps may write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self, cast

from pydantic import Field, StringConstraints, model_validator

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.answers import CheckRun
from service.vendors.github.app_tokens import NOT_FOUND
from service.vendors.github.bodies import (
    AnnotationFields,
    ButtonFields,
    CheckRunFields,
    CheckStatus,
    Conclusion,
    OutputFields,
)
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, Repo, Sha, Text, Url, one_line
from service.vendors.github.markdown import fit
from service.vendors.reading import as_text, as_whole


class Annotation(Params):
    """A remark on lines of a file."""

    path: Text = Field(description="The file, from the top of the repository.")
    start_line: int = Field(ge=1, description="First line, counted from 1.")
    end_line: int | None = Field(default=None, ge=1, description="Last line; null: the first.")
    annotation_level: Literal["notice", "warning", "failure"] = Field(
        default="failure", description="How bad it is."
    )
    message: Text = Field(description="What is said about the lines.")
    title: str | None = Field(default=None, description="A heading for it.")

    def fields(self) -> AnnotationFields:
        """Give the remark as the API takes it."""
        found = self.model_dump(exclude_none=True) | {"end_line": self.end_line or self.start_line}
        return cast("AnnotationFields", found)


class Button(Params):
    """A button on a check run; who presses it causes `check_run.requested_action`."""

    label: Annotated[Text, StringConstraints(max_length=20)] = Field(description="Its word.")
    description: Annotated[Text, StringConstraints(max_length=40)] = Field(
        description="What it does."
    )
    identifier: Annotated[Text, StringConstraints(max_length=20)] = Field(
        description="What the event names it by."
    )

    def fields(self) -> ButtonFields:
        """Give the button as the API takes it."""
        return cast("ButtonFields", self.model_dump())


class CheckRunParams(Params):
    """The check run to keep on a commit; `name` and `external_id` find it again."""

    repo: Repo = Field(description=REPO)
    commit_sha: Annotated[Sha, StringConstraints(min_length=40)] = Field(
        description="Commit, whole."
    )
    name: Text = Field(default="hookwright", description="Name of the check.")
    external_id: str = Field(
        default="", description="Our own id for it, such as that of the run it reports."
    )
    status: CheckStatus = Field(
        default="completed", description="queued, in_progress or completed."
    )
    conclusion: Conclusion | None = Field(
        default=None,
        description="How it ended, when completed: success, failure, neutral, cancelled, skipped, "
        "timed_out or action_required.",
    )
    title: str | None = Field(default=None, description="Heading of its page.")
    summary: str | None = Field(default=None, description="Markdown below the heading.")
    text: str | None = Field(default=None, description="Details, in Markdown.")
    details_url: Url | None = Field(default=None, description="Address its link leads to.")
    annotations: tuple[Annotation, ...] = Field(
        default=(), max_length=50, description="Remarks on lines of files; given once."
    )
    buttons: tuple[Button, ...] = Field(
        default=(), max_length=3, description="Buttons that a person may press."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.conclusion is not None) != (self.status == "completed"):
            message = "a completed check run has a conclusion, and no other has one"
            raise ValueError(message)
        if (self.text or self.annotations or self.title) and not self.summary:
            message = "title, text and annotations need a summary"
            raise ValueError(message)
        return self

    def fields(self, *, with_annotations: bool) -> CheckRunFields:
        """Give the check run as the API takes it."""
        fields: CheckRunFields = {"name": self.name, "status": self.status}
        if self.conclusion is not None:
            fields["conclusion"] = self.conclusion
        if self.external_id:
            fields["external_id"] = self.external_id
        if self.details_url:
            fields["details_url"] = self.details_url
        if self.summary:
            output: OutputFields = {
                "title": one_line(self.title or self.name, 255),
                "summary": fit(self.summary),
            }
            if self.text:
                output["text"] = fit(self.text)
            if self.annotations and with_annotations:
                output["annotations"] = [one.fields() for one in self.annotations]
            fields["output"] = output
        if self.buttons:
            fields["actions"] = [one.fields() for one in self.buttons]
        return fields


class CheckRunOutputs(Outputs):
    """The check run that stands now."""

    id: int | None = Field(description="GitHub's id of the check run.")
    url: str | None = Field(description="Its address.")
    created: bool = Field(default=False, description="Whether it was made now.")
    unchanged: bool = Field(default=False, description="Whether it said this already.")


def check_run(context: CallContext, params: CheckRunParams) -> Done:
    """Keep a check run on a commit: begin it, or bring the one that is there up to date."""
    client = GitHubClient(context)
    known = context.reference or {}
    digest = _digest(params.fields(with_annotations=True))
    if known.get("digest") == digest:
        outputs = CheckRunOutputs(
            id=as_whole(known.get("id")), url=as_text(known.get("url")), unchanged=True
        )
        return Done(outputs, changed=False)
    done = _update_known(client, params, known)
    created = done is None
    if done is None:
        found = _find(client, params)
        if found is not None:
            done = _update(client, params, found.id, noted=bool(found.output.annotations_count))
            created = False
        else:
            fields = params.fields(with_annotations=True)
            fields["head_sha"] = params.commit_sha
            done = client.create_check_run(params.repo, fields)
    return Done(
        CheckRunOutputs(id=done.id, url=done.html_url, created=created),
        {
            "id": done.id,
            "url": done.html_url,
            "digest": digest,
            "is_noted": bool(params.annotations) or known.get("is_noted") is True,
        },
    )


def _update_known(
    client: GitHubClient, params: CheckRunParams, known: Mapping[str, Json]
) -> CheckRun | None:
    """Update the check run we remember; None when there is none or it is gone."""
    run_id = as_whole(known.get("id"))
    if run_id is None:
        return None
    try:
        return _update(client, params, run_id, noted=known.get("is_noted") is True)
    except Refused as fault:
        if fault.status == NOT_FOUND:
            return None
        raise


def _update(client: GitHubClient, params: CheckRunParams, run_id: int, *, noted: bool) -> CheckRun:
    """Bring it up to date. GitHub adds annotations to those there are, so they are given once."""
    fields = params.fields(with_annotations=not noted)
    return client.update_check_run(params.repo, run_id, fields)


def _find(client: GitHubClient, params: CheckRunParams) -> CheckRun | None:
    """Find the newest check run of this name and id, whose answer was lost or is forgotten."""
    for run in client.check_runs(params.repo, params.commit_sha, name=params.name):
        if (run.external_id or "") == params.external_id:
            return run
    return None


def _digest(fields: CheckRunFields) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _check_target(params: CheckRunParams, _options: object) -> str:
    return f"{params.repo.lower()}@{params.commit_sha}:{params.name}:{params.external_id}"


CHECK_RUN = Action(
    name="github.check_run",
    summary="Keep a check run on a commit up to date (GitHub Apps only)",
    params=CheckRunParams,
    outputs=CheckRunOutputs,
    perform=check_run,
    safety=Safety.FIND_AND_UPDATE,
    target=_check_target,
)
