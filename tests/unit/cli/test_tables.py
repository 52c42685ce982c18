"""Tables fit the terminal without losing an id, and a pipe gets everything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from service.actions import Actions
from service.cli import output
from service.cli.main import hookwright
from service.cli.output import moment, print_table
from service.vendor_facts import action_fact
from service.vendors import BY_NAME

ID = "01a2009f-faee-7321-8822-95697c239683"
COLUMNS = ["id", "source", "state", "received", "bytes", "key"]
ROW = [ID, "vibeview", "ingested", "2026-11-21 12:00", 1572, "k" * 64]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("kind", "option", "state"),
    [
        ("delivery", "--state", "malformed"),
        ("alert", "--state", "acknowledged"),
        ("bulk", "--state", "cancelled"),
        ("run", "--status", "waiting"),
        ("effect", "--state", "in_doubt"),
    ],
)
def test_a_state_that_there_is_not_is_refused_with_those_there_are(
    kind: str, option: str, state: str
) -> None:
    done = CliRunner().invoke(hookwright, [kind, "list", option, "nonsense"])
    assert done.exit_code == 2
    assert f"'{state}'" in done.output
    assert "default: 20" in CliRunner().invoke(hookwright, [kind, "list", "--help"]).output


@pytest.mark.parametrize(("columns", "key"), [(80, None), (100, "k" * 10), (120, "k" * 30)])
def test_an_id_is_never_cut_and_the_key_gives_way(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    key: str | None,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb-with-width")
    assert output.terminal_width() == columns
    print_table(COLUMNS, [ROW], empty="nothing")
    head, _, row = printed(capsys)
    assert ID in row
    assert ("key" in head) == (key is not None)
    assert key is None or key in row


def test_at_80_columns_vendors_are_shown_with_what_is_reconciled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("COLUMNS", "80"), ("FORCE_COLOR", "1"), ("TERM", "dumb-with-width")):
        monkeypatch.setenv(name, value)
    head, _, first, *_ = CliRunner().invoke(hookwright, ["vendor", "list"]).output.splitlines()
    assert "reconciles" in head
    assert "deliveries" in first


def test_the_safety_of_an_action_leaves_room_for_its_description() -> None:
    words = {action_fact(action).safety for action in Actions(BY_NAME).values()}
    assert max(map(len, words)) <= len("once, ever")


def test_a_pipe_gets_whole_lines_and_no_blank_ones(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [ROW, ROW], empty="nothing")
    lines = printed(capsys)
    assert len(lines) == 4
    assert lines[2] == f"{ID}  vibeview  ingested  2026-11-21 12:00  1572   {'k' * 64}"
    assert lines[0].split() == COLUMNS


def test_a_time_of_another_day_has_its_date() -> None:
    assert moment("2020-01-15T12:00:00Z").startswith("2020-01-15 ")
