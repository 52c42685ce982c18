"""Checksum's runs and batches: what exists, and how far it has come by now.

Nothing moves by itself. Where a run or a batch stands follows from the time since it began and the
seconds a phase lasts, so a read at any moment gives what the vendor would show.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from examples.twins.checksum.batches import Batch, HealOrder
from examples.twins.checksum.outcomes import Outcomes, RunOutcome, SessionEnd
from examples.twins.clock import Clock, zulu

FIRST_HEAL_PULL_REQUEST = 101


@dataclass(slots=True)
class Run:
    """One test run: `queued` for a phase, `running` for a phase, then its outcome."""

    run_id: str
    name: str | None
    kind: str
    version: int
    branch: str | None
    asked: dict[str, object]
    outcome: RunOutcome
    heal: HealOrder | None
    began_s: float
    pace_s: float
    created_at: datetime
    batch: Batch | None = None

    @property
    def finished_s(self) -> float:
        """The monotonic second at which it ends."""
        return self.began_s + 2 * self.pace_s

    def is_terminal(self, now_s: float) -> bool:
        """Whether it has ended."""
        return now_s >= self.finished_s

    def status(self, now_s: float) -> str:
        """Its status now; `healed` once the heal it asked for has mended something."""
        if not self.is_terminal(now_s):
            return "queued" if now_s < self.began_s + self.pace_s else "running"
        if self.heal and self.batch and self.batch.all_terminal(now_s):
            ends = set(self.batch.ends)
            if SessionEnd.FAILED not in ends and SessionEnd.PR in ends:
                return "healed"
        return self.outcome.status


class RunBook:
    """All runs and batches of one Checksum project."""

    def __init__(self, clock: Clock, outcomes: Outcomes) -> None:
        self._clock = clock
        self._outcomes = outcomes
        self._runs: dict[str, Run] = {}
        self._batches: dict[str, Batch] = {}
        self._pull_requests = 0
        self._jobs = 12345

    def dispatch(
        self,
        *,
        kind: str,
        version: int,
        asked: dict[str, object],
        heal: HealOrder | None,
        pace_s: float,
        branch: str | None = None,
        sharded: bool = False,
    ) -> Run:
        """Start a run; a sharded one has no job name."""
        self._jobs += 1
        run = Run(
            run_id=str(uuid4()),
            name=None if sharded else f"job-name-{self._jobs}",
            kind=kind,
            version=version,
            branch=branch,
            asked=asked,
            outcome=self._outcomes.next_run(),
            heal=heal,
            began_s=self._clock.seconds(),
            pace_s=pace_s,
            created_at=self._clock.now(),
        )
        self._runs[run.run_id] = run
        return run

    def add_finished(self, outcome: RunOutcome, *, branch: str, run_id: str | None) -> Run:
        """A run that has ended already, started by something else than this key."""
        run = self.dispatch(kind="added", version=1, asked={}, heal=None, pace_s=0.0, branch=branch)
        run.outcome = outcome
        del self._runs[run.run_id]
        run.run_id = run_id or run.run_id
        self._runs[run.run_id] = run
        return run

    def find_run(self, run_id: str) -> Run | None:
        """The run with this UUID."""
        self._settle()
        return self._runs.get(run_id.lower())

    def find_job(self, name: str) -> Run | None:
        """The run with this job name."""
        self._settle()
        return next((run for run in self._runs.values() if run.name == name), None)

    def latest_run(self) -> Run | None:
        """The run that was started last."""
        self._settle()
        return next(reversed(self._runs.values()), None)

    def find_batch(self, batch_id: str, *, kind: str) -> Batch | None:
        """The batch of this kind with this id."""
        self._settle()
        batch = self._batches.get(batch_id)
        return batch if batch and batch.kind == kind else None

    def heal(
        self,
        run: Run,
        order: HealOrder,
        *,
        pace_s: float,
        per_failure: bool,
        began_s: float | None = None,
    ) -> Batch:
        """Start a heal batch for a failed run; every call makes one more."""
        failed = [test for test in run.outcome.results() if test.status == "failed"]
        ends = self._outcomes.next_heal().sessions
        if per_failure and len(ends) == 1:
            ends *= max(1, len(failed))
        return self._add_batch(
            kind="heal",
            run_id=run.run_id,
            order=order,
            test_ids=[test.checksumTestId for test in failed],
            ends=list(ends),
            began_s=self._clock.seconds() if began_s is None else began_s,
            pace_s=pace_s,
        )

    def generate(self, order: HealOrder, *, pace_s: float) -> Batch:
        """Start a generation batch."""
        return self._add_batch(
            kind="generate",
            run_id=None,
            order=order,
            test_ids=[],
            ends=[SessionEnd.PR],
            began_s=self._clock.seconds(),
            pace_s=pace_s,
        )

    def show(self) -> dict[str, object]:
        """All runs and batches, oldest first."""
        self._settle()
        now_s = self._clock.seconds()
        return {
            "runs": [
                {
                    "runId": run.run_id,
                    "name": run.name,
                    "kind": run.kind,
                    "branch": run.branch,
                    "asked": run.asked,
                    "status": run.status(now_s),
                    "createdAt": zulu(run.created_at),
                    "batchId": run.batch.batch_id if run.batch else None,
                }
                for run in self._runs.values()
            ],
            "batches": [
                {
                    **batch.show(now_s),
                    "kind": batch.kind,
                    "repoName": batch.order.repo_name,
                    "branch": batch.order.branch,
                    "prNumber": batch.order.pr_number,
                    "metadata": batch.order.metadata,
                }
                for batch in self._batches.values()
            ],
        }

    def _settle(self) -> None:
        """Start the heals that runs with an `autoHeal` block have begun by themselves."""
        now_s = self._clock.seconds()
        for run in self._runs.values():
            due = run.heal and run.batch is None and run.is_terminal(now_s)
            if due and run.heal and run.outcome.status == "failed":
                run.batch = self.heal(
                    run, run.heal, pace_s=run.pace_s, per_failure=False, began_s=run.finished_s
                )

    def _add_batch(
        self,
        *,
        kind: str,
        run_id: str | None,
        order: HealOrder,
        test_ids: list[str],
        ends: list[SessionEnd],
        began_s: float,
        pace_s: float,
    ) -> Batch:
        batch = Batch(
            batch_id=f"batch-{uuid4()}",
            kind=kind,
            run_id=run_id,
            order=order,
            test_ids=test_ids,
            ends=ends,
            pr_urls=[self._pull_request(order) if end is SessionEnd.PR else None for end in ends],
            session_ids=[f"sess-{uuid4()}" for _ in ends],
            began_s=began_s,
            pace_s=pace_s,
        )
        self._batches[batch.batch_id] = batch
        return batch

    def _pull_request(self, order: HealOrder) -> str | None:
        if not order.creates_pr:
            return None
        number = FIRST_HEAL_PULL_REQUEST + self._pull_requests
        self._pull_requests += 1
        return f"https://github.com/{order.repo_name}/pull/{number}"
