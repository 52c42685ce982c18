"""VibeView's events in our words, also where its documentation leaves the form open."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from schemas.config import Configuration
from schemas.events import AppFacts, CreditsFacts, EventDraft
from schemas.events import TestRunFacts as RunFacts
from service.vendors import BY_NAME, samples
from service.vendors.vibeview.options import VibeViewOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery

INCOMING = BY_NAME["vibeview"].incoming
RUN = {"run_id": "r1", "suite_id": "s1", "suite_name": "Login", "status": "failed"}


def read(body: Any, headers: tuple[tuple[str, str], ...] = (), **options: Any) -> list[EventDraft]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return INCOMING.normalise(make_delivery(headers, raw), VibeViewOptions(**options))


def read_sample(name: str, **options: Any) -> list[EventDraft]:
    return read(samples.read("vibeview", name), **options)


def run(event: str = "run.failed", **data: Any) -> dict[str, Any]:
    return {"id": "evt_1", "event": event, "data": {**RUN, **data}}


TYPES = {
    "run.started": ["test_run.started"],
    "run.passed": ["test_run.passed", "visual_regression.cleared"],
    "run.passed+warn": ["test_run.passed", "visual_regression.warned"],
    "run.failed": ["test_run.failed", "visual_regression.warned"],
    "run.failed+error": ["test_run.errored"],
    "run.failed+single": ["test_run.failed", "visual_regression.cleared"],
    "run.cancelled": ["test_run.cancelled"],
    "case.failed": ["test_case.failed"],
    "run.warning.flaky": ["vibeview.run.warning.flaky"],
    "run.warning.slow": ["vibeview.run.warning.slow"],
    "run.warning.ai_fallback_used": ["vibeview.run.warning.ai_fallback_used"],
    "run.warning.byok_quota_low": ["vibeview.run.warning.byok_quota_low"],
    "visual.regression_warning": ["visual_regression.warned"],
    "visual.regression_detected": ["visual_regression.failed"],
    "visual.run_completed_with_regressions": ["visual_regression.warned"],
    "visual.run_completed_with_regressions+fail": ["visual_regression.failed"],
    "visual.baseline_updated": ["visual_regression.baseline_updated"],
    "app.uploaded": ["app.uploaded"],
    "billing.credits_low": ["credits.low"],
    "billing.credits_depleted": ["credits.depleted"],
    "billing.topup_completed": ["credits.restored"],
    "billing.plan_changed": ["vibeview.billing.plan_changed"],
    "billing.payment_failed": ["vibeview.billing.payment_failed"],
}


def test_every_sample_has_its_expectation():
    assert set(samples.names("vibeview")) == set(TYPES)


@pytest.mark.parametrize(("name", "types"), TYPES.items())
def test_types_of_the_samples(name, types):
    drafts = read_sample(name)
    assert [draft.type for draft in drafts] == types
    assert {draft.vendor_type for draft in drafts} == {samples.event_of(name)}
    assert [draft.key for draft in drafts] == ["", "visual_regression"][: len(drafts)]


def test_facts_of_a_failed_run():
    draft = read_sample("run.failed")[0]
    facts = RunFacts.model_validate(draft.facts)
    assert draft.subject == facts.run_id == "sr9def456y"
    assert draft.time is not None
    assert draft.time.isoformat() == "2026-04-28T12:05:00+00:00"
    assert facts.status == "failed"
    assert (facts.suite.id, facts.suite.name) == ("suite_abc123", "Login Flow")
    assert (facts.counts.passed, facts.counts.failed) == (4, 1)
    assert [test.title for test in facts.failed_tests] == ["Open profile"]
    assert facts.failed_tests[0].error is not None
    assert facts.visual == "warn"
    assert (facts.repository, facts.branch, facts.pr_number) == (
        "acme-co/webapp",
        "feature/checkout",
        42,
    )
    assert facts.commit_sha == "4f1c2b7e9d3a5c6b8e0f1a2d3c4b5a6978685746"
    assert facts.duration_ms == 300000
    assert facts.metadata["correlation_id"] == "ci-18273"
    assert draft.payload["data"]["type"] == "suite_run"


def test_a_case_belongs_to_its_suite_run():
    (draft,) = read_sample("case.failed")
    assert draft.subject == "sr9def456y"
    assert [test["id"] for test in draft.facts["failed_tests"]] == ["run_pq"]


def test_a_test_that_runs_alone_is_its_own_case():
    facts = RunFacts.model_validate(read_sample("run.failed+single")[0].facts)
    assert facts.counts.failed == 1
    assert facts.failed_tests[0].title == "Check out as guest"


def test_a_passed_run_with_a_visual_warning_is_degraded():
    assert {draft.facts["status"] for draft in read_sample("run.passed+warn")} == {"degraded"}


@pytest.mark.parametrize(
    ("cases", "visual"),
    [
        (["ok", "fail", "warn"], "fail"),
        (["ok", "warn", None], "warn"),
        ([None, "ok"], "ok"),
        ([None], None),
        (["strange"], None),
        ([], None),
    ],
)
def test_the_worst_case_counts_when_the_run_says_nothing(cases, visual):
    body = run(case_runs=[{"case_name": "c", "visual_regression_status": one} for one in cases])
    assert read(body)[0].facts["visual"] == visual


@pytest.mark.parametrize(
    ("visual", "type_"),
    [("fail", "failed"), ("warn", "warned"), ("ok", "warned"), (None, "warned"), (7, "warned")],
)
def test_completed_with_regressions_is_a_warning_unless_it_says_failure(visual, type_):
    body = run("visual.run_completed_with_regressions", visual_regression_status=visual)
    assert [draft.type for draft in read(body)] == [f"visual_regression.{type_}"]


@pytest.mark.parametrize("event", ["run.cancelled", "run.failed"])
def test_a_run_that_broke_off_clears_nothing(event):
    body = run(event, status="error", visual_regression_status="ok")
    assert len(read(body)) == 1
    warned = run(event, status="error", visual_regression_status="warn")
    assert read(warned)[1].type == "visual_regression.warned"


@pytest.mark.parametrize(
    "metadata",
    [
        {"repo": "a/b", "pr": "42", "branch": "x", "commit": "c0ffee"},
        {"repository": "a/b", "pr_number": 42, "branch": "x", "commit_sha": "c0ffee"},
        {"repository": None, "repo": "a/b", "pr_number": 42.0, "ref": "x", "sha": "c0ffee"},
    ],
)
@pytest.mark.parametrize("place", ["body", "data", "flat"])
def test_place_of_a_run_by_any_name_in_any_place(metadata, place):
    body = run()
    if place == "body":
        body["metadata"] = metadata
    elif place == "data":
        body["data"]["metadata"] = metadata
    else:
        body["data"].update(metadata)
    facts = read(body)[0].facts
    assert [facts[name] for name in ("repository", "pr_number", "branch", "commit_sha")] == [
        "a/b",
        42,
        "x",
        "c0ffee",
    ]


def test_metadata_of_the_body_goes_before_that_of_the_data():
    body = run(metadata={"repo": "in/data", "only": "data"})
    body["metadata"] = {"repo": "in/body"}
    facts = read(body)[0].facts
    assert facts["repository"] == "in/body"
    assert facts["metadata"] == {"repo": "in/body", "only": "data"}


@pytest.mark.parametrize("broken", ["many", [], {}, True, 1.5, 10**30, "9" * 30, None, "\x00"])
def test_broken_values_cost_no_event(broken):
    data = dict.fromkeys(
        (
            "passed",
            "failed",
            "duration_ms",
            "case_runs",
            "metadata",
            "suite_id",
            "status",
            "run_url",
        ),
        broken,
    )
    drafts = read({"event": "run.passed", "created_at": broken, "data": {"run_id": "r", **data}})
    assert drafts[0].type == "test_run.passed"
    assert drafts[0].subject == "r"


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("2026-04-28T12:05:00", "2026-04-28T12:05:00+00:00"),
        ("2026-04-28T12:05:00Z", "2026-04-28T12:05:00+00:00"),
        ("2026-04-28T14:05:00.5+02:00", "2026-04-28T12:05:00.500000+00:00"),
        (1777377900, "2026-04-28T12:05:00+00:00"),
        ("1777377900", "2026-04-28T12:05:00+00:00"),
        (1777377900000, "2026-04-28T12:05:00+00:00"),
        ("soon", None),
    ],
)
def test_times_are_utc(sent, read_as):
    time = read({**run(), "created_at": sent})[0].time
    assert (time.isoformat() if time else None) == read_as


# --- identity of the fact -----------------------------------------------------------------------


@pytest.mark.parametrize("name", TYPES)
def test_every_sample_has_the_identity_of_its_event(name):
    event_id = json.loads(samples.read("vibeview", name))["id"]
    expected = [f"event:{event_id}", f"event:{event_id}:visual_regression"]
    facts = [draft.fact for draft in read_sample(name)]
    assert facts == expected[: len(facts)]


def test_the_identity_is_that_of_the_event_and_not_of_the_delivery():
    headers = (("X-VibeView-Delivery", "d-1"),)
    assert read({"event": "run.failed", "data": RUN}, headers)[0].fact == ""
    assert read({"event": "run.failed", "event_id": 7, "data": RUN}, headers)[0].fact == "event:7"
    by_path = read({"event": "run.failed", "e": {"id": "x"}, "data": RUN}, id_paths=("e.id",))
    assert by_path[0].fact == "event:x"
    long = read({"event": "run.failed", "id": "x" * 500, "data": RUN})
    assert len(long[0].fact) < 100


def test_the_table_of_types_is_what_normalise_uses():
    assert INCOMING.types["*"] == "vibeview.*"
    for name in samples.names("vibeview"):
        first = read_sample(name)[0]
        told = INCOMING.types[samples.event_of(name)]
        assert told == first.type or name.endswith(("+error", "+fail")), name


# --- apps ---------------------------------------------------------------------------------------


def test_facts_of_a_new_build():
    draft = read_sample("app.uploaded")[0]
    facts = AppFacts.model_validate(draft.facts)
    assert draft.subject == facts.app_id == "app_7hk2"
    assert facts.model_dump() == {
        "app_id": "app_7hk2",
        "name": "Acme Shop",
        "platform": "ios",
        "version": "4.12.0",
        "build_id": "318",
        "url": None,
    }


# --- names of events ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["event", "event_type", "type"])
def test_event_name_in_the_body(key):
    assert read({key: "run.failed", "data": RUN})[0].type == "test_run.failed"


def test_event_name_in_the_header_only():
    flat = {**RUN, "type": "suite_run"}
    assert read(flat, (("X-VibeView-Event", "run.failed"),))[0].type == "test_run.failed"


def test_the_signed_name_goes_before_the_header():
    header = (("X-VibeView-Event", "run.passed"),)
    assert read(run("run.failed"), header)[0].type == "test_run.failed"


def test_no_name_at_all():
    with pytest.raises(ValueError, match="names the event"):
        read({"data": RUN})


def test_unknown_names_are_kept_apart():
    (draft,) = read(run("run.exploded"))
    assert draft.type == "vibeview.run.exploded"
    assert draft.facts["run_id"] == "r1"
    (other,) = read({"event": "device pool/low", "data": {"free": 1}})
    assert other.type == "vibeview.device_pool/low"
    assert other.facts == {}


def test_names_by_options():
    (draft,) = read(
        {"name": "balance.low", "body": {"prepaid_micro": 5}, "at": "2026-01-01"},
        event_paths=("name",),
        data_path="body",
        time_paths=("at",),
        events={"balance.low": "credits.low"},
    )
    assert draft.type == "credits.low"
    assert draft.facts["prepaid_micro"] == 5
    assert draft.time is not None
    (billing,) = read({"event": "money.moved", "data": {}}, billing_prefix="money.")
    assert billing.type == "vibeview.money.moved"


# --- credits ------------------------------------------------------------------------------------


def test_credits_from_whatever_is_there():
    draft = read_sample("billing.credits_low")[0]
    facts = CreditsFacts.model_validate(draft.facts)
    assert (facts.remaining_micro, facts.prepaid_micro, facts.allowance_micro) == (
        1350000,
        1350000,
        0,
    )
    assert facts.floor_micro == 5000000
    assert facts.tier == "warn"
    assert facts.account == draft.subject == "1"
    assert facts.period_end is not None


@pytest.mark.parametrize(
    ("event", "data", "tier"),
    [
        ("billing.credits_low", {}, "warn"),
        ("billing.credits_low", {"remaining_micro": 0}, "zero"),
        ("billing.credits_depleted", {}, "zero"),
        ("billing.topup_completed", {"remaining_micro": 9}, None),
    ],
)
def test_tier(event, data, tier):
    assert read({"event": event, "data": data})[0].facts["tier"] == tier


# --- keys ---------------------------------------------------------------------------------------


def key(headers: list[tuple[str, str]], body: Any, **options: Any) -> str:
    delivery = make_delivery(headers, json.dumps(body).encode())
    return INCOMING.delivery_key(delivery, VibeViewOptions(**options))


def test_the_event_id_goes_before_the_delivery_id():
    header = [("X-VibeView-Delivery", "d-1")]
    assert key(header, {"id": "evt_1", "delivery_id": "d-2"}) == "evt_1"
    assert key(header, {"id": 7}) == "7"
    assert key(header, {"id": None, "delivery_id": "d-2"}) == "d-1"
    assert key(header, {"id": {}, "event_id": "evt_2"}) == "evt_2"
    assert key([], {"delivery_id": "d-2"}) == "d-2"
    assert len(key([], {})) == 64


def test_a_redelivery_with_another_delivery_id_is_the_same():
    assert key([("X-VibeView-Delivery", "d-1")], {"id": "evt_1"}) == key(
        [("X-VibeView-Delivery", "d-2")], {"id": "evt_1"}
    )


def test_ids_of_standard_webhooks_and_by_options():
    webhook = [("webhook-id", "msg_1"), ("X-VibeView-Delivery", "d-1")]
    assert key(webhook, {}, scheme="standard-webhooks") == "msg_1"
    assert key([("X-D", "d-9")], {}, delivery_header="X-D") == "d-9"
    assert key([], {"meta": {"event": "e"}, "id": "run"}, id_paths=("meta.event",)) == "e"


@pytest.mark.parametrize(
    "options",
    [
        {"signature_header": "X-Sig", "event_header": "X-Ev", "delivery_header": "X-D"},
        {"scheme": "sha256-timestamp-body", "timestamp_header": "X-T"},
        {"scheme": "t-v1", "tolerance_s": 5},
    ],
)
def test_headers_by_options(options):
    chosen = VibeViewOptions(**options)
    signed = INCOMING.sign(b"{}", "s", NOW, chosen, event="run.passed", delivery_id="d")
    sent = {name for name, _ in signed.headers}
    assert {value for name, value in options.items() if name.endswith("_header")} <= sent
    assert as_delivery(signed).body == b'{"id": "d", "event": "run.passed"}'


@pytest.mark.parametrize("options", [{"scheme": "github"}, {"signature_header": "a b"}, {"x": 1}])
def test_wrong_options(options):
    with pytest.raises(ValueError, match="validation error"):
        VibeViewOptions(**options)


# --- the guide ----------------------------------------------------------------------------------


def test_the_guides_configuration_is_valid():
    guide = BY_NAME["vibeview"].guide
    configuration = Configuration.model_validate(yaml.safe_load(guide.configuration))
    vendor = BY_NAME["vibeview"]
    assert {poll.poll for poll in configuration.polls} == {poll.name for poll in vendor.polls}
    (source,) = configuration.sources
    assert source.reconcile is not None
    for record in vendor.records:
        record.options.model_validate(source.reconcile.records[record.name])
    assert VibeViewOptions(**source.options).scheme == "sha256-body"
    assert all(line.endswith(".") for line in (*guide.incoming, *guide.outgoing, *guide.notes))
    assert any("{url}" in line for line in guide.incoming)
