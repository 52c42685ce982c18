"""One installation with the eight shipped workflows and a twin of every vendor they speak to.

It is shared by the tests of a module, so each of them looks only at what came since it began:
`begin` draws the line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from examples.twins.launch import TwinProcess
from tests.e2e.house import (
    ASKED_AGAIN_S,
    END_S,
    ENDED,
    REPOSITORY,
    SECRETS,
    TESTS_REPOSITORY,
    House,
    Twins,
    copy_workflows,
)
from tests.servers import NO_AUTHORITIES, wait_until

CHECKVIEW_TOKEN = "t" * 40
CHECKLY_ACCOUNT = "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"
FAST = {"poll_every": "100ms"}
HEAL_PULLS = range(101, 120)
"""Pull requests of heals, which Checksum's twin numbers from 101 and GitHub's must know."""

WORKFLOWS = (
    "heal-failed-run",
    "comment-visual-regression",
    "alert-low-credits",
    "rerun-infrastructure-error",
    "open-issue-for-bug",
    "triage-failing-check",
    "stop-misbehaving-agent",
    "audit-website-after-deploy",
)

Run = dict[str, Any]


@dataclass
class ShippedHouse:
    """A house, its twins, and what was there already when the present test began."""

    house: House
    twins: Twins
    checkly: TwinProcess
    checkview: TwinProcess
    checkrd: TwinProcess
    seen: set[str] = field(default_factory=set)
    posted: int = 0
    commented: int = 0
    numbers: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Let everything that is there be the past."""
        self.twins.checksum.lever("outcomes", {"runs": [], "heals": []})
        self.seen |= {run["id"] for run in self._recent()}
        self.posted = len(self._rows(self.twins.slack, "messages"))
        self.commented = len(self._rows(self.twins.github, "comments"))
        self.numbers = {
            name: max((int(str(call["number"])) for call in twin.calls()), default=0)
            for name, twin in self._named().items()
        }

    # --- what came of it ----------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Any:
        """Ask the API. A caller may ask 600 times a minute: there are several of them."""
        answer = httpx.get(
            f"{self.house.url}/api/v1{path}",
            params=params,
            headers={"Authorization": f"Bearer {next(self.house.tokens)}"},
            timeout=30,
            verify=NO_AUTHORITIES,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def runs(self, workflow: str, subject: str | None = None) -> list[Run]:
        """Give the workflow's new runs with their steps, oldest first."""
        new = [row["id"] for row in reversed(self._rows_of(workflow)) if row["id"] not in self.seen]
        found = [self.get(f"/runs/{run_id}") for run_id in new]
        return [run for run in found if subject in {None, run["event"]["subject"]}]

    def ended(self, workflow: str, subject: str | None = None, count: int = 1) -> list[Run]:
        """Wait until so many new runs of the workflow have ended."""

        def ends() -> list[Run]:
            rows = [row for row in self._rows_of(workflow) if row["id"] not in self.seen]
            if sum(row["status"] in ENDED for row in rows) < count:
                return []
            done = [run for run in self.runs(workflow, subject) if run["status"] in ENDED]
            return done if len(done) >= count else []

        found: list[Run] = self.wait(ends, f"{count} runs of {workflow} have ended")
        return found

    def succeeded(self, workflow: str, subject: str | None = None) -> Run:
        """Wait until the workflow's one new run has ended, and well."""
        (run,) = self.ended(workflow, subject)
        assert run["status"] == "succeeded", run["error"]
        return run

    def messages(self) -> list[str]:
        """Give the texts of the new messages in Slack, as they read now."""
        found = self._rows(self.twins.slack, "messages")[self.posted :]
        return [str(message["text"]) for message in found]

    def comments(self) -> list[str]:
        """Give the new comments on GitHub without their markers."""
        found = self._rows(self.twins.github, "comments")[self.commented :]
        return [str(comment["body"]).partition("\n")[2] for comment in found]

    def issues(self, text: str) -> list[dict[str, Any]]:
        """Give GitHub's issues with this text in their title."""
        return [
            issue for issue in self._rows(self.twins.github, "issues") if text in issue["title"]
        ]

    def effects(self, twin: str, path: str) -> list[dict[str, Any]]:
        """Give the new calls that changed something at a vendor, by POST at this path."""
        found: list[dict[str, Any]] = self._named()[twin].effects(method="POST", path=path)
        return [call for call in found if int(call["number"]) > self.numbers[twin]]

    def alert(self, key: str) -> dict[str, Any] | None:
        """Give the newest alert of a key."""
        rows = self.get("/alerts", limit=100)["data"]
        return next((row for row in rows if row["key"] == key), None)

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition; when it stays away, tell all that is known of the new runs."""
        try:
            return wait_until(condition, END_S, what=what, pause=ASKED_AGAIN_S)
        except AssertionError as error:
            new = [row["id"] for row in self._recent() if row["id"] not in self.seen]
            told = [self.get(f"/runs/{run_id}") for run_id in new]
            logs = "\n".join(self.house.log(name)[-3000:] for name in self.house.processes)
            raise AssertionError(f"{error}\n{json.dumps(told, indent=1)}\n{logs}") from error

    # --- pieces -------------------------------------------------------------------------------

    def _named(self) -> dict[str, TwinProcess]:
        return {
            "vibeview": self.twins.vibeview,
            "checksum": self.twins.checksum,
            "github": self.twins.github,
            "slack": self.twins.slack,
            "checkly": self.checkly,
            "checkview": self.checkview,
            "checkrd": self.checkrd,
        }

    def _recent(self) -> list[Run]:
        return [run for workflow in WORKFLOWS for run in self._rows_of(workflow)]

    def _rows_of(self, workflow: str) -> list[Run]:
        found: list[Run] = self.get("/runs", workflow=workflow, limit=100)["data"]
        return found

    @staticmethod
    def _rows(twin: TwinProcess, kind: str) -> list[dict[str, Any]]:
        found: Any = twin.state()[kind]
        assert isinstance(found, list)
        return found


def prepare_twins(site: ShippedHouse) -> None:
    """Tell the twins where the house is and what they must know; let them take what comes."""
    url = site.house.url
    site.twins.reset()
    for twin in (site.checkly, site.checkview, site.checkrd):
        twin.clear_faults()
        twin.reset()
    site.checkly.set(receiver=f"{url}/hooks/checkly")
    site.checkrd.set(receiver=f"{url}/hooks/checkrd")
    site.checkview.set(receiver=f"{url}/hooks/checkview/{CHECKVIEW_TOKEN}")
    for number in HEAL_PULLS:
        pull = {"number": number, "head_sha": f"{number:040x}"}
        branch = f"checksum/heal-{number}"
        site.twins.github.lever("pulls", {"repo": TESTS_REPOSITORY, "branch": branch, **pull})
    for name in ("primary", "points", "content", "content_hour"):
        site.twins.github.limit(name, limit=None)
    site.twins.slack.limit("message", rate_per_s=10_000, burst=10_000)
    for name in ("chat.update", "conversations.history", "conversations.replies"):
        site.twins.slack.limit(name, limit=None)
    site.checkview.limit("api", limit=6000, window_s=60)


def write_shipped(site: ShippedHouse) -> None:
    """Write the configuration: all sources and connections, two polls, the eight workflows."""
    twins, directory = site.twins, site.house.directory
    key = {"api_key": {"value": "checkly-key"}, "account_id": {"value": CHECKLY_ACCOUNT}}
    login = {"jwt": {"value": "jwt_twin"}, "refresh_token": {"value": "refresh_twin"}}
    many = {"per_minute": 100_000}
    configuration: dict[str, Any] = {
        "sources": [
            *(
                {"name": name, "vendor": name, "secrets": [{"value": secret}]}
                for name, secret in {
                    **SECRETS,
                    "checkly": "checkly-webhook-secret",
                    "checkrd": "checkrd-webhook-secret",
                }.items()
            ),
            {
                "name": "checkview",
                "vendor": "checkview",
                "path_token": {"value": CHECKVIEW_TOKEN},
                "connection": "checkview",
            },
        ],
        "connections": [
            _connection("checksum", twins.checksum.url, {"api_key": {"value": "checksum-key"}})
            | {"options": {"repository": TESTS_REPOSITORY, "per_minute": 6000}},
            _connection("vibeview", twins.vibeview.url, {"api_token": {"value": "tok_demo"}}),
            _connection("github", twins.github.url, {"token": {"value": "ghp_twin"}})
            | {"options": many},
            _connection("slack", f"{twins.slack.url}/api", {"bot_token": {"value": "xoxb-twin"}})
            | {"options": {"channel": "#qa-alerts", **many}},
            _connection("checkly", site.checkly.url, key),
            _connection("checkview", site.checkview.url, {"api_token": {"value": "cvpat_demo"}})
            | {"options": {"per_minute": 6000}},
            _connection("checkrd", site.checkrd.url, login),
        ],
        "polls": [
            {"name": "runs", "connection": "checksum", "poll": "runs", "every": "500ms"},
            {"name": "bugs", "connection": "checksum", "poll": "bugs", "every": "500ms"},
        ],
        "workflows": [
            _workflow("heal-failed-run", {**FAST, "selections": {"Login Flow": "@login"}}),
            "workflows/comment-visual-regression.yaml",
            "workflows/alert-low-credits.yaml",
            _workflow("rerun-infrastructure-error", {**FAST, "wait": "100ms"}),
            _workflow("open-issue-for-bug", {"repository": REPOSITORY}),
            _workflow(
                "triage-failing-check", {**FAST, "selections": {"Check out as guest": "@checkout"}}
            ),
            "workflows/stop-misbehaving-agent.yaml",
            _workflow("audit-website-after-deploy", FAST),
        ],
    }
    copy_workflows(directory / "workflows", within="4s")
    # JSON is YAML 1.2.
    (directory / "hookwright.yaml").write_text(json.dumps(configuration, indent=1))


def _connection(name: str, url: str, credentials: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "vendor": name, "base_url": url, "credentials": credentials}


def _workflow(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {"file": f"workflows/{name}.yaml", "vars": dict(variables)}


def one_house(directory: Path, environment: Mapping[str, str], **twins: Any) -> ShippedHouse:
    """Give an installation that is written and not yet started."""
    site = ShippedHouse(House(directory, dict(environment)), **twins)
    prepare_twins(site)
    write_shipped(site)
    return site
