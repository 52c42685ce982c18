"""The list of a group's commands says what each does, whole and in one line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright

COLUMNS = 80


@pytest.mark.parametrize("group", ["workflow", "run", "event", "delivery", "alert", "bulk"])
def test_no_summary_is_cut_or_folded_at_80_columns(group: str) -> None:
    said = CliRunner().invoke(hookwright, [group, "--help"], terminal_width=COLUMNS).output
    lines = said.partition("Commands:\n")[2].splitlines()
    assert lines
    for line in lines:
        assert line.endswith("."), line
        assert not line.endswith("..."), line
        assert line[2] != " ", line
