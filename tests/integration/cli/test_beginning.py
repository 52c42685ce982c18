"""A newcomer's first commands: they work without anything being typed twice."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright
from tests.commands import EXECUTABLE
from tests.integration.cli.conftest import END_S, Shell
from tests.servers import PostgresServer, free_port, wait_until

INSTALLED = True


def test_help_comes_at_once_and_names_every_command() -> None:
    took, said = [], ""
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run([EXECUTABLE, "--help"], capture_output=True, text=True, check=True)
        took.append(time.monotonic() - began)
        said = done.stdout
    for command in ("up", "serve", "work", "migrate", "init", "apply", "send", "tail", "token"):
        assert f"\n  {command}" in said
    assert min(took) < 0.4


@pytest.mark.parametrize(
    "command",
    [
        "up", "serve", "work", "migrate", "init", "apply", "send", "tail",
        "run list", "run show", "delivery list", "delivery show", "event list", "event show",
        "alert list", "source list", "poll list", "reconcile", "workflow list", "workflow lint",
        "token create", "token list", "token revoke",
    ],
)  # fmt: skip
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    said = CliRunner().invoke(hookwright, [*command.split(), "--help"]).output
    assert f"Usage: hookwright {command}" in said
    assert "Example: " in said
    assert f"hookwright {command}" in said.partition("Example: ")[2]


def test_a_wrong_use_ends_with_2(shell: Shell) -> None:
    assert "No such command" in shell.run("nothing", code=2)
    assert "No such option" in shell.run("apply", "--fiel", code=2)
    assert "Missing argument" in shell.run("send", code=2)


def test_init_writes_a_configuration_with_secrets_for_its_owner_alone(shell: Shell) -> None:
    written = json.loads(shell.run("init", "--json"))["written"]
    assert written[0] == "hookwright.yaml"
    for vendor in ("vibeview", "github", "slack", "generic"):
        secret = shell.folder / ".hookwright" / "secrets" / vendor
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert len(secret.read_text().strip()) >= 43
    assert stat.S_IMODE((shell.folder / ".hookwright").stat().st_mode) == 0o700
    assert (shell.folder / "workflows" / "heal-failed-run.yaml").is_file()
    assert (shell.folder / "workflows" / "texts" / "heal-comment.md.jinja").is_file()


def test_init_overwrites_nothing(shell: Shell) -> None:
    shell.run("init")
    before = (shell.folder / ".hookwright/secrets/github").read_text()
    assert "exists already" in shell.run("init", code=1)
    (shell.folder / "hookwright.yaml").unlink()
    (shell.folder / "workflows/heal-failed-run.yaml").write_text("mine")
    shell.run("init")
    assert (shell.folder / ".hookwright/secrets/github").read_text() == before
    assert (shell.folder / "workflows/heal-failed-run.yaml").read_text() == "mine"


def test_a_newcomer_sees_a_delivery_become_a_run(running: Shell) -> None:
    shell = running
    assert "Hookwright is up" in shell.log("up")
    assert "/hooks/vibeview" in shell.log("up")
    assert "202  accepted" in shell.run("send", "vibeview", "visual.run_completed_with_regressions")
    kind = "visual_regression.warned"
    (event,) = wait_until(
        lambda: json.loads(shell.run("event", "list", "--type", kind, "--json")),
        END_S,
        what="its event",
    )
    (run,) = wait_until(
        lambda: [
            run
            for run in json.loads(shell.run("run", "list", "--event", event["id"], "--json"))
            if run["ended_at"]
        ],
        END_S,
        what="its run ended",
    )
    # No connection is configured yet: the run says so.
    shown = shell.run("run", "show", run["id"])
    assert "comment-visual-regression" in shown
    assert "there is no connection of github" in shown
    delivery = json.loads(shell.run("delivery", "list", "--json"))[0]
    assert "sha256=" not in shell.run("delivery", "show", delivery["id"])
    assert "visual_regression.warned" in shell.run("event", "show", event["id"])
    assert "/hooks/github" in shell.run("source", "list")
    assert "alert-low-credits" in shell.run("workflow", "list")
    assert "nothing yet" in shell.run("alert", "list")


def test_repeated_samples_are_new_deliveries_unless_they_shall_be_the_same(
    running: Shell,
) -> None:
    shell = running
    answers = json.loads(shell.run("send", "github", "push", "--repeat", "3", "--json"))
    assert [answer["status_code"] for answer in answers] == [202, 202, 202]
    again = json.loads(shell.run("send", "github", "push", "--repeat", "3", "--same", "--json"))
    assert [answer["status_code"] for answer in again] == [202, 200, 200]
    assert len({answer["body"]["id"] for answer in again}) == 1
    body = shell.folder / "body.json"
    body.write_text('{"event": "run.failed", "data": {"run_id": "from-a-file"}}')
    assert "accepted" in shell.run("send", "vibeview", str(body), "--event", "run.failed")


def test_tail_gives_events_as_cloud_events(running: Shell) -> None:
    shell = running
    shell.run("send", "vibeview", "run.passed")
    wait_until(lambda: json.loads(shell.run("event", "list", "--json")), END_S, what="an event")
    line = shell.run("tail", "events", "--json", "--last", "1", "--limit", "1")
    event = json.loads(line)
    assert event["specversion"] == "1.0"
    assert event["source"] == "/vibeview/vibeview"
    assert {"id", "type", "time", "data"} <= event.keys()
    assert None not in event.values()


def test_tail_follows_what_comes_later(running: Shell) -> None:
    shell = running
    asked = shell.log("up").count("/api/v1/deliveries")
    process = shell.start("tail", "deliveries", "--last", "0", "--limit", "1", "--json")
    wait_until(
        lambda: shell.log("up").count("/api/v1/deliveries") > asked, END_S, what="it asked once"
    )
    shell.run("send", "vibeview", "run.passed")
    assert process.wait(END_S) == 0
    assert json.loads(shell.log("tail"))["source"] == "vibeview"


def test_up_ends_in_good_order_and_goes_on_where_it_was(shell: Shell) -> None:
    process = shell.up()
    shell.run("send", "vibeview", "run.passed")
    key = (shell.folder / ".hookwright/secret.key").read_text()
    token = (shell.folder / ".hookwright/admin.token").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(END_S) == 0, shell.log("up")
    shell.up()
    assert (shell.folder / ".hookwright/secret.key").read_text() == key
    assert (shell.folder / ".hookwright/admin.token").read_text() == token
    assert len(json.loads(shell.run("delivery", "list", "--json"))) == 1


def test_the_data_directory_holds_a_token_for_its_owner_alone(running: Shell) -> None:
    file = running.folder / ".hookwright/admin.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # It opens this machine's server and is sent to no other.
    refused = running.run("run", "list", "--url", "https://hooks.example", code=1)
    assert "a token is needed" in refused
    elsewhere = running.run("run", "list", code=1, HOOKWRIGHT_DATA_DIR="elsewhere")
    assert "a token is needed" in elsewhere


def test_the_banner_of_another_port_says_what_a_second_terminal_has_to_set(
    running: Shell,
) -> None:
    port = running.environment["HOOKWRIGHT_PORT"]
    wait_until(lambda: "stop it" in running.log("up"), END_S, what="the banner")
    (line,) = [text for text in running.log("up").splitlines() if " export " in text]
    assert line == f"  first     export HOOKWRIGHT_URL=http://127.0.0.1:{port}"
    url = line.partition("HOOKWRIGHT_URL=")[2]
    assert "nothing yet" in running.run("alert", "list", HOOKWRIGHT_URL=url, HOOKWRIGHT_PORT="1")


def test_a_server_that_is_not_there_is_said_in_one_line(shell: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = shell.run("run", "list", "--url", url, "--token", "hw_x", code=1)
    assert f"nothing answers at {url}" in said
    assert "hint: is it running?" in said


@pytest.mark.parametrize("command", ["serve", "work"])
def test_separate_processes_refuse_to_start_without_keys(shell: Shell, command: str) -> None:
    assert "HOOKWRIGHT_SECRET_KEYS is not set" in shell.run(command, code=1)
    weak = shell.run(command, code=1, HOOKWRIGHT_SECRET_KEYS="weak")
    assert "at least 32 characters" in weak


def test_work_tells_whether_a_worker_is_alive(running: Shell) -> None:
    shell = running
    wait_until((shell.folder / ".hookwright/worker.alive").exists, END_S, what="the sign of life")
    assert json.loads(shell.run("work", "--check", "--json"))["alive"] is True
    assert "no worker runs here" in shell.run(
        "work", "--check", code=1, HOOKWRIGHT_DATA_DIR="elsewhere"
    )


def test_a_debug_level_shows_where_an_error_came_from(shell: Shell) -> None:
    done = subprocess.run(
        [EXECUTABLE, "apply"],
        cwd=shell.folder,
        env={"HOOKWRIGHT_LOG_LEVEL": "debug", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert "cannot be read" in done.stderr


def test_tokens_are_made_listed_and_revoked_on_postgres(
    shell: Shell, postgres_server: PostgresServer
) -> None:
    shell.environment["HOOKWRIGHT_DATABASE_URL"] = postgres_server.url()
    assert "applied: 0001, 0002" in shell.run("migrate")
    assert "up to date" in shell.run("migrate", "--check")
    made = json.loads(shell.run("token", "create", "--label", "ci", "--expires", "30d", "--json"))
    assert made["token"].startswith("hw_")
    assert made["role"] == "viewer"
    listed = shell.run("token", "list")
    assert made["prefix"] in listed
    assert made["token"] not in listed
    assert "revoked" in shell.run("token", "revoke", "ci")
    assert "no token with" in shell.run("token", "revoke", "ci", code=1)
    assert "no duration" in shell.run("token", "create", "--label", "x", "--expires", "x", code=1)


def test_lint_shows_every_fault_with_its_place(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("name: W!\non: [{event: a}]\nsteps: []\n")
    said = shell.run("workflow", "lint", "w.yaml", code=1)
    assert "w.yaml:1:7" in said
    assert "w.yaml:3:8" in said
    shell.run("init")
    files = sorted(str(path) for path in (shell.folder / "workflows").glob("*.yaml"))
    assert "8 checked, nothing to say" in shell.run("workflow", "lint", *files)


def test_the_tests_of_the_shipped_workflows_pass_where_init_wrote_them(shell: Shell) -> None:
    shell.run("init")
    said = shell.run("workflow", "test", "workflows")
    assert "✗" not in said
    assert said.count("✓") >= 8 * 4
