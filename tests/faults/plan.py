"""What is sent in a campaign, and what must come of it: both follow from the seed alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Headers, Incoming, Signed

SOURCES = {
    "ci": ("generic", "whsec_c2VjcmV0LW9mLXRoZS1mYXVsdHMtYW5kLW9mLWNp"),
    "elsewhere": ("generic", "whsec_c2VjcmV0LW9mLXRoZS1mYXVsdHMtZWxzZXdoZXJl"),
    "vibeview": ("vibeview", "vibeview-webhook-secret"),
    "github": ("github", "github-webhook-secret"),
    "checkly": ("checkly", "checkly-webhook-secret"),
    "stripe": ("stripe", "whsec_stripe_webhook_secret"),
    "svix": ("svix", "whsec_c2VjcmV0LW9mLXRoZS1mYXVsdHMtb2Ytc3ZpeA=="),
}
"""The vendor and the signing secret of every source."""
WITHOUT_WORKFLOW = ("elsewhere", "vibeview", "github", "checkly", "stripe", "svix")
CHANNELS = tuple(f"C00FAULTS{number:02}" for number in range(60))
PULL_REQUESTS = range(1, 41)

SHARES = {
    "tell": 30,
    "comment": 3,
    "heal": 7,
    "begin": 10,
    "halt": 6,
    "mute": 6,
    "spread": 6,
    "expect": 8,
    "ask": 6,
    "rest": 6,
    "chain": 4,
    "hurry": 6,
    "alarm": 4,
}
"""How often each workflow is started, in hundredths or so."""
ITEMS = ("first", "second", "third")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a delivery must lead to, once it is stored.

    `runs` are the workflows that it starts, each once, `effects` the causes that the twins must
    have been given, each once (`twins_record`), `alerts` the keys that were opened and resolved.
    """

    runs: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery that a vendor sends, again and again until it is answered."""

    number: int
    source: str
    event: str
    delivery_id: str
    content: bytes
    subject: str = ""
    expected: Expected = Expected()
    repeats: int = 0
    """How often it is sent once more although it was answered: vendors do."""

    @property
    def incoming(self) -> Incoming:
        """How its vendor's webhooks are received."""
        incoming = BY_NAME[SOURCES[self.source][0]].incoming
        assert incoming is not None
        return incoming

    def signed(self, now: datetime) -> Signed:
        """Give the request as it leaves at this time: every try is signed anew."""
        options = self.incoming.options()
        return self.incoming.sign(
            self.content,
            SOURCES[self.source][1],
            now,
            options,
            event=self.event,
            delivery_id=self.delivery_id,
        )

    def delivery(self, now: datetime) -> Delivery:
        """Give the delivery that the door shall store."""
        signed = self.signed(now)
        headers = Headers([(name.lower(), value) for name, value in signed.headers])
        return Delivery(self.source, headers, signed.body, now)

    def key(self, now: datetime) -> str:
        """Give the delivery key under which it is stored."""
        return self.incoming.delivery_key(self.delivery(now), self.incoming.options())


@dataclass(frozen=True, slots=True)
class Things:
    """What exists at the twins before the load begins: each run concerns one of its own."""

    failed_runs: Sequence[str]
    agents: Sequence[str]
    rules: Sequence[str]


def uuid_from(chance: random.Random) -> str:
    """Give an id that follows from the seed."""
    return str(UUID(int=chance.getrandbits(128), version=4))


def kinds_of(seed: int, starts: int) -> list[str]:
    """Give which workflow each of so many deliveries starts."""
    chance = random.Random(f"kinds {seed}")  # noqa: S311  # it must repeat itself
    return chance.choices(list(SHARES), weights=list(SHARES.values()), k=starts)


class Plan:
    """Every delivery of a campaign, in the order in which they are sent.

    `deliveries` includes the `starts` that begin a run of a workflow, spread evenly. What a wait
    waits for is no part of it: see `coming`.
    """

    def __init__(self, seed: int, *, deliveries: int, starts: int, things: Things) -> None:
        self.seed = seed
        self.deliveries = deliveries
        self._kinds = kinds_of(seed, starts)
        self._subjects = {
            "heal": iter(things.failed_runs),
            "halt": iter(things.agents),
            "mute": iter(things.rules),
        }
        self._chance = random.Random(f"plan {seed}")  # noqa: S311  # it must repeat itself
        self._bodies = [
            (source, samples.event_of(name), samples.read(SOURCES[source][0], name))
            for source in WITHOUT_WORKFLOW
            for name in samples.names(SOURCES[source][0])
            if name != "push"  # a form, which is signed as JSON here
        ]

    def __iter__(self) -> Iterator[Planned]:
        """Give them all, once."""
        begun = 0
        for number in range(self.deliveries):
            due = (number + 1) * len(self._kinds) // self.deliveries
            if due > begun:
                yield self._starting(number, self._kinds[begun])
                begun += 1
            else:
                source, event, body = self._chance.choice(self._bodies)
                yield Planned(
                    number, source, event, self._id(number), body, repeats=self._repeats()
                )

    def coming(self, planned: Planned) -> Planned:
        """Give the delivery that the run of another one waits for."""
        content = {"type": "come", "subject": planned.subject, "data": {}}
        return Planned(
            number=planned.number,
            source="ci",
            event="come",
            delivery_id=f"{planned.delivery_id}-come",
            content=json.dumps(content).encode(),
            subject=planned.subject,
        )

    def _starting(self, number: int, kind: str) -> Planned:
        given = self._subjects.get(kind)
        data: dict[str, object] = {"channel": self._chance.choice(CHANNELS)}
        match kind:
            case "comment":
                data["pull_request"] = self._chance.choice(PULL_REQUESTS)
            case "begin":
                # GitHub takes 80 of these a minute, for all that we do there.
                data["dispatches"] = number % 4 == 0
            case "spread":
                data["items"] = ITEMS
        return starting(
            number,
            kind,
            f"{kind}-{number}-{self.seed}" if given is None else next(given),
            data,
            delivery_id=self._id(number),
            repeats=self._repeats(),
        )

    def _id(self, number: int) -> str:
        return f"msg_{self.seed}_{number}_{self._chance.getrandbits(32):08x}"

    def _repeats(self) -> int:
        return self._chance.choices((0, 1, 3), weights=(90, 8, 2))[0]


def starting(
    number: int,
    kind: str,
    subject: str,
    data: Mapping[str, object],
    *,
    delivery_id: str | None = None,
    repeats: int = 0,
) -> Planned:
    """Give a delivery that starts the workflow of this name, with what must come of it."""
    tags = _TAGS.get(kind, ())
    if data.get("dispatches"):
        tags = (*tags, "dispatched")
    return Planned(
        number=number,
        source="ci",
        event=kind,
        delivery_id=delivery_id or f"msg_{subject}",
        content=json.dumps({"type": kind, "subject": subject, "data": dict(data)}).encode(),
        subject=subject,
        expected=Expected(
            runs=("chain", "part", "chained") if kind == "chain" else (kind,),
            effects=tuple(f"{subject}/{tag}" for tag in tags),
            alerts=(subject,) if kind == "alarm" else (),
        ),
        repeats=repeats,
    )


_TAGS: dict[str, tuple[str, ...]] = {
    "begin": ("begun",),
    "tell": ("told",),
    "comment": ("commented", "told"),
    "heal": ("healed",),
    "halt": ("halted",),
    "mute": ("muted",),
    "spread": (*ITEMS, "left", "right"),
    "expect": ("expected",),
    "ask": ("allowed",),
    "rest": ("rested",),
    "chain": ("part", "heard"),
    "hurry": ("hurried",),
}
