"""What is answered 2xx is acted on, whatever the queue and the database go through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import REPOSITORY, House, Twins, send, signed, suite_run, write_configuration
from tests.servers import PostgresServer, RedisServer, wait_until

OUTAGE_S = 5.0

# Deadlines are for a machine that is busy with other things; nothing here waits for them.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["with_redis", "without_redis"])
def redis(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "without_redis":
        return {}
    server: RedisServer = request.getfixturevalue("redis_server")
    return {"HOOKWRIGHT_REDIS_URL": server.url}


@pytest.fixture
def many_machines(
    tmp_path: Path, twins: Twins, postgres_server: PostgresServer, redis: dict[str, str]
) -> Iterator[House]:
    twins.github.lever(
        "pulls",
        {"repo": REPOSITORY, "number": 42, "head_sha": "ab" * 20, "branch": "feature/checkout"},
    )
    write_configuration(tmp_path, twins)
    environment = {
        "HOOKWRIGHT_DATABASE_URL": postgres_server.url(),
        "HOOKWRIGHT_SECRET_KEYS": "k" * 40,
        **redis,
    }
    with House(tmp_path, environment).running() as house:
        yield house


@pytest.mark.parametrize("redis", ["with_redis"], indirect=True)
def test_a_delivery_that_came_while_redis_was_down_ends_as_it_should(
    many_machines: House, redis_server: RedisServer, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    redis_server.stop()
    began = time.monotonic()
    answer = send(many_machines, signed("run.failed", suite_run()))
    assert answer.status_code == 202
    assert time.monotonic() - began < 2
    wait_until(lambda: time.monotonic() - began > OUTAGE_S, OUTAGE_S + 1)
    redis_server.start()
    (run,) = many_machines.ended_runs("heal-failed-run")
    assert run["status"] == "succeeded", run["error"]
    (message,) = twins.slack.state()["messages"]  # type: ignore[misc]
    assert "Healed" in message["text"]


@pytest.mark.parametrize("redis", ["without_redis"], indirect=True)
def test_receiver_and_worker_that_share_only_the_database_do_the_whole_job(
    many_machines: House, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    assert send(many_machines, signed("run.failed", suite_run())).status_code == 202
    (run,) = many_machines.ended_runs("heal-failed-run")
    assert run["status"] == "succeeded", run["error"]
    assert "no_queue" in many_machines.log("serve")


@pytest.mark.parametrize("redis", ["with_redis"], indirect=True)
def test_a_database_that_is_away_during_a_call_costs_time_and_no_doubt(
    many_machines: House, postgres_server: PostgresServer, twins: Twins
) -> None:
    twins.checksum.lever("outcomes", {"runs": ["failed"], "heals": ["pr"]})
    twins.checksum.fault("slow", method="POST", path="*/execution/grep", delay_s=3, times=1)
    send(many_machines, signed("run.failed", suite_run()))
    twins.checksum.wait_for_calls(method="POST", path="*/execution/grep", timeout_s=60)
    postgres_server.kill()
    answer = send(many_machines, signed("run.failed", suite_run()))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    # The dispatch is answered while nobody can write the answer down.
    stopped = time.monotonic()
    wait_until(lambda: time.monotonic() - stopped > OUTAGE_S, OUTAGE_S + 1)
    postgres_server.start()
    (run,) = many_machines.ended_runs("heal-failed-run")
    assert run["status"] == "succeeded", run["error"]
    assert len(twins.checksum.effects(method="POST", path="*/execution/grep")) == 1
    assert len(twins.slack.state()["messages"]) == 1  # type: ignore[arg-type]
