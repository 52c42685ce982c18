from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from examples.twins.launch import TwinProcess, start_twin
from tests.e2e.construct_house import ConstructHouse, prepare_twins, write_constructs
from tests.e2e.house import House, Twins, write_configuration
from tests.servers import created_database

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


@pytest.fixture(scope="session")
def construct_twins() -> Iterator[tuple[TwinProcess, TwinProcess]]:
    """GitHub and Slack without limits, for the houses of constructs."""
    with start_twin("github") as github, start_twin("slack") as slack:
        yield github, slack


@pytest.fixture(scope="module", params=["one_machine", "many_machines"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    construct_twins: tuple[TwinProcess, TwinProcess],
) -> Iterator[ConstructHouse]:
    """One house for all tests of a module.

    The module may set VARIABLES and REPLACED texts of documents, and ENVIRONMENT.
    """
    github, slack = construct_twins
    directory = tmp_path_factory.mktemp("site")
    prepare_twins(github, slack)
    variables, replaced = (getattr(request.module, name, {}) for name in ("VARIABLES", "REPLACED"))
    write_constructs(directory, github, slack, variables, replaced)
    environment = dict(getattr(request.module, "ENVIRONMENT", {}))
    house = House(directory, environment)
    with ExitStack() as stack:
        if request.param == "many_machines":
            name = f"hw_{uuid4().hex}"
            main_url = request.getfixturevalue("postgres_main_url")
            environment |= {
                "HOOKWRIGHT_DATABASE_URL": stack.enter_context(created_database(main_url, name)),
                "HOOKWRIGHT_REDIS_URL": request.getfixturevalue("redis_url"),
                "HOOKWRIGHT_REDIS_NAMESPACE": name,
                "HOOKWRIGHT_SECRET_KEYS": "k" * 40,
            }
            house.run("migrate")
            house.run("apply", "-f", "hookwright.yaml")
            house.start("serve")
            house.start("work")
        else:
            house.start("up")
        try:
            house.wait_ready()
            yield ConstructHouse(house, github, slack)
        finally:
            for name in list(house.processes):
                house.kill(name)
