"""Connecting a sender and an account at the terminal, with a server that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.twins.launch import TwinProcess, start_twin
from schemas.clock import utc_now
from service.vendors import BY_NAME
from tests.integration.cli.conftest import END_S, Shell
from tests.servers import wait_until

TOKEN = "ghp_twintokentwintoken"
SECRET = "the-secret-that-the-sender-has"
CONFIGURATION = """
sources:
  - {name: vibeview, vendor: vibeview, secrets: [{env: VIBEVIEW_SECRET}]}
connections:
  - {name: github, vendor: github, base_url: "@URL@", credentials: {token: {env: GITHUB_TOKEN}}}
  - {name: locked, vendor: github, base_url: "@URL@", credentials: {token: {value: ghp_nobodys}}}
"""


@pytest.fixture(scope="module")
def github() -> Iterator[TwinProcess]:
    with start_twin("github") as twin:
        twin.set(key=TOKEN, login="qa-bot")
        yield twin


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory, github: TwinProcess) -> Iterator[Shell]:
    """A server with a source and two connections, one of which has a wrong token."""
    shell = Shell(tmp_path_factory.mktemp("connected"))
    shell.environment |= {
        "VIBEVIEW_SECRET": SECRET,
        "GITHUB_TOKEN": TOKEN,
        "HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    text = CONFIGURATION.replace("@URL@", github.url)
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
