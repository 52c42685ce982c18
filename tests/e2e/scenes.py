"""Runs that are to be met in their middle: how each begins, where its middle is, how it must end.

A scene holds back the answers that its run waits for (the twins have done what was asked), so that
a worker which is killed then knows nothing of effects that were made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.e2e.construct_house import ConstructHouse, Run, new_subject
from tests.e2e.house import END_S, REPOSITORY
from tests.servers import wait_until

HELD_S = 90
"""How long the twins hold an answer back: longer than any worker of these tests lives."""

Meeting = Callable[["Scene", Run], object]


@dataclass
class Scene:
    """One run of one workflow, started by one delivery.

    `held` are the calls, by their text, whose answers are held back; `is_middle` says more of
    where the run shall be met, and `after` what is done once its worker is back. `messages` and
    `comments` is all that may ever be said of it.
    """

    workflow: str
    kind: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    is_middle: Meeting = lambda _scene, run: run["status"] == "running"
    after: Meeting | None = None
    status: str = "succeeded"
    in_order: bool = True

    site: ConstructHouse = field(init=False)
    subject: str = field(init=False)
    delivery: str = field(init=False)

    def begin(self, site: ConstructHouse, *, holding: bool) -> None:
        """Let it begin, with its answers held back or not."""
        self.site, self.subject = site, new_subject(self.workflow)
        if holding:
            self._hold()
        self._begin()

    def in_middle(self) -> bool:
        """Say whether all that is held was asked, and the run is where it shall be met."""
        run = self.run()
        told = [*self.site.messages(self.subject), *self.site.comments(self.subject)]
        return (
            run is not None
            and all(any(text.startswith(held) for text in told) for held in self.held)
            and bool(self.is_middle(self, run))
        )

    def go_on(self) -> None:
        """Do what outsiders do after the worker is back."""
        if self.after is not None:
            wait_until(self.run, END_S, what=f"a run of {self.workflow} has begun")
            run = self.run()
            assert run is not None
            self.after(self, run)

    def check(self) -> None:
        """See how it ended, and that nothing was done twice or left out."""
        (run,) = self.site.ended(self.delivery, workflow=self.workflow)
        assert run["status"] == self.status, run["error"]
        self.check_effects()

    def run(self) -> Run | None:
        """Give the run, once there is one."""
        runs = self.site.runs(self.delivery, self.workflow)
        return self.site.detail(runs[0]["id"]) if runs else None

    def _begin(self) -> None:
        self.delivery = self.site.tell(self.kind, self.subject, **self.data)

    def _hold(self) -> None:
        for text in self.held:
            said = f"{self.subject}: {text}"
            for twin, path in ((self.site.slack, "*/chat.postMessage"), (self.site.github, None)):
                twin.fault("slow", method="POST", path=path, contains=said, delay_s=HELD_S)

    def check_effects(self) -> None:
        """See that each was made, and made once."""
        wait_until(
            lambda: len(self.site.messages(self.subject)) >= len(self.messages),
            END_S,
            what=f"all is told of {self.workflow}",
        )
        said = self.site.messages(self.subject)
        texts = said if self.in_order else sorted(said)
        assert len(texts) == len(self.messages), (self.workflow, texts)
        for text, expected in zip(texts, self.messages, strict=True):
            assert text.startswith(expected), (self.workflow, texts)
        assert self.site.comments(self.subject) == list(self.comments), self.workflow


@dataclass
class AskedInSlack(Scene):
    """Its question is posted and the answer to that held back."""

    def _hold(self) -> None:
        self.site.slack.fault(
            "slow", path="*/chat.postMessage", contains=f"May {self.subject}", delay_s=HELD_S
        )

    def in_middle(self) -> bool:
        asked = any(
            f"May {self.subject} go on?" in str(call["body"])
            for call in self.site.slack.calls(path="*/chat.postMessage")
        )
        run = self.run()
        return asked and run is not None and run["status"] == "running"


@dataclass
class Scheduled(Scene):
    """Started by its time."""

    told_before: int = 0

    def _begin(self) -> None:
        self.subject = "good-morning"
        self.told_before = len(self.site.messages(self.subject))
        self.runs_before = len(self._runs())
        self.site.let_schedule_be_due()

    def _hold(self) -> None:
        self.subject = "good-morning"
        super()._hold()

    def run(self) -> Run | None:
        runs = self._runs()
        return self.site.detail(runs[0]["id"]) if len(runs) > self.runs_before else None

    def check(self) -> None:
        run = wait_until(self._ended, END_S, what="the scheduled run has ended")
        assert run["status"] == "succeeded", run["error"]
        self.check_effects()

    def check_effects(self) -> None:
        assert len(self._runs()) == self.runs_before + 1
        assert len(self.site.messages(self.subject)) == self.told_before + 1

    def _ended(self) -> Run:
        run = self.run()
        return run if run is not None and run["status"] in {"succeeded", "failed"} else {}

    def _runs(self) -> list[Run]:
        found: list[Run] = self.site.get("/runs", workflow="cron")["data"]
        return found


@dataclass
class ByHand(Scene):
    """Started by a person."""

    run_id: str = ""

    def _begin(self) -> None:
        inputs = {"who": self.subject, "times": 3}
        self.run_id = self.site.post("/workflows/manual/runs", {"inputs": inputs})["id"]

    def run(self) -> Run | None:
        return self.site.detail(self.run_id)

    def check(self) -> None:
        wait_until(self._is_over, END_S, what="the run by hand has ended")
        self.check_effects()

    def _is_over(self) -> bool:
        return bool(self.site.detail(self.run_id)["status"] == "succeeded")


@dataclass
class Several(Scene):
    """Several deliveries that meet before their runs begin; the key is common to all.

    Held back is what is told of the first. `waits` is where their runs are in the middle,
    `statuses` how they end; `said` is what may be told of all of them, in any order of theirs.
    """

    count: int = 2
    key_name: str = "environment"
    waits: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ("succeeded", "succeeded")
    said: tuple[tuple[tuple[str, ...], ...], ...] = ()
    subjects: list[str] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)

    def _begin(self) -> None:
        key = new_subject("key")
        self.subjects = [f"{self.subject}-{number}" for number in range(self.count)]
        self.deliveries = []
        for subject in self.subjects:
            self.deliveries.append(self.site.tell(self.kind, subject, **{self.key_name: key}))
            # They arrive in this order, each after what the one before has begun.
            self.site.handled(self.deliveries[-1])

    def _hold(self) -> None:
        first = f"{self.subject}-0: {self.held[0]}" if self.held else ""
        if first:
            self.site.slack.fault("slow", contains=first, delay_s=HELD_S)

    def in_middle(self) -> bool:
        found = [self._wait_of(delivery) for delivery in self.deliveries]
        begun = not self.held or self.site.messages(self.subjects[0]) == [self.held[0]]
        return begun and sorted(found) == sorted(self.waits)

    def check(self) -> None:
        runs = self.site.ended(*self.deliveries, workflow=self.workflow)
        statuses = [run["status"] for run in runs]
        assert sorted(statuses) == sorted(self.statuses), (self.workflow, statuses)
        self.check_effects()

    def check_effects(self) -> None:
        said = [tuple(self.site.messages(subject)) for subject in self.subjects]
        assert sorted(said) in [sorted(expected) for expected in self.said], (self.workflow, said)

    def _wait_of(self, delivery: str) -> str:
        runs = self.site.runs(delivery, self.workflow)
        if not runs:
            return ""
        run = self.site.detail(runs[0]["id"])
        return run["wait"]["kind"] if run["wait"] else str(run["status"])


@dataclass
class Gathered(Scene):
    """Several deliveries that become one run."""

    deliveries: list[str] = field(default_factory=list)

    def _begin(self) -> None:
        numbers = range(4)
        if self.kind:
            tell = self.site.tell
            self.deliveries = [
                tell(self.kind, self.subject, version=f"v{number}") for number in numbers
            ]
        else:
            self.deliveries = [self.site.warn(self.subject, f"c{number}") for number in numbers]
        self.delivery = self.deliveries[0]

    def run(self) -> Run | None:
        runs = self.site.get("/runs", workflow=self.workflow)["data"]
        found = [self.site.detail(run["id"]) for run in runs]
        return next((run for run in found if self._is_ours(run)), None)

    def check(self) -> None:
        run = wait_until(self._ended, END_S, what=f"{self.workflow} has ended")
        assert run["status"] == "succeeded", run["error"]
        self.check_effects()

    def _ended(self) -> Run:
        run = self.run()
        return run if run is not None and run["status"] in {"succeeded", "failed"} else {}

    def _is_ours(self, run: Run) -> bool:
        return run["event"]["delivery_id"] in self.deliveries


@dataclass
class Cancelled(Scene):
    """Cancelled in its sleep, so that it cleans up behind itself."""

    def _begin(self) -> None:
        super()._begin()
        run = self.site.waiting(self.delivery, self.workflow, "sleep")
        self.site.post(f"/runs/{run['id']}/cancel")


@dataclass
class Polled(Scene):
    """Asks for a commit's pull request, which there is only later."""

    commit: str = ""

    def _begin(self) -> None:
        self.commit = uuid4().hex + "00000000"
        self.site.github.lever("commits", {"repo": REPOSITORY, "sha": self.commit})
        self.data = {"commit": self.commit}
        super()._begin()

    def go_on(self) -> None:
        pulls: Any = self.site.github.state()["pulls"]
        self.site.github.lever(
            "pulls",
            {
                "repo": REPOSITORY,
                "number": 1000 + len(pulls),
                "head_sha": self.commit,
                "branch": self.subject,
            },
        )


@dataclass
class Retried(Scene):
    """Fails at first, and is told to come again only after a while."""

    def _hold(self) -> None:
        self.site.github.fault(
            "status",
            method="POST",
            contains=self.subject,
            status=503,
            headers={"retry-after": "25"},
            times=1,
        )


@dataclass
class AwaitedBefore(Scene):
    """The awaited event comes before the run waits for it."""

    def _begin(self) -> None:
        super()._begin()
        wait_until(self.run, END_S, what="the run has begun")
        self.site.handled(self.site.tell("pull.merged", self.subject, by="early"))


def waits(*kinds: str) -> Meeting:
    """Give the question whether a run stands still for one of these reasons."""
    return lambda _scene, run: run["wait"] is not None and run["wait"]["kind"] in kinds


def has_asked(_scene: Scene, run: Run) -> object:
    """Say whether a polling step was answered once at least."""
    return run["steps"] and run["steps"][0]["polls"] >= 1


def branches(**figures: int) -> Meeting:
    """Give the question whether the branches of a run have come so far."""
    return lambda _scene, run: any(
        all(spread[name] == figure for name, figure in figures.items()) for spread in run["spreads"]
    )


def decide(scene: Scene, run: Run) -> None:
    """Approve over the API."""
    scene.site.waiting(scene.delivery, scene.workflow, "approval")
    body = {"decision": "approve", "note": "go"}
    scene.site.post(f"/runs/{run['id']}/steps/allowed/decision", body)


def press(scene: Scene, _run: Run) -> None:
    """Approve in Slack."""
    scene.site.waiting(scene.delivery, scene.workflow, "approval")
    scene.site.press("hookwright_approve", scene.subject)


def merge(scene: Scene, _run: Run) -> None:
    """Send the event that is awaited."""
    scene.site.tell("pull.merged", scene.subject, by="dana")
