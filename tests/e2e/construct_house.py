"""One installation with a workflow for every construct of the language, and what outsiders see.

Each test sends deliveries of its own and looks at nothing but what came of them: an event's subject
is found in the text of every message and comment that is made for it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sqlmodel import select

from examples.twins.launch import TwinProcess
from schemas.configured_tables import ScheduleRow
from service.db import Database
from service.vendors import BY_NAME
from tests.e2e.house import (
    ASKED_AGAIN_S,
    END_S,
    ENDED,
    REPOSITORY,
    SECRETS,
    House,
    send,
    signed,
)
from tests.servers import NO_AUTHORITIES, wait_until

CONSTRUCTS = Path(__file__).parent / "constructs"
GENERIC_SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy1vZi1jb25zdHJ1Y3Rz"

Run = dict[str, Any]


@dataclass
class ConstructHouse:
    """A house whose workflows are those in constructs/, with the two twins that they speak to."""

    house: House
    github: TwinProcess
    slack: TwinProcess

    @property
    def database_url(self) -> str:
        """Where the installation keeps its rows."""
        return self.house.database_url

    @property
    def worker(self) -> str:
        """The process that carries runs on."""
        return "work" if "work" in self.house.processes else "up"

    # --- what comes in ----------------------------------------------------------------------

    def tell(self, kind: str, subject: str, *, source: str = "ci", **data: Any) -> str:
        """Send a signed delivery, the event `generic.<kind>`; gives its delivery's id."""
        incoming = BY_NAME["generic"].incoming
        assert incoming is not None
        webhook = incoming.sign(
            json.dumps({"type": kind, "subject": subject, "data": data}).encode(),
            GENERIC_SECRET,
            datetime.now(UTC),
            incoming.options(),
            event=kind,
            delivery_id=f"msg_{uuid4().hex}",
        )
        answer = httpx.post(
            f"{self.house.url}/hooks/{source}",
            content=webhook.body,
            headers=dict(webhook.headers),
            timeout=30,
            verify=NO_AUTHORITIES,
        )
        return _taken(answer)

    def warn(self, run_id: str, case: str) -> str:
        """Send a visual warning of one case of a test run, as VibeView does."""
        data = {
            "type": "test_run",
            "run_id": f"{run_id}-{case}",
            "suite_run_id": run_id,
            "case_name": case,
            "status": "running",
            "visual_regression_status": "warn",
        }
        return _taken(send(self.house, signed("visual.regression_warning", data)))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API for a change; gives what it answers."""
        return self._ask("POST", path, json=body)

    def press(self, action: str, subject: str) -> None:
        """Press a button of the message in Slack that asks about a subject."""
        ts = self._asked(subject)["ts"]
        receiver = f"{self.house.url}/hooks/slack"
        self.slack.lever("press", {"action_id": action, "ts": ts, "receiver": receiver})

    def let_schedule_be_due(self) -> datetime:
        """Let the schedule of `cron` be due now; gives when it would have been.

        The house has no lever for the clock: that it is due is told by the row alone.
        """
        database = Database(self.database_url)
        with database.session() as session:
            (schedule,) = session.exec(select(ScheduleRow)).all()
            expected = schedule.due_at
            schedule.due_at = datetime.now(UTC)
            session.add(schedule)
            session.commit()
        database.dispose()
        return expected

    # --- what came of it ----------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Any:
        """Ask the API; gives what it answers."""
        return self._ask("GET", path, params=params)

    def runs(self, delivery: str, workflow: str | None = None) -> list[Run]:
        """Give the runs that a delivery has started so far, of one workflow or of all."""
        found = self.get(f"/deliveries/{delivery}")["runs"]
        return [run for run in found if workflow in {None, run["workflow"]}]

    def run(self, delivery: str, workflow: str) -> Run:
        """Wait until the delivery has started a run of this workflow; gives it with its steps."""

        def begun() -> list[Run]:
            return self.runs(delivery, workflow)

        (run,) = self._wait(begun, f"a run of {workflow} has begun", [delivery])
        return self.detail(str(run["id"]))

    def detail(self, run_id: str) -> Run:
        """Give a run with its steps."""
        found: Run = self.get(f"/runs/{run_id}")
        return found

    def handled(self, delivery: str) -> None:
        """Wait until a delivery has been made events."""
        self._wait(
            lambda: self.get(f"/deliveries/{delivery}")["state"] == "ingested",
            "the delivery is ingested",
            [delivery],
        )

    def ended(self, *deliveries: str, workflow: str) -> list[Run]:
        """Wait until the run of each of these deliveries has ended; gives them with their steps."""

        def ends() -> list[Run]:
            runs = [run for delivery in deliveries for run in self.runs(delivery, workflow)]
            done = all(run["status"] in ENDED for run in runs)
            return runs if done and len(runs) == len(deliveries) else []

        found = self._wait(ends, f"the runs of {workflow} have ended", deliveries)
        return [self.detail(run["id"]) for run in found]

    def succeeded(self, delivery: str, workflow: str) -> Run:
        """Wait until the run of a delivery has ended, and well; gives it with its steps."""
        (run,) = self.ended(delivery, workflow=workflow)
        assert run["status"] == "succeeded", run["error"]
        return run

    def run_that(
        self, delivery: str, workflow: str, holds: Callable[[Run], object], what: str
    ) -> Run:
        """Wait until this holds for the run of a delivery; gives the run."""

        def found() -> Run | None:
            runs = self.runs(delivery, workflow)
            run = self.detail(runs[0]["id"]) if runs else None
            return run if run is not None and holds(run) else None

        run: Run = self._wait(found, what, [delivery])
        return run

    def waiting(self, delivery: str, workflow: str, kind: str) -> Run:
        """Wait until the run of a delivery stands still for this reason; gives the run."""
        return self.run_that(
            delivery, workflow, lambda run: (run["wait"] or {}).get("kind") == kind, f"it is {kind}"
        )

    def messages(self, subject: str) -> list[str]:
        """Give what Slack has been told of a subject, in the order it was posted."""
        beginning = f"{subject}: "
        return [
            message["text"].removeprefix(beginning)
            for message in self._posted()
            if message["text"].startswith(beginning)
        ]

    def question(self, subject: str) -> str:
        """Give the message in Slack that asks about a subject, as it reads now."""
        return str(self._asked(subject)["text"])

    def comments(self, subject: str) -> list[str]:
        """Give the comments that tell of a subject, without their markers."""
        found: Any = self.github.state()["comments"]
        said = [comment["body"].partition("\n")[2].strip() for comment in found]
        beginning = f"{subject}: "
        return [text.removeprefix(beginning) for text in said if text.startswith(beginning)]

    def _asked(self, subject: str) -> dict[str, Any]:
        (asked,) = [
            message for message in self._posted() if f"May {subject} go on?" in message["text"]
        ]
        return asked

    def _posted(self) -> list[dict[str, Any]]:
        found: Any = self.slack.state()["messages"]
        assert isinstance(found, list)
        return found

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(
            method,
            f"{self.house.url}/api/v1{path}",
            headers={"Authorization": f"Bearer {next(self.house.tokens)}"},
            timeout=30,
            verify=NO_AUTHORITIES,
            **more,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def _wait(self, condition: Callable[[], Any], what: str, deliveries: Sequence[str]) -> Any:
        try:
            return wait_until(condition, END_S, what=what, pause=ASKED_AGAIN_S)
        except AssertionError as error:
            told = [
                self.detail(run["id"]) for delivery in deliveries for run in self.runs(delivery)
            ]
            logs = "\n".join(self.house.log(name)[-3000:] for name in self.house.processes)
            raise AssertionError(f"{error}\n{json.dumps(told, indent=1)}\n{logs}") from error


def new_subject(name: str) -> str:
    """Give a subject that nobody else has."""
    return f"{name}-{uuid4().hex[:10]}"


def write_constructs(
    directory: Path,
    github: TwinProcess,
    slack: TwinProcess,
    variables: Mapping[str, Mapping[str, Any]],
    replaced: Mapping[str, tuple[str, str]],
) -> None:
    """Write the configuration.

    `variables` replace the vars of some documents, by their names; `replaced` gives other texts
    for texts that cannot be vars.
    """
    shutil.copytree(CONSTRUCTS, directory / "constructs")
    for name, (old, new) in replaced.items():
        document = directory / "constructs" / f"{name}.yaml"
        assert old in document.read_text()
        document.write_text(document.read_text().replace(old, new))
    generic = {"vendor": "generic", "secrets": [{"value": GENERIC_SECRET}]}
    options = {"subject_path": "subject"}
    configuration = {
        "connections": [
            {
                "name": "github",
                "vendor": "github",
                "base_url": github.url,
                "credentials": {"token": {"value": "ghp_twin"}},
                "options": {"per_minute": 100_000},
            },
            {
                "name": "slack",
                "vendor": "slack",
                "base_url": f"{slack.url}/api",
                "credentials": {"bot_token": {"value": "xoxb-twin"}},
                "options": {"channel": "#qa-alerts", "per_minute": 100_000},
            },
        ],
        "sources": [
            {"name": "ci", **generic, "options": options},
            {"name": "elsewhere", **generic, "options": options},
            *(
                {"name": name, "vendor": name, "secrets": [{"value": SECRETS[name]}]}
                for name in ("vibeview", "slack")
            ),
        ],
        "workflows": [
            {"file": f"constructs/{file.name}", "vars": dict(variables.get(file.stem, {}))}
            for file in sorted(CONSTRUCTS.glob("*.yaml"))
        ],
    }
    # JSON is YAML 1.2.
    (directory / "hookwright.yaml").write_text(json.dumps(configuration, indent=1))


def prepare_twins(github: TwinProcess, slack: TwinProcess) -> None:
    """Let them take as much as comes: what limits do is tested elsewhere."""
    github.reset()
    github.lever("pulls", {"repo": REPOSITORY, "number": 42, "head_sha": "ab" * 20, "branch": "b"})
    for name in ("primary", "points", "content", "content_hour"):
        github.limit(name, limit=None)
    slack.reset()
    slack.limit("message", rate_per_s=10_000, burst=10_000)
    for name in ("chat.update", "conversations.history", "conversations.replies"):
        slack.limit(name, limit=None)
    slack.limit("conversations.list", limit=None)


def _taken(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
