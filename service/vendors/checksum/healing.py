"""Healing a failed run, and watching the heal.

The vendor takes no idempotency key: a run is healed once, ever, and not at all when it was started
with an `autoHeal` block, since such a run heals by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import Field

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient, RunState
from service.vendors.checksum.options import ChecksumOptions
from service.vendors.checksum.payloads import run_url
from service.vendors.checksum.questions import NOT_FOUND, Repo, Text, ask_status, repository_for

DISPATCHING = (
    "checksum.run_grep",
    "checksum.run_suite",
    "checksum.run_collection",
    "checksum.run_tests",
    "checksum.run_again",
)
STARTED_RUNS = "checksum-started-runs"


class AutoHealParams(Params):
    """What to heal."""

    test_run_id: UUID = Field(description="UUID of the failed run; its job name will not do.")
    repo: Repo | None = Field(
        default=None,
        description="Repository of the tests, as owner/repo; left out, options.repository of the "
        "connection.",
    )
    branch: Text | None = Field(
        default=None,
        description="Branch of the tests that is mended; left out, the branch of the run.",
    )
    pr_number: int | None = Field(
        default=None, ge=1, description="Pull request on which Checksum comments its progress."
    )
    auto_create_pr: bool = Field(
        default=True, description="Opens a pull request with what was mended."
    )
    metadata: dict[str, Json] = Field(
        default_factory=dict,
        description="Goes into the healing prompt: links and ids, never secrets or foreign text.",
    )


class AutoHealOutputs(Outputs):
    """The heal that was started, or `already_healing` when the run heals by itself."""

    batch_id: str | None = Field(description="The heal, for checksum.heal_progress.")
    session_ids: tuple[str, ...] = Field(
        default=(), description="Its sessions; one may cover several failures."
    )
    failure_count: int = Field(default=0, description="How many failures it is about.")
    url: str = Field(description="Page of the heal, or of the run, for people.")
    already_healing: bool = Field(
        default=False, description="Nothing was begun: the run heals by itself."
    )


def auto_heal(context: CallContext, params: AutoHealParams) -> Done:
    """Heal a failed run, unless it was started by us to heal by itself.

    Every such run of the last seven days is asked which one it is, one or two calls each. Where
    that is more than the rate allows, the step is tried again and goes on where it was.
    """
    options: ChecksumOptions = context.options
    client = ChecksumClient(context.http, options)
    run_id = str(params.test_run_id)
    repo = repository_for(
        params.repo, options, needed=params.auto_create_pr or params.pr_number is not None
    )
    started = _started_healing(client, context, run_id)
    if started is not None:
        outputs = AutoHealOutputs(
            batch_id=started.heal_batch_id, url=run_url(run_id), already_healing=True
        )
        return Done(outputs, changed=False)
    told = client.auto_heal(
        test_run_id=run_id,
        auto_create_pr=params.auto_create_pr,
        repo=repo,
        branch=params.branch,
        pr_number=params.pr_number,
        metadata={"correlation_id": context.idempotency_key, **params.metadata},
    )
    outputs = AutoHealOutputs(
        batch_id=told.batch_id,
        session_ids=told.session_ids,
        failure_count=told.failure_count,
        url=told.session_url or told.test_run_url or run_url(run_id),
    )
    return Done(outputs, {"batch_id": told.batch_id, "test_run_id": run_id})


@dataclass(frozen=True, slots=True)
class StartedRuns:
    """What this process has learnt of the runs we started to heal by themselves.

    `ids` are the UUIDs of those that have ended; `others` are, by step, those that were asked and
    are not the run which the step is to heal: one that still goes on may be the next step's.
    """

    ids: dict[str, str] = field(default_factory=dict)
    others: dict[str, set[str]] = field(default_factory=dict)


def _started_healing(
    client: ChecksumClient, context: CallContext, test_run_id: str
) -> RunState | None:
    """Give the state of the run we started with an `autoHeal` block, if this is one."""
    started = context.http.remember(STARTED_RUNS, StartedRuns)
    others = started.others.setdefault(context.idempotency_key, set())
    found: RunState | None = None
    for reference in healing_references(context):
        named = f"{reference.get('run_id')} {reference.get('name')}"
        known = started.ids.get(named) or reference.get("test_run_id") or reference.get("run_id")
        if isinstance(known, str) and known.lower() == test_run_id:
            found = state_of(client, reference) or RunState("failed", True, test_run_id)
            started.ids[named] = test_run_id
            break
        if named in started.ids or named in others:
            continue
        state = state_of(client, reference)
        if state and state.terminal and state.test_run_id:
            started.ids[named] = state.test_run_id
        if state and state.test_run_id and state.test_run_id.lower() == test_run_id:
            found = state
            break
        others.add(named)
    started.others.pop(context.idempotency_key, None)
    return found


def healing_references(context: CallContext) -> Iterator[Mapping[str, Json]]:
    """Give what the runs have left behind that we started with an `autoHeal` block."""
    for action in DISPATCHING:
        for reference in context.earlier(action):
            if reference.get("auto_heal"):
                yield reference


def state_of(client: ChecksumClient, reference: Mapping[str, Json]) -> RunState | None:
    """Ask where a run we started stands; None when the vendor no longer knows it."""
    name, run_id = reference.get("name"), reference.get("run_id")
    try:
        return ask_status(client, name, run_id, version=2)
    except Refused as fault:
        if fault.status == NOT_FOUND:  # a run of v1, or one that is gone
            return None
        raise


class HealProgressParams(Params):
    """Which heal to look at."""

    batch_id: Text = Field(description="The heal, as checksum.auto_heal gave it.")


class HealSession(Outputs):
    """One session of a heal."""

    session_id: str | None = Field(description="Checksum's id of the session.")
    test_id: str | None = Field(description="The test it mends, when it is a single one.")
    status: str | None = Field(description="Where the session stands.")
    pr_url: str | None = Field(description="The pull request it made.")


class HealProgressOutputs(Outputs):
    """How far a heal has come."""

    batch_id: str = Field(description="The heal.")
    test_run_id: str | None = Field(description="UUID of the run that is healed.")
    status: str = Field(description="Checksum's word; failed can come while sessions still run.")
    all_terminal: bool = Field(description="The heal has ended, whatever status says.")
    total: int = Field(description="How many sessions there are.")
    completed: int = Field(description="Sessions that ended well.")
    failed: int = Field(description="Sessions that failed.")
    pr_urls: tuple[str, ...] = Field(description="The pull requests that were made, each once.")
    sessions: tuple[HealSession, ...] = Field(description="The sessions.")
    bug_suspected: bool = Field(
        description="It ended well without a pull request: the fault is not in the tests."
    )


def heal_progress(context: CallContext, params: HealProgressParams) -> Done:
    """Give how far a heal has come."""
    batch = ChecksumClient(context.http, context.options).heal(params.batch_id)
    urls = batch.pr_urls()
    failed = batch.failed_count
    return Done(
        HealProgressOutputs(
            batch_id=batch.batch_id or params.batch_id,
            test_run_id=batch.test_run_id,
            status=batch.status or "unknown",
            all_terminal=batch.all_terminal,
            total=batch.session_count(),
            completed=batch.completed_count,
            failed=failed,
            pr_urls=urls,
            sessions=tuple(
                HealSession(
                    session_id=one.session_id,
                    test_id=one.checksum_test_id,
                    status=one.status,
                    pr_url=one.pr_url,
                )
                for one in batch.sessions
            ),
            bug_suspected=batch.all_terminal and not failed and not urls,
        ),
        changed=False,
    )
