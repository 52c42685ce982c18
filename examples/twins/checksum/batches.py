"""Checksum's heal and generation batches: what was asked, and how far they have come by now."""

from dataclasses import dataclass, field

from examples.twins.checksum.outcomes import SessionEnd


@dataclass(frozen=True, slots=True)
class HealOrder:
    """What an auto-heal was asked to do, by its own call or by a run's `autoHeal` block."""

    repo_name: str | None
    creates_pr: bool
    branch: str | None = None
    pr_number: int | None = None
    metadata: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """A heal or generation batch. Session n ends after the phases `pending` and n + 1 more."""

    batch_id: str
    kind: str
    run_id: str | None
    order: HealOrder
    test_ids: list[str]
    ends: list[SessionEnd]
    pr_urls: list[str | None]
    session_ids: list[str]
    began_s: float
    pace_s: float

    def session_status(self, index: int, now_s: float) -> str:
        """`pending`, `running`, `completed` or `failed`."""
        elapsed = now_s - self.began_s
        if elapsed < self.pace_s:
            return "pending"
        if elapsed < (index + 2) * self.pace_s:
            return "running"
        return "failed" if self.ends[index] is SessionEnd.FAILED else "completed"

    def show(self, now_s: float) -> dict[str, object]:
        """The batch as its vendor shows it (reference 5.6)."""
        states = [self.session_status(index, now_s) for index in range(len(self.ends))]
        completed, failed = states.count("completed"), states.count("failed")
        if failed:
            status = "failed"
        elif completed == len(states):
            status = "completed"
        else:
            status = "pending" if now_s - self.began_s < self.pace_s else "in_progress"
        return {
            "batchId": self.batch_id,
            "status": status,
            "testRunId": self.run_id,
            "totalSessions": len(states),
            "completedCount": completed,
            "failedCount": failed,
            "allTerminal": completed + failed == len(states),
            "sessions": [
                {
                    "sessionId": self.session_ids[index],
                    "checksumTestId": self.test_ids[index] if index < len(self.test_ids) else None,
                    "status": state,
                    "prUrl": self.pr_urls[index] if state == "completed" else None,
                }
                for index, state in enumerate(states)
            ],
        }

    def all_terminal(self, now_s: float) -> bool:
        """Whether every session has ended."""
        return now_s - self.began_s >= (len(self.ends) + 1) * self.pace_s
