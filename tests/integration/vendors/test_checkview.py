"""CheckView's client, actions, poll and record, and the truth read back, against its twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from schemas.events import EventDraft, TestRunFacts
from schemas.ids import new_id
from service.errors import (
    Permanent,
    RateLimited,
    Refused,
    TimedOut,
    Transient,
    VendorBroken,
)
from service.vendors.base import Delivery, Incoming, Recorded, Window
from service.vendors.checkview import VENDOR
from service.vendors.checkview.client import CheckViewClient
from service.vendors.checkview.options import CheckViewOptions
from tests.integration.vendors.asking import Polling, read_all
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.inbox import Inbox, open_inbox
from tests.vendors.deliveries import make_delivery
from tests.vendors.listed.call import unlisted, unmade
from tests.vendors.listed.checkview import LISTED

TOKEN = "cvpat_demo"
FLOW = "abc-123"
PHASE_S = 1000
MINUTE = timedelta(minutes=1)
Connect = Callable[..., Caller]


@pytest.fixture
def checkview(twin: Start) -> TwinProcess:
    """Runs move only when the test moves the clock; the organisation has no limit."""
    process = twin("checkview")
    process.set(
        pace=PHASE_S,
        dialect="snake",
        lists="array",
        header="",
        scopes="read:organization write:organization",
        max_page=100,
        receiver=None,
        key=TOKEN,
    )
    process.limit("api", limit=100_000, window_s=60)
    process.clear_faults()
    return process


@pytest.fixture
def connect_to(checkview: TwinProcess) -> Connect:
    """Give a caller of the twin whose time is the real one."""

    def make(token: str = TOKEN, **options: Any) -> Caller:
        caller = Caller(
            VENDOR, checkview.url, {"api_token": token}, {"per_minute": 60_000, **options}
        )
        caller.now = datetime.now(UTC)
        return caller

    return make


@pytest.fixture
def caller(connect_to: Connect) -> Caller:
    return connect_to()


@pytest.fixture
def client(caller: Caller) -> CheckViewClient:
    return client_of(caller)


def client_of(caller: Caller) -> CheckViewClient:
    return CheckViewClient(caller.http, caller.options)


def incoming() -> Incoming:
    assert VENDOR.incoming is not None
    return VENDOR.incoming


def add_runs(twin: TwinProcess, **asked: Any) -> list[dict[str, Any]]:
    found = twin.lever("runs", asked)
    assert isinstance(found, list)
    return found


def repeat(times: int, call: Callable[[], object]) -> None:
    for _ in range(times):
        call()


def facts_of(runs: list[dict[str, Any]]) -> list[str]:
    return [f"run:{run['id']}:{run['status']}" for run in runs]


# --- every call that is listed ------------------------------------------------------------------


def test_every_listed_call_is_made(checkview: TwinProcess, client: CheckViewClient) -> None:
    assert {site.name for site in client.websites()} == {"Shop", "Blog"}
    assert {flow.id for flow in client.test_flows()} == {FLOW, "def-456"}
    assert client.test_flow(FLOW).website.url == "https://example.com"
    started = client.run_test_flow(FLOW, idempotency_key="k-1")
    assert started.id is not None
    assert client.test_run(started.id).status == "queued"
    assert [run.id for run in client.test_runs(test_flow_id=FLOW, status="queued")] == [started.id]
    audit = client.create_ux_audit(website_id="w-1", idempotency_key="k-2")
    assert [one.id for one in client.ux_audits()] == [audit.id]
    assert [client.health(part).status for part in ("all", "ready", "live")] == ["ok"] * 3
    calls = checkview.calls()
    assert (unmade(LISTED, calls), unlisted(LISTED, calls)) == ([], [])


@pytest.mark.parametrize("lists", ["array", "data"])
@pytest.mark.parametrize("dialect", ["snake", "camel"])
def test_every_form_of_an_answer_is_read(
    checkview: TwinProcess, client: CheckViewClient, dialect: str, lists: str
) -> None:
    checkview.set(dialect=dialect, lists=lists)
    (added,) = add_runs(checkview)
    (run,) = client.test_runs()
    assert (run.id, run.status, run.test_flow.name) == (added["id"], "failed", "Contact form")
    assert (run.website.url, run.lasted_ms) == ("https://example.com", 70_000)


def test_the_token_goes_with_every_call_but_health(
    checkview: TwinProcess, client: CheckViewClient
) -> None:
    list(client.websites())
    client.health()
    (listed, health) = checkview.calls()
    assert listed["headers"]["authorization"] == "Bearer ***"
    assert "authorization" not in health["headers"]


def test_who_we_are_is_told_by_what_we_see(connect_to: Connect, checkview: TwinProcess) -> None:
    assert VENDOR.outgoing is not None
    assert VENDOR.outgoing.check is not None
    caller = connect_to()
    assert VENDOR.outgoing.check(caller.context()) == (
        "an organisation with 2 websites and 0 test runs"
    )


def test_paths_and_names_come_from_options(checkview: TwinProcess, connect_to: Connect) -> None:
    caller = connect_to(
        paths={"test_run": "/api/v2/runs/{id}", "test_runs": "/api/v2/runs"},
        flow_parameter="flow",
        status_parameter="state",
        page_size=7,
    )
    client = client_of(caller)
    for ask in (
        lambda: client.test_run("a/b"),
        lambda: client.test_runs_page(test_flow_id="x", status="failed"),
    ):
        with pytest.raises(Refused):
            ask()
    one, many = checkview.calls()
    assert one["path"] == "/api/v2/runs/a/b"  # as the twin unquotes it: the slash was quoted
    assert (many["path"], many["query"]) == (
        "/api/v2/runs",
        {"flow": "x", "state": "failed", "limit": "7"},
    )


# --- lists --------------------------------------------------------------------------------------


def test_a_thousand_runs_come_through_the_iterator(
    checkview: TwinProcess, client: CheckViewClient
) -> None:
    added = add_runs(checkview, count=1005, every_s=1)
    assert [run.id for run in client.test_runs()] == [run["id"] for run in reversed(added)]
    calls = checkview.calls(path="/api/v1/test-runs")
    assert len(calls) == 11
    assert "cursor" not in calls[0]["query"]


def test_an_iterator_reads_no_further_than_it_is_used(
    checkview: TwinProcess, client: CheckViewClient
) -> None:
    add_runs(checkview, count=300, every_s=1)
    runs = client.test_runs()
    for _ in range(100):
        next(runs)
    assert len(checkview.calls(path="/api/v1/test-runs")) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-Has-More": "true"}, []),
        ({"X-Has-More": "true", "X-Next-Cursor": "same"}, [{"id": "r-1"}]),
        ({}, [{"status": "failed"}]),
        ({}, {"message": "no list at all"}),
    ],
)
def test_pages_that_cannot_be_followed_are_the_vendors_fault(
    checkview: TwinProcess, client: CheckViewClient, headers: dict[str, str], body: object
) -> None:
    checkview.fault("status", status=200, headers=headers, body=body)
    with pytest.raises(VendorBroken):
        list(client.test_runs())


def test_a_list_ends_where_the_vendor_says_so(
    checkview: TwinProcess, client: CheckViewClient
) -> None:
    headers = {"X-Has-More": "false", "X-Next-Cursor": "left-over"}
    checkview.fault("status", status=200, headers=headers, body=[{"id": "r-1"}])
    assert [run.id for run in client.test_runs()] == ["r-1"]
    assert len(checkview.calls()) == 1


def test_a_filter_that_the_vendor_overlooks_is_kept_here(
    checkview: TwinProcess, connect_to: Connect
) -> None:
    add_runs(checkview, test_flow_id="def-456")
    add_runs(checkview)
    client = client_of(connect_to(flow_parameter="overlooked"))
    assert {run.test_flow.id for run in client.test_runs(test_flow_id=FLOW)} == {FLOW}


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, ("options.page_size",)),
        (401, ("credentials.api_token", "cvpat_")),
        (403, ("read:organization", "write:organization")),
        (404, ("options.paths", "id")),
    ],
)
def test_a_refusal_says_what_to_do(
    checkview: TwinProcess, connect_to: Connect, status: int, words: tuple[str, ...]
) -> None:
    caller = connect_to("cvpat_wrong" if status == 401 else TOKEN)
    if status == 403:
        checkview.set(scopes="")
    if status == 400:
        checkview.fault("status", status=400, times=1)
    with pytest.raises(Refused) as caught:
        client_of(caller).test_run("none")
    assert caught.value.status == status
    assert all(word in (caught.value.hint or "") for word in words)
    assert "cvpat_wrong" not in caught.value.message


def test_a_problem_is_told_in_the_vendors_words(client: CheckViewClient) -> None:
    with pytest.raises(Refused) as caught:
        client.test_flow("none")
    assert "Test flow none was not found." in caught.value.message


@pytest.mark.parametrize("form", ["own", "epoch", "seconds", "date", "delta"])
def test_every_kind_of_reset_is_understood(
    checkview: TwinProcess, caller: Caller, form: str
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=40)
    headers = {
        "epoch": {"X-RateLimit-Reset": str(int(soon.timestamp()))},
        "seconds": {"Retry-After": "40", "X-RateLimit-Reset": "9"},
        "date": {"Retry-After": format_datetime(soon, usegmt=True)},
        "delta": {"RateLimit-Remaining": "0", "RateLimit-Reset": "40"},
    }
    if form == "own":
        checkview.limit("api", limit=1, window_s=40)
        next(client_of(caller).websites())
    else:
        checkview.fault("status", status=429, headers=headers[form])
    with pytest.raises(RateLimited) as caught:
        client_of(caller).test_run("r")
    assert caught.value.retry_after is not None
    assert 20 <= caught.value.retry_after.total_seconds() <= 41


def test_five_calls_are_left_to_people(checkview: TwinProcess, connect_to: Connect) -> None:
    checkview.limit("api", limit=20, window_s=60)
    client = client_of(connect_to())
    with pytest.raises(RateLimited):
        repeat(30, lambda: next(client.websites()))
    assert [call["status"] for call in checkview.calls()] == [200] * 15


def test_no_more_than_the_rate_is_sent(checkview: TwinProcess, connect_to: Connect) -> None:
    client = client_of(connect_to(per_minute=10))
    with pytest.raises(RateLimited):
        repeat(30, lambda: next(client.websites()))
    assert len(checkview.calls()) == 10


def test_a_read_is_tried_again_after_a_5xx(checkview: TwinProcess, client: CheckViewClient) -> None:
    checkview.fault("status", status=502, times=2)
    assert client.test_flow(FLOW).id == FLOW
    assert [call["status"] for call in checkview.calls()] == [502, 502, 200]


@pytest.mark.parametrize("mode", ["drop_after", "garbage", "truncate"])
def test_a_start_whose_answer_is_lost_is_not_repeated(
    checkview: TwinProcess, client: CheckViewClient, mode: str
) -> None:
    checkview.fault(mode, method="POST")
    with pytest.raises(Transient) as caught:
        client.run_test_flow(FLOW, idempotency_key="k")
    assert caught.value.perhaps_done
    assert len(checkview.calls()) == len(checkview.effects()) == 1


def test_a_start_that_takes_too_long_is_not_repeated(
    checkview: TwinProcess, caller: Caller
) -> None:
    caller.http._timeout_s = 1.5
    checkview.fault("slow", method="POST", delay_s=4)
    with pytest.raises(TimedOut) as caught:
        client_of(caller).run_test_flow(FLOW, idempotency_key="k")
    assert caught.value.perhaps_done
    assert len(checkview.calls()) == len(checkview.effects()) == 1


# --- actions ------------------------------------------------------------------------------------


def test_a_flow_is_run_and_watched_to_its_end(checkview: TwinProcess, caller: Caller) -> None:
    checkview.lever("outcomes", {"runs": ["failed"]})
    started = caller.outputs("checkview.run_test_flow", test_flow_id=FLOW)
    assert (started.status, started.finished) == ("queued", False)
    seen = []
    for _ in range(3):
        now = caller.outputs("checkview.test_run", test_run_id=started.test_run_id)
        seen.append((now.status, now.finished, now.passed, now.error))
        checkview.advance(PHASE_S)
    assert seen == [
        ("queued", False, False, None),
        ("running", False, False, None),
        ("failed", True, False, "Element not found"),
    ]


def test_a_key_that_no_header_can_carry_is_sent_as_its_digest(
    checkview: TwinProcess, client: CheckViewClient
) -> None:
    for key in ("schlüssel:1", "x" * 300, "two\nlines"):
        client.run_test_flow(FLOW, idempotency_key=key)
        client.run_test_flow(FLOW, idempotency_key=key)
    keys = [call["headers"]["idempotency-key"] for call in checkview.calls()]
    assert [len(key) for key in keys] == [64] * 6
    assert len(checkview.effects()) == len(set(keys)) == 3


def test_what_is_sent_along_is_sent(checkview: TwinProcess, caller: Caller) -> None:
    caller.do("checkview.run_test_flow", test_flow_id=FLOW, body={"environment": "staging"})
    caller.do("checkview.run_test_flow", test_flow_id=FLOW, effect="other")
    assert [call["body"] for call in checkview.calls()] == [{"environment": "staging"}, None]


def test_flows_are_found_by_website_and_name(caller: Caller) -> None:
    found = caller.outputs("checkview.test_flows", website_id="w-1", name_contains="check")
    assert (found.ids, found.more) == (("def-456",), False)
    assert caller.outputs("checkview.test_flows", website_id="w-2").ids == ()
    flow = caller.outputs("checkview.test_flow", test_flow_id="def-456")
    assert (flow.name, flow.website_url) == ("Checkout", "https://example.com")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://example.com", True),
        ("http://EXAMPLE.com/shop?page=2", True),
        ("example.com", True),
        ("https://shop.example.com", False),
        ("https://example.com:8443/", False),
        ("https://example.com.evil.example/", False),
    ],
)
def test_flows_are_found_by_the_address_of_what_was_deployed(
    caller: Caller, address: str, *, found: bool
) -> None:
    flows = caller.outputs("checkview.test_flows", website_url=address)
    websites = {flow.website_url for flow in flows.test_flows}
    assert websites == ({"https://example.com"} if found else set())


def test_the_newest_runs_are_given(checkview: TwinProcess, caller: Caller) -> None:
    added = add_runs(checkview, count=3, statuses=["passed"], every_s=60)
    found = caller.outputs("checkview.test_runs", test_flow_id=FLOW, status="passed", limit=2)
    assert [run.test_run_id for run in found.test_runs] == [added[2]["id"], added[1]["id"]]
    assert found.more
    assert found.test_runs[0].passed


def test_an_audit_is_started_and_watched(checkview: TwinProcess, caller: Caller) -> None:
    audit = caller.outputs("checkview.create_ux_audit", url="https://other.example.com")
    assert (audit.finished, audit.url) == (False, "https://other.example.com")
    checkview.advance(2 * PHASE_S)
    ended = caller.outputs("checkview.ux_audit", ux_audit_id=audit.ux_audit_id)
    assert (ended.finished, ended.score) == (True, 87)
    with pytest.raises(Permanent, match="no UX audit none"):
        caller.do("checkview.ux_audit", ux_audit_id="none")


STARTS = pytest.mark.parametrize(
    ("action", "params", "path"),
    [
        ("checkview.run_test_flow", {"test_flow_id": FLOW}, "*/run"),
        ("checkview.create_ux_audit", {"website_id": "w-1"}, "*/ux-audits"),
    ],
)


@STARTS
def test_a_start_is_repeated_with_its_key_while_the_vendor_knows_it(
    checkview: TwinProcess, caller: Caller, action: str, params: dict[str, str], path: str
) -> None:
    key = f"{new_id()}:start:0"
    checkview.fault("drop_after", method="POST", times=1)
    with pytest.raises(Transient):
        caller.do(action, effect=key, **params)
    caller.now += 50 * MINUTE
    found = caller.look_up(action, effect=key, **params)
    assert found == caller.do(action, effect=key, **params)
    assert len(checkview.effects(method="POST", path=path)) == 1
    keys = {call["headers"]["idempotency-key"] for call in checkview.calls(method="POST")}
    assert keys == {key}


@STARTS
def test_a_start_is_never_repeated_blindly_when_its_key_has_ended(
    checkview: TwinProcess, caller: Caller, action: str, params: dict[str, str], path: str
) -> None:
    key = f"{new_id()}:start:0"
    checkview.fault("drop_after", method="POST", times=1)
    with pytest.raises(Transient):
        caller.do(action, effect=key, **params)
    caller.now += 56 * MINUTE
    with pytest.raises(Permanent, match="began is open") as caught:
        caller.look_up(action, effect=key, **params)
    assert "settle the step" in (caught.value.hint or "")
    assert len(checkview.calls(method="POST")) == 1


def test_a_start_of_which_nothing_came_may_be_made_again(
    checkview: TwinProcess, caller: Caller
) -> None:
    add_runs(checkview, count=3, ends_in_s=-HOUR_S, every_s=60)
    key = f"{new_id()}:start:0"
    checkview.fault("drop_before", method="POST", times=1)
    with pytest.raises(Transient):
        caller.do("checkview.run_test_flow", effect=key, test_flow_id=FLOW)
    caller.now += 90 * MINUTE
    assert caller.look_up("checkview.run_test_flow", effect=key, test_flow_id=FLOW) is None


def test_runs_of_our_other_steps_raise_no_doubt(checkview: TwinProcess, caller: Caller) -> None:
    caller.do("checkview.run_test_flow", effect="another step", test_flow_id=FLOW)
    key = f"{new_id()}:start:0"
    caller.now += 90 * MINUTE
    assert caller.look_up("checkview.run_test_flow", effect=key, test_flow_id=FLOW) is None
    with pytest.raises(Permanent):
        Caller.look_up(forgetful(caller), "checkview.run_test_flow", effect=key, test_flow_id=FLOW)


def forgetful(caller: Caller) -> Caller:
    caller.earlier.clear()
    return caller


# --- the truth ----------------------------------------------------------------------------------


def hint(at: datetime | None = None, **body: Any) -> Delivery:
    return make_delivery([], json.dumps(body).encode(), at or datetime.now(UTC))


def truth(caller: Caller, delivery: Delivery, **options: Any) -> EventDraft:
    read_back = incoming().read_back
    assert read_back is not None
    (draft,) = read_back(caller.context(), delivery, CheckViewOptions.model_validate(options))
    return draft


@pytest.mark.parametrize("status", ["passed", "failed", "error", "cancelled"])
def test_the_truth_is_what_the_api_says_whatever_the_body_says(
    checkview: TwinProcess, caller: Caller, status: str
) -> None:
    (run,) = add_runs(checkview, statuses=[status])
    said = "passed" if status == "failed" else "failed"
    draft = truth(
        caller, hint(event=f"test_flow.{said}", test_run={"id": run["id"], "status": said})
    )
    ours = "errored" if status == "error" else status
    assert (draft.type, draft.fact) == (f"test_run.{ours}", f"run:{run['id']}:{status}")
    facts = TestRunFacts.model_validate(draft.facts)
    assert (facts.status, facts.suite.id, facts.duration_ms) == (status, FLOW, 70_000)


def test_a_run_that_has_not_ended_is_asked_for_later(
    checkview: TwinProcess, caller: Caller
) -> None:
    run = caller.outputs("checkview.run_test_flow", test_flow_id=FLOW)
    said = hint(event="test_flow.failed", testRunId=run.test_run_id)
    for _ in range(2):
        with pytest.raises(Transient, match="has not ended") as caught:
            truth(caller, said)
        assert caught.value.retry_after == timedelta(seconds=30)
        checkview.advance(PHASE_S)
    assert truth(caller, said).type == "test_run.passed"


def test_a_run_that_nobody_knows_is_refused(caller: Caller) -> None:
    with pytest.raises(Refused) as caught:
        truth(caller, hint(test_run={"id": "made-up", "status": "failed"}))
    assert caught.value.status == 404


def test_a_body_that_names_a_flow_means_its_newest_run(
    checkview: TwinProcess, caller: Caller
) -> None:
    _, newest = add_runs(checkview, count=2, every_s=60)
    said = hint(event="test_flow.passed", test_flow={"id": FLOW})
    add_runs(checkview, test_flow_id="def-456")
    later = datetime.now(UTC)
    assert truth(caller, said).subject == newest["id"]
    with pytest.raises(Refused) as caught:
        truth(caller, hint(later - timedelta(days=1), test_flow={"id": FLOW}))
    assert caught.value.status == 404


@pytest.mark.parametrize("body", [b'{"event": "test_flow.failed"}', b"[]", b"nonsense"])
def test_a_body_that_names_nothing_is_told_apart(caller: Caller, body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        truth(caller, make_delivery([], body))


def test_statuses_of_another_name_are_options(checkview: TwinProcess, connect_to: Connect) -> None:
    (run,) = add_runs(checkview, statuses=["error"])
    said = hint(test_run={"id": run["id"]})
    assert truth(connect_to(statuses={"error": "failed"}), said).type == "test_run.failed"


def test_an_end_of_an_unknown_name_is_told_as_such(checkview: TwinProcess, caller: Caller) -> None:
    body = {"id": "r-1", "status": "timed out", "finished_at": "2026-01-01T00:00:00Z"}
    checkview.fault("status", status=200, body=body, times=1)
    draft = truth(caller, hint(test_run={"id": "r-1"}))
    assert (draft.type, draft.fact) == ("checkview.test_run.timed_out", "run:r-1:timed_out")
    checkview.fault("status", status=200, body={"id": "r-1", "status": "waiting"}, times=1)
    with pytest.raises(Transient):
        truth(caller, hint(test_run={"id": "r-1"}))


def test_another_run_than_was_asked_for_confirms_nothing(
    checkview: TwinProcess, caller: Caller
) -> None:
    body = {"id": "r-2", "status": "failed", "finished_at": "2026-01-01T00:00:00Z"}
    checkview.fault("status", status=200, body=body, times=1)
    with pytest.raises(Refused, match="r-2") as caught:
        truth(caller, hint(test_run={"id": "r-1"}))
    assert caught.value.status is None


# --- the poll -----------------------------------------------------------------------------------


def polling_of(caller: Caller, **options: Any) -> Polling:
    return Polling(caller, "test_runs", **options)


HOUR_S = 3600


def test_ends_are_told_once_each_whatever_happens_between(
    checkview: TwinProcess, caller: Caller
) -> None:
    poller = polling_of(caller)
    assert poller.drain() == []
    first = add_runs(checkview, count=250, statuses=["failed", "passed", "error"], every_s=1)
    assert sorted(poller.drain()) == sorted(facts_of(first))
    assert poller.drain() == []
    second = add_runs(checkview, count=3)
    assert sorted(poller.drain()) == sorted(facts_of(second))
    assert {event.type for event in poller.told} == {
        "test_run.failed",
        "test_run.passed",
        "test_run.errored",
    }


def test_one_question_is_one_call(checkview: TwinProcess, caller: Caller) -> None:
    poller = polling_of(caller)
    add_runs(checkview, count=250, every_s=1)
    for asked in (1, 2, 3):
        assert poller.ask().more is (asked < 3)
        assert len(checkview.calls(path="/api/v1/test-runs")) == asked
    poller.ask()
    assert len(checkview.calls(path="/api/v1/test-runs")) == 4


def test_runs_that_overtake_one_another_are_all_told(
    checkview: TwinProcess, caller: Caller
) -> None:
    poller = polling_of(caller)
    slow = add_runs(checkview, ends_in_s=5 * HOUR_S, duration_ms=5 * HOUR_S * 1000)
    poller.drain()
    quick = []
    for _ in range(4):
        checkview.advance(HOUR_S)
        poller.ahead += timedelta(hours=1)
        quick += add_runs(checkview, count=5, statuses=["passed"])
        poller.drain()
    assert sorted(poller.facts()) == sorted(facts_of(quick))
    checkview.advance(HOUR_S)
    poller.ahead += timedelta(hours=1)
    assert poller.drain() == facts_of(slow)
    assert poller.drain() == []


def test_a_queued_run_without_a_time_is_not_lost(checkview: TwinProcess, caller: Caller) -> None:
    def listed(**over: Any) -> dict[str, Any]:
        return {"id": "r-1", "status": "passed", **over}

    poller = polling_of(caller)
    now = datetime.now(UTC)
    old = listed(id="r-0", finished_at=now.isoformat())
    for rows, told in (
        ([listed(status="queued"), old], ["run:r-0:passed"]),
        ([listed(status="running"), old], []),
        (
            [listed(started_at=(now - timedelta(minutes=50)).isoformat()), old],
            ["run:r-1:passed"],
        ),
    ):
        checkview.fault("status", status=200, body=rows, times=1)
        assert poller.drain() == told


def test_without_any_times_new_ends_are_told_all_the_same(
    checkview: TwinProcess, caller: Caller
) -> None:
    poller = polling_of(caller)
    old = {"id": "r-1", "status": "failed"}
    for rows, told in (
        ([old], []),
        ([{"id": "r-2", "status": "passed"}, old], ["run:r-2:passed"]),
        ([{"id": "r-2", "status": "passed"}, old], []),
    ):
        headers = {"X-Has-More": "true", "X-Next-Cursor": "next"}
        checkview.fault("status", status=200, body=rows, headers=headers, times=1)
        assert poller.drain() == told


def test_a_question_that_fails_loses_and_repeats_nothing(
    checkview: TwinProcess, caller: Caller
) -> None:
    poller = polling_of(caller)
    added = add_runs(checkview, count=350, every_s=1)
    asked = 0
    while True:
        # Three tries within one question; then the question fails and the position stays.
        checkview.fault("status", status=503, path="*/test-runs", times=3)
        with pytest.raises(Transient):
            poller.ask()
        asked += 1
        if not poller.ask().more:
            break
    assert asked == 4
    assert sorted(poller.facts()) == sorted(facts_of(added))


def test_runs_that_arrive_during_a_scan_are_told(checkview: TwinProcess, caller: Caller) -> None:
    poller = polling_of(caller)
    added = add_runs(checkview, count=150, every_s=1)
    assert poller.ask().more
    added += add_runs(checkview, count=120)
    poller.drain()
    poller.drain()
    assert sorted(poller.facts()) == sorted(facts_of(added))


def test_a_lost_cursor_begins_the_scan_again(checkview: TwinProcess, caller: Caller) -> None:
    poller = polling_of(caller)
    added = add_runs(checkview, count=150, every_s=1)
    assert poller.ask().more
    poller.position["scan"]["cursor"] = "ended"
    poller.drain()
    assert sorted(poller.facts()) == sorted(facts_of(added))


def test_a_cursor_that_is_always_lost_is_an_error(checkview: TwinProcess, caller: Caller) -> None:
    poller = polling_of(caller)
    add_runs(checkview, count=150, every_s=1)
    checkview.fault("status", status=410, path="*/test-runs", skip=1, times=1)
    checkview.fault("status", status=410, path="*/test-runs", skip=2, times=1)
    with pytest.raises(Refused):
        repeat(5, poller.ask)


def test_the_first_question_goes_back_an_hour_unless_told_otherwise(
    checkview: TwinProcess, caller: Caller
) -> None:
    old = add_runs(checkview, ends_in_s=-2 * HOUR_S)
    new = add_runs(checkview, ends_in_s=-60)
    assert polling_of(caller).drain() == facts_of(new)
    assert polling_of(caller, look_back="3h").drain() == facts_of(new + old)


def test_one_flow_can_be_polled_alone(checkview: TwinProcess, caller: Caller) -> None:
    add_runs(checkview)
    other = add_runs(checkview, test_flow_id="def-456")
    assert polling_of(caller, test_flow_id="def-456").drain() == facts_of(other)


def test_the_position_does_not_grow(checkview: TwinProcess, caller: Caller) -> None:
    poller = polling_of(caller)
    for _ in range(6):
        add_runs(checkview, count=20)
        poller.drain()
        checkview.advance(30 * 60)
        poller.ahead += timedelta(minutes=30)
    assert len(poller.told) == 120
    assert len(poller.position["told"]) <= 20


def test_the_poll_keeps_the_limit(checkview: TwinProcess, connect_to: Connect) -> None:
    checkview.limit("api", limit=60, window_s=60)
    checkview.set(max_page=1)
    poller = polling_of(connect_to(per_minute=60))
    added = add_runs(checkview, count=100)
    with pytest.raises(RateLimited):
        poller.drain()
    assert len(checkview.calls()) == 55
    checkview.advance(60)
    poller.caller = connect_to(per_minute=60)
    poller.drain()
    assert sorted(poller.facts()) == sorted(facts_of(added))
    assert {call["status"] for call in checkview.calls()} == {200}


# --- the record ---------------------------------------------------------------------------------


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR) as found:
        yield found


def read_record(caller: Caller, window: Window, **options: Any) -> list[Recorded]:
    return read_all(caller, VENDOR.records[0], window, **options)


def last(hours: float) -> Window:
    until = datetime.now(UTC) + MINUTE
    return Window(until - timedelta(hours=hours), until)


def test_the_record_names_exactly_what_was_withheld(
    checkview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkview.set(receiver=inbox.url)
    added = add_runs(
        checkview, count=120, withheld=6, every_s=2, statuses=["failed", "passed", "error"]
    )
    stored = inbox.facts()
    assert len(set(stored)) == len(stored) == 114
    recorded = {
        event.fact: event for entry in read_record(caller, last(1)) for event in entry.events
    }
    missing = set(recorded) - set(stored)
    assert missing == set(facts_of([run for run in added if run["fate"] == "withheld"]))
    assert set(stored) <= set(recorded)


def test_webhook_poll_record_and_truth_tell_one_fact(
    checkview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    checkview.set(receiver=inbox.url, dialect="camel")
    add_runs(checkview, statuses=["error"])
    (by_webhook,) = inbox.events()
    ((by_record,),) = (entry.events for entry in read_record(caller, last(1)))
    poller = polling_of(caller)
    poller.drain()
    (by_poll,) = poller.told
    by_api = truth(caller, inbox.received[0])
    events = (by_webhook, by_record, by_poll, by_api)
    assert len({(event.type, event.fact, event.subject, event.time) for event in events}) == 1
    assert by_webhook.fact
    assert len({json.dumps(event.facts, sort_keys=True) for event in events}) == 1


def test_the_record_keeps_to_its_window_and_reads_no_further(
    checkview: TwinProcess, caller: Caller
) -> None:
    added = add_runs(checkview, count=1000, every_s=60)
    until = datetime.now(UTC) - timedelta(minutes=30)
    window = Window(until - timedelta(minutes=60), until)
    found = read_record(caller, window)
    within = [run for run in added if window.since <= whole(run["ends_at"]) < window.until]
    assert sorted(entry.reference for entry in found) == sorted(facts_of(within))
    assert 59 <= len(found) <= 61
    assert len(checkview.calls(path="/api/v1/test-runs")) == 3


def whole(time: str) -> datetime:
    """As the vendor writes it: in whole seconds."""
    return datetime.fromisoformat(time).replace(microsecond=0)


def test_only_ends_that_are_expected_are_recorded(checkview: TwinProcess, caller: Caller) -> None:
    ends = ["passed", "failed", "error", "cancelled"]
    add_runs(checkview, count=4, statuses=ends)
    caller.do("checkview.run_test_flow", test_flow_id=FLOW)
    usual = {entry.vendor_type for entry in read_record(caller, last(1))}
    assert usual == {"test_run.passed", "test_run.failed", "test_run.error"}
    (one,) = read_record(caller, last(1), ends=["cancelled"])
    assert one.vendor_type == "test_run.cancelled"
