"""CheckView's webhooks: unsigned, known by run and status, a hint in our words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.events import EventDraft, TestRunFacts
from service.configuration import read_configuration
from service.errors import ConfigurationError
from service.vendors import samples
from service.vendors.base import Delivery, Incoming, Secret
from service.vendors.checkview import VENDOR
from service.vendors.checkview.events import EVENTS
from service.vendors.checkview.options import CheckViewConnectionOptions, CheckViewOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal

SECRET = "a-secret-in-a-header"
HEADER = CheckViewOptions(header="X-Hook-Token")
PLAIN = CheckViewOptions()


def incoming() -> Incoming:
    assert VENDOR.incoming is not None
    return VENDOR.incoming


def sample(name: str = "test_flow.failed", **over: Any) -> dict[str, Any]:
    return {**json.loads(samples.read("checkview", name)), **over}


def delivery_of(body: Any, at: datetime = NOW) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return make_delivery([("Content-Type", "application/json")], raw, at)


def read(body: Any, **options: Any) -> EventDraft:
    (draft,) = incoming().normalise(delivery_of(body), CheckViewOptions.model_validate(options))
    return draft


def key(body: Any, at: datetime = NOW, **options: Any) -> str:
    typed = CheckViewOptions.model_validate(options)
    return incoming().delivery_key(delivery_of(body, at), typed)


# --- who sent it --------------------------------------------------------------------------------


def test_nothing_is_signed_and_the_path_token_is_demanded():
    assert incoming().unsigned(PLAIN)
    for options in (PLAIN, HEADER):
        assert not incoming().wants_secret(options)
    incoming().verifier(PLAIN, [])(delivery_of(b"anything"), NOW)


@pytest.mark.parametrize("secret", ["s", "", "  "])
def test_a_secret_without_a_header_is_a_mistake(secret):
    with pytest.raises(ConfigurationError) as caught:
        incoming().verifier(PLAIN, [Secret(secret)])
    assert "options.header" in (caught.value.hint or "")


@pytest.mark.parametrize("secrets", [[], [Secret("")]])
def test_a_header_without_a_secret_is_a_mistake(secrets):
    with pytest.raises(ConfigurationError):
        incoming().verifier(HEADER, secrets)


def test_a_secret_in_a_header_is_compared():
    assert not incoming().unsigned(HEADER)
    verify = incoming().verifier(HEADER, [Secret("an-older-secret"), Secret(SECRET)])
    body = json.dumps(sample()).encode()
    verify(make_delivery([("X-HOOK-TOKEN", SECRET)], body), NOW)
    wrong = make_delivery([("X-Hook-Token", SECRET + "x")], body)
    assert refusal(verify, wrong) == "signature_mismatch"
    assert refusal(verify, make_delivery([], body)) == "missing_header"
    twice = make_delivery([("X-Hook-Token", SECRET), ("X-Hook-Token", SECRET)], body)
    assert refusal(verify, twice) == "repeated_header"


@pytest.mark.parametrize("options", [PLAIN, HEADER])
def test_a_sample_is_sent_as_checkview_would(options):
    signed = incoming().sign(
        samples.read("checkview", "test_flow.failed+camel"),
        SECRET,
        NOW,
        options,
        event="test_flow.passed",
        delivery_id="run-77",
    )
    delivery = as_delivery(signed)
    secrets = [Secret(SECRET)] if options.header else []
    incoming().verifier(options, secrets)(delivery, NOW)
    (draft,) = incoming().normalise(delivery, options)
    assert (draft.vendor_type, draft.subject) == ("test_flow.passed", "run-77")
    assert TestRunFacts.model_validate(draft.facts).duration_ms == 102_000


# --- which it is --------------------------------------------------------------------------------


def test_a_delivery_is_known_by_run_and_status():
    assert key(sample()) == "run:run-9:failed"
    later = sample(website={"id": "w-2"}, sent_at="later")
    assert key(later, NOW + timedelta(days=3)) == key(sample())
    assert key({"test_run": {"id": "run-9", "status": "passed"}}) != key(sample())


@pytest.mark.parametrize(
    "body",
    [
        {"testRun": {"id": "run-9", "status": "FAILED"}},
        {"test_run_id": "run-9", "status": "failed"},
        {"runId": "run-9", "status": "Failed"},
        {"test_run": {"id": None, "status": "failed"}, "testRun": {"id": "run-9"}},
    ],
)
def test_run_and_status_are_found_where_they_may_be(body):
    assert key(body) == "run:run-9:failed"


def test_without_a_status_the_events_name_tells_two_ends_apart():
    bodies = [{"event": name, "run_id": "r"} for name in ("test_flow.failed", "test_flow.passed")]
    assert key(bodies[0]) != key(bodies[1])


def test_a_body_without_a_run_is_known_by_its_digest_for_ten_minutes():
    body = {"event": "test_flow.failed", "test_flow": {"id": "abc-123"}}
    began = datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    assert key(body, began) == key(body, began + timedelta(seconds=599))
    assert key(body, began) != key(body, began + timedelta(seconds=600))
    assert key(body, began) != key({**body, "more": 1}, began)


def test_the_window_of_the_digest_is_an_option():
    body, day = {"event": "x"}, timedelta(days=1)
    assert key(body, NOW, digest_window_s=0) == key(body, NOW + day, digest_window_s=0)
    assert key(body, NOW, digest_window_s=5) != key(body, NOW + timedelta(seconds=6),
                                                    digest_window_s=5)  # fmt: skip


# --- what it says -------------------------------------------------------------------------------


def test_a_failed_flow_in_our_words():
    draft = read(sample())
    assert (draft.type, draft.vendor_type) == ("test_run.failed", "test_flow.failed")
    assert (draft.subject, draft.fact) == ("run-9", "run:run-9:failed")
    assert draft.time == datetime(2026, 1, 1, 0, 1, 10, tzinfo=UTC)
    facts = TestRunFacts.model_validate(draft.facts)
    assert (facts.run_id, facts.status, facts.duration_ms) == ("run-9", "failed", 70_000)
    assert (facts.suite.id, facts.suite.name) == ("abc-123", "Contact form")
    assert (facts.counts.passed, facts.counts.failed) == (0, 1)
    (failure,) = facts.failed_tests
    assert (failure.title, failure.error) == ("Contact form", "Element not found: #contact-submit")
    assert facts.metadata == {"website_id": "w-1", "website_url": "https://shop.example.com"}
    assert draft.payload == sample()


def test_camel_case_says_the_same():
    facts = TestRunFacts.model_validate(read(sample("test_flow.failed+camel")).facts)
    assert (facts.run_id, facts.suite.name, facts.duration_ms) == ("run-12", "Checkout", 102_000)


@pytest.mark.parametrize("name", [name for name in samples.names("checkview") if "+" not in name])
def test_every_sample_is_what_the_table_says(name):
    draft = read(sample(name))
    assert draft.type == EVENTS[name] == incoming().types[name]
    assert bool(TestRunFacts.model_validate(draft.facts).failed_tests) == (
        draft.type in {"test_run.failed", "test_run.errored"}
    )


def test_every_name_in_the_table_has_a_sample():
    assert {samples.event_of(name) for name in samples.names("checkview")} == set(EVENTS)


def test_the_runs_status_goes_before_the_events_name():
    body = sample()
    body["test_run"]["status"] = "error"
    draft = read(body)
    assert (draft.type, draft.fact) == ("test_run.errored", "run:run-9:error")


@pytest.mark.parametrize(
    ("body", "type_", "fact"),
    [
        ({"event": "test_flow.passed", "test_run_id": 9}, "test_run.passed", "run:9:passed"),
        ({"test_run": {"id": "r", "status": "cancelled"}}, "test_run.cancelled", "run:r:cancelled"),
        ({"event": "test_flow.failed"}, "test_run.failed", ""),
        ({"test_run": {"id": "r", "status": "flaky"}}, "checkview.flaky", ""),
        ({"event": "ux_audit.finished", "status": "passed"}, "checkview.ux_audit.finished", ""),
        ({}, "checkview.unknown", ""),
    ],
)
def test_what_is_missing_is_not_made_up(body, type_, fact):
    draft = read(body)
    assert (draft.type, draft.fact) == (type_, fact)


def test_names_and_places_are_options():
    body = {"was": "broken", "run": {"number": "r-1", "state": "ko"}}
    draft = read(
        body,
        event_paths=["was"],
        events={"broken": "test_run.failed"},
        run_id_paths=["run.number"],
        status_paths=["run.state"],
        statuses={"ko": "error"},
    )
    assert (draft.type, draft.fact) == ("test_run.errored", "run:r-1:error")
    assert TestRunFacts.model_validate(draft.facts).status == "error"


@pytest.mark.parametrize(
    "options",
    [
        {"events": {"x": "check.failed"}},
        {"statuses": {"x": "great"}},
        {"header": ""},
        {"digest_window_s": -1},
    ],
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValidationError):
        CheckViewOptions.model_validate(options)


# --- how it is configured -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "paths",
    [
        {"test_run": "/api/v2/runs"},
        {"test_run": "/api/v2/runs/{run}"},
        {"test_run": "/runs/{id}/{id}"},
        {"test_runs": "api/v2/runs"},
        {"test_runs": "/runs?x=1"},
        {"test_runs": "/runs/{"},
        {"no_such_call": "/x"},
    ],
)
def test_path_templates_are_checked(paths):
    with pytest.raises(ValidationError):
        CheckViewConnectionOptions.model_validate({"paths": paths})


def test_the_guides_configuration_can_be_used_as_it_is(tmp_path):
    file = tmp_path / "hookwright.yaml"
    file.write_text(VENDOR.guide.configuration)
    environment = {"CHECKVIEW_PATH_TOKEN": "t" * 64, "CHECKVIEW_API_TOKEN": "cvpat_x"}
    declared = read_configuration(file, environment)
    (source,), (connection,), (poll,) = declared.sources, declared.connections, declared.polls
    assert source.config.connection == connection.config.name == poll.connection


def test_the_limit_is_the_organisations_and_leaves_some_calls_to_people():
    assert VENDOR.outgoing is not None
    (rate,) = VENDOR.outgoing.rates
    assert (rate.calls, rate.seconds, VENDOR.outgoing.keep_back) == (60, 60, 5)
    assert VENDOR.outgoing.options().per_minute == 60
