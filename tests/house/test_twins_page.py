"""The page of the twins names every twin, lever and limit there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.twins.registry import TWIN_NAMES, make_twin

PAGE = (Path(__file__).parents[2] / "examples" / "twins" / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", TWIN_NAMES)
def test_a_twin_is_in_the_table_with_its_key(name: str) -> None:
    twin = make_twin(name, {})

    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    assert f"`{twin.settings.key}`" in row


@pytest.mark.parametrize("name", TWIN_NAMES)
def test_every_lever_and_every_limit_is_named(name: str) -> None:
    twin = make_twin(name, {})
    (section,) = (text for title, text in SECTIONS.items() if title.lower() == name)
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell) if "=" not in name}
    levers = {re.sub(r":\w+(?=\})", "", route.path).strip("/") for route in twin.levers()}

    assert levers == named
    for limit in twin.limits:
        assert f"`{limit}`" in section, limit
