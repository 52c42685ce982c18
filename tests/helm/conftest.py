"""The chart, rendered by the real Helm engine: no cluster, no binary, no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "hookwright"

Resource = dict[str, Any]
Render = Callable[[dict[str, Any]], list[Resource]]


@pytest.fixture(scope="session")
def render() -> Render:
    """`render(values)` gives the resources that Helm would send, hooks among them."""

    def render_chart(values: dict[str, Any]) -> list[Resource]:
        with helm_python.Chart.load(CHART) as chart:
            files = chart.render(values, name="prod", namespace="qa")
        return [
            resource
            for path, text in files.items()
            if path.endswith(".yaml")
            for resource in yaml.safe_load_all(text)
            if resource
        ]

    return render_chart
