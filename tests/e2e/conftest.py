from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from examples.twins.launch import TwinProcess
from tests.e2e.construct_house import ConstructHouse, prepare_twins, write_constructs
from tests.e2e.house import House, Twins, write_configuration
from tests.servers import created_database
from tests.twin_forks import start_twin

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


@pytest.fixture(scope="module", params=["one_machine", "many_machines"])
def environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings of an installation of each kind, with what it needs beside its processes."""
    if request.param == "one_machine":
        yield {}
        return
    name = f"hw_{uuid4().hex}"
    with created_database(request.getfixturevalue("postgres_main_url"), name) as url:
        yield {
            "HOOKWRIGHT_DATABASE_URL": url,
            "HOOKWRIGHT_REDIS_URL": request.getfixturevalue("redis_url"),
            "HOOKWRIGHT_REDIS_NAMESPACE": name,
            "HOOKWRIGHT_SECRET_KEYS": "k" * 40,
        }


@pytest.fixture(scope="module")
def running_house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
    running_twins: Twins,
) -> Iterator[House]:
    """One house for all tests of a module, which may say that it POLLS."""
    running_twins.reset()
    directory = tmp_path_factory.mktemp("house")
    write_configuration(directory, running_twins, polls=getattr(request.module, "POLLS", False))
    with House(directory, environment).running() as house:
        yield house


@pytest.fixture
def house(running_house: House, twins: Twins) -> House:
    """The module's house, in which nothing is under way; its twins know nothing any more."""
    running_house.begin()
    # What was under way until now may have told them something.
    twins.reset()
    return running_house


@pytest.fixture(scope="session")
def construct_twins() -> Iterator[tuple[TwinProcess, TwinProcess]]:
    """GitHub and Slack without limits, for the houses of constructs."""
    with start_twin("github") as github, start_twin("slack") as slack:
        yield github, slack


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
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
    settings = {**environment, **getattr(request.module, "ENVIRONMENT", {})}
    with House(directory, settings).running() as house:
        yield ConstructHouse(house, github, slack)
