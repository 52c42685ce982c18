"""What starts the workflows of a repository from outside."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from schemas.events import Json
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.github.client import GitHubClient
from service.vendors.github.fields import REPO, Repo, Text

MAX_PAYLOAD_MEMBERS = 10
MAX_PAYLOAD_BYTES = 64 * 1024


def _bounded(payload: dict[str, Json]) -> dict[str, Json]:
    if len(json.dumps(payload).encode()) >= MAX_PAYLOAD_BYTES:
        message = "the payload has 64 kB or more"
        raise ValueError(message)
    return payload


class DispatchParams(Params):
    """What starts the workflows of a repository that listen to `repository_dispatch`."""

    repo: Repo = Field(description=REPO)
    event_type: Annotated[Text, StringConstraints(max_length=100)] = Field(
        description="Name that the workflow listens to, as in `types: [name]`."
    )
    client_payload: Annotated[
        dict[str, Json], Field(max_length=MAX_PAYLOAD_MEMBERS), AfterValidator(_bounded)
    ] = Field(
        default_factory=dict,
        description="What the workflow reads: at most 10 members and 64 kB.",
    )


class DispatchOutputs(Outputs):
    """GitHub answers with nothing: the workflow's run comes as `workflow_run.requested`."""

    dispatched: bool = Field(default=True, description="Whether GitHub took it.")


def dispatch(context: CallContext, params: DispatchParams) -> Done:
    """Start the workflows on the default branch."""
    GitHubClient(context).dispatch(params.repo, params.event_type, params.client_payload)
    return Done(DispatchOutputs())


DISPATCH = Action(
    name="github.dispatch",
    summary="Start the GitHub Actions workflows that listen to a repository dispatch",
    params=DispatchParams,
    outputs=DispatchOutputs,
    perform=dispatch,
    safety=Safety.ONCE,
)
