"""A person looks at what came and what became of it, with a server that runs."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.cli.conftest import END_S, Shell
from tests.servers import wait_until

TWICE = """
name: {name}
on: [{{event: generic.build.failed}}]
steps: [{{id: told, uses: alert.open, with: {{key: "{name}", title: told}}}}]
"""
BODY = {
    "event": "build.failed",
    "branch": "main",
    "lines": [f"line {number}" for number in range(60)],
    "long": "x" * 500,
}


@pytest.fixture(scope="module")
def shown(running: Shell) -> Shell:
    """A server that holds an event without facts, which started two workflows."""
    for name in ("short", "a-longer-name"):
        (running.folder / "workflows" / f"{name}.yaml").write_text(TWICE.format(name=name))
    running.run("apply")
    (running.folder / "body.json").write_text(json.dumps(BODY))
    return running


def send(shell: Shell) -> str:
    """Send a body that no adapter knows facts of; gives its event's id once its runs are there."""
    shell.run("send", "generic", "body.json", "--event", "build.failed")

    def found() -> str | None:
        rows = json.loads(shell.run("event", "list", "--type", "generic.build.failed", "--json"))
        runs = (
            json.loads(shell.run("event", "show", rows[0]["id"], "--json"))["runs"] if rows else ()
        )
        return rows[0]["id"] if len(runs) == 2 and all(run["ended_at"] for run in runs) else None

    return str(wait_until(found, END_S, what="its runs ended"))


# --- events -----------------------------------------------------------------------------------


def test_an_event_without_facts_shows_what_was_sent_within_bounds(shown: Shell) -> None:
    said = shown.run("event", "show", send(shown))
    assert '"branch": "main"' in said
    assert '"line 30"' in said
    assert '"line 59"' not in said
    assert said.rstrip().endswith("more lines, see --json")
    assert all(len(line) <= 200 for line in said.splitlines())
    assert "facts" not in said


def test_an_event_with_facts_counts_what_was_sent(shown: Shell) -> None:
    shown.run("send", "vibeview", "run.failed")

    def found() -> list[dict[str, str]]:
        rows = json.loads(shown.run("event", "list", "--type", "test_run.failed", "--json"))
        return list(rows)

    (event,) = wait_until(found, END_S, what="its event")
    payload = json.loads(shown.run("event", "show", event["id"], "--json"))["payload"]
    said = shown.run("event", "show", event["id"])
    assert '"run_id"' in said
    assert f"payload: {len(payload)} values, see --json" in said


def test_the_runs_of_an_event_stand_in_columns(shown: Shell) -> None:
    event = send(shown)
    runs = json.loads(shown.run("event", "show", event, "--json"))["runs"]
    lines = shown.run("event", "show", event).splitlines()
    places = {line.index(run["id"]) for run in runs for line in lines if run["id"] in line}
    assert len(runs) == 2
    assert len(places) == 1


def test_without_an_id_the_newest_event_is_shown(shown: Shell) -> None:
    send(shown)
    newest = json.loads(shown.run("event", "list", "--limit", "1", "--json"))[0]["id"]
    assert newest in shown.run("event", "show")


# --- runs of a workflow -----------------------------------------------------------------------


def test_the_newest_run_of_a_workflow_is_shown(shown: Shell) -> None:
    send(shown)
    for name in ("short", "a-longer-name"):
        rows = json.loads(shown.run("run", "list", "--workflow", name, "--limit", "1", "--json"))
        said = shown.run("run", "show", "--workflow", name)
        assert name in said
        assert rows[0]["id"] in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "list", "--workflow", "shotr"),
        ("run", "show", "--workflow", "shotr"),
        ("workflow", "show", "shotr"),
    ],
)
def test_an_unknown_workflow_is_told_with_the_nearest_name(
    shown: Shell, arguments: tuple[str, ...]
) -> None:
    said = shown.run(*arguments, code=1)
    assert "there is no workflow `shotr`" in said
    assert "did you mean `short`?" in said


def test_a_workflow_without_runs_is_no_unknown_one(shown: Shell) -> None:
    said = shown.run("run", "list", "--workflow", "alert-low-credits")
    assert "nothing fits these options" in said
    said = shown.run("run", "show", "--workflow", "alert-low-credits", code=1)
    assert "there is no run of workflow `alert-low-credits` yet" in said


def test_statistics_are_asked_for_by_how_long_ago_and_tell_dates(shown: Shell) -> None:
    send(shown)
    hours = shown.run("stats", "--since", "2h")
    assert re.match(r"from \d{4}-\d\d-\d\d \d\d:00 until \d{4}-\d\d-\d\d \d\d:00\n", hours)
    days = shown.run("stats", "--per", "day", "--since", "3d")
    assert re.match(r"from \d{4}-\d\d-\d\d until \d{4}-\d\d-\d\d\n", days)
    assert re.search(r"\n\d{4}-\d\d-\d\d  +[1-9]", days)
    said = shown.run("stats", "--since", "1h", "--until", "2h", code=1)
    assert said.startswith("error: until is not after since")
    assert "is no time: write 24h" in shown.run("stats", "--since", "yesterday", code=2)


@pytest.mark.parametrize("kind", ["event", "run", "delivery"])
def test_lists_are_narrowed_to_a_time(shown: Shell, kind: str) -> None:
    send(shown)
    assert json.loads(shown.run(kind, "list", "--since", "1h", "--json"))
    assert json.loads(shown.run(kind, "list", "--until", "1h", "--json")) == []
