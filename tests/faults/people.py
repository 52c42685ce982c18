"""What people do meanwhile: they approve, and settle what is in doubt by looking at the twins."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from sqlmodel import col, select

from schemas.run_tables import StepRow
from schemas.states import AlertState, EffectState
from schemas.tables import AlertRow, EffectRow
from schemas.workflow import StepStatus
from service.db import Database
from tests.faults.house import TOKEN, Site
from tests.faults.twins_record import causes
from tests.servers import NO_AUTHORITIES

LOOK_EVERY_S = 1.0
ANSWER_WITHIN_S = 5.0
_CAUSES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "slack.message": lambda given: str(given["text"]).split(" ")[0],
    "github.comment": lambda given: str(given["body"]),
    "github.dispatch": lambda given: str(given["client_payload"]["cause"]),
    "checksum.auto_heal": lambda given: f"{given['test_run_id']}/healed",
    "checksum.run_grep": lambda given: str(given["grep"]),
    "checkrd.kill_switch": lambda given: f"{given['agent_id']}/halted",
    "checkrd.mute_alert": lambda given: f"{given['rule_id']}/muted",
}
"""By what the twins' record knows a call, from what it was given (twins_record.py)."""


class Approver:
    """Approves whatever waits for a person, again and again, as far as the API can be reached."""

    def __init__(self, site: Site) -> None:
        self.approved = 0
        self._site = site
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._approve_all, name="approver")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is under way."""
        self._ended.set()
        self._thread.join()

    def _approve_all(self) -> None:
        doors = list(self._site.receivers)
        while not self._ended.wait(LOOK_EVERY_S):
            doors.append(doors.pop(0))
            try:
                self._approve(f"http://127.0.0.1:{self._site.house.ports[doors[0]]}/api/v1/runs")
            except httpx.TransportError:
                continue  # another look, at another door

    def _approve(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(
            headers=headers, timeout=ANSWER_WITHIN_S, verify=NO_AUTHORITIES
        ) as client:
            listed = client.get(url, params={"waiting_for": "approval", "limit": 100})
            if not listed.is_success:
                return
            for run in listed.json()["data"]:
                decided = client.post(
                    f"{url}/{run['id']}/steps/allowed/decision", json={"decision": "approve"}
                )
                self.approved += decided.is_success


@dataclass
class Doubts:
    """Steps that were in doubt, and how each ended."""

    ended: Counter[str] = field(default_factory=Counter)
    untold: list[str] = field(default_factory=list)
    """Those of which no alert told: nobody would have known."""

    def note_all(self, doubted: int) -> None:
        """Note how many steps came into doubt: what nobody had to settle was settled by itself."""
        if (rest := doubted - self.total) > 0:
            self.ended["settled by an answer that came late"] = rest

    @property
    def total(self) -> int:
        """How many there were."""
        return self.ended.total()

    def __str__(self) -> str:
        told = ", ".join(f"{count} {how}" for how, count in sorted(self.ended.items()))
        return f"{self.total} ({told})" if told else "0"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One step in doubt, and what the twins know it by."""

    run_id: UUID
    step: str
    cause: str
    told: bool


def find_doubts(database_url: str) -> list[Doubt]:
    """Give every step that is in doubt now."""
    database = Database(database_url)
    try:
        with database.session() as session:
            open_alerts = set(
                session.exec(
                    select(AlertRow.key).where(AlertRow.state != AlertState.RESOLVED.value)
                )
            )
            found = session.exec(
                select(StepRow, EffectRow)
                .join(
                    EffectRow,
                    (col(EffectRow.run_id) == col(StepRow.run_id))
                    & (col(EffectRow.step) == col(StepRow.step)),
                )
                .where(
                    StepRow.status == StepStatus.IN_DOUBT,
                    EffectRow.state == EffectState.IN_DOUBT,
                )
            )
            return [
                Doubt(
                    run_id=step.run_id,
                    step=step.step,
                    cause=_CAUSES[effect.action](effect.params),
                    told=f"in-doubt:{step.run_id}:{step.step}" in open_alerts,
                )
                for step, effect in found
            ]
    finally:
        database.dispose()


def settle_all(site: Site, doubts: Doubts) -> int:
    """Settle every step in doubt by what the twins have recorded; gives how many there were."""
    found = find_doubts(site.database_url())
    done = causes(site.twins) if found else Counter()
    for doubt in found:
        took_effect = done[doubt.cause] > 0
        doubts.ended["had taken effect" if took_effect else "had not, was done then"] += 1
        if not doubt.told:
            doubts.untold.append(doubt.cause)
        answer = "--took-effect" if took_effect else "--not-made"
        _settle(site, doubt, answer)
    return len(found)


def _settle(site: Site, doubt: Doubt, answer: str) -> None:
    port = site.house.ports[site.receivers[0]]
    site.house.run(
        *("run", "settle", str(doubt.run_id), doubt.step, answer),
        *("--url", f"http://127.0.0.1:{port}", "--token", TOKEN),
    )
