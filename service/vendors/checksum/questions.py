"""What more than one action asks: whose repository, and where a run stands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from schemas.events import Json
from service.errors import Permanent, Refused
from service.vendors.checksum.client import ChecksumClient, RunState
from service.vendors.checksum.options import ChecksumOptions

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Repo = Annotated[str, StringConstraints(pattern=r"^[^/\s]+/[^/\s]+$")]

NOT_FOUND = 404


def repository_for(given: str | None, options: ChecksumOptions, *, needed: bool) -> str | None:
    """Give the repository of the tests. Raises Permanent when one is needed and none is known."""
    repo = given or options.repository
    if repo is None and needed:
        raise Permanent(
            "Checksum needs the repository of the tests to make a pull request or comment on one",
            hint="give `repo`, or set options.repository of the connection to <owner>/<repo>",
        )
    return repo


def ask_status(
    client: ChecksumClient, name: Json, run_id: Json, *, version: Literal[1, 2]
) -> RunState:
    """Ask by run id when there is one, by name otherwise; by name too for the counts of an end."""
    if not isinstance(run_id, str):
        return client.status_of_job(str(name), version=version)
    if not isinstance(name, str):
        return client.status_of_run(run_id)
    try:
        state = client.status_of_run(run_id)
    except Refused as fault:
        if fault.status != NOT_FOUND:
            raise
        return client.status_of_job(name, version=version)
    if not state.terminal:
        return state
    try:
        by_name = client.status_of_job(name, version=version)
    except Refused:
        return state  # the run id has already told how it ended
    return by_name if by_name.terminal and by_name.test_run_id else state
