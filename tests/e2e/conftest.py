from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.twins.launch import start_twin
from tests.e2e.house import House, Twins, write_configuration

PACE_S = 0.15


@pytest.fixture(scope="session")
def running_twins() -> Iterator[Twins]:
    with ExitStack() as stack:
        yield Twins(
            **{
                name: stack.enter_context(start_twin(name, pace=PACE_S))
                for name in ("vibeview", "checksum", "github", "slack")
            }
        )


@pytest.fixture
def twins(running_twins: Twins) -> Twins:
    running_twins.reset()
    return running_twins


@pytest.fixture(params=["one_machine", "many_machines"])
def make_house(
    request: pytest.FixtureRequest, tmp_path: Path, twins: Twins
) -> Iterator[Callable[..., House]]:
    """`make_house(polls=…)` starts an installation; the test runs once on each kind."""
    houses: list[House] = []

    def make(**configuration: bool) -> House:
        write_configuration(tmp_path, twins, **configuration)
        if request.param == "one_machine":
            house = House(tmp_path, {})
            houses.append(house)
            house.start("up")
        else:
            house = House(
                tmp_path,
                {
                    "HOOKWRIGHT_DATABASE_URL": request.getfixturevalue("empty_postgres_url"),
                    "HOOKWRIGHT_REDIS_URL": request.getfixturevalue("redis_url"),
                    "HOOKWRIGHT_REDIS_NAMESPACE": request.getfixturevalue("redis_namespace"),
                    "HOOKWRIGHT_SECRET_KEYS": "k" * 40,
                },
            )
            houses.append(house)
            house.run("migrate")
            house.run("apply", "-f", "hookwright.yaml")
            house.start("serve")
            house.start("work")
        house.wait_ready()
        return house

    yield make
    for house in houses:
        for name in list(house.processes):
            house.kill(name)


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
