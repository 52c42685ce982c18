"""The VibeView twin: runs, credit, and webhooks under every assumed scheme."""

import base64
import hashlib
import hmac
import json

import httpx
import pytest

from examples.twins.launch import TwinProcess

PHASE_S = 1000
METADATA = {"pr_number": 42, "repo": "acme-co/webapp"}


def start(api: httpx.Client, call: str, **body: object) -> dict[str, object]:
    answer = api.post(f"/ci/{call}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer tok_wrong"}])
def test_a_missing_or_wrong_token_is_401(vibeview: TwinProcess, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{vibeview.url}/api/v1/credits/balance", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("viewer", [200, 403, 403]), ("developer", [200, 200, 403]), ("admin", [200, 200, 200])],
)
def test_roles_allow_what_the_reference_says(
    vibeview: TwinProcess, vibeview_api: httpx.Client, role: str, statuses: list[int]
) -> None:
    vibeview.set(role=role)
    answers = [
        vibeview_api.get("/credits/balance"),
        vibeview_api.post("/ci/run-suite", json={"suite_id": "suite_abc123"}),
        vibeview_api.post("/credits/topup", json={"bundle_key": "bundle_10"}),
    ]
    assert [answer.status_code for answer in answers] == statuses


def test_a_suite_run_goes_from_pending_to_running_to_its_end(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    vibeview.lever("outcomes", {"runs": [{"status": "failed", "visual_regression_status": "warn"}]})
    run_id = start(vibeview_api, "run-suite", suite_id="suite_abc123", metadata=METADATA)["run_id"]
    pending = vibeview_api.get(f"/ci/runs/{run_id}").json()
    assert (pending["status"], "queue" in pending) == ("pending", True)
    vibeview.advance(PHASE_S)
    running = vibeview_api.get(f"/ci/runs/{run_id}").json()
    assert (running["status"], running["finished_at"]) == ("running", None)
    vibeview.advance(PHASE_S)
    ended = vibeview_api.get(f"/ci/runs/{run_id}").json()
    assert (ended["type"], ended["status"]) == ("suite_run", "failed")
    assert ended["visual_regression_status"] == "warn"
    assert [case["status"] for case in ended["case_runs"]] == ["passed", "passed", "failed"]
    listed = vibeview_api.get("/tests/suites").json()
    assert [one["last_run_status"] for one in listed] == ["failed", None]


def test_a_test_run_has_steps_and_a_record(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    run_id = start(vibeview_api, "run-test", test_id="test_abc123_1")["run_id"]
    vibeview.advance(2 * PHASE_S)
    ended = vibeview_api.get(f"/ci/runs/{run_id}").json()
    assert (ended["type"], ended["steps"][0]["status"]) == ("test_run", "passed")
    record = vibeview_api.get(f"/tests/runs/{run_id}").json()
    assert (record["public_id"], record["status"]) == (run_id, "passed")
    assert vibeview_api.get("/tests/runs/tr_none").status_code == 404


def test_a_run_of_several_suites_takes_the_worst_of_its_children(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    vibeview.lever(
        "outcomes", {"runs": ["failed", {"status": "passed", "visual_regression_status": "fail"}]}
    )
    started = start(vibeview_api, "run-suites", tags=["smoke"], commit_sha="abc123")
    assert started["matched_suite_ids"] == ["suite_abc123", "suite_def456"]
    address = str(started["status_url"]).removeprefix("/api/v1")
    assert vibeview_api.get(address).json()["status"] == "pending"
    vibeview.advance(PHASE_S)
    running = vibeview_api.get(address).json()
    assert (running["status"], running["completed_at"]) == ("running", None)
    assert running["visual_regression_status"] is None
    vibeview.advance(PHASE_S)
    ended = vibeview_api.get(address).json()
    assert (ended["status"], ended["visual_regression_status"]) == ("failed", "fail")
    assert ended["commit_sha"] == "abc123"
    assert [one["failed"] for one in ended["suite_runs"]] == [1, 0]


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("run-suite", {}, 422),
        ("run-suite", {"suite_id": "suite_none"}, 404),
        ("run-suite", {"suite_id": "suite_abc123", "mode": "fast"}, 422),
        ("run-suite", {"suite_id": "suite_abc123", "metadata": []}, 422),
        (
            "run-suite",
            {"suite_id": "suite_abc123", "device_category": "tv", "device_id": "d"},
            422,
        ),
        ("run-suite", {"suite_id": "suite_abc123", "build_id": 99}, 404),
        ("run-suite", {"suite_id": "suite_abc123", "build_id": 8}, 403),
        ("run-test", {"test_id": "test_none"}, 404),
        ("run-suites", {"tags": []}, 422),
        ("run-suites", {"tags": ["Not Good"]}, 422),
        ("run-suites", {"tags": ["smoke"] * 21}, 422),
        ("run-suites", {"tags": ["nothing"]}, 404),
        ("run-suites", {"tags": ["login", "visual"], "match": "all"}, 404),
    ],
)
def test_a_start_that_does_not_fit_is_refused(
    vibeview: TwinProcess, vibeview_api: httpx.Client, call: str, body: object, status: int
) -> None:
    answer = vibeview_api.post(f"/ci/{call}", json=body)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], list if status == 422 else str)
    assert vibeview.effects() == []


def test_suites_are_listed_by_tag(vibeview: TwinProcess, vibeview_api: httpx.Client) -> None:
    vibeview.lever("suites", {"id": "suite_x", "name": "X", "tags": ["slow"]})
    names = {
        query: [one["id"] for one in vibeview_api.get(f"/ci/list-suites{query}").json()]
        for query in ("", "?tags=slow,login", "?tags=smoke,visual&match=all")
    }
    assert names == {
        "": ["suite_abc123", "suite_def456", "suite_x"],
        "?tags=slow,login": ["suite_abc123", "suite_x"],
        "?tags=smoke,visual&match=all": ["suite_def456"],
    }


def test_a_hundred_calls_a_minute_are_answered_and_no_more(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    statuses = [vibeview_api.get("/credits/balance").status_code for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    refused = vibeview_api.get("/credits/balance")
    assert isinstance(refused.json()["detail"], str)
    assert "retry-after" not in refused.headers
    vibeview.set(retry_after=True)
    assert "retry-after" in vibeview_api.get("/credits/balance").headers
    vibeview.advance(60)
    assert vibeview_api.get("/credits/balance").status_code == 200


def test_the_balance_can_be_set_and_tells_when_it_is_low(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    assert vibeview_api.get("/credits/balance").json()["low_balance"] is False
    vibeview.lever("balance", {"allowance_micro": 100, "prepaid_micro": 0})
    low = vibeview_api.get("/credits/balance").json()
    assert (low["allowance_micro"], low["low_balance"]) == (100, True)
    vibeview.lever("balance", {"low_balance": False, "plan_period_end": None})
    shown = vibeview_api.get("/credits/balance").json()
    assert (shown["low_balance"], shown["plan_period_end"]) == (False, None)


def test_the_ledger_comes_newest_first_in_pages(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    for amount in (-100, -200, 5_000_000):
        kind = "usage_deduction" if amount < 0 else "prepaid_topup"
        bucket = "allowance" if amount < 0 else "prepaid"
        entry = {"entry_type": kind, "amount_micro": amount, "balance_bucket": bucket}
        vibeview.lever("ledger", {**entry, "apply": True})
    page = vibeview_api.get("/credits/ledger", params={"limit": 2}).json()
    assert (page["total"], [one["amount_micro"] for one in page["entries"]]) == (
        3,
        [5_000_000, -200],
    )
    assert "apply" not in page["entries"][0]
    balance = vibeview_api.get("/credits/balance").json()
    assert (balance["allowance_micro"], balance["prepaid_micro"]) == (749_700, 10_000_000)
    assert vibeview_api.get("/usage/dashboard").json()["ai_cost_micro"] == 300
    assert vibeview_api.get("/credits/ledger", params={"limit": 101}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"bundle_key": "bundle_10"}, 200),
        ({"amount_usd": 5}, 200),
        ({"amount_usd": 4}, 400),
        ({"amount_usd": 501}, 400),
        ({"bundle_key": "bundle_11"}, 400),
        ({}, 400),
        ({"bundle_key": "bundle_10", "amount_usd": 5}, 400),
        ({"amount_usd": "much"}, 422),
    ],
)
def test_a_top_up_ends_in_a_link(vibeview_api: httpx.Client, body: object, status: int) -> None:
    answer = vibeview_api.post("/credits/topup", json=body)
    assert answer.status_code == status
    assert ("url" in answer.json()) == (status == 200)


def test_subscriptions_are_replaced_as_a_whole(vibeview_api: httpx.Client) -> None:
    catalog = vibeview_api.get("/integrations/events/catalog").json()
    on = [one["type"] for one in catalog if one["default"]]
    address = "/integrations/webhooks/1/subscriptions"
    assert vibeview_api.get(address).json() == {"event_types": on}
    assert "visual.regression_warning" not in on
    wanted = {"event_types": ["visual.regression_warning"]}
    assert vibeview_api.put(address, json=wanted).json() == wanted
    assert vibeview_api.get(address).json() == wanted
    unknown = vibeview_api.put(address, json={"event_types": ["run.exploded"]})
    assert unknown.status_code == 400
    assert vibeview_api.get(address.replace("/1/", "/2/")).status_code == 404


def _hex(secret: bytes, content: bytes) -> str:
    return hmac.new(secret, content, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "scheme", ["sha256-body", "t-v1", "sha256-timestamp-body", "standard", "svix"]
)
def test_a_webhook_is_signed_as_configured(vibeview: TwinProcess, receiver, scheme: str) -> None:
    vibeview.set(scheme=scheme)
    vibeview.lever("send", {"event": "run.failed", "timestamp": 1767225600})
    headers, body = receiver.received[0]
    secret, ts = b"vibeview-webhook-secret", b"1767225600"
    signature = headers.get("x-vibeview-signature")
    event_id = str(receiver.json()["id"])
    if scheme == "sha256-body":
        assert signature == "sha256=" + _hex(secret, body)
    elif scheme == "t-v1":
        assert signature == "t=1767225600,v1=" + _hex(secret, ts + b"." + body)
    elif scheme == "sha256-timestamp-body":
        assert headers["x-vibeview-timestamp"] == "1767225600"
        assert signature == "sha256=" + _hex(secret, ts + b"." + body)
    else:
        prefix = "webhook" if scheme == "standard" else "svix"
        content = event_id.encode() + b"." + ts + b"." + body
        digest = base64.b64encode(hmac.digest(secret, content, "sha256")).decode()
        assert headers[f"{prefix}-id"] == event_id
        assert headers[f"{prefix}-timestamp"] == "1767225600"
        assert headers[f"{prefix}-signature"] == f"v1,{digest}"
    assert headers["x-vibeview-event"] == receiver.json()["event"] == "run.failed"


def test_an_event_can_be_overridden_member_by_member(vibeview: TwinProcess, receiver) -> None:
    overrides = {"id": "evt_1", "data": {"metadata": {"branch": "main"}, "case_runs": []}}
    vibeview.lever("send", {"event": "run.failed", "overrides": overrides, "delivery_id": "d-1"})
    sent = receiver.json()
    data = sent["data"]
    assert isinstance(data, dict)
    assert (sent["id"], sent["event"]) == ("evt_1", "run.failed")
    assert data["metadata"] == {**METADATA, "branch": "main"}
    assert (data["case_runs"], data["status"]) == ([], "failed")
    assert receiver.headers()["x-vibeview-delivery"] == "d-1"


def test_a_billing_event_carries_the_balance(vibeview: TwinProcess, receiver) -> None:
    vibeview.lever("balance", {"allowance_micro": 7, "prepaid_micro": 0})
    vibeview.lever("send", {"event": "billing.credits_low"})
    data = receiver.json()["data"]
    assert isinstance(data, dict)
    assert (data["allowance_micro"], data["low_balance"]) == (7, True)


def test_an_event_that_is_not_subscribed_can_be_held_back(vibeview: TwinProcess, receiver) -> None:
    event = {"event": "visual.regression_warning", "only_subscribed": True}
    assert vibeview.lever("send", event) == []
    assert receiver.received == []


def test_a_failed_delivery_is_tried_again_and_listed(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver
) -> None:
    vibeview.set(pace=0.01)
    receiver.answers = [503, 500]
    vibeview.lever("send", {"event": "run.passed", "delivery_id": "d-1"})
    assert len(receiver.received) == 3
    assert len({body for _, body in receiver.received}) == 1
    listed = vibeview_api.get("/integrations/webhooks/1/deliveries").json()
    assert listed["total"] == 1
    row = listed["deliveries"][0]
    assert (row["id"], row["event_type"], row["attempt"]) == ("d-1", "run.passed", 3)
    assert (row["status"], row["response_code"]) == ("delivered", 202)
    assert row["response_excerpt"] == '{"status":"stored"}'


def test_a_refused_delivery_is_not_tried_again(vibeview: TwinProcess, receiver) -> None:
    receiver.answers = [401]
    (sent,) = vibeview.lever("send", {"event": "run.passed"})  # type: ignore[misc]
    assert (sent["status"], sent["response_code"], sent["attempt"]) == ("failed", 401, 1)


def test_a_redelivery_has_the_same_event_id_and_a_new_delivery_id(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver
) -> None:
    vibeview.lever("send", {"event": "run.failed", "delivery_id": "d-1"})
    address = "/integrations/webhooks/1/deliveries/d-1/redeliver"
    assert vibeview_api.post(address).status_code == 200
    vibeview.set(redeliver_keeps_id=True)
    vibeview_api.post(address)
    first, second, third = (headers["x-vibeview-delivery"] for headers, _ in receiver.received)
    assert first == third == "d-1" != second
    assert len({body for _, body in receiver.received}) == 1
    assert vibeview_api.post(address.replace("d-1", "d-2")).status_code == 404


def test_a_new_secret_signs_from_now_on(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver
) -> None:
    secret = vibeview_api.post("/integrations/webhooks/1/regenerate-secret").json()["secret"]
    vibeview.lever("send", {"event": "run.failed"})
    expected = "sha256=" + _hex(secret.encode(), receiver.body())
    assert receiver.headers()["x-vibeview-signature"] == expected
    vibeview.set(scheme="standard")
    secret = vibeview_api.post("/integrations/webhooks/1/regenerate-secret").json()["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 24


def test_the_same_delivery_can_be_sent_many_times_at_once(vibeview: TwinProcess, receiver) -> None:
    sent = vibeview.lever("send", {"event": "run.failed", "repeat": 20})
    assert isinstance(sent, list)
    assert {one["response_code"] for one in sent} == {202}
    assert len({headers["x-vibeview-delivery"] for headers, _ in receiver.received}) == 1
    assert len({body for _, body in receiver.received}) == 1


def test_runs_announce_themselves_to_those_who_subscribed(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver, wait_until
) -> None:
    vibeview.set(announce_runs=True)
    outcome = {"status": "failed", "visual_regression_status": "warn"}
    vibeview.lever("outcomes", {"runs": [outcome]})
    started = start(
        vibeview_api, "run-suite", suite_id="suite_abc123", metadata=METADATA, commit_sha="abc"
    )
    vibeview.advance(2 * PHASE_S)
    wait_until(lambda: len(receiver.received) == 2)
    first, second = (json.loads(body) for _, body in receiver.received)
    assert first["event"] == "run.failed"
    assert second["event"] == "visual.run_completed_with_regressions"
    data = first["data"]
    assert (data["run_id"], data["status"]) == (started["run_id"], "failed")
    assert (data["metadata"], data["commit_sha"], data["failed"]) == (METADATA, "abc", 1)
    assert data["visual_regression_status"] == "warn"


def test_all_events_of_a_run_are_sent_when_all_are_wanted(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver, wait_until
) -> None:
    vibeview.set(announce_runs=True)
    wanted = {"event_types": ["run.started", "run.failed", "case.failed"]}
    vibeview_api.put("/integrations/webhooks/1/subscriptions", json=wanted)
    vibeview.lever("outcomes", {"runs": ["failed"]})
    start(vibeview_api, "run-suite", suite_id="suite_abc123")
    vibeview.advance(PHASE_S)
    wait_until(lambda: len(receiver.received) == 1)
    vibeview.advance(PHASE_S)
    wait_until(lambda: len(receiver.received) == 3)
    events = [headers["x-vibeview-event"] for headers, _ in receiver.received]
    assert events == ["run.started", "run.failed", "case.failed"]
    (case,) = receiver.json()["data"]["case_runs"]
    assert (case["case_name"], case["status"]) == ("Open profile", "failed")


# --- what happened, and what was told of it -------------------------------------------------------


def test_of_what_happened_some_is_withheld_and_all_is_on_record(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver
) -> None:
    asked = {"count": 40, "withheld": 5, "events": ["run.passed", "run.failed"]}
    told = vibeview.lever("happen", asked)
    assert isinstance(told, list)
    withheld = [index for index, one in enumerate(told) if one["withheld"]]
    assert withheld == [7, 15, 23, 31, 39], "spread evenly"
    came = {json.loads(body)["id"] for _, body in receiver.received}
    assert came == {one["event_id"] for one in told if not one["withheld"]}
    listed = vibeview_api.get("/integrations/webhooks/1/deliveries?limit=100").json()
    assert {row["id"] for row in listed["deliveries"]} == {one["delivery_id"] for one in told}
    failed = [row for row in listed["deliveries"] if row["status"] == "failed"]
    assert len(failed) == 5
    for one in told:
        run = vibeview_api.get(f"/ci/runs/{one['run_id']}").json()
        assert run["status"] == one["event"].removeprefix("run.")
    assert vibeview_state(vibeview)["happenings"] == told


def vibeview_state(vibeview: TwinProcess) -> dict[str, object]:
    answer = httpx.get(f"{vibeview.url}/_twin/state", trust_env=False)
    return answer.json()


def test_without_a_receiver_everything_is_withheld(vibeview: TwinProcess, receiver) -> None:
    vibeview.set(receiver=None)
    told = vibeview.lever("happen", {"count": 2})
    assert isinstance(told, list)
    assert [one["withheld"] for one in told] == [True, True]


@pytest.mark.parametrize("form", ["total", "object", "array"])
def test_deliveries_have_pages_and_the_form_that_is_set(
    vibeview: TwinProcess, vibeview_api: httpx.Client, form: str
) -> None:
    vibeview.set(receiver=None, deliveries_form=form)
    vibeview.lever("happen", {"count": 5, "withheld": 5})
    address = "/integrations/webhooks/1/deliveries"
    pages = [vibeview_api.get(f"{address}?limit=3&offset={offset}").json() for offset in (0, 3)]
    rows = [page if form == "array" else page["deliveries"] for page in pages]
    assert [len(page) for page in rows] == [3, 2]
    assert all(("total" in page) == (form == "total") for page in pages)
    vibeview.set(pages_deliveries=False)
    whole = vibeview_api.get(f"{address}?limit=3").json()
    assert len(whole if form == "array" else whole["deliveries"]) == 5


def test_the_list_of_webhooks_is_served_when_it_is_switched_on(
    vibeview: TwinProcess, vibeview_api: httpx.Client, receiver
) -> None:
    assert vibeview_api.get("/integrations/webhooks").status_code == 404
    vibeview.set(lists_webhooks=True)
    (hook,) = vibeview_api.get("/integrations/webhooks").json()["webhooks"]
    assert hook == {"id": "1", "url": receiver.url}


# --- suites, cases, sessions, apps ----------------------------------------------------------------


@pytest.mark.parametrize(("place", "statuses"), [("suite", [200, 404]), ("settings", [405, 200])])
def test_thresholds_are_where_one_of_the_two_pages_has_them(
    vibeview: TwinProcess, vibeview_api: httpx.Client, place: str, statuses: list[int]
) -> None:
    vibeview.set(thresholds_at=place)
    body = {"visual_regression_warn_pct": 3, "visual_regression_fail_pct": 9}
    address = "/tests/suites/suite_abc123"
    answers = [vibeview_api.patch(path, json=body) for path in (address, f"{address}/settings")]
    assert [answer.status_code for answer in answers] == statuses
    assert vibeview_api.get(address).json()["visual_regression_warn_pct"] == 3
    named = vibeview_api.patch(address, json={"name": "Sign in"})
    assert (named.status_code, named.json()["name"]) == (200, "Sign in")


def test_a_warning_above_the_failure_is_refused(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    body = {"visual_regression_warn_pct": 25}
    assert vibeview_api.patch("/tests/suites/suite_abc123", json=body).status_code == 400
    off = {"visual_regression_warn_pct": 25, "visual_regression_fail_pct": None}
    assert vibeview_api.patch("/tests/suites/suite_abc123", json=off).status_code == 200
    assert len(vibeview.effects()) == 1


def test_a_session_waits_when_no_device_is_free(vibeview_api: httpx.Client) -> None:
    answers = []
    for _ in range(4):
        session = vibeview_api.post("/sessions/", json={}).json()["id"]
        answers.append(vibeview_api.post(f"/sessions/{session}/start"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 202]
    queued = answers[3].json()
    assert (queued["status"], queued["position"]) == ("queued", 1)
    entry = queued["queue_entry_id"]
    assert vibeview_api.delete(f"/sessions/queue/{entry}").status_code == 200
    assert vibeview_api.post(f"/sessions/queue/{entry}/leave").status_code == 404


def test_ten_uploads_and_ai_runs_a_minute(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    session = vibeview_api.post("/sessions/", json={}).json()["id"]
    run = {"test_case_public_id": "test_abc123_1", "session_id": session}
    upload = {"file": ("app.ipa", b"x" * 10, "application/octet-stream")}
    address = "/apps/app_7hk2/builds"
    for _ in range(5):
        assert vibeview_api.post("/ai/test/run", json=run).status_code == 200
        built = vibeview_api.post(address, files=upload, data={"version": "5"})
        assert (built.status_code, built.json()["file_size"]) == (201, 10)
    assert vibeview_api.post("/ai/test/run", json=run).status_code == 429
    assert vibeview_api.post(address, files=upload).status_code == 429
    assert vibeview_api.get("/credits/balance").status_code == 200
    vibeview.advance(60)
    assert vibeview_api.post("/ai/test/run", json=run).status_code == 200


def test_a_suite_run_is_cancelled_by_its_number_only(
    vibeview: TwinProcess, vibeview_api: httpx.Client
) -> None:
    run_id = start(vibeview_api, "run-suite", suite_id="suite_abc123")["run_id"]
    number = vibeview_api.get(f"/tests/suite-runs/{run_id}").json()["id"]
    assert vibeview_api.post(f"/ai/suite/run/{run_id}/cancel").status_code == 404
    answer = vibeview_api.post(f"/ai/suite/run/{number}/cancel")
    assert answer.json() == {"status": "cancellation_requested"}
    assert vibeview_api.post(f"/ai/suite/run/{number}/cancel").status_code == 400
    assert vibeview_api.get(f"/ci/runs/{run_id}").json()["status"] == "cancelled"


def test_an_api_token_is_shown_once(vibeview_api: httpx.Client) -> None:
    address = "/organizations/1/api-tokens"
    made = vibeview_api.post(address, json={"label": "hooks", "role": "viewer"}).json()
    (row,) = vibeview_api.get(address).json()
    assert made["token"].startswith(row["token_prefix"])
    assert "token" not in row
    assert vibeview_api.delete(f"{address}/{made['id']}").status_code == 204
    assert vibeview_api.get("/organizations/2/api-tokens").status_code == 403
