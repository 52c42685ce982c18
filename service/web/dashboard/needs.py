"""What needs a person now: steps in doubt, decisions, failures. Read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas import api
from schemas.effect_lists import EffectQuestion
from schemas.run_tables import RunRow
from schemas.tables import (
    AlertRow,
    AlertState,
    DeliveryRow,
    DeliveryState,
    EffectRow,
    EffectState,
)
from schemas.workflow import RunStatus, WaitKind
from service.actions import AnyAction, VendorAction
from service.db import Session
from service.store import effects, listing, run_details
from service.store.refused_groups import RefusedGroup, refused_groups
from service.store.run_details import Waiting

MOST = 20
"""How many of a kind are shown; the page says when there are more."""
LATELY = timedelta(days=1)
_UNREAD = (DeliveryState.DEAD, DeliveryState.MALFORMED, DeliveryState.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A step in doubt. `may_be_looked_up`: its vendor can be asked once more."""

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
class Decision:
    """A step that asks somebody."""

    run: RunRow
    waiting: Waiting

    @property
    def path(self) -> str:
        """The step's name as people read it."""
        step = self.waiting.row.step
        return f"{self.run.path}.{step}" if self.run.path else step


@dataclass(frozen=True, slots=True)
class Needs:
    """All that needs a person. `more` names the kinds of which there are more than are shown."""

    doubts: Sequence[Doubt]
    decisions: Sequence[Decision]
    deliveries: Sequence[DeliveryRow]
    runs: Sequence[RunRow]
    alerts: Sequence[AlertRow]
    refused: Sequence[RefusedGroup]
    more: frozenset[str]

    @property
    def count(self) -> int:
        """How many things are shown."""
        shown = (self.doubts, self.decisions, self.deliveries, self.runs, self.alerts, self.refused)
        return sum(len(kind) for kind in shown)


def read_needs(session: Session, actions: Mapping[str, AnyAction], now: datetime) -> Needs:
    """Read what needs a person, the newest of each kind first."""
    more: set[str] = set()
    doubts = _doubts(session, actions, more)
    decisions = [
        Decision(run, wait) for run, wait in _waiting(session, WaitKind.APPROVAL, "decisions", more)
    ]
    deliveries: list[DeliveryRow] = []
    for state in _UNREAD:
        question = api.DeliveryQuestion(state=state, limit=MOST)
        found = listing.list_deliveries(session, question)
        deliveries += found.rows
        if found.has_more:
            more.add("deliveries")
    since = now - LATELY
    runs = listing.list_runs(
        session, api.RunQuestion(status=RunStatus.FAILED, since=since, limit=MOST)
    )
    alerts = listing.list_alerts(session, api.AlertQuestion(state=AlertState.OPEN, limit=MOST))
    if runs.has_more:
        more.add("runs")
    if alerts.has_more:
        more.add("alerts")
    # An alert of a step in doubt would say the same thing a second time.
    others = [row for row in alerts.rows if not row.key.startswith("in-doubt:")]
    refused = refused_groups(session, since=since, limit=MOST)
    return Needs(doubts, decisions, deliveries, runs.rows, others, refused, frozenset(more))


def _waiting(
    session: Session, kind: WaitKind, name: str, more: set[str]
) -> list[tuple[RunRow, Waiting]]:
    found = listing.list_runs(session, api.RunQuestion(waiting_for=kind, limit=MOST))
    if found.has_more:
        more.add(name)
    return run_details.waiting_under(session, [row.id for row in found.rows], kind)


def _doubts(session: Session, actions: Mapping[str, AnyAction], more: set[str]) -> list[Doubt]:
    waiting = _waiting(session, WaitKind.PERSON, "doubts", more)
    question = EffectQuestion(state=EffectState.IN_DOUBT, limit=100)
    known: dict[tuple[UUID | None, str], EffectRow] = {
        (row.run_id, row.step): row for row in effects.list_effects(session, question).rows
    }
    return [
        Doubt(
            run,
            wait.row.step,
            wait.row.since,
            effect := known.get((run.id, wait.row.step)),
            effect is not None and may_look_up(actions, effect.action),
        )
        for run, wait in waiting
    ]


def may_look_up(actions: Mapping[str, AnyAction], action: str) -> bool:
    """Say whether the vendor of an action can tell whether it took effect."""
    found = actions.get(action)
    return isinstance(found, VendorAction) and found.action.look_up is not None
