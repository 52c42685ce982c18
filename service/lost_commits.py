"""What a commit has begun whose answer was lost: written down, and never called.

The connection may break in the moment of a commit. Whoever asked for it finds out what became of
it by reading the rows again; its own thread alone knows that it has not called anything since.
Without that, a call that was never made would be in doubt.
"""

from __future__ import annotations

from datetime import datetime

from schemas.run_tables import AttemptRow, StepRow
from schemas.states import EffectState
from schemas.tables import EffectRow
from schemas.workflow import StepStatus
from service.store import effects
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork


def take_back_uncalled(
    work: UnitOfWork, run: LoadedRun, now: datetime, *, called: str | None = None
) -> None:
    """Let steps that were begun by such a commit be begun anew. `called` is one that was called.

    The run must be held by the thread that asked for the commit. Where the effect was open before
    it stays so: what became of the earlier call is not known any better.
    """
    for step in run.steps.values():
        if step.status != StepStatus.RUNNING or step.step == called:
            continue
        attempt = store.attempt(work.session, step.id, step.attempts)
        if attempt is None or attempt.status != StepStatus.RUNNING:
            continue
        attempt.status = StepStatus.FAILED
        attempt.ended_at = now
        attempt.error = {"code": "not_called", "message": "the database was lost before the call"}
        step.status = StepStatus.PENDING
        step.put_off += 1
        effect = effects.intended_by(work.session, run.row.id, step.step)
        if effect is not None and _has_opened(work, effect, step, attempt):
            effect.state = EffectState.NOT_MADE


def _has_opened(work: UnitOfWork, effect: EffectRow, step: StepRow, attempt: AttemptRow) -> bool:
    """Say whether it was this attempt that wrote the effect down, and not an earlier one."""
    if effect.calls == 1:
        return True
    # One that is open keeps the time at which it was; any other is given the attempt's.
    before = store.attempt(work.session, step.id, attempt.number - 1)
    is_later = before is None or before.started_at < attempt.started_at
    return is_later and effect.intended_at == attempt.started_at
