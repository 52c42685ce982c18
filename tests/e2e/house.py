"""A whole installation as its users run it: real processes, real sockets, twins of the vendors.

One machine is `hookwright up` on SQLite with the queue in the process; many machines are a receiver
and a worker as processes of their own on PostgreSQL and Redis.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx

from examples.twins.launch import TwinProcess
from service.db import Database
from service.tokens import Role, create_token
from service.vendors import BY_NAME
from service.vendors.base import Signed
from tests import commands
from tests.servers import NO_AUTHORITIES, free_port, wait_until

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "examples" / "workflows"
ADMIN_TOKEN = "hw_" + "a" * 40
SECRETS = {
    "vibeview": "vibeview-webhook-secret",
    "github": "github-webhook-secret",
    "slack": "slack-signing-secret",
}
REPOSITORY = "acme-co/webapp"
TESTS_REPOSITORY = "acme-co/my-tests"
GATHERS = "within: 10s"
START_S = 60.0
END_S = 60.0
ENDED = {"succeeded", "failed", "cancelled", "skipped"}
TOKENS = 5
ASKED_AGAIN_S = 0.15
"""Each asking takes time from the processes that are to get there."""


@dataclass
class Twins:
    """The vendors' stand-ins."""

    vibeview: TwinProcess
    checksum: TwinProcess
    github: TwinProcess
    slack: TwinProcess

    def reset(self) -> None:
        for twin in (self.vibeview, self.checksum, self.github, self.slack):
            twin.clear_faults()
            twin.reset()

    def comments(self) -> list[dict[str, Any]]:
        """Give the comments on GitHub."""
        found: Any = self.github.state()["comments"]
        return list(found)

    def messages(self) -> list[dict[str, Any]]:
        """Give the messages in Slack."""
        found: Any = self.slack.state()["messages"]
        return list(found)


@dataclass
class House:
    """One installation: where it is, its processes, and what outsiders do with it.

    `installed` runs the installed program; otherwise its processes are forks, see
    tests/commands.py.
    """

    directory: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    processes: dict[str, commands.Command | subprocess.Popen[bytes]] = field(default_factory=dict)
    installed: bool = False
    tokens: Iterator[str] = field(default_factory=lambda: cycle([ADMIN_TOKEN]))
    past: set[str] = field(default_factory=set)
    """Runs and deliveries of earlier tests, where several share the house."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """Where the installation keeps its rows."""
        file = self.directory / "data" / "hookwright.db"
        return self.environment.get("HOOKWRIGHT_DATABASE_URL", f"sqlite:///{file}")

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run it on one machine; on many, where it has a database beside its processes."""
        try:
            if "HOOKWRIGHT_DATABASE_URL" in self.environment:
                self.run("migrate")
                self.run("apply", "-f", "hookwright.yaml")
                self.start("serve")
                self.start("work")
            else:
                self.start("up")
            self.wait_ready()
            self._make_tokens()
            yield self
        finally:
            for name in list(self.processes):
                self.kill(name)

    def _make_tokens(self) -> None:
        """Let the house know several callers: one may ask 600 times a minute, tests ask more."""
        database = Database(self.database_url)
        now = datetime.now(UTC)
        with database.turn_to_write(), database.session() as session:
            made = [
                create_token(session, label=f"test{number}", role=Role.OPERATOR, now=now)[1]
                for number in range(TOKENS)
            ]
            session.commit()
        database.dispose()
        self.tokens = cycle(made)

    def begin(self) -> None:
        """Let what is there be the past, once all of it has come to its end."""

        def is_over() -> bool:
            deliveries = self.get("/deliveries", limit=100)["data"]
            runs = self.get("/runs", limit=100)["data"]
            self.past |= {row["id"] for row in (*deliveries, *runs)}
            return all(row["state"] != "received" for row in deliveries) and all(
                row["status"] in ENDED for row in runs
            )

        what = "what earlier tests began has ended"
        wait_until(is_over, END_S, what=what, pause=ASKED_AGAIN_S)

    def run(self, *arguments: str, timeout_s: float = 60) -> str:
        """Run a command to its end; gives what it printed."""
        done = commands.run(
            arguments, cwd=self.directory, env=self._environment(), timeout=timeout_s
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *arguments: str) -> None:
        """Start a command that stays."""
        name = arguments[0]
        begin = commands.begin_installed if self.installed else commands.Command
        self.processes[name] = begin(
            arguments, cwd=self.directory, env=self._environment(), log=self._log_file(name)
        )

    def kill(self, name: str) -> None:
        """End a process as the kernel would: at once, without a word."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> dict[str, int]:
        """End every process with SIGTERM; gives their exit codes."""
        for process in self.processes.values():
            process.terminate()
        codes = {name: process.wait(60) for name, process in self.processes.items()}
        self.processes.clear()
        return codes

    def wait_ready(self) -> None:
        def ready() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended:\n{self.log(name)}"
            try:
                answer = httpx.get(f"{self.url}/health/ready", verify=NO_AUTHORITIES)
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        wait_until(ready, START_S, what="the server is ready", pause=ASKED_AGAIN_S)

    def log(self, name: str) -> str:
        return self._log_file(name).read_text()

    def _log_file(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def get(self, path: str, **params: Any) -> Any:
        answer = httpx.get(
            f"{self.url}/api/v1{path}",
            params=params,
            headers={"Authorization": f"Bearer {next(self.tokens)}"},
            timeout=30,
            verify=NO_AUTHORITIES,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def runs(self, workflow: str) -> list[dict[str, Any]]:
        """Give the workflow's runs that are not of the past."""
        found = self.get("/runs", workflow=workflow, limit=100)["data"]
        return [run for run in found if run["id"] not in self.past]

    def deliveries(self) -> list[dict[str, Any]]:
        """Give the deliveries that are not of the past."""
        found = self.get("/deliveries", limit=100)["data"]
        return [delivery for delivery in found if delivery["id"] not in self.past]

    def ended_runs(self, workflow: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many runs of a workflow have ended; gives each with steps and attempts."""

        def ended() -> list[dict[str, Any]]:
            runs = self.runs(workflow)
            done = [run for run in runs if run["status"] in ENDED]
            return done if len(done) >= count else []

        try:
            what = f"{count} runs of {workflow} have ended"
            done = wait_until(ended, END_S, what=what, pause=ASKED_AGAIN_S)
        except AssertionError as error:
            details = [self.get(f"/runs/{run['id']}") for run in self.runs(workflow)]
            logs = "\n".join(self.log(name)[-3000:] for name in self.processes)
            raise AssertionError(f"{error}\n{json.dumps(details, indent=1)}\n{logs}") from error
        return [self.get(f"/runs/{run['id']}") for run in done]

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if "HOOKWRIGHT" not in name},
            "PYTHONPATH": str(ROOT),
            "HOOKWRIGHT_PORT": str(self.port),
            "HOOKWRIGHT_DATA_DIR": str(self.directory / "data"),
            "HOOKWRIGHT_CONFIG": str(self.directory / "hookwright.yaml"),
            "HOOKWRIGHT_ADMIN_TOKEN": ADMIN_TOKEN,
            "HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES": "true",
            "HOOKWRIGHT_LOG_FORMAT": "json",
            **self.environment,
        }


def write_configuration(
    directory: Path, twins: Twins, *, polls: bool = False, sources: bool = True
) -> None:
    """Write the configuration of an installation whose connections are the twins."""
    fast = {"poll_every": "100ms", "poll_timeout": "30s"}
    configuration: dict[str, Any] = {
        "connections": [
            {
                "name": "checksum",
                "vendor": "checksum",
                "base_url": twins.checksum.url,
                "credentials": {"api_key": {"value": "checksum-key"}},
                "options": {"repository": TESTS_REPOSITORY, "per_minute": 6000},
            },
            {
                "name": "vibeview",
                "vendor": "vibeview",
                "base_url": twins.vibeview.url,
                "credentials": {"api_token": {"value": "tok_demo"}},
            },
            {
                "name": "github",
                "vendor": "github",
                "base_url": twins.github.url,
                "credentials": {"token": {"value": "ghp_twin"}},
            },
            {
                "name": "slack",
                "vendor": "slack",
                "base_url": f"{twins.slack.url}/api",
                "credentials": {"bot_token": {"value": "xoxb-twin"}},
                "options": {"channel": "#qa-alerts"},
            },
        ],
        "workflows": [
            {
                "file": "workflows/heal-failed-run.yaml",
                "vars": {**fast, "selections": {"Login Flow": "@login"}},
            },
            "workflows/comment-visual-regression.yaml",
            "workflows/alert-low-credits.yaml",
        ],
    }
    if sources:
        configuration["sources"] = [
            {"name": name, "vendor": name, "secrets": [{"value": secret}]}
            for name, secret in SECRETS.items()
        ]
    if polls:
        configuration["polls"] = [
            {
                "name": "credits",
                "connection": "vibeview",
                "poll": "credit_balance",
                "every": "500ms",
                "options": {"floor_usd": 5},
            },
            {"name": "runs", "connection": "checksum", "poll": "runs", "every": "500ms"},
        ]
    copy_workflows(directory / "workflows")
    # JSON is YAML 1.2.
    (directory / "hookwright.yaml").write_text(json.dumps(configuration, indent=1))


def copy_workflows(folder: Path, within: str = "300ms") -> None:
    """Put the shipped workflows into a folder; one gathers events, `within` a shorter time."""
    shutil.copytree(WORKFLOWS, folder)
    comment = folder / "comment-visual-regression.yaml"
    text = comment.read_text("utf-8")
    assert text.count(GATHERS) == 1
    comment.write_text(text.replace(GATHERS, f"within: {within}"), "utf-8")


def signed(
    event: str, data: dict[str, Any], *, id_: str | None = None, at: datetime | None = None
) -> Signed:
    """A webhook as VibeView would send it."""
    id_ = id_ or f"evt_{uuid4().hex}"
    body = {
        "id": id_,
        "event": event,
        "created_at": (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "organization_id": 1,
        "data": data,
    }
    incoming = BY_NAME["vibeview"].incoming
    assert incoming is not None
    return incoming.sign(
        json.dumps(body).encode(),
        SECRETS["vibeview"],
        datetime.now(UTC),
        incoming.options(),
        event=event,
        delivery_id=id_,
    )


def send(house: House, webhook: Signed) -> httpx.Response:
    return httpx.post(
        f"{house.url}/hooks/vibeview",
        content=webhook.body,
        headers=dict(webhook.headers),
        timeout=30,
        verify=NO_AUTHORITIES,
    )


def suite_run(
    status: str = "failed", visual: str | None = None, *, pr_number: int = 42, **more: Any
) -> dict[str, Any]:
    """The data of a suite run as VibeView describes one, of a pull request of its own."""
    run_id = f"sr9def{pr_number:03}y"
    return {
        "type": "suite_run",
        "run_id": run_id,
        "suite_id": "suite_abc123",
        "suite_name": "Login Flow",
        "status": status,
        "passed": 4,
        "failed": 1 if status == "failed" else 0,
        "visual_regression_status": visual,
        "run_url": f"https://vibeview.example/tests/runs/{run_id}",
        "case_runs": [
            {
                "case_name": "Open profile @everyone",
                "run_id": f"{run_id}_pq",
                "status": status,
                "visual_regression_status": visual,
                "url": f"https://vibeview.example/tests/runs/{run_id}_pq",
            }
        ],
        "metadata": {"pr_number": pr_number, "repo": REPOSITORY, "branch": "feature/checkout"},
        **more,
    }


def steps(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the steps of a run by their ids."""
    return {step["step"]: step for step in run["steps"]}
