"""The commands that image, Compose file and chart start are commands the product has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import helm_python
import pytest
import yaml

from service.cli import main

ROOT = Path(__file__).parents[2]
CHART_VALUES = {
    "secrets": {
        "databaseUrl": "postgresql://database/hookwright",
        "redisUrl": "redis://queue",
        "secretKeys": "0123456789abcdef0123456789abcdef",
    },
    "config": {"sources": []},
    "migration": {"prune": True},
}


def started_by_the_image() -> list[list[str]]:
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return [json.loads(found) for found in re.findall(r"^CMD (\[.*\])$", recipe, re.MULTILINE)]


def started_by_compose() -> list[list[str]]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours = [service for service in services.values() if "hookwright" in service["image"]]
    checks = [service.get("healthcheck", {}).get("test", []) for service in ours]
    return [service["command"] for service in ours] + [
        check[2:] for check in checks if check[1:2] == ["hookwright"]
    ]


def started_by_the_chart() -> list[list[str]]:
    with helm_python.Chart.load(ROOT / "helm" / "hookwright") as chart:
        rendered = chart.render(CHART_VALUES, name="prod")
    found: list[list[str]] = []
    for path, text in rendered.items():
        for resource in yaml.safe_load_all(text) if path.endswith(".yaml") else ():
            collect(resource, found)
    return found


def collect(node: Any, found: list[list[str]]) -> None:
    """Every `args` of a container, and every probe that runs our command."""
    if isinstance(node, dict):
        if "args" in node:
            found.append(node["args"])
        if node.get("command", [None])[0] == "hookwright":
            found.append(node["command"][1:])
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        collect(child, found)


def group() -> click.Group:
    (found,) = (value for value in vars(main).values() if isinstance(value, click.Group))
    return found


@pytest.mark.parametrize(
    ("commands", "at_least"),
    [
        (started_by_the_image(), {"up"}),
        (started_by_compose(), {"migrate", "apply", "serve", "work"}),
        (started_by_the_chart(), {"migrate", "apply", "serve", "work"}),
    ],
    ids=["image", "compose", "chart"],
)
def test_every_command_that_is_started_exists_with_its_options(
    commands: list[list[str]], at_least: set[str]
) -> None:
    assert {name for name, *_ in commands} == at_least
    hookwright = group()
    context = click.Context(hookwright)
    for name, *arguments in commands:
        command = hookwright.get_command(context, name)
        assert command is not None, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in arguments if word.startswith("-")} <= options, (name, arguments)
