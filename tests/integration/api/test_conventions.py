"""What holds for every answer: problems, tokens, limits, headers, health."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from schemas.jobs import Job
from service.db import Database
from service.errors import Unavailable
from service.tokens import Role, revoke_token
from service.unit_of_work import unit_of_work
from service.web.limits import Limiter
from tests.integration.api.conftest import ADMIN, NOW, QUEUE, Installation, make_delivery


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["instance"] == answer.request.url.path
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= problem.keys()
    return problem


# --- problems ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/nothing", "/runs/088dfb93-54ac-49b7-a37a-82bd76206b71", "/workflows/none"]
)
def test_what_is_not_there_is_a_problem(face: Installation, path: str) -> None:
    assert is_problem(face.client.get(path), 404)["type"] == "urn:hookwright:problem:not_found"


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(face: Installation) -> None:
    answer = face.client.delete("/runs")
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/runs?limit=0", "/query/limit"),
        ("/runs?limit=101", "/query/limit"),
        ("/runs?status=good", "/query/status"),
        ("/runs?statsu=failed", "/query/statsu"),
        ("/deliveries?since=2026-11-21T12:00:00", "/query/since"),
        ("/runs/no-uuid", "/path/run_id"),
    ],
)
def test_wrong_values_are_named(face: Installation, path: str, pointer: str) -> None:
    problem = is_problem(face.client.get(path), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["/events?subject=a%00b", "/deliveries?q=%00", "/workflows/a%00"])
def test_nul_is_refused_that_no_database_could_look_for(face: Installation, path: str) -> None:
    is_problem(face.client.get(path), 422)


@pytest.mark.parametrize("cursor", ["x", "%00", "é", "AAAA", "A" * 32, "A" * 100])
def test_a_cursor_that_is_none_is_refused(face: Installation, cursor: str) -> None:
    is_problem(face.client.get("/runs", params={"cursor": cursor}), 422)


def test_a_cursor_of_another_question_is_refused(face: Installation) -> None:
    face.save(*(make_delivery(str(number)) for number in range(3)))
    cursor = face.get("/deliveries", limit=1)["next_cursor"]
    is_problem(face.client.get("/events", params={"cursor": cursor}), 422)
    asked = {"cursor": cursor, "source": "github"}
    problem = is_problem(face.client.get("/deliveries", params=asked), 422)
    assert "other filters" in problem["detail"]


def test_a_mistake_of_ours_reveals_nothing(migrated: Database, serve: Callable[..., str]) -> None:
    def broken() -> Any:
        message = "the password is swordfish"
        raise RuntimeError(message)

    url = serve(migrated, clock=broken)
    answer = httpx.get(f"{url}/api/v1/runs", headers={"Authorization": "Bearer hw_x"})
    problem = is_problem(answer, 500)
    assert "swordfish" not in answer.text
    assert problem["fault"].startswith("flt_")
    assert problem["fault"] in problem["hint"]
    assert problem["type"] == "urn:hookwright:problem:internal_error"


def test_a_database_that_is_away_is_503_with_retry_after(serve: Callable[..., str]) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    url = serve(away)
    answer = httpx.get(f"{url}/api/v1/runs", headers={"Authorization": f"Bearer {ADMIN}"})
    is_problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    health = httpx.get(f"{url}/health/ready")
    assert health.status_code == 503
    assert health.json()["parts"]["database"] == "unavailable"
    away.dispose()


# --- tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer hw_unknown", "Basic aGk6aG8=", "hw_x"])
def test_without_a_token_nothing_is_told(face: Installation, header: str) -> None:
    answer = face.client.get("/runs", headers={"Authorization": header})
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_of_the_environment_is_an_administrators(face: Installation) -> None:
    answer = face.client.get("/runs", headers={"Authorization": f"Bearer {ADMIN}"})
    assert answer.status_code == 200


def test_an_expired_token_is_refused(face: Installation) -> None:
    token = face.token_of(Role.VIEWER, expires_at=NOW + timedelta(hours=1))
    headers = {"Authorization": f"Bearer {token}"}
    assert face.client.get("/runs", headers=headers).status_code == 200
    face.now[0] = NOW + timedelta(hours=1)
    is_problem(face.client.get("/runs", headers=headers), 401)


def test_a_revoked_token_is_refused(face: Installation) -> None:
    token = face.token_of(Role.OPERATOR)
    with unit_of_work(face.database, QUEUE) as work:
        revoke_token(work.session, token[:9], now=NOW)
    is_problem(face.client.get("/runs", headers={"Authorization": f"Bearer {token}"}), 401)


# --- headers ----------------------------------------------------------------------------------


def test_every_answer_of_the_api_carries_the_common_headers(face: Installation) -> None:
    for path in ("/runs", "/nothing", "/runs?limit=0"):
        headers = face.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["hookwright-version"] == "2026-11-01"
        assert int(headers["ratelimit-limit"]) == 1000
        assert 0 < int(headers["ratelimit-reset"]) <= 60


def test_the_request_id_of_the_caller_is_kept_when_it_is_one(face: Installation) -> None:
    kept = face.client.get("/runs", headers={"X-Request-Id": "ab-12.c_D"})
    assert kept.headers["x-request-id"] == "ab-12.c_D"
    made = face.client.get("/runs", headers={"X-Request-Id": 'x"><script>'})
    assert "script" not in made.headers["x-request-id"]


def test_another_version_of_the_api_is_refused(face: Installation) -> None:
    same = face.client.get("/runs", headers={"Hookwright-Version": "2026-11-01"})
    assert same.status_code == 200
    is_problem(face.client.get("/runs", headers={"Hookwright-Version": "2020-01-01"}), 400)


def test_who_asks_too_often_has_to_wait(migrated: Database, serve: Callable[..., str]) -> None:
    seconds = [0.0]
    url = serve(migrated, limiter=Limiter(limit=2, monotonic=lambda: seconds[0]))
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=f"{url}/api/v1", headers=headers) as client:
        remaining = [client.get("/runs").headers["ratelimit-remaining"] for _ in range(2)]
        refused = client.get("/runs")
        is_problem(refused, 429)
        assert (remaining, refused.headers["ratelimit-remaining"]) == (["1", "0"], "0")
        assert refused.headers["retry-after"] == "60"
        # Another caller is not hindered, and a new window lets the first one in again.
        assert client.get("/runs", headers={"Authorization": "Bearer x"}).status_code == 401
        seconds[0] = 60.0
        assert client.get("/runs").status_code == 200


# --- health and description -------------------------------------------------------------------


def test_health_tells_whether_the_tables_are_current(
    migrated: Database, empty_postgres_url: str, serve: Callable[..., str]
) -> None:
    good = httpx.get(f"{serve(migrated)}/health/ready")
    assert (good.status_code, good.json()["status"]) == (200, "ok")
    empty = Database(empty_postgres_url)
    url = serve(empty)
    bad = httpx.get(f"{url}/health")
    assert bad.status_code == 503
    assert bad.json()["parts"] == {"database": "ok", "migrations": "not current", "queue": "ok"}
    assert httpx.get(f"{url}/health/live").status_code == 200
    empty.dispose()


def test_a_queue_that_is_away_is_told_and_deliveries_are_still_taken(
    migrated: Database, serve: Callable[..., str]
) -> None:
    class Away:
        def ring(self, jobs: list[Job]) -> None:
            """Nobody hears it."""

        def room(self, _job: type[Job]) -> int:
            return 0

        def ping(self) -> None:
            raise Unavailable

    answer = httpx.get(f"{serve(migrated, queue=Away())}/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["parts"]["queue"] == "unavailable"


def test_the_api_describes_itself_and_loads_nothing_from_elsewhere(face: Installation) -> None:
    described = face.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    assert {"/api/v1/runs/{run_id}", "/hooks/{source}"} <= described["paths"].keys()
    for page in ("/docs", "/redoc", "/api/v1/docs"):
        answer = httpx.get(str(face.client.base_url.copy_with(path=page)))
        assert answer.status_code == 404
