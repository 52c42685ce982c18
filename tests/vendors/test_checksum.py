"""Checksum's webhook, in the form it would have if one were offered, in our words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from schemas.events import BugFacts, EventDraft, HealFacts
from schemas.events import TestRunFacts as RunFacts
from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Secret
from service.vendors.checksum.options import ChecksumSourceOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal

INCOMING = BY_NAME["checksum"].incoming
RUN = "3f0c9a52-7d1e-4b60-9a41-5c2f8e7b1d90"

TYPES = {
    "test_run.started": "test_run.started",
    "test_run.completed": "test_run.passed",
    "test_run.completed+failed": "test_run.failed",
    "test_run.completed+passed-with-failures": "test_run.passed",
    "test_run.completed+healed": "test_run.healed",
    "test_run.completed+error": "test_run.errored",
    "test_run.completed+cancelled": "test_run.cancelled",
    "auto_heal.started": "heal.started",
    "auto_heal.completed": "heal.completed",
    "auto_heal.completed+bug": "heal.completed",
    "auto_heal.failed": "heal.failed",
    "bug.detected": "bug.found",
    "bug.status_changed": "bug.changed",
    "test.generated": "checksum.test.generated",
    "health_report.ready": "checksum.health_report.ready",
}
FACTS = {
    "test_run.started": f"run:{RUN}:started",
    "test_run.completed": f"run:{RUN}:passed",
    "test_run.completed+failed": f"run:{RUN}:failed",
    "test_run.completed+healed": f"run:{RUN}:healed",
    "test_run.completed+error": f"run:{RUN}:process-error",
    "auto_heal.started": "heal:batch-7c1:started",
    "auto_heal.completed": "heal:batch-7c1:completed",
    "auto_heal.failed": "heal:batch-7c3:failed",
    "bug.detected": "bug:bug-5521:needs-triage",
    "bug.status_changed": "bug:bug-5521:confirmed:2026-05-07T08:00:00+00:00",
    "test.generated": "",
}


def read(body: Any, **options: Any) -> EventDraft:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (draft,) = INCOMING.normalise(make_delivery([], raw), ChecksumSourceOptions(**options))
    return draft


def read_sample(name: str, **options: Any) -> EventDraft:
    return read(samples.read("checksum", name), **options)


def envelope(type_: str, **data: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": type_, "created_at": "2026-05-06T09:00:00Z", "data": data}


# --- events -------------------------------------------------------------------------------------


def test_every_sample_has_its_expectation():
    assert set(samples.names("checksum")) == set(TYPES)


@pytest.mark.parametrize(("name", "type_"), TYPES.items())
def test_types_of_the_samples(name, type_):
    draft = read_sample(name)
    assert (draft.type, draft.vendor_type) == (type_, samples.event_of(name))
    assert draft.time is not None


@pytest.mark.parametrize(("name", "fact"), FACTS.items())
def test_facts_name_what_happened_whichever_way_it_comes(name, fact):
    assert read_sample(name).fact == fact


def test_facts_of_a_failed_run():
    draft = read_sample("test_run.completed+failed", repository="acme-co/my-tests")
    facts = RunFacts.model_validate(draft.facts)
    assert draft.subject == facts.run_id == RUN
    assert (facts.status, facts.branch) == ("failed", "feature/checkout")
    assert (facts.counts.passed, facts.counts.failed, facts.counts.bug) == (43, 2, 1)
    assert [test.title for test in facts.failed_tests] == [
        "a guest can check out",
        "a voucher lowers the price",
    ]
    assert facts.url == f"https://app.checksum.ai/#/test-runs/{RUN}"
    assert facts.duration_ms == 690_000
    assert facts.repository == "acme-co/my-tests"
    assert draft.time == datetime(2026, 5, 6, 9, 11, 31, tzinfo=UTC)


def test_a_passed_run_with_failures_follows_the_policy():
    name = "test_run.completed+passed-with-failures"
    assert read_sample(name).type == "test_run.passed"
    assert read_sample(name, strict=True).type == "test_run.failed"


def test_facts_of_a_heal():
    facts = HealFacts.model_validate(read_sample("auto_heal.completed").facts)
    assert (facts.batch_id, facts.run_id, facts.sessions) == ("batch-7c1", RUN, 2)
    assert facts.pr_urls == ("https://github.com/acme-co/my-tests/pull/101",)
    assert facts.bug_suspected is False


def test_a_heal_without_pull_request_suspects_a_bug():
    facts = HealFacts.model_validate(read_sample("auto_heal.completed+bug").facts)
    assert (facts.pr_urls, facts.bug_suspected) == ((), True)


def test_a_heal_that_completed_with_a_failed_session_has_failed():
    draft = read(envelope("auto_heal.completed", batchId="b", status="failed", failedCount=1))
    assert (draft.type, draft.facts["bug_suspected"]) == ("heal.failed", False)


def test_facts_of_a_bug():
    facts = BugFacts.model_validate(read_sample("bug.detected").facts)
    assert (facts.bug_id, facts.severity, facts.status) == ("bug-5521", "major", "needs-triage")
    assert facts.run_id == RUN


def test_a_change_that_nothing_tells_from_an_earlier_one_has_no_fact():
    draft = read(envelope("bug.status_changed", id="bug-1", status="confirmed"))
    assert (draft.type, draft.fact) == ("bug.changed", "")


def test_an_unknown_end_is_an_unknown_event():
    draft = read(envelope("test_run.completed", testRunId=RUN, status="paused"))
    assert (draft.type, draft.fact) == ("checksum.test_run.completed", "")


def test_other_names_and_places_by_option():
    body = {
        "event": "run.done",
        "at": "2026-05-06T09:00:00Z",
        "run": {"id": RUN, "status": "failed"},
    }
    draft = read(
        body,
        event_paths=("event",),
        time_paths=("at",),
        data_path="run",
        events={"run.done": "test_run.completed"},
    )
    assert (draft.type, draft.vendor_type, draft.subject) == ("test_run.failed", "run.done", RUN)
    assert draft.time is not None
    assert read(envelope("oops", testRunId=RUN), events={"oops": "test_run.errored"}).fact == (
        f"run:{RUN}:errored"
    )


@pytest.mark.parametrize("meaning", ["credits.low", "nonsense", ""])
def test_a_meaning_that_is_none_is_refused(meaning):
    with pytest.raises(ValidationError, match="cannot mean"):
        ChecksumSourceOptions(events={"x": meaning})


@pytest.mark.parametrize("broken", ["many", [], {}, True, 1.5, 10**30, None, "\x00"])
def test_broken_values_cost_no_event(broken):
    names = ("passed", "failed", "bug", "tests", "startedAt", "branch", "prNumber", "durationMs")
    data = dict.fromkeys(names, broken)
    draft = read(envelope("test_run.completed", testRunId=RUN, status="failed", **data))
    assert (draft.type, draft.subject) == ("test_run.failed", RUN)
    heal = dict.fromkeys(("sessions", "totalSessions", "allTerminal", "failedCount"), broken)
    assert read(envelope("auto_heal.started", batchId="b", **heal)).subject == "b"


@pytest.mark.parametrize("body", [b"[]", b"", b'{"data": {}}', b'{"type": 7.5}'])
def test_a_body_that_names_no_event_is_refused(body):
    with pytest.raises(ValueError, match=r".+"):
        read(body)


def test_the_table_of_types_is_the_one_in_use():
    assert INCOMING.types["bug.detected"] == "bug.found"
    assert INCOMING.types["test_run.completed"] == "test_run.*"
    assert INCOMING.types["*"] == "checksum.*"


# --- signatures ---------------------------------------------------------------------------------


def test_the_assumed_scheme_signs_time_and_body():
    options = ChecksumSourceOptions()
    signed = INCOMING.sign(b"{}", "shh", NOW, options, event="x", delivery_id="d1")
    names = [name for name, _ in signed.headers]
    assert names == ["Content-Type", "X-Checksum-Signature", "X-Checksum-Timestamp"]
    verify = INCOMING.verifier(options, [Secret("shh")])
    verify(as_delivery(signed), NOW)
    changed = Delivery("s", as_delivery(signed).headers, signed.body + b" ", NOW)
    assert refusal(verify, changed) == "signature_mismatch"


def test_headers_and_prefix_by_option():
    options = ChecksumSourceOptions(
        signature_header="X-Sig", timestamp_header="X-Time", signature_prefix="sha256="
    )
    signed = INCOMING.sign(b"{}", "shh", NOW, options, event="x", delivery_id="d1")
    assert dict(signed.headers)["X-Sig"].startswith("sha256=")
    INCOMING.verifier(options, [Secret("shh")])(as_delivery(signed), NOW)


def test_standard_webhooks_signed_by_the_reference_library():
    options = ChecksumSourceOptions(scheme="standard-webhooks")
    secret = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
    raw = samples.read("checksum", "bug.detected")
    signature = Webhook(secret).sign("msg_1", NOW, raw.decode())
    headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(int(NOW.timestamp()))),
        ("webhook-signature", signature),
    ]
    verify = INCOMING.verifier(options, [Secret(secret)])
    delivery = make_delivery(headers, raw)
    verify(delivery, NOW)
    assert INCOMING.delivery_key(delivery, options) == "msg_1"
    altered = Delivery("s", delivery.headers, raw.replace(b"major", b"minor"), NOW)
    assert refusal(verify, altered) == "signature_mismatch"


def test_the_key_is_the_id_of_the_body():
    delivery = make_delivery([], samples.read("checksum", "bug.detected"))
    assert INCOMING.delivery_key(delivery, ChecksumSourceOptions()) == "evt_12"
