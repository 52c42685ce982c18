"""What a backtest says: which events start it, what it would do, and where that differs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.events import Json

MOST_SHOWN = 20
"""Effects and differing parameters that are shown of one example."""
MOST_ERRORS = 50
"""Different errors that are counted."""
_NUMBER = re.compile(r"\[\d+\]")


class Kind(StrEnum):
    """How what would be done differs from what was."""

    ONLY_NEW = "only_new"
    ONLY_PRESENT = "only_present"
    DIFFERENT = "different"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Effect:
    """A change outside: where in the run, by which action, with which parameters."""

    path: str
    action: str
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Story:
    """What a run did or would have done. `steps` are states by path.

    `unknown` are steps whose effects are not known in detail; `guessed` those whose answers nobody
    knows. `run_id` is None for what was only played.
    """

    status: str
    error: str | None
    steps: Mapping[str, str]
    effects: Sequence[Effect]
    unknown: Sequence[str] = ()
    guessed: Sequence[str] = ()
    emitted: Sequence[str] = ()
    run_id: str | None = None

    @property
    def began(self) -> bool:
        """Whether the run began: one that was skipped did nothing."""
        return self.status != "skipped"


@dataclass(slots=True)
class Report:
    """The tallies of a backtest, and the first examples of each kind of difference."""

    workflow: str
    since: datetime
    until: datetime
    examples: int = 20
    events: int = 0
    events_left: int = 0
    runs_new: int = 0
    runs_present: int = 0
    present_played: int = 0
    """Runs of the present version that are no record: their events came before it, and no version
    of then had begun a run for them."""
    not_played: int = 0
    """Runs that were started by hand, by a schedule or by a call."""
    guessed: int = 0
    failed_matches: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ends_new: Counter[str] = field(default_factory=Counter)
    ends_present: Counter[str] = field(default_factory=Counter)
    steps_new: dict[str, Counter[str]] = field(default_factory=dict)
    steps_present: dict[str, Counter[str]] = field(default_factory=dict)
    effects_new: Counter[str] = field(default_factory=Counter)
    effects_present: Counter[str] = field(default_factory=Counter)
    effects_played: Counter[str] = field(default_factory=Counter)
    """Those of `effects_present` that were never made: their runs were played."""
    emitted: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    found: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, events: Sequence[Mapping[str, Json]], new: Story | None, present: Story | None
    ) -> None:
        """Count what would be done with an event, beside what was."""
        new = new if new is not None and new.began else None
        present = present if present is not None and present.began else None
        if present is not None:
            self._count_present(present)
        if new is not None:
            self._count_new(new)
        if new is None and present is None:
            return
        kind, differences = compare(new, present)
        self.kinds[kind] += 1
        if kind is not Kind.SAME and self._wanted(kind):
            self.found.append(_example(kind, events[0], len(events), new, present, differences))

    def joins(self, event: Mapping[str, Json], present: Story | None) -> None:
        """Count what was done with an event that would join a run with others."""
        del event
        if present is not None and present.began:
            self._count_present(present)

    def add_gathered(self, events: Sequence[Mapping[str, Json]], count: int, new: Story) -> None:
        """Count a run that would see several events. Beside it stand several runs, or one."""
        self._count_new(new)
        self.kinds["gathered"] += 1
        if self._wanted("gathered"):
            self.found.append(_example("gathered", events[0], count, new, None, ()))

    def cannot_match(self, event: Mapping[str, Json], error: str) -> None:
        """Count an event for which the conditions of the document cannot be evaluated."""
        self.failed_matches += 1
        if self._wanted("condition"):
            self.found.append({**_named("condition", event), "error": error})

    def as_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "workflow": self.workflow,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "events": self.events,
            "events_left": self.events_left,
            "runs": {"new": self.runs_new, "present": self.runs_present},
            "present_played": self.present_played,
            "not_played": self.not_played,
            "compared": dict(self.kinds),
            "conditions_failed": self.failed_matches,
            "runs_with_guesses": self.guessed,
            "ends": {"new": dict(self.ends_new), "present": dict(self.ends_present)},
            "steps": {
                "new": {path: dict(states) for path, states in self.steps_new.items()},
                "present": {path: dict(states) for path, states in self.steps_present.items()},
            },
            "effects": {"new": dict(self.effects_new), "present": dict(self.effects_present)},
            "effects_played": dict(self.effects_played),
            "emitted": dict(self.emitted),
            "errors": dict(self.errors.most_common()),
            "examples": self.found,
        }

    def _wanted(self, kind: str) -> bool:
        return [item["kind"] for item in self.found].count(kind) < self.examples

    def _is_full(self) -> bool:
        return len(self.errors) >= MOST_ERRORS

    def _count_new(self, story: Story) -> None:
        self.runs_new += 1
        self.guessed += bool(story.guessed)
        self.ends_new[story.status] += 1
        if story.error is not None and (story.error in self.errors or not self._is_full()):
            self.errors[story.error] += 1
        self.effects_new.update(effect.action for effect in story.effects)
        self.emitted.update(story.emitted)
        _count_steps(self.steps_new, story)

    def _count_present(self, story: Story) -> None:
        self.runs_present += 1
        self.ends_present[story.status] += 1
        actions = [effect.action for effect in story.effects]
        self.effects_present.update(actions)
        if story.run_id is None:
            self.effects_played.update(actions)
        _count_steps(self.steps_present, story)


def compare(new: Story | None, present: Story | None) -> tuple[Kind, list[dict[str, Any]]]:
    """Say how two stories of one event differ, and in what."""
    if present is None:
        return Kind.ONLY_NEW, []
    if new is None:
        return Kind.ONLY_PRESENT, []
    differences: list[dict[str, Any]] = []
    for path in dict.fromkeys([*present.steps, *new.steps]):
        before, after = present.steps.get(path), new.steps.get(path)
        if before != after and not _both_went(before, after):
            differences.append({"step": path, "present": before, "new": after})
    differences += _effects(new, present)
    return (Kind.DIFFERENT if differences else Kind.SAME), differences[:MOST_SHOWN]


def _effects(new: Story, present: Story) -> Iterable[dict[str, Any]]:
    unknown = set(present.unknown)
    before = {effect.path: effect for effect in present.effects}
    after = {effect.path: effect for effect in new.effects if effect.path not in unknown}
    for path in dict.fromkeys([*before, *after]):
        old, now = before.get(path), after.get(path)
        if old is None or now is None or old.action != now.action:
            yield {
                "effect": path,
                "present": None if old is None else _shown(old),
                "new": None if now is None else _shown(now),
            }
            continue
        for name in sorted({*old.params, *now.params}):
            was, would = old.params.get(name), now.params.get(name)
            if was != would:
                yield {"effect": path, "parameter": name, "present": was, "new": would}


def _both_went(before: str | None, after: str | None) -> bool:
    """Say whether two states tell no difference of the documents.

    A step that was recorded while it was under way had not ended yet; that is all.
    """
    idle = {None, "skipped", "pending"}
    return before in {"running", "waiting"} or (before in idle and after in idle)


def _shown(effect: Effect) -> dict[str, Any]:
    return {"action": effect.action, "params": dict(effect.params)}


def _count_steps(tally: dict[str, Counter[str]], story: Story) -> None:
    for path, status in story.steps.items():
        tally.setdefault(_NUMBER.sub("[]", path), Counter())[status] += 1


def _named(kind: str, event: Mapping[str, Json]) -> dict[str, Any]:
    return {
        "kind": kind,
        "event": event["id"],
        "type": event["type"],
        "subject": event.get("subject"),
        "received_at": event["received_at"],
    }


def _example(
    kind: str,
    event: Mapping[str, Json],
    events: int,
    new: Story | None,
    present: Story | None,
    differences: Sequence[Mapping[str, Json]],
) -> dict[str, Any]:
    return {
        **_named(kind, event),
        "events": events,
        "new": None if new is None else _told(new),
        "present": None if present is None else _told(present),
        "differences": list(differences),
    }


def _told(story: Story) -> dict[str, Any]:
    return {
        "status": story.status,
        "error": story.error,
        "run": story.run_id,
        "steps": dict(list(story.steps.items())[:MOST_SHOWN]),
        "effects": [_shown(effect) for effect in story.effects[:MOST_SHOWN]],
        "guessed": list(story.guessed[:MOST_SHOWN]),
    }
