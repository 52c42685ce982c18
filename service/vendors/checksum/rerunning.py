"""Running tests of an earlier run again: to prove a heal, or after the infrastructure broke.

Only a run by grep takes the branch that is checked out (reference 5.3), and grep knows titles and
not ids: so the titles of the earlier run's tests become one regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from pydantic import Field

from service.errors import Permanent
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.questions import Text

MOST_TITLES = 500
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")
"""What means something in every dialect of regular expressions; which is Checksum's, it does not
say, and some refuse a backslash before anything else."""


class RunAgainParams(Params):
    """Which tests of which run, and on which branch."""

    test_run_id: UUID = Field(description="UUID of the earlier run.")
    status: Text | None = Field(
        default="failed", description="Only tests that ended so; null for all of them."
    )
    without_tags: tuple[Text, ...] = Field(
        default=("@bug",),
        description="Leaves out tests with one of these tags; Checksum tags with @bug what failed "
        "by a bug of the application, and does not heal it.",
    )
    branch: Text | None = Field(
        default=None, description="Branch that is checked out; left out, that of the earlier run."
    )
    grep: Text | None = Field(
        default=None,
        description="Selects what is started where the earlier run names no such test; left out, "
        "nothing is started then.",
    )
    env_overrides: dict[str, str] = Field(
        default_factory=dict, description="Variables of the environment set for this run."
    )


class RunAgainOutputs(Outputs):
    """The run that was started, by job name, by run id, or both."""

    started: bool = Field(description="Whether there was anything to run.")
    name: str | None = Field(description="Job name, for checksum.run_status.")
    run_id: str | None = Field(description="Run id, where Checksum gives one.")
    grep: str | None = Field(
        description="What selects the tests; one whose title has another's within it runs too."
    )
    branch: str | None = Field(description="Branch that is checked out, where one was named.")
    tests: int = Field(description="How many titles are selected; 0 when grep of the step is used.")


def run_again(context: CallContext, params: RunAgainParams) -> Done:
    """Start tests of an earlier run again."""
    client = ChecksumClient(context.http, context.options)
    run = client.results(str(params.test_run_id), status=params.status)
    left_out = set(params.without_tags)
    titles = list(
        dict.fromkeys(
            test.test_title
            for test in run.tests
            if test.test_title
            and test.status in {None, params.status or test.status}
            and not left_out & set(test.tags)
        )
    )
    if len(titles) > MOST_TITLES:
        raise Permanent(
            f"the run has {len(titles)} such tests, and no more than {MOST_TITLES} are selected",
            hint="start them by a tag with checksum.run_grep, or all with checksum.run_suite",
        )
    grep = one_of(titles) or params.grep
    branch = params.branch or run.branch
    if grep is None:
        nothing = RunAgainOutputs(
            started=False, name=None, run_id=None, grep=None, branch=branch, tests=0
        )
        return Done(nothing, changed=False)
    told = client.run_grep(grep, branch=branch, env_overrides=params.env_overrides)
    outputs = RunAgainOutputs(
        started=True,
        name=told.name,
        run_id=told.run_id,
        grep=grep,
        branch=branch,
        tests=len(titles),
    )
    reference = {
        "name": told.name,
        "run_id": told.run_id,
        "auto_heal": False,
        "test_run_id": None,
    }
    return Done(outputs, reference)


def one_of(titles: Iterable[str]) -> str | None:
    """Give the regular expression that finds these titles; None without any."""
    return "|".join(_SPECIAL.sub(r"\\\g<0>", title) for title in titles) or None
