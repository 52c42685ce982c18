"""Connecting a sender and an account at the terminal, with a server that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.twins.launch import TwinProcess
from schemas.clock import utc_now
from service.cli.sending import UNNAMED
from service.vendors import BY_NAME
from tests.integration.cli.conftest import END_S, Shell
from tests.servers import wait_until
from tests.twin_forks import start_twin

TOKEN = "ghp_twintokentwintoken"
SECRET = "the-secret-that-the-sender-has"
CONFIGURATION = """
sources:
  - {name: vibeview, vendor: vibeview, secrets: [{env: VIBEVIEW_SECRET}]}
  - name: alerts
    vendor: checkly
    secrets: [{env: VIBEVIEW_SECRET}]
    connection: checkly
    reconcile: {every: 20d, since: 24h}
  - name: printer
    vendor: generic
    path_token: {value: token-of-the-printer}
    options: {scheme: none}
connections:
  - {name: github, vendor: github, base_url: "@URL@", credentials: {token: {env: GITHUB_TOKEN}}}
  - name: checkly
    vendor: checkly
    base_url: "@CHECKLY@"
    credentials:
      api_key: {value: checkly-key}
      account_id: {value: 4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374}
  - {name: locked, vendor: github, base_url: "@URL@", credentials: {token: {value: ghp_nobodys}}}
polls:
  - name: lost
    connection: locked
    poll: hook_deliveries
    every: 1h
    options: {repository: acme-co/my-tests, hook_id: 1}
"""


@pytest.fixture(scope="module")
def github() -> Iterator[TwinProcess]:
    with start_twin("github") as twin:
        twin.set(key=TOKEN, login="qa-bot")
        yield twin


@pytest.fixture(scope="module")
def checkly() -> Iterator[TwinProcess]:
    with start_twin("checkly") as twin:
        yield twin


@pytest.fixture(scope="module")
def connected(
    tmp_path_factory: pytest.TempPathFactory, github: TwinProcess, checkly: TwinProcess
) -> Iterator[Shell]:
    """A server with two sources and three connections, one of which has a wrong token."""
    shell = Shell(tmp_path_factory.mktemp("connected"))
    shell.environment |= {
        "VIBEVIEW_SECRET": SECRET,
        "GITHUB_TOKEN": TOKEN,
        "HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    text = CONFIGURATION.replace("@URL@", github.url).replace("@CHECKLY@", checkly.url)
    (shell.folder / "hookwright.yaml").write_text(text, encoding="utf-8")
    shell.up()
    yield shell
    shell.end()


def send_as_t_v1(shell: Shell) -> str:
    """Send what the source refuses, because it expects another scheme; gives the rejection's id."""
    incoming = BY_NAME["vibeview"].incoming
    assert incoming is not None
    signed = incoming.sign(
        b'{"event": "run.failed"}',
        SECRET,
        utc_now(),
        incoming.options.model_validate({"scheme": "t-v1"}),
        event="run.failed",
        delivery_id="d-1",
    )
    url = f"http://127.0.0.1:{shell.environment['HOOKWRIGHT_PORT']}/hooks/vibeview"
    answer = httpx.post(url, content=signed.body, headers=list(signed.headers))
    assert answer.status_code == 401

    def look() -> str | None:
        found = json.loads(shell.run("source", "show", "vibeview", "--json"))
        return found["last_refused"][0]["id"] if found["last_refused"] else None

    return wait_until(look, END_S, what="the refused request is kept")


def test_what_was_refused_is_identified_and_then_accepted(connected: Shell) -> None:
    rejection = send_as_t_v1(connected)
    said = connected.run("source", "identify", "--rejection", rejection[:18])
    assert "It fits: VibeView, scheme t-v1" in said
    assert "options: {scheme: t-v1}" in said
    assert SECRET not in said
    shown = connected.run("source", "show", "vibeview")
    assert rejection in shown
    assert "/hooks/vibeview" in shown
    # Not the variable of the vendor's guide: where this source has it.
    assert "VIBEVIEW_WEBHOOK_SECRET" not in shown
    assert "Put it into the variable VIBEVIEW_SECRET." in shown


def test_a_delivery_that_was_stored_is_identified(connected: Shell) -> None:
    sent = json.loads(connected.run("send", "vibeview", "run.passed", "--json"))
    ident = sent["body"]["id"]
    found = json.loads(connected.run("source", "identify", "--delivery", ident, "--json"))
    assert found["matches"][0]["scheme"] == "sha256-body"
    other = connected.run(
        "source", "identify", "--delivery", ident, "--secret-env", "OTHER", code=1, OTHER="another"
    )
    assert "Nothing fits" in other
    assert "another secret" in other


def test_a_sender_that_names_no_delivery_sends_the_same_one_again(connected: Shell) -> None:
    assert "/hooks/printer/TOKEN" in connected.log("up")
    assert connected.start("send", "printer", "build.failed", "--repeat", "2").wait(END_S) == 0
    said = connected.log("send")
    assert "202  accepted" in said
    assert "200  duplicate" in said
    assert f"  hint: {UNNAMED}\n" in said


def test_connections_are_listed_and_tested(connected: Shell) -> None:
    listed = connected.run("connection", "list")
    assert "github" in listed
    assert TOKEN not in listed
    assert "qa-bot" in connected.run("connection", "test", "github")


def test_a_connection_that_does_not_work_says_what_to_do(connected: Shell) -> None:
    said = connected.run("connection", "test", "--all", code=1)
    assert "ok  github" in said
    assert "failed  locked" in said
    told = json.loads(connected.run("connection", "test", "github", "--json"))
    assert (told["ok"], told["connection"]) == (True, "github")


def test_what_was_missing_is_named_and_past_comparisons_are_listed(
    connected: Shell, checkly: TwinProcess
) -> None:
    checkly.lever("alerts", {"count": 3, "withheld": 3, "every_s": 60.0})
    said = connected.run("reconcile", "--since", "7d")
    assert said.count("filled\n") == 3
    assert "2 sources keep no record with their vendor or have no connection: " in said
    assert "printer, vibeview" in said
    listed = connected.run("reconcile", "--last")
    assert listed.splitlines()[0].split()[:3] == ["began", "source", "state"]
    assert "succeeded" in listed
    assert listed.count("filled\n") == 3
    events = connected.run("event", "list")
    assert events.count("reconciled") == 3
    ident = json.loads(connected.run("event", "list", "--json"))[0]["id"]
    assert "origin    reconciled" in connected.run("event", "show", ident)
    shown = connected.run("source", "show", "alerts")
    assert "connection  checkly" in shown
    assert "every 20 d 0 h, 1 d 0 h back" in shown


def test_what_polls_there_are_and_which_fail_is_listed(connected: Shell) -> None:
    wait_until(
        lambda: json.loads(connected.run("poll", "list", "--json"))[0]["failures"],
        END_S,
        what="the poll with the wrong token has failed",
    )
    said = connected.run("poll", "list")
    assert "failed  lost: " in said
    assert "locked" in said


def test_a_name_that_is_not_there_is_said(connected: Shell) -> None:
    assert "no connection `nobody`" in connected.run("connection", "test", "nobody", code=1)
    assert "no source `nobody`" in connected.run("source", "show", "nobody", code=1)


def test_a_file_needs_no_server(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    request = {"headers": {"X-Gitlab-Token": "hush"}, "body": "{}"}
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    said = shell.run(
        "source", "identify", "--delivery-file", "request.json", "--secret-env", "S", S="hush"
    )
    assert "X-Gitlab-Token" in said
    assert "hush" not in said
