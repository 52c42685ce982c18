"""Durations of the configuration: what is none, and what is too short or too long, is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.config import parse_duration
from service.cli.main import hookwright
from service.configuration import read_configuration
from service.configuration_faults import FaultyConfigurationError

CONNECTION = "connections: [{name: gh, vendor: github, credentials: {token: {value: t}}}]\n"
POLL = CONNECTION + (
    "polls: [{name: p, connection: gh, poll: hook_deliveries, every: WHAT,\n"
    "         options: {repository: acme/webapp, hook_id: 1}}]\n"
)
SOURCE = CONNECTION + (
    "sources:\n  - name: gh\n    vendor: github\n    secrets: [{value: a-secret-of-github}]\n"
    "    reconcile: {WHICH: WHAT}\n"
)


def said(tmp_path: Path, text: str) -> str:
    file = tmp_path / "hookwright.yaml"
    file.write_text(text)
    with pytest.raises(FaultyConfigurationError) as caught:
        read_configuration(file, {})
    return str(caught.value)


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "s", "36501d"])
def test_a_huge_duration_is_a_value_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="36500 days"):
        parse_duration(text)


def test_a_huge_duration_of_a_command_is_a_mistake_in_words() -> None:
    done = CliRunner().invoke(hookwright, ["reconcile", "--since", "99999999999d"])
    assert done.exit_code == 2, done.exception
    assert "36500 days" in done.output


@pytest.mark.parametrize(
    ("every", "words"),
    [
        ("99999999999d", "36500 days"),
        ("0s", "`every` must be at least 100 milliseconds"),
        ("-5", "`every` must be at least 100 milliseconds"),
        ("99ms", "`every` must be at least 100 milliseconds"),
        ("366d", "`every` must be at most 365 days"),
        ("1.0e30", "`every` must be a duration, such as 15s"),
        ("[]", "`every` must be a duration, such as 15s"),
    ],
)
def test_a_pause_between_polls_is_bounded(tmp_path: Path, every: str, words: str) -> None:
    found = said(tmp_path, POLL.replace("WHAT", every))
    assert words in found
    assert "timedelta" not in found
    assert "hookwright.yaml:2:" in found


@pytest.mark.parametrize(
    ("which", "span", "words"),
    [
        ("every", "0.05s", "`every` must be at least 100 milliseconds"),
        ("every", "400d", "`every` must be at most 365 days"),
        ("since", "0s", "`since` must be more than 0"),
        ("since", "91d", "`since` must be at most 90 days"),
    ],
)
def test_a_comparison_is_bounded(tmp_path: Path, which: str, span: str, words: str) -> None:
    found = said(tmp_path, SOURCE.replace("WHICH", which).replace("WHAT", span))
    assert words in found
    assert "timedelta" not in found


def test_what_is_in_the_bounds_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "hookwright.yaml"
    text = SOURCE.replace("WHICH: WHAT", "every: 365d, since: 90d")
    file.write_text(text + POLL.replace(CONNECTION, "").replace("WHAT", "1s"))
    declared = read_configuration(file, {})
    assert declared.polls[0].every.total_seconds() == 1
