"""The CheckView twin: cursors in headers, the organisation's limit, keys, unsigned webhooks."""

import time
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from examples.twins.launch import TwinError, TwinProcess
from tests.servers import wait_until
from tests.twin_forks import start_twin
from tests.twins.conftest import Receiver

PHASE_S = 1000
HOUR_S = 3600
FLOW = "abc-123"


@pytest.fixture(scope="module")
def process() -> Iterator[TwinProcess]:
    with start_twin("checkview") as twin:
        yield twin


@pytest.fixture
def checkview(process: TwinProcess, receiver: Receiver) -> TwinProcess:
    """Runs move only when the test moves the clock."""
    process.set(
        receiver=receiver.url,
        frequency="every",
        dialect="snake",
        lists="array",
        header="",
        scopes="read:organization write:organization",
        max_page=100,
        pace=PHASE_S,
    )
    process.limit("api", limit=60, window_s=60)
    process.clear_faults()
    process.reset()
    return process


@pytest.fixture
def api(checkview: TwinProcess) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer cvpat_demo"}
    with httpx.Client(
        base_url=f"{checkview.url}/api/v1", headers=headers, trust_env=False
    ) as client:
        yield client


def start(api: httpx.Client, key: str | None = None, flow: str = FLOW) -> dict[str, object]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = api.post(f"/test-flows/{flow}/run", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def fates(twin: TwinProcess) -> list[str]:
    return [entry["fate"] for entry in twin.lever("notifications", method="GET")]


def wait_for(receiver: Receiver, count: int) -> None:
    wait_until(lambda: len(receiver.received) >= count, what=f"{count} webhooks have come")
    assert len(receiver.received) == count


# --- who may call, and how often ----------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer cvpat_wrong"}])
def test_a_missing_or_wrong_token_is_a_problem(
    checkview: TwinProcess, headers: dict[str, str]
) -> None:
    answer = httpx.get(f"{checkview.url}/api/v1/websites", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "https://api.checkview.io/errors/unauthorized"
    assert (body["status"], body["instance"]) == (401, "/api/v1/websites")


def test_a_token_without_the_scope_is_403(checkview: TwinProcess, api: httpx.Client) -> None:
    checkview.set(scopes="read:organization")
    assert api.get("/test-flows").status_code == 200
    refused = api.post(f"/test-flows/{FLOW}/run")
    assert refused.status_code == 403
    assert "write:organization" in refused.json()["detail"]
    assert checkview.effects() == []


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
def test_health_needs_no_token_and_is_not_counted(
    checkview: TwinProcess, api: httpx.Client, path: str
) -> None:
    assert httpx.get(f"{checkview.url}{path}", trust_env=False).json() == {"status": "ok"}
    assert api.get("/websites").headers["x-ratelimit-remaining"] == "59"


def test_the_organisation_may_call_sixty_times_a_minute(
    checkview: TwinProcess, api: httpx.Client
) -> None:
    answers = [api.get("/websites") for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}
    assert [int(a.headers["x-ratelimit-remaining"]) for a in answers] == list(range(59, -1, -1))
    assert "retry-after" not in answers[-1].headers
    refused = api.get("/websites")
    assert refused.status_code == 429
    assert refused.json()["type"].endswith("/rate-limit-exceeded")
    assert refused.headers["x-ratelimit-limit"] == "60"
    wait_s = int(refused.headers["retry-after"])
    assert 0 < wait_s <= 60
    assert 0 < int(refused.headers["x-ratelimit-reset"]) - time.time() <= 61
    checkview.advance(wait_s)
    assert api.get("/websites").status_code == 200


def test_the_record_tells_when_each_call_came(checkview: TwinProcess, api: httpx.Client) -> None:
    for _ in range(3):
        api.get("/websites")
    times = [datetime.fromisoformat(str(call["at"])) for call in checkview.calls()]
    assert times == sorted(times)
    assert all(at.utcoffset() is not None for at in times)
    assert (times[-1] - times[0]).total_seconds() < 10


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", ["array", "data"])
def test_lists_page_by_cursors_in_headers(
    checkview: TwinProcess, api: httpx.Client, wrapped: str
) -> None:
    checkview.set(lists=wrapped)
    added = checkview.lever("runs", {"count": 45, "every_s": 60, "withheld": 45})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    sizes: list[int] = []
    while True:
        answer = api.get("/test-runs", params=cursor)
        rows = answer.json() if wrapped == "array" else answer.json()["data"]
        seen += [row["id"] for row in rows]
        sizes.append(len(rows))
        assert answer.headers["x-total-count"] == "45"
        if answer.headers["x-has-more"] == "false":
            break
        cursor = {"cursor": answer.headers["x-next-cursor"]}
    assert sizes == [20, 20, 5]
    assert seen == [run["id"] for run in reversed(added)]


def test_pages_stay_whole_while_rows_arrive(checkview: TwinProcess, api: httpx.Client) -> None:
    first = [run["id"] for run in checkview.lever("runs", {"count": 4, "every_s": 9})]
    page = api.get("/test-runs", params={"limit": 2})
    checkview.lever("runs", {"count": 3})
    cursor = page.headers["x-next-cursor"]
    rest = api.get("/test-runs", params={"limit": 2, "cursor": cursor})
    assert [row["id"] for row in page.json() + rest.json()] == list(reversed(first))
    assert rest.headers["x-has-more"] == "false"


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "many"}, {"cursor": "nonsense"}])
def test_a_page_that_cannot_be_read_is_a_problem(api: httpx.Client, params: dict[str, str]) -> None:
    answer = api.get("/test-runs", params=params)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("/bad-request")


def test_runs_are_narrowed_by_flow_and_status(checkview: TwinProcess, api: httpx.Client) -> None:
    checkview.lever("runs", {"count": 4, "statuses": ["failed", "passed"]})
    checkview.lever("runs", {"test_flow_id": "def-456", "statuses": ["passed"]})
    found = {
        query: len(api.get(f"/test-runs?{query}").json())
        for query in ("status=passed", f"test_flow_id={FLOW}&status=passed", "test_flow_id=def-456")
    }
    assert found == {"status=passed": 3, f"test_flow_id={FLOW}&status=passed": 2,
                     "test_flow_id=def-456": 1}  # fmt: skip


# --- runs and audits ----------------------------------------------------------------------------


def test_a_run_goes_from_queued_to_running_to_its_end(
    checkview: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    checkview.lever("outcomes", {"runs": ["failed"]})
    run = start(api)
    address = f"/test-runs/{run['id']}"
    assert (run["status"], run["started_at"], run["finished_at"]) == ("queued", None, None)
    checkview.advance(PHASE_S)
    running = api.get(address).json()
    assert (running["status"], running["finished_at"]) == ("running", None)
    checkview.advance(PHASE_S)
    ended = api.get(address).json()
    assert (ended["status"], ended["error"]) == ("failed", "Element not found")
    assert ended["test_flow"] == {"id": FLOW, "name": "Contact form"}
    wait_for(receiver, 1)
    assert receiver.json()["test_run"]["id"] == run["id"]


def test_an_audit_is_started_for_a_website_or_an_address(
    checkview: TwinProcess, api: httpx.Client
) -> None:
    by_id = api.post("/ux-audits", json={"website_id": "w-1"}).json()
    by_url = api.post("/ux-audits", json={"url": "https://other.example.com"}).json()
    assert (by_id["status"], by_id["url"], by_id["score"]) == (
        "queued",
        "https://example.com",
        None,
    )
    checkview.advance(2 * PHASE_S)
    listed = api.get("/ux-audits").json()
    assert [one["id"] for one in listed] == [by_url["id"], by_id["id"]]
    assert {one["status"] for one in listed} == {"completed"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/test-flows/none/run", None, 404),
        ("/ux-audits", {}, 400),
        ("/ux-audits", {"website_id": 1}, 400),
        ("/ux-audits", {"website_id": "none"}, 404),
        ("/test-flows", {}, 405),
    ],
)
def test_what_cannot_be_done_is_a_problem(
    checkview: TwinProcess, api: httpx.Client, path: str, body: object, status: int
) -> None:
    answer = api.post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert checkview.effects() == []


def test_a_key_gives_one_run_for_sixty_minutes(checkview: TwinProcess, api: httpx.Client) -> None:
    first = start(api, "key-1")
    checkview.advance(HOUR_S - 5)
    assert start(api, "key-1")["id"] == first["id"]
    assert start(api, "key-2")["id"] != first["id"]
    assert len(checkview.effects(path="/test-flows/*/run")) == 2
    checkview.advance(6)
    assert start(api, "key-1")["id"] != first["id"]


# --- webhooks -----------------------------------------------------------------------------------


def test_webhooks_are_unsigned_and_name_the_run(checkview: TwinProcess, receiver: Receiver) -> None:
    (run,) = checkview.lever("runs", {"id": "run-77"})
    assert (run["id"], run["fate"]) == ("run-77", "sent")
    body = receiver.json()
    assert (body["event"], body["test_run"]["status"]) == ("test_flow.failed", "failed")
    assert body["website"] == {"id": "w-1", "url": "https://example.com"}
    assert not [name for name in receiver.headers() if "signature" in name]


def test_the_receivers_address_carries_the_path_token(
    checkview: TwinProcess, receiver: Receiver
) -> None:
    checkview.set(receiver=f"{receiver.url}/t0ken")
    (run,) = checkview.lever("runs", {})
    assert run["fate"] == "sent"
    assert len(receiver.received) == 1


def test_a_custom_header_goes_with_every_webhook(
    checkview: TwinProcess, receiver: Receiver
) -> None:
    checkview.set(header="X-Hook-Token", secret="let-me-in")
    checkview.lever("runs", {})
    assert receiver.headers()["x-hook-token"] == "let-me-in"


def test_members_may_be_written_in_camel_case(
    checkview: TwinProcess, api: httpx.Client, receiver: Receiver
) -> None:
    checkview.set(dialect="camel")
    (run,) = checkview.lever("runs", {})
    assert receiver.json()["testRun"]["finishedAt"]
    assert api.get(f"/test-runs/{run['id']}").json()["testFlow"]["id"] == FLOW


@pytest.mark.parametrize(
    ("frequency", "told"),
    [
        ("every", ["passed", "failed", "failed", "error", "passed", "passed"]),
        ("once", ["failed", "passed"]),
        ("every-fail", ["failed", "failed", "error", "passed"]),
    ],
)
def test_the_frequency_decides_which_ends_are_told(
    checkview: TwinProcess, frequency: str, told: list[str]
) -> None:
    checkview.set(frequency=frequency)
    ends = ["passed", "failed", "failed", "error", "cancelled", "passed", "passed"]
    for end in ends:
        checkview.lever("runs", {"statuses": [end]})
    record = checkview.lever("notifications", method="GET")
    assert [entry["status"] for entry in record] == ends
    assert [entry["status"] for entry in record if entry["fate"] == "sent"] == told


def test_a_flow_may_have_a_frequency_of_its_own(checkview: TwinProcess) -> None:
    checkview.lever("flows", {"id": "quiet", "frequency": "once"})
    for _ in range(2):
        checkview.lever("runs", {"test_flow_id": "quiet"})
        checkview.lever("runs", {})
    assert fates(checkview) == ["sent", "sent", "not_due", "sent"]


def test_a_webhook_can_lie(checkview: TwinProcess, api: httpx.Client, receiver: Receiver) -> None:
    (run,) = checkview.lever("runs", {"statuses": ["passed"], "told": "failed"})
    assert receiver.json()["test_run"]["status"] == "failed"
    assert api.get(f"/test-runs/{run['id']}").json()["status"] == "passed"


def test_webhooks_are_withheld_evenly_and_the_record_says_which(
    checkview: TwinProcess, receiver: Receiver
) -> None:
    added = checkview.lever("runs", {"count": 100, "withheld": 5, "every_s": 1})
    withheld = {run["id"] for run in added if run["fate"] == "withheld"}
    assert len(withheld) == 5
    told = {entry["test_run_id"]: entry["fate"] for entry in checkview.state()["notifications"]}
    assert {run_id for run_id, fate in told.items() if fate == "withheld"} == withheld
    assert len(receiver.received) == 95


def test_a_failed_webhook_is_never_tried_again(checkview: TwinProcess, receiver: Receiver) -> None:
    receiver.answers = [503]
    checkview.lever("runs", {})
    (entry,) = checkview.lever("notifications", method="GET")
    assert entry["answer"]["status"] == 503
    checkview.lever("runs", {})
    assert len(receiver.received) == 2


def test_any_body_can_be_sent_by_hand(checkview: TwinProcess, receiver: Receiver) -> None:
    checkview.lever("send", {"overrides": {"test_run": {"id": "run-x"}}, "repeat": 2})
    assert len({body for _, body in receiver.received}) == 1
    assert receiver.json()["test_run"]["id"] == "run-x"
    checkview.lever("send", {"raw": "not JSON"})
    assert receiver.body() == b"not JSON"


def test_levers_refuse_what_they_do_not_know(checkview: TwinProcess) -> None:
    for lever, body in (
        ("runs", {"test_flow_id": "none"}),
        ("runs", {"statuses": ["great"]}),
        ("flows", {"id": "x", "website_id": "none"}),
    ):
        with pytest.raises(TwinError):
            checkview.lever(lever, body)


def test_without_a_receiver_nothing_is_sent(checkview: TwinProcess) -> None:
    checkview.set(receiver=None)
    checkview.lever("runs", {})
    assert fates(checkview) == ["no_receiver"]
    with pytest.raises(TwinError):
        checkview.lever("send", {})


def test_a_reset_forgets_everything(checkview: TwinProcess, api: httpx.Client) -> None:
    start(api, "key-1")
    checkview.lever("runs", {})
    checkview.reset()
    state = checkview.state()
    assert (state["test_runs"], state["notifications"]) == ([], [])
    assert len(state["test_flows"]) == 2
