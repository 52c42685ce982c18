"""What needs a person now: steps in doubt, decisions, failures. Read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.api_alerts import AlertQuestion
from schemas.api_deliveries import DeliverySearch
from schemas.api_runs import RunQuestion
from schemas.effect_lists import EffectQuestion
from schemas.run_tables import RunRow
from schemas.states import AlertState, DeliveryState, EffectState
from schemas.statistics import CountOut
from schemas.tables import AlertRow, DeliveryRow, EffectRow
from schemas.workflow import RunStatus, WaitKind
from service.actions import AnyAction, VendorAction
from service.alerts import DOUBT
from service.db import Session
from service.store import doubts as store
from service.store import effects, run_details
from service.store.counting import count_runs
from service.store.listing import list_alerts, list_deliveries, list_runs
from service.store.refused_groups import RefusedGroup, refused_groups
from service.web.dashboard.decisions import ON_A_PAGE, Decision, find_decisions, waits_of

MOST = ON_A_PAGE
"""How many of a kind are shown; the page says when there are more."""
LOOKED_AT = 100
"""How many rows are read of which some are not shown."""
LATELY = timedelta(days=1)
_UNREAD = (DeliveryState.DEAD, DeliveryState.MALFORMED, DeliveryState.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A step in doubt. `may_be_looked_up`: its vendor can be asked once more.

    Its run waits for it, unless it has ended or is about to.
    """

    run: RunRow
    step: str
    since: datetime
    effect: EffectRow | None
    may_be_looked_up: bool

    @property
    def path(self) -> str:
        """The step's name as people read it."""
        return f"{self.run.path}.{self.step}" if self.run.path else self.step


@dataclass(frozen=True, slots=True)
class Needs:
    """All that needs a person. `more` names the kinds of which there are more than are shown.

    It says of each how many there are in all; None: they were not counted.
    """

    doubts: Sequence[Doubt]
    decisions: Sequence[Decision]
    deliveries: Sequence[DeliveryRow]
    runs: Sequence[RunRow]
    alerts: Sequence[AlertRow]
    refused: Sequence[RefusedGroup]
    more: Mapping[str, CountOut | None]
    subjects: Mapping[UUID, str]
    """What began each run or branch that is named, by its id."""

    @property
    def count(self) -> int:
        """How many things are shown."""
        shown = (self.doubts, self.decisions, self.deliveries, self.runs, self.alerts, self.refused)
        return sum(len(kind) for kind in shown)


def read_needs(session: Session, actions: Mapping[str, AnyAction], now: datetime) -> Needs:
    """Read what needs a person, the newest of each kind first."""
    more: dict[str, CountOut | None] = {}
    doubts = _doubts(session, actions, more)
    decisions = find_decisions(session, None, now)
    if decisions.more:
        more["decisions"] = decisions.count
    deliveries: list[DeliveryRow] = []
    for state in _UNREAD:
        question = DeliverySearch(state=state, limit=MOST)
        found = list_deliveries(session, question)
        deliveries += found.rows
        if found.has_more or len(deliveries) > MOST:
            more["deliveries"] = None
    deliveries.sort(key=lambda row: row.received_at, reverse=True)
    since = now - LATELY
    failed = RunQuestion(status=RunStatus.FAILED, since=since, limit=MOST)
    runs = list_runs(session, failed)
    alerts = list_alerts(session, AlertQuestion(state=AlertState.OPEN, limit=LOOKED_AT))
    # An alert of a step in doubt would say the same thing a second time.
    others = [row for row in alerts.rows if not row.key.startswith(DOUBT)]
    if runs.has_more:
        more["runs"] = count_runs(session, failed, now)
    if alerts.has_more or len(others) > MOST:
        more["alerts"] = None
    refused = refused_groups(session, since=since, limit=MOST)
    named = {
        *(doubt.run.id for doubt in doubts),
        *(run.id for run in runs.rows),
        *(row.run_id for row in others[:MOST] if row.run_id is not None),
    }
    return Needs(
        doubts,
        decisions.rows,
        deliveries[:MOST],
        runs.rows,
        others[:MOST],
        refused,
        more,
        {**decisions.subjects, **run_details.subjects_of(session, named)},
    )


def _doubts(
    session: Session, actions: Mapping[str, AnyAction], more: dict[str, CountOut | None]
) -> list[Doubt]:
    runs = list_runs(session, RunQuestion(waiting_for=WaitKind.PERSON, limit=MOST))
    waiting = waits_of(session, runs.rows, WaitKind.PERSON)
    question = EffectQuestion(state=EffectState.IN_DOUBT, limit=LOOKED_AT)
    known: dict[tuple[UUID | None, str], EffectRow] = {
        (row.run_id, row.step): row for row in effects.list_effects(session, question).rows
    }
    left = store.doubts_left(session, MOST + 1)
    if runs.has_more or len(left) > MOST:
        more["doubts"] = None
    return [
        *(
            Doubt(
                run,
                wait.row.step,
                wait.row.since,
                effect := known.get((run.id, wait.row.step)),
                effect is not None and may_look_up(actions, effect.action),
            )
            for run, wait in waiting
        ),
        *(
            Doubt(run, effect.step, effect.intended_at, effect, may_be_looked_up=False)
            for run, effect in left[:MOST]
        ),
    ]


def may_look_up(actions: Mapping[str, AnyAction], action: str) -> bool:
    """Say whether the vendor of an action can tell whether it took effect."""
    found = actions.get(action)
    return isinstance(found, VendorAction) and found.action.look_up is not None
