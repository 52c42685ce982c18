"""The Checksum twin: runs by job name, heals by UUID, no idempotency."""

from uuid import UUID, uuid4

import httpx
import pytest

from examples.twins.launch import TwinProcess

REPO = "acme-co/my-tests"
PHASE_S = 1000


def heal_body(run_id: object) -> dict[str, object]:
    return {"testRunId": str(run_id), "repoName": REPO}


def add_failed_run(checksum: TwinProcess, **more: object) -> str:
    added = checksum.lever("runs", {"status": "failed", **more})
    assert isinstance(added, dict)
    return str(added["id"])


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "checksum-key"},
     {"ChecksumAppCode": "wrong"}],
)  # fmt: skip
def test_a_missing_or_wrong_key_is_401(checksum: TwinProcess, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{checksum.url}/public-api/v1/me", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "message"}


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer checksum-key"}, {"ChecksumAppCode": "checksum-key"}]
)
def test_both_ways_to_give_the_key_are_taken(
    checksum: TwinProcess, headers: dict[str, str]
) -> None:
    answer = httpx.get(f"{checksum.url}/public-api/v1/me", headers=headers, trust_env=False)
    assert answer.json() == {"id": "project-abc-123", "name": "My Project"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/execution/suite", None),
        ("/v1/execution/collection/checkout", {}),
        ("/v1/execution/tests", {"testIds": ["id1"]}),
        ("/v1/execution/grep", {"grep": "checkout"}),
    ],
)
def test_a_v1_run_goes_from_queued_to_running_to_its_end_without_telling_its_uuid(
    checksum: TwinProcess, checksum_api: httpx.Client, path: str, body: object
) -> None:
    dispatched = checksum_api.post(path, json=body) if body is not None else checksum_api.post(path)
    name = dispatched.json()["name"]
    assert dispatched.json() == {"name": name}
    status = f"/v1/execution/status/{name}"
    assert checksum_api.get(status).json() == {"status": "queued"}
    checksum.advance(PHASE_S)
    assert checksum_api.get(status).json() == {"status": "running"}
    checksum.advance(PHASE_S)
    ended = {"status": "passed", "passed": 5, "failed": 0, "recovered": 0, "bug": 0}
    assert checksum_api.get(status).json() == ended
    assert checksum_api.get(f"/v2/execution/status/{name}").status_code == 404


def test_a_v2_run_tells_its_uuid_only_when_it_has_ended(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    body = {"grep": "checkout", "branch": "main", "envOverrides": {"BASE_URL": "https://x"}}
    name = checksum_api.post("/v2/execution/grep", json=body).json()["name"]
    status = f"/v2/execution/status/{name}"
    assert "testRunId" not in checksum_api.get(status).json()
    checksum.advance(2 * PHASE_S)
    ended = checksum_api.get(status).json()
    run_id = str(UUID(ended["testRunId"]))
    assert ended["status"] == "passed"
    results = checksum_api.get(f"/v1/test-runs/{run_id}/results").json()
    assert (results["id"], results["branch"]) == (run_id, "main")
    verdict = checksum_api.get(f"/v1/execution/status/run/{run_id}").json()
    assert (verdict["isTerminal"], verdict["verdict"]) == (True, "pass")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/execution/tests", {}),
        ("/v1/execution/tests", {"testIds": []}),
        ("/v1/execution/tests", {"testIds": [1]}),
        ("/v1/execution/grep", {}),
        ("/v2/execution/grep", {"branch": "main"}),
        ("/v2/execution/grep", {"grep": "a", "autoHeal": {}}),
        ("/v2/execution/grep", {"grep": "a", "autoHeal": {"repoName": "my-tests"}}),
        ("/v2/execution/grep", {"grep": "a", "shards": 2, "autoHeal": {"repoName": REPO}}),
        ("/v1/execution/suite", [1]),
        ("/v1/auto-generate", {"prNumber": 1, "repoName": REPO}),
    ],
)
def test_a_body_that_does_not_fit_is_400_and_starts_nothing(
    checksum: TwinProcess, checksum_api: httpx.Client, path: str, body: object
) -> None:
    answer = checksum_api.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Bad Request"
    assert checksum.state()["runs"] == []


def test_broken_json_is_400(checksum_api: httpx.Client) -> None:
    assert checksum_api.post("/v1/execution/suite", content=b"{").status_code == 400


def test_what_is_not_known_is_404(checksum_api: httpx.Client) -> None:
    for path in (
        "/v1/execution/status/job-name-1",
        f"/v1/execution/status/run/{uuid4()}",
        f"/v1/test-runs/{uuid4()}/results",
        "/v1/test-runs/latest",
        "/v1/auto-heal/batch/batch-none",
        "/v1/nowhere",
    ):
        assert checksum_api.get(path).status_code == 404, path


def test_a_failed_run_is_healed_by_its_uuid(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    run_id = add_failed_run(checksum)
    answer = checksum_api.post("/v1/auto-heal", json=heal_body(run_id)).json()
    assert answer["failureCount"] == 2
    assert len(answer["sessionIds"]) == 1
    batch = f"/v1/auto-heal/batch/{answer['batchId']}"
    assert checksum_api.get(batch).json()["status"] == "pending"
    checksum.advance(PHASE_S)
    running = checksum_api.get(batch).json()
    assert (running["status"], running["allTerminal"]) == ("in_progress", False)
    assert (running["sessions"][0]["status"], running["sessions"][0]["prUrl"]) == ("running", None)
    checksum.advance(PHASE_S)
    ended = checksum_api.get(batch).json()
    assert (ended["status"], ended["allTerminal"], ended["testRunId"]) == (
        "completed",
        True,
        run_id,
    )
    assert ended["sessions"][0]["prUrl"] == f"https://github.com/{REPO}/pull/101"


def test_a_job_name_cannot_be_healed(checksum_api: httpx.Client) -> None:
    name = checksum_api.post("/v1/execution/suite").json()["name"]
    assert checksum_api.post("/v1/auto-heal", json=heal_body(name)).status_code == 400
    assert checksum_api.post("/v1/auto-heal", json=heal_body(uuid4())).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"repoName": None},
        {"repoName": "my-tests"},
        {"autoCreatePR": False, "repoName": None, "prNumber": 42},
        {"autoCreatePR": "yes"},
        {"prNumber": "42"},
        {"metadata": "text"},
    ],
)
def test_a_heal_that_does_not_fit_is_400(
    checksum: TwinProcess, checksum_api: httpx.Client, change: dict[str, object]
) -> None:
    body = heal_body(add_failed_run(checksum)) | change
    body = {name: value for name, value in body.items() if value is not None}
    assert checksum_api.post("/v1/auto-heal", json=body).status_code == 400
    assert checksum.state()["batches"] == []


def test_a_heal_without_pull_request_needs_no_repository(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    body = {"testRunId": add_failed_run(checksum), "autoCreatePR": False}
    answer = checksum_api.post("/v1/auto-heal", json=body)
    assert answer.status_code == 200
    checksum.advance(2 * PHASE_S)
    batch = checksum_api.get(f"/v1/auto-heal/batch/{answer.json()['batchId']}").json()
    assert batch["sessions"][0]["prUrl"] is None


def test_a_run_that_is_under_way_or_has_no_failures_is_not_healed(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum_api.post("/v1/execution/suite")
    latest = checksum_api.get("/v1/test-runs/latest").json()["id"]
    assert checksum_api.post("/v1/auto-heal", json=heal_body(latest)).status_code == 400
    checksum.advance(2 * PHASE_S)
    assert checksum_api.post("/v1/auto-heal", json=heal_body(latest)).status_code == 400


def test_healing_the_same_run_twice_makes_two_batches(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    body = heal_body(add_failed_run(checksum))
    first, second = (checksum_api.post("/v1/auto-heal", json=body).json() for _ in range(2))
    assert first["batchId"] != second["batchId"]
    assert len(checksum.effects(path="/auto-heal")) == 2


def test_a_batch_shows_failed_while_other_sessions_still_run(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.lever("outcomes", {"heals": [{"sessions": ["failed", "pr"]}]})
    body = heal_body(add_failed_run(checksum))
    batch_id = checksum_api.post("/v1/auto-heal", json=body).json()["batchId"]
    checksum.advance(2 * PHASE_S)
    early = checksum_api.get(f"/v1/auto-heal/batch/{batch_id}").json()
    assert (early["status"], early["allTerminal"]) == ("failed", False)
    checksum.advance(PHASE_S)
    late = checksum_api.get(f"/v1/auto-heal/batch/{batch_id}").json()
    assert (late["completedCount"], late["failedCount"], late["allTerminal"]) == (1, 1, True)


def test_a_heal_of_bugs_alone_completes_without_a_pull_request(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.lever("outcomes", {"heals": ["bugs"]})
    body = heal_body(add_failed_run(checksum, failed=1, bug=1))
    batch_id = checksum_api.post("/v1/auto-heal", json=body).json()["batchId"]
    checksum.advance(2 * PHASE_S)
    batch = checksum_api.get(f"/v1/auto-heal/batch/{batch_id}").json()
    assert (batch["status"], batch["sessions"][0]["prUrl"]) == ("completed", None)


def test_a_session_for_each_failed_test_can_be_chosen(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.set(sessions="per-failure")
    answer = checksum_api.post("/v1/auto-heal", json=heal_body(add_failed_run(checksum))).json()
    assert len(answer["sessionIds"]) == answer["failureCount"] == 2


def test_a_run_with_auto_heal_that_fails_heals_by_itself_and_names_its_batch(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.lever("outcomes", {"runs": ["failed"]})
    body = {"grep": "checkout", "autoHeal": {"repoName": REPO, "prNumber": 42, "branch": "main"}}
    name = checksum_api.post("/v2/execution/grep", json=body).json()["name"]
    checksum.advance(2 * PHASE_S)
    failed = checksum_api.get(f"/v2/execution/status/{name}").json()
    assert failed["status"] == "failed"
    batch = checksum_api.get(f"/v1/auto-heal/batch/{failed['batchId']}").json()
    assert batch["testRunId"] == failed["testRunId"]
    checksum.advance(2 * PHASE_S)
    assert checksum_api.get(f"/v2/execution/status/{name}").json()["status"] == "healed"
    checksum.set(show_batch_id=False)
    assert "batchId" not in checksum_api.get(f"/v2/execution/status/{name}").json()


@pytest.mark.parametrize(("heal", "status"), [("failed", "failed"), ("bugs", "failed")])
def test_a_run_whose_own_heal_mends_nothing_stays_failed(
    checksum: TwinProcess, checksum_api: httpx.Client, heal: str, status: str
) -> None:
    checksum.lever("outcomes", {"runs": ["failed"], "heals": [heal]})
    body = {"grep": "checkout", "autoHeal": {"repoName": REPO}}
    name = checksum_api.post("/v2/execution/grep", json=body).json()["name"]
    checksum.advance(10 * PHASE_S)
    assert checksum_api.get(f"/v2/execution/status/{name}").json()["status"] == status


@pytest.mark.parametrize("status", ["passed", "process-error", "cancelled", "healed"])
def test_only_a_failed_run_heals_by_itself(
    checksum: TwinProcess, checksum_api: httpx.Client, status: str
) -> None:
    checksum.lever("outcomes", {"runs": [status]})
    checksum_api.post("/v1/execution/suite", json={"autoHeal": {"repoName": REPO}})
    checksum.advance(10 * PHASE_S)
    state = checksum.state()
    assert state["batches"] == []
    assert [run["status"] for run in state["runs"]] == [status]  # type: ignore[attr-defined]


def test_the_newer_dispatch_answer_and_sharded_runs(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    body = {"grep": "checkout", "shards": 4}
    sharded = checksum_api.post("/v2/execution/grep", json=body).json()
    assert (sharded["name"], sharded["sharded"]) == (None, True)
    status = checksum_api.get(f"/v1/execution/status/run/{sharded['runId']}").json()
    assert (status["isTerminal"], status["verdict"], status["phase"]) == (
        False,
        "pending",
        "queued",
    )
    checksum.set(dispatch_answer="run_id")
    plain = checksum_api.post("/v1/execution/suite").json()
    assert plain["name"] is not None
    assert plain["sharded"] is False
    assert UUID(plain["runId"])


def test_results_list_the_tests_and_filter_them(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    run_id = add_failed_run(checksum, passed=1, failed=2, bug=1, branch="release")
    results = checksum_api.get(f"/v1/test-runs/{run_id}/results").json()
    assert (results["branch"], len(results["tests"])) == ("release", 3)
    failed = checksum_api.get(f"/v1/test-runs/{run_id}/results?status=failed").json()["tests"]
    assert [("@bug" in test["tags"]) for test in failed] == [False, True]
    test_id = failed[0]["checksumTestId"]
    listed = checksum_api.get(f"/v1/test-runs/{run_id}/tests/{test_id}/attachments").json()
    assert {one["type"] for one in listed} == {"trace", "screenshot"}
    report = checksum_api.get(f"/v1/test-runs/{run_id}/report").json()
    assert run_id in report["url"]
    assert checksum_api.get("/v1/test-runs/latest").json()["id"] == run_id


def test_an_added_run_can_be_given_its_id_and_its_tests(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    run_id = str(uuid4())
    tests = [{"checksumTestId": "t1", "testTitle": "pays", "status": "failed"}]
    assert add_failed_run(checksum, id=run_id, tests=tests) == run_id
    results = checksum_api.get(f"/v1/test-runs/{run_id}/results").json()
    assert (results["failed"], results["tests"][0]["testTitle"]) == (1, "pays")


def test_generation_is_accepted_and_has_a_batch_of_its_own(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    body = {"prNumber": 42, "repoName": REPO, "branch": "feature/checkout"}
    accepted = checksum_api.post("/v1/auto-generate", json=body)
    assert accepted.status_code == 202
    batch_id = accepted.json()["batchId"]
    assert checksum_api.get(f"/v1/auto-heal/batch/{batch_id}").status_code == 404
    checksum.advance(2 * PHASE_S)
    batch = checksum_api.get(f"/v1/auto-generate/batch/{batch_id}").json()
    assert (batch["allTerminal"], batch["testRunId"]) == (True, None)


def test_bugs_are_filtered_and_paged(checksum: TwinProcess, checksum_api: httpx.Client) -> None:
    for number in range(3):
        checksum.lever("bugs", {"title": f"bug {number}", "severity": "critical", "tags": ["a"]})
    checksum.lever("bugs", {"title": "other", "severity": "minor"})
    bugs = "/v1/health-dashboard/bugs"
    found = checksum_api.get(bugs, params={"severity": "critical", "limit": 2, "offset": 2}).json()
    assert (found["total"], [bug["title"] for bug in found["bugs"]]) == (3, ["bug 2"])
    assert checksum_api.get(bugs, params={"tags": "a", "search": "BUG 1"}).json()["total"] == 1
    assert checksum_api.get(bugs, params={"limit": "many"}).status_code == 400


def test_a_bug_of_a_known_id_is_changed_and_many_can_be_added(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    checksum.lever("fill", {"bugs": 120})
    checksum.lever("bugs", {"id": "bug-7", "status": "fixed"})
    page = checksum_api.get("/v1/health-dashboard/bugs", params={"limit": 50, "offset": 100})
    assert (page.json()["total"], len(page.json()["bugs"])) == (120, 20)
    fixed = checksum_api.get("/v1/health-dashboard/bugs", params={"status": "fixed"}).json()
    assert [bug["id"] for bug in fixed["bugs"]] == ["bug-7"]


def test_a_selection_of_tests_starts_nothing(
    checksum: TwinProcess, checksum_api: httpx.Client
) -> None:
    answer = checksum_api.post("/v1/affected-tests", json={"changedFiles": ["a.ts"]})
    assert answer.json() == {"testIds": ["test-001"]}
    assert checksum.effects() == []
