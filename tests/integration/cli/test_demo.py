"""`make demo`: the whole product against stand-ins, as a newcomer sees it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

import examples.demo.__main__ as demo
from tests.servers import wait_until

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "examples.demo"]
END_S = 110.0


@pytest.mark.timeout(180)
def test_it_tells_four_workflows_stays_up_until_it_is_interrupted_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    said, errors, rest = (tmp_path / name for name in ("said", "errors", "rest"))
    rest.mkdir()
    with said.open("wb") as output, errors.open("wb") as error_output:
        process = subprocess.Popen(
            COMMAND, cwd=ROOT, stdout=output, stderr=error_output, env={"TMPDIR": str(rest)}
        )
    try:
        wait_until(
            lambda: process.poll() is not None or "stays up until" in said.read_text(),
            END_S,
            what="the demonstration stays up",
        )
        told = said.read_text()
        for workflow in (
            "heal-failed-run",
            "comment-visual-regression",
            "alert-low-credits",
            "stop-misbehaving-agent",
        ):
            assert f"╭─ {workflow}  version 1" in told, told
        assert told.count("✓ succeeded after") == 6
        assert "approved by dana" in told
        assert "https://github.com/acme-co/my-tests/pull/" in told
        assert "the same message, edited" in told
        assert "Everything ended as it should" in told
        found = re.search(
            r"^  export HOOKWRIGHT_URL=(\S+)\n  export HOOKWRIGHT_TOKEN=(\S+)\n"
            r"  \S*/hookwright run list$",
            told,
            re.MULTILINE,
        )
        assert found is not None, told
        url, token = found.groups()
        answer = httpx.get(f"{url}/api/v1/runs", headers={"Authorization": f"Bearer {token}"})
        assert len(answer.json()["data"]) == 6
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert errors.read_text() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert list(rest.iterdir()) == []


@pytest.mark.parametrize(
    ("faults", "code", "said"),
    [
        ([], 0, "Everything ended as it should"),
        (["no comment"], 1, "1 things are not as they should be"),
    ],
)
def test_told_once_it_ends_by_itself_and_says_whether_all_was_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faults: list[str],
    code: int,
    said: str,
) -> None:
    """The story and what it is told of are stand-ins here: the test above tells it whole."""
    installation = SimpleNamespace(log=lambda: "what the server logged")
    story = SimpleNamespace(faults=faults, tell=lambda: None)
    monkeypatch.setattr(demo, "start", lambda _folder, _port: nullcontext(installation))
    monkeypatch.setattr(demo, "Story", lambda _installation, _console: story)
    monkeypatch.setattr(signal, "signal", lambda _number, _handler: None)
    monkeypatch.setattr(sys, "argv", ["examples.demo", "--once"])
    assert demo.main() == code
    told = capsys.readouterr()
    assert said in told.out
    assert ("what the server logged" in told.out) == bool(faults)
    assert "stays up" not in told.out
    assert told.err == ""
