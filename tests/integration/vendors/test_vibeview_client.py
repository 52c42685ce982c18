"""VibeView's client against its twin: every listed call, long lists, limits, failures, refusals."""

from __future__ import annotations

from time import time
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from service.errors import RateLimited, Refused, TimedOut, VendorBroken
from service.vendors.vibeview import VENDOR
from service.vendors.vibeview.api.apps import MAX_BUILD_BYTES
from service.vendors.vibeview.client import RATES, VibeViewClient
from tests.integration.vendors.conftest import Caller, Start
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.vibeview import LISTED

KEY = "tok_vibeview_twin_key"
SUITE = "suite_abc123"
CASE = "test_abc123_1"


@pytest.fixture
def vibeview(twin: Start) -> TwinProcess:
    process = twin("vibeview")
    process.set(
        key=KEY,
        pace=1000,
        role="admin",
        receiver=None,
        retry_after=False,
        thresholds_at="suite",
        lists_webhooks=False,
        deliveries_form="total",
        pages_deliveries=True,
    )
    process.limit("api", limit=None)
    process.limit("costly", limit=None)
    return process


@pytest.fixture
def caller(vibeview: TwinProcess) -> Caller:
    return Caller(VENDOR, vibeview.url, {"api_token": KEY}, {"per_minute": 60_000})


@pytest.fixture
def client(caller: Caller) -> VibeViewClient:
    return VibeViewClient(caller.http)


# --- every call -----------------------------------------------------------------------------------


def use_webhooks(client: VibeViewClient, vibeview: TwinProcess) -> None:
    assert "run.failed" in {entry.type for entry in client.webhooks.catalog()}
    wanted = ["run.failed", "visual.regression_warning"]
    assert client.webhooks.replace_subscriptions("1", wanted) == wanted
    assert client.webhooks.subscriptions("1") == wanted
    secret = client.webhooks.regenerate_secret("1").get_secret_value()
    settings = vibeview.set()
    assert settings["secret"] == secret
    assert list(client.webhooks.deliveries("1")) == []
    with pytest.raises(Refused, match="Delivery not found"):
        client.webhooks.redeliver("1", "none")


def use_ci(client: VibeViewClient, vibeview: TwinProcess) -> None:
    started = client.ci.run_suite(SUITE, commit_sha="abc", mode="replay", metadata={"pr": 1})
    assert client.ci.run(started.run_id).status == "pending"
    assert client.ci.run(client.ci.run_test(CASE).run_id).type == "test_run"
    several = client.ci.run_suites(["smoke"], match="all", build_id=7)
    assert several.matched_suite_ids == ("suite_abc123", "suite_def456")
    assert len(client.ci.multi_suite_run(several.aggregate_id).suite_runs) == 2
    assert [suite.name for suite in client.ci.list_suites(tags=["login"])] == ["Login Flow"]


def use_suites(client: VibeViewClient, vibeview: TwinProcess) -> None:
    (checkout,) = client.suites.all(tags=["visual"], match="all")
    assert (checkout.public_id, checkout.case_count) == ("suite_def456", 2)
    changed = client.suites.change(SUITE, name="Sign in", tags=["smoke"], description="all of it")
    assert (changed.name, [tag.name for tag in changed.tags]) == ("Sign in", ["smoke"])
    limits = client.suites.set_thresholds(SUITE, warn_pct=5, fail_pct=None)
    assert limits.visual_regression_warn_pct == 5
    assert limits.visual_regression_fail_pct is None
    vibeview.set(thresholds_at="settings")
    client.suites.set_thresholds(SUITE, warn_pct=None, fail_pct=30)
    assert client.suites.one(SUITE).visual_regression_fail_pct == 30
    assert {tag.name: tag.suite_count for tag in client.suites.tags()} == {"smoke": 2, "visual": 1}
    document = client.suites.export_yaml(SUITE)
    assert document.startswith("name: Sign in\ncases:\n")
    for form in ("raw", "form", "json"):
        assert client.suites.import_yaml(document, app_id="app_7hk2", form=form).case_count == 3


def use_cases(client: VibeViewClient, vibeview: TwinProcess) -> None:
    assert CASE in {case.public_id for case in client.cases.all(reusable=False)}
    assert client.cases.all(reusable=True) == []
    case = client.cases.change(CASE, steps=["Open the app", {"text": "Tap"}], context="calm")
    assert (case.step_count, client.cases.one(CASE).step_list()[0]) == (2, "Open the app")
    with pytest.raises(Refused, match="case of a suite"):
        client.cases.change(CASE, is_reusable=True)
    client.ci.run_test(CASE)
    vibeview.advance(5000)
    assert {run.status for run in client.cases.runs(CASE)} == {"passed"}
    assert client.cases.create_run_record(CASE).status == "pending"
    assert [one.step_index for one in client.cases.baselines(CASE)] == [0, 1]
    assert client.cases.baseline_image(CASE, 1).startswith(b"\xff\xd8\xff")
    client.cases.delete("test_abc123_3")
    with pytest.raises(Refused, match="Test case not found"):
        client.cases.one("test_abc123_3")


def use_runs(client: VibeViewClient, vibeview: TwinProcess) -> None:
    session = client.sessions.create({"app_id": "app_7hk2"})
    assert session.id is not None
    started = client.runs.run_ai_test(CASE, session_id=session.id, mode="ai", fuzzy_match=True)
    run_id = started.run_public_id
    changed = client.runs.change(run_id, status="running", error_message="late", duration_ms=5)
    assert (changed.status, changed.error_message, changed.duration_ms) == ("running", "late", 5)
    assert client.runs.one(run_id).public_id == run_id
    assert client.runs.cancel(run_id).status == "cancellation_requested"
    suite = client.runs.run_ai_suite(SUITE, session_id=session.id)
    assert client.runs.suite_run(suite.suite_run_public_id).id == suite.suite_run_id
    assert suite.suite_run_id is not None
    assert client.runs.cancel_ai_suite(suite.suite_run_id).status == "cancellation_requested"
    with pytest.raises(Refused, match="not active"):
        client.runs.cancel_ai_suite(suite.suite_run_id)


def use_sessions(client: VibeViewClient, vibeview: TwinProcess) -> None:
    assert [device.device_id for device in client.devices.all(category="tablet")] == ["device-3"]
    assert len(client.devices.all(device_type="ios")) == 3
    sessions = [str(client.sessions.create().id) for _ in range(5)]
    begun = [client.sessions.start(one) for one in sessions]
    assert [one.is_queued for one in begun] == [False, False, False, True, True]
    assert [one.position for one in begun[3:]] == [1, 2]
    assert sum(pool.free or 0 for pool in client.devices.pools()) == 0
    first, second = (one.queue_entry_id for one in begun[3:])
    assert first is not None
    assert second is not None
    client.sessions.leave_queue(first)
    client.sessions.leave_queue_by_post(second)
    client.sessions.stop(sessions[0])
    assert sum(pool.free or 0 for pool in client.devices.pools()) == 1


def use_account(client: VibeViewClient, vibeview: TwinProcess) -> None:
    test = client.ai.generate_test([{"tap": 1}, {"tap": 2}], app_name="Shop")
    assert [step.source_action_index for step in test.steps] == [0, 1]
    assert client.ai.config().default_provider == "vibeview"
    assert [model.is_own_key for model in client.ai.models()] == [False, True]
    assert client.ai.usage().total.runs_count is not None
    (app,) = client.apps.all(platform="ios")
    build = client.apps.upload_build(
        "app_7hk2", b"\x00\r\n--x" * 9, filename='my "app".ipa', version="5", note="a\r\nb"
    )
    assert (build.version, build.file_size, build.metadata) == ("5", 54, {"note": "a\r\nb"})
    assert len(client.apps.one(str(app.id)).builds) == len(app.builds) + 1
    (organisation,) = client.organisations.all()
    own = str(organisation.id)
    made = client.organisations.create_api_token(own, label="hooks", role="admin")
    assert made.token.get_secret_value().startswith("tok_")
    assert made.token.get_secret_value() not in repr(made)
    assert [token.label for token in client.organisations.api_tokens(own)] == ["hooks"]
    client.organisations.delete_api_token(own, str(made.id))
    assert [one.action for one in client.organisations.audit_events(own)] == ["api_token.created"]
    answer = client.organisations.set_session_defaults(own, allow_streaming_overage=False)
    assert answer.allow_streaming_overage is False


def use_credit(client: VibeViewClient, vibeview: TwinProcess) -> None:
    balance = client.credits.balance()
    assert (balance.total_micro, balance.bundles[0]["bundle_key"]) == (5_750_000, "bundle_10")
    assert client.credits.topup(bundle_key="bundle_10").url.startswith("https://checkout.")
    assert list(client.credits.ledger()) == []
    usage = client.credits.usage()
    assert (usage.plan_name, usage.ai_tokens_byok.limit) == ("Starter", None)


AREAS = (
    use_webhooks,
    use_ci,
    use_suites,
    use_cases,
    use_runs,
    use_sessions,
    use_account,
    use_credit,
)


def test_every_listed_call_is_made(vibeview: TwinProcess, client: VibeViewClient) -> None:
    for use in AREAS:
        use(client, vibeview)
    calls = vibeview.calls()
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])


# --- long lists -----------------------------------------------------------------------------------


def test_a_ledger_of_1050_rows_is_read_page_by_page(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.lever("ledger", {"amount_micro": -1, "count": 1050})
    ids = [entry.id for entry in client.credits.ledger()]
    assert ids == [str(number) for number in range(1050, 0, -1)]
    pages = vibeview.calls(path="*/credits/ledger")
    assert [page["query"]["offset"] for page in pages] == [str(100 * n) for n in range(11)]


def test_a_row_that_moves_while_the_list_is_read_is_given_once(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.lever("ledger", {"amount_micro": -1, "count": 150})
    rows = client.credits.ledger()
    ids = [next(rows).id]
    vibeview.lever("ledger", {"amount_micro": -1, "count": 3})
    ids += [row.id for row in rows]
    assert ids == [str(number) for number in range(150, 0, -1)]


def test_audit_events_over_1000(vibeview: TwinProcess, client: VibeViewClient) -> None:
    vibeview.lever("audit", {"count": 1001})
    vibeview.lever("audit", {"count": 2, "action": "suite.deleted"})
    asked = {"time_range": "last-day", "resource_type": "suite"}
    assert len(list(client.organisations.audit_events("1", **asked))) == 1003
    assert len(list(client.organisations.audit_events("1", action="suite.deleted"))) == 2
    assert len(vibeview.calls(path="*/audit-events")) == 7


@pytest.mark.parametrize("form", ["total", "object", "array"])
@pytest.mark.parametrize("pages", [True, False])
def test_1050_deliveries_in_whatever_form_they_come(
    vibeview: TwinProcess, client: VibeViewClient, form: str, *, pages: bool
) -> None:
    told: Any = vibeview.lever("happen", {"count": 1050, "withheld": 1050})
    vibeview.set(deliveries_form=form, pages_deliveries=pages)
    found = [delivery.id for delivery in client.webhooks.deliveries("1")]
    assert sorted(map(str, found)) == sorted(one["delivery_id"] for one in told)


# --- limits, failures, refusals -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"Retry-After": "7"}, 7),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"}, 9),
        ({"RateLimit": '"default";r=0;t=11'}, 11),
    ],
)
def test_a_429_says_when_to_come_back(
    vibeview: TwinProcess, client: VibeViewClient, headers: dict[str, str], seconds: int
) -> None:
    vibeview.fault("status", path="*/ci/run-suite", status=429, headers=headers)
    with pytest.raises(RateLimited) as caught:
        client.ci.run_suite(SUITE)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == pytest.approx(seconds, abs=1)
    assert vibeview.effects() == []


def test_a_reset_as_a_unix_time_is_waited_for(
    vibeview: TwinProcess, caller: Caller, client: VibeViewClient
) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time()) + 30)}
    vibeview.fault("status", path="*/ci/run-suite", status=429, headers=reset)
    with pytest.raises(RateLimited) as caught:
        client.ci.run_suite(SUITE)
    assert caught.value.retry_after is not None
    assert 25 <= caught.value.retry_after.total_seconds() <= 31


def test_a_read_that_failed_once_is_made_again(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.fault("status", path="*/credits/balance", status=502, times=1)
    assert client.credits.balance().total_micro == 5_750_000
    assert len(vibeview.calls(path="*/credits/balance")) == 2


@pytest.mark.parametrize("call", ["run-suite", "run-test", "run-suites"])
def test_a_start_that_is_not_answered_is_perhaps_done_and_made_once(
    vibeview: TwinProcess, caller: Caller, call: str
) -> None:
    params: dict[str, Any] = {
        "run-suite": {"suite_id": SUITE},
        "run-test": {"test_id": CASE},
        "run-suites": {"tags": ["smoke"]},
    }[call]
    vibeview.fault("slow", path=f"*/ci/{call}", delay_s=0.6)
    hasty = Caller(VENDOR, vibeview.url, {"api_token": KEY})
    hasty.http._timeout_s = 0.2
    with pytest.raises(TimedOut) as caught:
        hasty.do(f"vibeview.{call.replace('-', '_')}", **params)
    assert caught.value.perhaps_done is True
    assert len(vibeview.effects(path=f"*/ci/{call}")) == 1


def test_a_change_that_is_not_answered_leaves_no_doubt(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.fault("drop_after", path="*/tests/suites/*", method="PATCH", times=1)
    with pytest.raises(VendorBroken) as caught:
        client.suites.set_thresholds(SUITE, warn_pct=5, fail_pct=20)
    assert caught.value.perhaps_done is False


def test_a_new_secret_that_is_lost_is_said_to_be(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.fault("status", path="*/regenerate-secret", status=200, body={"ok": True})
    with pytest.raises(VendorBroken, match="new signing secret") as caught:
        client.webhooks.regenerate_secret("1")
    assert caught.value.perhaps_done is True


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_a_token_of_too_low_a_role_says_which_one_is_needed(
    vibeview: TwinProcess, client: VibeViewClient, role: str
) -> None:
    vibeview.set(role=role)
    for call in (lambda: client.credits.topup(amount_usd=10), client.webhooks.all):
        with pytest.raises(Refused) as caught:
            call()
        assert "needs the role admin" in (caught.value.hint or "")
        assert caught.value.status == 403


def test_a_wrong_token_and_a_wrong_id_say_what_to_check(vibeview: TwinProcess) -> None:
    wrong = Caller(VENDOR, vibeview.url, {"api_token": "tok_of_somebody_else"})
    with pytest.raises(Refused, match="Invalid or expired token") as caught:
        VibeViewClient(wrong.http).organisations.all()
    assert "credentials.api_token" in (caught.value.hint or "")
    right = Caller(VENDOR, vibeview.url, {"api_token": KEY})
    with pytest.raises(Refused, match="Run not found") as caught:
        VibeViewClient(right.http).ci.run("sr_none")
    assert "public ids" in (caught.value.hint or "")


def test_thresholds_of_an_unknown_suite_are_refused_in_the_vendors_words(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    with pytest.raises(Refused, match="Suite not found"):
        client.suites.set_thresholds("suite_none", warn_pct=5, fail_pct=20)
    with pytest.raises(Refused, match="below the fail threshold"):
        client.suites.set_thresholds(SUITE, warn_pct=20, fail_pct=20)
    assert len(vibeview.calls(path="*/settings")) == 1


def test_a_build_that_is_too_large_is_sent_to_nobody(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    with pytest.raises(Refused, match="500 MB"):
        client.apps.upload_build("app_7hk2", bytes(MAX_BUILD_BYTES + 1), filename="app.ipa")
    with pytest.raises(Refused, match="500 characters"):
        client.apps.upload_build("app_7hk2", b"", filename="app.ipa", note="x" * 501)
    assert vibeview.calls() == []


def test_a_picture_that_is_none_is_no_picture(
    vibeview: TwinProcess, client: VibeViewClient
) -> None:
    vibeview.fault("status", path="*/step_0.jpg", status=200, body="<html>")
    with pytest.raises(VendorBroken, match="no JPEG"):
        client.cases.baseline_image(CASE, 0)


@pytest.mark.parametrize(
    ("body", "text"),
    [({"yaml": "name: x\n"}, None), ({"yaml": "name: x\ncases:\n"}, "name: x\ncases:")],
)
def test_an_export_as_json(
    vibeview: TwinProcess, client: VibeViewClient, body: object, text: str | None
) -> None:
    vibeview.fault("status", path="*/export-yaml", status=200, body=body)
    if text is None:
        with pytest.raises(VendorBroken, match="no YAML"):
            client.suites.export_yaml(SUITE)
    else:
        assert client.suites.export_yaml(SUITE).strip() == text


def test_which_calls_count_for_the_small_rates() -> None:
    costly = {rate.name: rate for rate in RATES}["runs"].covers
    log_in = {rate.name: rate for rate in RATES}["auth"].covers
    assert costly is not None
    assert log_in is not None
    assert [
        costly("POST", "/api/v1/ai/test/run"),
        costly("POST", "/api/v1/apps/a/builds"),
        costly("POST", "/api/v1/ai/suite/run"),
        costly("GET", "/api/v1/apps/a"),
        log_in("POST", "/api/v1/auth/login"),
        log_in("GET", "/api/v1/credits/balance"),
    ] == [True, True, False, False, True, False]
    assert [(rate.name, rate.calls) for rate in RATES] == [("all", 100), ("runs", 10), ("auth", 5)]


def test_ten_ai_runs_a_minute_and_no_more(vibeview: TwinProcess) -> None:
    vibeview.limit("costly", limit=10)
    caller = Caller(VENDOR, vibeview.url, {"api_token": KEY}, {"per_minute": 60_000})
    client = VibeViewClient(caller.http)
    session = str(client.sessions.create().id)
    for _ in range(10):
        client.runs.run_ai_test(CASE, session_id=session)
    with pytest.raises(RateLimited):
        client.runs.run_ai_test(CASE, session_id=session)
    assert len(vibeview.calls(path="*/ai/test/run")) == 10
