"""A worker that is killed in the middle of any construct loses nothing and repeats nothing.

What is killed at random moments, and much else, is in tests/faults/test_campaign.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.construct_house import ConstructHouse
from tests.e2e.house import END_S
from tests.e2e.scene_list import every_scene
from tests.e2e.scenes import Scene
from tests.servers import wait_until

VARIABLES = {
    "condition-and-vars": {"team": "@web"},
    "sleep": {"pause": "15s"},
    "timeout": {"patience": "1m"},
    **{f"concurrency-{way}": {"work": "3s"} for way in ("queue", "replace", "skip")},
}
# Long enough that all are in their middle at once.
REPLACED = {
    "debounce": ("quiet: 1500ms", "quiet: 20s"),
    "coalesce": ("within: 3s", "within: 20s"),
    "throttle": ("per: 3s", "per: 20s"),
}
ENVIRONMENT = {"HOOKWRIGHT_WORKER_THREADS": "32"}

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def no_faults(site: ConstructHouse) -> Iterator[None]:
    yield
    site.github.clear_faults()
    site.slack.clear_faults()


def kill_and_start(site: ConstructHouse) -> None:
    """End the worker without a word; a new one begins."""
    worker = site.worker
    site.house.kill(worker)
    site.github.clear_faults()
    site.slack.clear_faults()
    site.house.start(worker)
    site.house.wait_ready()


def check_all(scenes: list[Scene]) -> None:
    for scene in scenes:
        scene.go_on()
    for scene in scenes:
        scene.check()
    # Nothing came afterwards either.
    for scene in scenes:
        scene.check_effects()


def test_a_worker_killed_in_the_middle_of_every_construct_loses_and_repeats_nothing(
    site: ConstructHouse,
) -> None:
    scenes = every_scene()
    for scene in scenes:
        scene.begin(site, holding=True)
    for scene in scenes:
        what = f"{scene.workflow} is in its middle"
        try:
            wait_until(scene.in_middle, END_S, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {scene.run()}") from error
    outside = [scene.run() for scene in scenes if not scene.in_middle()]
    assert outside == []
    kill_and_start(site)
    check_all(scenes)
