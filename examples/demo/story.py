"""What happens in the demonstration, and what must have come of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.emoji import Emoji
from rich.live import Live
from rich.text import Text

from examples.demo.installation import ASK_EVERY_S, DemoError, Installation
from service.cli.timeline import render_run

END_S = 30.0
REPOSITORY = "acme-co/webapp"
TESTS_REPOSITORY = "acme-co/my-tests"
RULE = "6f1d2c7a-5b0e-4f5e-9b1a-2f4f6f0f9c11"
PULL_REQUEST = 42
HEAL_PULL_REQUEST = 101
FULL_BALANCE = {"allowance_micro": 750_000, "prepaid_micro": 50_000_000}
LOW_BALANCE = {"allowance_micro": 0, "prepaid_micro": 4_000_000}

Run = dict[str, Any]


class Story:
    """Tells four chapters on a console and keeps the faults it meets."""

    def __init__(self, installation: Installation, console: Console) -> None:
        self.faults: list[str] = []
        self._at = installation
        self._console = console
        self._told: set[str] = set()

    def tell(self) -> None:
        """Let four of the workflows happen, one after the other."""
        self._prepare()
        self._heal()
        self._comment()
        self._alert()
        self._stop()

    def _prepare(self) -> None:
        twins = self._at.twins
        twins["github"].lever(
            "pulls",
            {
                "repo": REPOSITORY,
                "number": PULL_REQUEST,
                "head_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
                "branch": "feature/checkout",
            },
        )
        # The pull request that the heal will make: on GitHub its branch is looked up.
        twins["github"].lever(
            "pulls",
            {
                "repo": TESTS_REPOSITORY,
                "number": HEAL_PULL_REQUEST,
                "head_sha": "cd" * 20,
                "branch": f"checksum/heal-{HEAL_PULL_REQUEST}",
            },
        )
        twins["checksum"].lever("outcomes", {"runs": ["failed", "passed"], "heals": ["pr"]})
        twins["vibeview"].lever("balance", FULL_BALANCE)

    def _heal(self) -> None:
        self._chapter(1, "a failed run is healed", "VibeView sends run.failed, signed")
        self._send("run.failed")
        run = self._follow("heal-failed-run")
        outputs = {step["step"]: step["output"] or {} for step in run["steps"]}
        links = outputs.get("healed", {}).get("pr_urls") or []
        self._received(f"Checksum: one heal, its pull request {' '.join(links) or 'is missing'}")
        self._expect(len(links) == 1, "the heal gives one pull request")
        starts = self._at.twins["checksum"].effects(method="POST", path="*/execution/grep")
        self._expect(
            len(starts) == 2, f"two runs are started, the tests and the proof: {len(starts)}"
        )
        self._expect("head_branch" in outputs.get("heal_pull", {}), "the heal's branch is found")
        told = [text for text in self._messages() if links and links[0] in text]
        self._received(f"Slack: {told[0] if told else 'no message'}")
        self._expect("Healed and proven" in "".join(told), "the heal is proven")
        self._expect(len(told) == 1, "the channel hears of the heal once")

    def _comment(self) -> None:
        self._chapter(
            2, "a visual regression is one comment", "VibeView sends the end of a run with drift"
        )
        self._send("visual.run_completed_with_regressions")
        self._follow("comment-visual-regression")
        (first,) = self._visual_comments() or [{}]
        self._received(f"GitHub: {_headline(first)} on {REPOSITORY}#{PULL_REQUEST}")
        self._expect("Visual drift" in str(first.get("body")), "the pull request is told of drift")
        self._aside("the next run is clean: VibeView sends run.passed")
        self._send("run.passed", {"visual_regression_status": "ok"})
        self._follow("comment-visual-regression")
        comments = self._visual_comments()
        self._expect(len(comments) == 1, f"there is one comment, not {len(comments)}")
        last = comments[-1] if comments else {}
        self._received(f"GitHub: {_headline(last)}, the same comment")
        self._expect(last.get("id") == first.get("id"), "the comment is edited, not repeated")
        self._expect("No visual drift" in str(last.get("body")), "a clean run clears the comment")

    def _alert(self) -> None:
        self._chapter(3, "low credit is one alert with an end", "nobody tells us: we ask VibeView")
        self._at.twins["vibeview"].lever("balance", LOW_BALANCE)
        self._follow("alert-low-credits")
        self._received(f"Slack: {self._credit_message()}")
        self._aside("somebody tops up")
        self._at.twins["vibeview"].lever("balance", FULL_BALANCE)
        self._follow("alert-low-credits")
        message = self._credit_message()
        self._received(f"Slack: {message} (the same message, edited)")
        self._expect("Resolved" in message, "the message ends resolved")
        (alert,) = self._at.get("/alerts")["data"] or [{}]
        self._expect(alert.get("state") == "resolved", "the alert is resolved")

    def _stop(self) -> None:
        self._chapter(
            4, "an agent is stopped when a person says so", "Checkrd's rule fires: too many errors"
        )
        checkrd = self._at.twins["checkrd"]
        checkrd.lever("evaluate", {"rule_id": RULE, "value": 0.31})
        asked = self._wait(self._question, "Slack is asked")
        self._received(f"Slack: {asked['text']}")
        self._aside("somebody presses Approve")
        press = {"action_id": "hookwright_approve", "username": "dana"}
        self._at.twins["slack"].lever("press", press)
        self._follow("stop-misbehaving-agent")
        (agent, *_) = self._rows("checkrd", "agents")
        self._expect(agent["kill_switch_active"] is True, "the agent's kill switch is pulled")
        told = [text for text in self._messages() if "is stopped" in text]
        self._received(f"Slack: {told[0] if told else 'no message'}")
        self._expect(len(told) == 1, "the channel hears that the agent is stopped")

    def _question(self) -> Run | None:
        found = [
            message
            for message in self._rows("slack", "messages")
            if "Stop the agent" in str(message["text"])
        ]
        return found[0] if found else None

    # --- pieces --------------------------------------------------------------------------------

    def _send(self, event: str, data: Mapping[str, object] | None = None) -> None:
        body = {"event": event, "overrides": {"data": dict(data)} if data else {}}
        self._at.twins["vibeview"].lever("send", body)

    def _follow(self, workflow: str) -> Run:
        """Show the workflow's next run until it has ended."""
        run = self._wait(lambda: self._next(workflow), f"a run of {workflow} begins")
        self._told.add(run["id"])
        if self._console.is_terminal:
            with Live(self._render(run), console=self._console, auto_refresh=False) as live:

                def look() -> Run | None:
                    found: Run = self._at.get(f"/runs/{run['id']}")
                    live.update(self._render(found), refresh=True)
                    return found if found["ended_at"] else None

                run = self._wait(look, f"the run of {workflow} ends")
        else:
            run = self._wait(lambda: self._ended(run["id"]), f"the run of {workflow} ends")
            self._console.print(self._render(run))
        self._expect(run["status"] == "succeeded", f"{workflow} succeeds, not {run['status']}")
        return run

    def _render(self, run: Run) -> Text:
        return render_run(run, width=self._console.width if self._console.is_terminal else None)

    def _next(self, workflow: str) -> Run | None:
        rows = self._at.get("/runs", workflow=workflow, limit=100)["data"]
        new = [row for row in reversed(rows) if row["id"] not in self._told]
        return self._at.get(f"/runs/{new[0]['id']}") if new else None

    def _ended(self, run_id: str) -> Run | None:
        found: Run = self._at.get(f"/runs/{run_id}")
        return found if found["ended_at"] else None

    def _wait(self, look: Callable[[], Run | None], what: str) -> Run:
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            self._at.check_alive()
            found = look()
            if found is not None:
                return found
            time.sleep(ASK_EVERY_S)
        raise DemoError(f"waited {END_S:.0f} s in vain until {what}:\n{self._at.log()}")

    def _visual_comments(self) -> list[dict[str, Any]]:
        return [
            comment
            for comment in self._rows("github", "comments")
            if "visual" in str(comment["body"]).lower()
        ]

    def _messages(self) -> list[str]:
        return [str(message["text"]) for message in self._rows("slack", "messages")]

    def _credit_message(self) -> str:
        found = [text for text in self._messages() if "redit" in text]
        self._expect(len(found) == 1, f"there is one message about credit, not {len(found)}")
        return found[-1] if found else ""

    def _rows(self, twin: str, kind: str) -> list[dict[str, Any]]:
        found = self._at.twins[twin].state()[kind]
        return found if isinstance(found, list) else []

    def _chapter(self, number: int, title: str, began: str) -> None:
        self._console.print(Text(f"\n{number}  {title}", style="bold"))
        self._aside(began)

    def _aside(self, text: str) -> None:
        self._console.print(Text(f"   {text}\n", style="bright_black"))

    def _received(self, text: str) -> None:
        self._console.print(Text(f"   {_indented(Emoji.replace(text))}", style="italic"))

    def _expect(self, held: bool, what: str) -> None:  # noqa: FBT001  # reads as an assertion
        if not held:
            self.faults.append(what)
            self._console.print(Text(f"   ✗ expected: {what}", style="bold red"))


def _headline(comment: Mapping[str, Any]) -> str:
    lines = str(comment.get("body", "no comment")).splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), lines[0])


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n     ")
