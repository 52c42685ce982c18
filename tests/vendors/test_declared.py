"""Vendors that are data: what the factory makes of a declaration, and what each sender means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import EVENT_TYPES, FAMILIES, EventDraft
from service.configuration import read_configuration
from service.errors import ConfigurationError
from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Guide, Secret
from service.vendors.declared import Declaration, DeclaredOptions, declare
from service.vendors.places import MAX_ENTRIES, shape_facts
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal
from tests.vendors.key_pairs import ed25519_pair

WHSEC = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
COMMON = (
    *("standardwebhooks", "svix", "stripe", "sentry", "pagerduty", "gitlab", "vercel", "linear"),
    *("shopify", "zendesk", "datadog", "circleci", "buildkite", "discord", "sendgrid"),
)
SENDERS = (*COMMON, "cloudevents")
Pairs = tuple[tuple[str, str], ...]


def incoming(vendor: str):
    found = BY_NAME[vendor].incoming
    assert found is not None
    return found


def options(vendor: str, **knobs: Any):
    return incoming(vendor).options.model_validate(knobs)


def read(vendor: str, body: Any, headers: Pairs = (), **knobs: Any) -> list[EventDraft]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return incoming(vendor).normalise(make_delivery(headers, raw), options(vendor, **knobs))


def read_one(vendor: str, body: Any, headers: Pairs = (), **knobs: Any) -> EventDraft:
    (draft,) = read(vendor, body, headers, **knobs)
    return draft


def sample(vendor: str, name: str) -> Any:
    return json.loads(samples.read(vendor, name))


def key(vendor: str, body: Any, headers: Pairs = (), **knobs: Any) -> str:
    delivery = make_delivery(headers, json.dumps(body).encode())
    return incoming(vendor).delivery_key(delivery, options(vendor, **knobs))


def send(vendor: str, secret: str, body: bytes = b"{}", event: str = "", **knobs: Any) -> Delivery:
    signed = incoming(vendor).sign(
        body, secret, NOW, options(vendor, **knobs), event=event, delivery_id="d-1"
    )
    return as_delivery(signed)


# --- the factory --------------------------------------------------------------------------------

ACME = Declaration(
    name="acme",
    title="Acme",
    guide=Guide(pages=(), configuration=""),
    schemes=("sha256-hex", "header-token", "stripe"),
    events={"build.broke": "test_run.failed", "odd name/x": "acme.odd"},
    named_by=("kind", "@X-Kind"),
    detailed_by=("what",),
    known_by=("@X-Id+@X-Kind", "uid"),
    subject=("run.id",),
    time=("at", "@X-At"),
    fact=("uid",),
    facts={"run_id": ("run.id",), "branch": ("run.branch", "branch"), "pr_number": ("pr",)},
)
ACME_VENDOR = declare(ACME)


def acme(body: Any, headers: Pairs = (), **knobs: Any) -> EventDraft:
    found = ACME_VENDOR.incoming
    assert found is not None
    delivery = make_delivery(headers, json.dumps(body).encode())
    (draft,) = found.normalise(delivery, found.options.model_validate(knobs))
    return draft


def acme_key(body: Any, headers: Pairs = ()) -> str:
    found = ACME_VENDOR.incoming
    assert found is not None
    return found.delivery_key(make_delivery(headers, json.dumps(body).encode()), found.options())


def test_name_and_detail_make_the_type() -> None:
    draft = acme({"kind": "build", "what": "broke", "run": {"id": 7}})
    assert (draft.type, draft.vendor_type, draft.subject) == ("test_run.failed", "build.broke", "7")
    assert draft.facts["run_id"] == "7"


def test_what_the_table_does_not_know_keeps_its_name() -> None:
    assert acme({"kind": "build", "what": "began"}).type == "acme.build.began"
    assert acme({"kind": "build"}).type == "acme.build"
    assert acme({}).type == "acme.unknown"


def test_the_body_goes_before_a_header() -> None:
    assert acme({"kind": "a"}, (("X-Kind", "b"),)).type == "acme.a"
    assert acme({}, (("X-Kind", "b"),)).type == "acme.b"


def test_options_go_before_the_table() -> None:
    draft = acme(
        {"kind": "build", "what": "broke", "id": "c-1", "x": {"y": "z"}},
        events={"build.broke": "check.failed"},
        facts={"check_id": "id", "name": "x.y", "no_such_fact": "id"},
        subject_path="x.y",
    )
    assert (draft.type, draft.subject) == ("check.failed", "z")
    assert draft.facts["check_id"] == "c-1"
    assert draft.facts["name"] == "z"
    assert draft.facts.keys() == FAMILIES["check"].model_fields.keys()


def test_an_option_may_name_a_kind_without_its_detail() -> None:
    body = {"kind": "build", "what": "new"}
    assert acme(body, events={"build": "test_run.started"}).type == "test_run.started"
    known = {"kind": "build", "what": "broke"}
    assert acme(known, events={"build": "test_run.started"}).type == "test_run.started"


def test_a_fact_may_come_from_a_header() -> None:
    draft = acme({"kind": "a"}, (("X-Shop", "s1"),), facts={"shop": "@X-Shop"})
    assert draft.facts["shop"] == "s1"


def test_a_header_that_cannot_be_stored_is_mended() -> None:
    draft = acme({"kind": "a"}, (("X-Shop", "s\x00\ud800"),), facts={"shop": "@X-Shop"})
    assert draft.facts["shop"] == "s\ufffd\ufffd"


def test_facts_of_no_family_are_as_they_are() -> None:
    assert acme({"kind": "a", "branch": "main", "pr": 0}).facts == {
        "branch": "main",
        "pr_number": 0,
    }


@pytest.mark.parametrize(
    ("at", "headers"),
    [
        ("2026-01-01T01:00:00+01:00", ()),
        ("2026-01-01 00:00:00 UTC", ()),
        (1767225600, ()),
        ("1767225600000", ()),
        ("no time", (("X-At", "1767225600"),)),
    ],
)
def test_times_in_every_form(at: Any, headers: Pairs) -> None:
    assert acme({"at": at}, headers).time == NOW


def test_joined_places_have_all_to_be_there() -> None:
    assert acme_key({"uid": 5}, (("X-Id", "1"), ("X-Kind", "k"))) == "1:k"
    assert acme_key({"uid": 5}, (("X-Id", "1"),)) == "5"
    assert len(acme_key({}, (("X-Kind", "k"),))) == 64


def test_the_fact_is_set_where_the_vendor_gives_an_id() -> None:
    assert acme({"uid": "u1"}).fact == "u1"
    assert not acme({}).fact
    assert len(acme({"uid": "u" * 300}).fact) == 64


def test_the_options_are_those_that_the_schemes_leave_open() -> None:
    found = ACME_VENDOR.incoming
    assert found is not None
    fields = found.options.model_fields
    assert fields.keys() - DeclaredOptions.model_fields.keys() == {
        "scheme",
        "tolerance_s",
        "token_header",
    }
    assert all(field.description for field in fields.values())
    with pytest.raises(ValueError, match="scheme"):
        found.options.model_validate({"scheme": "github"})
    assert incoming("vercel").options.model_fields.keys() == DeclaredOptions.model_fields.keys()


def test_a_tolerance_can_be_set() -> None:
    delivery = send("stripe", "s3cret", tolerance_s=5)
    late = NOW + timedelta(seconds=6)
    assert refusal(verifier("stripe", "s3cret", tolerance_s=5), delivery, late) == "stale"
    verifier("stripe", "s3cret")(delivery, late)


def test_a_sample_is_named_after_the_file_but_sent_as_the_vendor_writes_it() -> None:
    found = ACME_VENDOR.incoming
    assert found is not None
    signed = found.sign(b"{}", "s", NOW, found.options(), event="odd_name_x", delivery_id="1")
    assert json.loads(signed.body)["kind"] == "odd name/x"


def test_facts_that_do_not_fit_are_left_out_and_numbers_become_texts() -> None:
    facts = shape_facts("check.failed", {"check_id": 12, "tags": "no list", "name": ["x"]})
    assert facts["check_id"] == "12"
    assert facts["tags"] == []
    assert facts["name"] is None


def verifier(vendor: str, *secrets: str, **knobs: Any):
    found = [Secret(secret) for secret in secrets]
    return incoming(vendor).verifier(options(vendor, **knobs), found)


# --- every common sender ------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", SENDERS)
def test_the_table_holds_for_the_samples(vendor: str) -> None:
    """Every name of the table is that of a sample, and gives the type that the table says."""
    types = dict(incoming(vendor).types)
    assert types.pop("*") == f"{vendor}.*"
    given = {}
    for name in samples.names(vendor):
        secret = ed25519_pair(bytes(range(32))).private if vendor == "discord" else WHSEC
        if vendor == "sendgrid":
            continue
        delivery = send(vendor, secret, samples.read(vendor, name), samples.event_of(name))
        if incoming(vendor).handshake(delivery, options(vendor)) is None:
            for draft in incoming(vendor).normalise(delivery, options(vendor)):
                given[draft.vendor_type.replace("_", " ")] = draft.type
    assert {name.replace("_", " "): type_ for name, type_ in types.items()}.items() <= given.items()


@pytest.mark.parametrize("vendor", SENDERS)
def test_the_table_says_only_what_is_ours_or_the_vendors_own(vendor: str) -> None:
    for type_ in incoming(vendor).types.values():
        assert type_ in EVENT_TYPES or type_.startswith(f"{vendor}.")


@pytest.mark.parametrize("vendor", SENDERS)
def test_samples_tell_subject_and_time(vendor: str) -> None:
    """Where the paths lead is proven by the samples: no sender's are all in vain."""
    drafts = [
        draft
        for name in samples.names(vendor)
        for draft in read_quietly(vendor, samples.read(vendor, name))
    ]
    assert any(draft.subject for draft in drafts)
    headers_tell_the_time = {"sentry"}
    assert vendor in headers_tell_the_time or any(draft.time for draft in drafts)


def read_quietly(vendor: str, body: bytes) -> list[EventDraft]:
    try:
        kind = "batch+" if body.startswith(b"[") else ""
        headers = (("Content-Type", f"application/cloudevents{kind and '-batch'}+json"),)
        return read(vendor, body, headers)
    except ValueError:
        return []


@pytest.mark.parametrize("vendor", SENDERS)
def test_the_guide_is_true(vendor: str, tmp_path) -> None:
    guide = BY_NAME[vendor].guide
    assert guide.pages
    assert any("{url}" in step for step in guide.incoming)
    path = tmp_path / "hookwright.yaml"
    path.write_text(guide.configuration, encoding="utf-8")
    (variable,) = {word for word in guide.configuration.replace("}", " ").split() if word.isupper()}
    assert any(variable in step for step in guide.incoming)
    declared = read_configuration(path, {variable: secret_for(vendor)})
    (source,) = declared.sources
    verifier(vendor, *source.secrets, **source.config.options)


def secret_for(vendor: str) -> str:
    if vendor == "discord":
        return ed25519_pair(bytes(range(32))).public
    return WHSEC if vendor != "sendgrid" else SENDGRID_KEY


SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjlM7b6C/e0YluzBmfAH7YH75+LioD+9bMAYocDGHsqNz6x294DMY"
    "Nm0Gn4Om9ZAAU8c2M8sEGyHFXhqGwfQAtA=="
)


# --- monitors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transition", "type_"),
    [
        ("Triggered", "check.failed"),
        ("No Data", "check.failed"),
        ("Warn", "check.degraded"),
        ("Re-Triggered", "check.still_failing"),
        ("Renotify", "check.still_failing"),
        ("Recovered", "check.recovered"),
        ("Something new", "datadog.Something_new"),
    ],
)
def test_datadog_transitions(transition: str, type_: str) -> None:
    body = sample("datadog", "Triggered") | {"transition": transition}
    assert read_one("datadog", body).type == type_


def test_datadog_facts() -> None:
    draft = read_one("datadog", sample("datadog", "Triggered"))
    assert draft.subject == draft.facts["check_id"] == "91734112"
    assert draft.facts["status"] == "Triggered"
    assert draft.facts["tags"] == ["env:prod", "service:checkout", "monitor"]
    assert draft.facts["error"] == "p95 is 2.4 s, above 2 s"
    assert draft.time == datetime(2026, 4, 28, 12, 5, tzinfo=UTC)
    assert draft.fact == key("datadog", sample("datadog", "Triggered")) == "7402834119"


def test_datadog_template_has_the_members_that_are_read() -> None:
    template = BY_NAME["datadog"].guide.template
    assert template is not None
    assert json.loads(template).keys() == sample("datadog", "Triggered").keys()


def test_datadog_token_in_a_header_of_ones_own() -> None:
    delivery = send("datadog", "s3cret", token_header="X-Team-Token")
    verifier("datadog", "s3cret", token_header="X-Team-Token")(delivery, NOW)
    assert refusal(verifier("datadog", "s3cret"), delivery) == "missing_header"
    assert refusal(verifier("datadog", "s3cre", token_header="X-Team-Token"), delivery) == (
        "signature_mismatch"
    )


def test_datadog_basic_authentication() -> None:
    delivery = make_delivery([("Authorization", "Basic cWE6czNjcmV0")], b"{}")
    verifier("datadog", "qa:s3cret", scheme="basic-auth")(delivery, NOW)
    wrong = verifier("datadog", "qa:other", scheme="basic-auth")
    assert refusal(wrong, delivery) == "signature_mismatch"


@pytest.mark.parametrize(
    ("action", "type_"),
    [
        ("critical", "check.failed"),
        ("warning", "check.degraded"),
        ("resolved", "check.recovered"),
        ("open", "sentry.metric_alert.open"),
    ],
)
def test_sentry_metric_alerts(action: str, type_: str) -> None:
    body = sample("sentry", "metric_alert.critical") | {"action": action}
    headers = (("Sentry-Hook-Resource", "metric_alert"), ("Sentry-Hook-Timestamp", "1767225600"))
    draft = read_one("sentry", body, headers)
    assert (draft.type, draft.time, draft.subject) == (type_, NOW, "177412243058")
    assert draft.facts["name"] == "Checkout error rate"
    assert draft.facts["status"] == action


def test_sentry_issue_keeps_its_name() -> None:
    headers = (("Sentry-Hook-Resource", "issue"),)
    draft = read_one("sentry", sample("sentry", "issue.created"), headers)
    assert (draft.type, draft.subject) == ("sentry.issue.created", "1170820242")
    assert draft.facts["level"] == "error"


def test_sentry_signs_calls_of_its_pages_under_another_name() -> None:
    delivery = send("sentry", "s3cret")
    pairs = [
        (name.replace("sentry-hook-signature", "sentry-app-signature"), value)
        for name, value in delivery.headers.items
    ]
    verifier("sentry", "s3cret")(make_delivery(pairs[4:], delivery.body), NOW)


@pytest.mark.parametrize(("vendor", "type_"), [("sentry", "sentry.issue"), ("zendesk", None)])
def test_empty_bodies_are_signed_and_read(vendor: str, type_: str | None) -> None:
    delivery = send(vendor, "s3cret", b"", "issue")
    assert delivery.body == b""
    verifier(vendor, "s3cret")(delivery, NOW)
    (draft,) = incoming(vendor).normalise(delivery, options(vendor))
    assert draft.type == (type_ or "zendesk.unknown")
    assert draft.payload == {}


# --- the others ---------------------------------------------------------------------------------


def test_stripe_takes_no_v0() -> None:
    delivery = send("stripe", "whsec_x", sample_bytes("stripe", "payment_intent.succeeded"))
    header = delivery.headers.one("stripe-signature") or ""
    only_v0 = make_delivery([("Stripe-Signature", header.replace("v1=", "v0="))], delivery.body)
    assert refusal(verifier("stripe", "whsec_x"), only_v0) == "malformed_header"


def sample_bytes(vendor: str, name: str) -> bytes:
    return samples.read(vendor, name)


def test_stripe_secret_is_used_as_it_is() -> None:
    body = sample_bytes("stripe", "payment_intent.succeeded")
    delivery = send("stripe", WHSEC, body, event="payment_intent.succeeded")
    verifier("stripe", WHSEC)(delivery, NOW)
    refused = refusal(verifier("stripe", WHSEC.removeprefix("whsec_")), delivery)
    assert refused == "signature_mismatch"


def test_stripe_event() -> None:
    draft = read_one("stripe", sample("stripe", "payment_intent.succeeded"))
    assert draft.type == "stripe.payment_intent.succeeded"
    assert draft.subject == "pi_3RkT8yLkdIwHu7ix"
    assert draft.fact == "evt_1RkT8zLkdIwHu7ix"
    assert draft.facts["livemode"] is False


def test_pagerduty_event() -> None:
    draft = read_one("pagerduty", sample("pagerduty", "incident.triggered"))
    assert (draft.type, draft.subject, draft.fact) == (
        "pagerduty.incident.triggered",
        "PGR0VU2",
        "01BZ1",
    )
    assert draft.facts["urgency"] == "high"


def test_gitlab_takes_the_classic_token_or_the_signing_token_never_both() -> None:
    token = send("gitlab", WHSEC)
    signed = send("gitlab", WHSEC, scheme="gitlab")
    verifier("gitlab", WHSEC)(token, NOW)
    verifier("gitlab", WHSEC, scheme="gitlab")(signed, NOW)
    assert refusal(verifier("gitlab", WHSEC), signed) == "missing_header"
    assert refusal(verifier("gitlab", WHSEC, scheme="gitlab"), token) == "missing_header"


@pytest.mark.parametrize(
    ("name", "type_", "number"),
    [
        ("pipeline", "gitlab.pipeline", 12),
        ("merge_request.open", "gitlab.merge_request.open", 12),
        ("push", "gitlab.push", None),
        ("project_create", "gitlab.project_create", None),
    ],
)
def test_gitlab_names_and_merge_requests(name: str, type_: str, number: int | None) -> None:
    draft = read_one("gitlab", sample("gitlab", name), (("X-Gitlab-Event", "Some Hook"),))
    assert draft.type == type_
    assert draft.facts.get("pr_number") == number
    assert draft.facts["repository"] == "acme/webapp"


def test_gitlab_is_known_by_what_stays_the_same_over_retries() -> None:
    headers = (("X-Gitlab-Event-UUID", "u1"), ("Idempotency-Key", "i1"))
    assert key("gitlab", {}, headers) == "i1"
    assert key("gitlab", {}, headers[:1]) == "u1"
    assert key("gitlab", {}, (("webhook-id", "w1"),), scheme="gitlab") == "w1"


def test_vercel_event() -> None:
    draft = read_one("vercel", sample("vercel", "deployment.succeeded"))
    assert draft.type == "vercel.deployment.succeeded"
    assert draft.time == datetime(2026, 4, 28, 12, 5, tzinfo=UTC)
    assert draft.facts["branch"] == "main"


def test_linear_time_is_in_the_signed_body() -> None:
    delivery = send("linear", "s3cret", sample_bytes("linear", "Issue.update"), "Issue.update")
    assert json.loads(delivery.body)["webhookTimestamp"] == int(NOW.timestamp() * 1000)
    verify = verifier("linear", "s3cret")
    verify(delivery, NOW + timedelta(seconds=60))
    assert refusal(verify, delivery, NOW + timedelta(seconds=61)) == "stale"
    assert refusal(verify, delivery, NOW - timedelta(seconds=61)) == "from_the_future"
    draft = read_one("linear", delivery.body)
    assert (draft.type, draft.facts["identifier"]) == ("linear.Issue.update", "QA-142")


def test_shopify_one_event_under_two_topics_is_two_deliveries() -> None:
    def headers(topic: str, webhook: str) -> Pairs:
        return (
            ("X-Shopify-Event-Id", "e1"),
            ("X-Shopify-Webhook-Id", webhook),
            ("X-Shopify-Topic", topic),
            ("X-Shopify-Shop-Domain", "lamps.example"),
            ("X-Shopify-Triggered-At", "2026-01-01T00:00:00Z"),
        )

    body = sample("shopify", "orders_create")
    created, updated = headers("orders/create", "w1"), headers("orders/updated", "w2")
    assert key("shopify", body, created) != key("shopify", body, updated)
    assert key("shopify", body, created) == key("shopify", body, headers("orders/create", "w3"))
    draft = read_one("shopify", body, created)
    assert (draft.type, draft.fact) == ("shopify.orders/create", "e1:orders/create")
    assert (draft.time, draft.facts["shop"]) == (NOW, "lamps.example")


def test_zendesk_template_and_subscription() -> None:
    template = BY_NAME["zendesk"].guide.template
    assert template is not None
    assert json.loads(template).keys() == sample("zendesk", "ticket.updated").keys()
    for name in ("ticket.updated", "zen_event-type_ticket.created"):
        draft = read_one("zendesk", sample("zendesk", name))
        assert draft.subject == "35436"
        assert draft.type.startswith("zendesk.")
        assert draft.facts["title"] == "Cannot pay"


def test_circleci_and_buildkite_tell_branch_and_status() -> None:
    for vendor, name in (("circleci", "workflow-completed"), ("buildkite", "build.finished")):
        draft = read_one(vendor, sample(vendor, name))
        assert draft.type == f"{vendor}.{name}"
        assert draft.facts["status"] == "failed"
        assert draft.facts["branch"] == "main"
        assert draft.time is not None
        assert (draft.time.hour, draft.time.minute) == (12, 5)


def test_buildkite_plain_token() -> None:
    delivery = make_delivery([("X-Buildkite-Token", "s3cret")], b"{}")
    verifier("buildkite", "s3cret", scheme="buildkite-token")(delivery, NOW)
    assert refusal(verifier("buildkite", "s3cret"), delivery) == "missing_header"


# --- Discord ------------------------------------------------------------------------------------


def handshake(body: bytes):
    return incoming("discord").handshake(make_delivery([], body), options("discord"))


def test_discord_ping_of_web_hook_events_is_answered_without_a_body() -> None:
    answer = handshake(sample_bytes("discord", "0+ping"))
    assert answer is not None
    assert (answer.status, answer.body) == (204, b"")


def test_discord_ping_of_interactions_is_answered_with_a_pong() -> None:
    answer = handshake(sample_bytes("discord", "1+ping"))
    assert answer is not None
    assert answer.status == 200
    assert json.loads(answer.body) == {"type": 1}


@pytest.mark.parametrize("name", ["APPLICATION_AUTHORIZED", "2+application_command"])
def test_discord_events_are_no_handshake(name: str) -> None:
    assert handshake(sample_bytes("discord", name)) is None


def test_discord_interactions_have_names() -> None:
    draft = read_one("discord", sample("discord", "3+message_component"))
    assert draft.type == "discord.message_component"
    assert draft.facts["custom_id"] == "approve:run-9182"
    assert draft.fact
    assert read_one("discord", {"type": 99}).type == "discord.99"


def test_discord_secret_has_to_be_a_public_key() -> None:
    with pytest.raises(ConfigurationError):
        verifier("discord", "whsec_x")


# --- SendGrid -----------------------------------------------------------------------------------


def test_sendgrid_batch_gives_an_event_for_each_entry() -> None:
    entries = sample("sendgrid", "processed+batch")
    drafts = read("sendgrid", entries)
    assert [draft.type for draft in drafts] == [f"sendgrid.{entry['event']}" for entry in entries]
    assert [draft.fact for draft in drafts] == [entry["sg_event_id"] for entry in entries]
    assert [draft.payload for draft in drafts] == entries
    assert len({draft.key for draft in drafts}) == len(entries)


def test_sendgrid_entry_is_the_same_fact_in_another_batch() -> None:
    entries = sample("sendgrid", "processed+batch")
    first, again = read("sendgrid", entries), read("sendgrid", entries[::-1])
    assert {draft.fact: draft for draft in first} == {draft.fact: draft for draft in again}


def test_sendgrid_entry_twice_in_a_batch_is_one_event() -> None:
    entries = sample("sendgrid", "delivered") * 2
    assert len(read("sendgrid", entries)) == 1


def test_sendgrid_odd_entries_do_not_cost_the_others() -> None:
    drafts = read("sendgrid", [1, None, *sample("sendgrid", "delivered"), {"event": "open"}])
    assert [draft.type for draft in drafts] == [
        "sendgrid.unknown",
        "sendgrid.unknown",
        "sendgrid.delivered",
        "sendgrid.open",
    ]


def test_sendgrid_batch_is_bounded() -> None:
    with pytest.raises(ValueError, match="entries"):
        read("sendgrid", [{}] * (MAX_ENTRIES + 1))


# --- CloudEvents --------------------------------------------------------------------------------

STRUCTURED = (("Content-Type", "application/cloudevents+json; charset=utf-8"),)
BATCH = (("Content-Type", "application/cloudevents-batch+json"),)
EVENT = {"specversion": "1.0", "id": "b-1", "source": "/ci", "type": "build.done", "data": {"n": 1}}


def binary(content_type: str = "application/json", **attributes: str) -> Pairs:
    given = {"specversion": "1.0", "id": "b-1", "source": "/ci", "type": "build.done"} | attributes
    named = tuple((f"ce-{name}", value) for name, value in given.items() if value)
    return (*named, ("Content-Type", content_type)) if content_type else named


def test_the_three_modes_give_the_same_fact_and_type() -> None:
    found = [
        *read("cloudevents", EVENT, STRUCTURED),
        *read("cloudevents", [EVENT], BATCH),
        *read("cloudevents", {"n": 1}, binary()),
    ]
    assert {(draft.type, draft.fact) for draft in found} == {("cloudevents.build.done", "/ci/b-1")}
    assert [draft.payload["data"] for draft in found] == [{"n": 1}] * 3


def test_structured_and_binary_deliveries_have_one_key() -> None:
    assert key("cloudevents", EVENT, STRUCTURED) == key("cloudevents", {}, binary()) == "/ci/b-1"
    assert len(key("cloudevents", [EVENT], BATCH)) == 64


def test_a_type_of_ours_stays_ours_with_its_facts() -> None:
    draft = read_one("cloudevents", sample("cloudevents", "test_run.failed"), STRUCTURED)
    assert (draft.type, draft.subject) == ("test_run.failed", "tr7abc123x")
    assert draft.facts["counts"] == {"passed": 118, "failed": 2, "recovered": 0, "bug": 0}
    bare = EVENT | {"type": "check.failed", "data": {"check_id": 7, "name": "checkout"}}
    assert read_one("cloudevents", bare, STRUCTURED).facts["check_id"] == "7"


def test_options_give_other_types() -> None:
    events = {"build.done": "test_run.passed"}
    assert read_one("cloudevents", EVENT, STRUCTURED, events=events).type == "test_run.passed"


def test_batch_with_one_event_twice_is_one_event() -> None:
    other = EVENT | {"source": "/other"}
    assert len(read("cloudevents", [EVENT, EVENT, other], BATCH)) == 2
    assert read("cloudevents", [], BATCH) == []


def test_source_and_id_cannot_be_cut_at_another_place() -> None:
    one = read_one("cloudevents", EVENT | {"source": "/a", "id": "b/c"}, STRUCTURED)
    two = read_one("cloudevents", EVENT | {"source": "/a/b", "id": "c"}, STRUCTURED)
    assert one.fact != two.fact


def test_binary_data_of_every_kind() -> None:
    def data(body: bytes, kind: str) -> Any:
        (draft,) = read("cloudevents", body, binary(kind))
        return {name: draft.payload[name] for name in draft.payload if name.startswith("data")}

    assert data(b'{"a":1}', "")["data"] == {"a": 1}
    assert data(b"plain", "text/plain")["data"] == "plain"
    assert data(b"\xff\x00", "image/png")["data_base64"] == "/wA="
    assert data(b"", "text/plain") == {}


def test_binary_attributes_are_percent_decoded() -> None:
    draft = read_one("cloudevents", {}, binary(subject="Caf%C3%A9%20%25", time="2026-01-01T00:00Z"))
    assert (draft.subject, draft.time) == ("Café %", NOW)


@pytest.mark.parametrize("bad", [{"id": "b-2"}, EVENT | {"id": 7}, None, "text", []])
def test_a_malformed_entry_of_a_batch_does_not_cost_the_others(bad: object) -> None:
    other = EVENT | {"id": "b-3"}
    drafts = read("cloudevents", [EVENT, bad, other, bad], BATCH)
    assert [(draft.type, draft.fact, draft.key) for draft in drafts] == [
        ("cloudevents.build.done", "/ci/b-1", "/ci/b-1"),
        ("cloudevents.malformed", "", "#1"),
        ("cloudevents.build.done", "/ci/b-3", "/ci/b-3"),
        ("cloudevents.malformed", "", "#3"),
    ]
    assert [draft.payload for draft in drafts] == [EVENT, bad, other, bad]


@pytest.mark.parametrize("missing", ["id", "source", "type"])
def test_an_event_without_its_attributes_is_malformed(missing: str) -> None:
    rest = {name: value for name, value in EVENT.items() if name != missing}
    for body, headers in (
        (rest, STRUCTURED),
        ([rest, rest], BATCH),
        ({}, binary(**{missing: ""})),
    ):
        with pytest.raises(ValueError, match=missing):
            read("cloudevents", body, headers)


def test_bearer_token_is_what_is_asked_for_unless_said_otherwise() -> None:
    delivery = make_delivery([("Authorization", "Bearer s3cret")], b"{}")
    verifier("cloudevents", "s3cret")(delivery, NOW)
    assert refusal(verifier("cloudevents", "other"), delivery) == "signature_mismatch"
    assert not incoming("cloudevents").wants_secret(options("cloudevents", scheme="none"))
    with pytest.raises(ValueError, match="sha256-body"):
        options("cloudevents", scheme="sha256-bdy")


@pytest.mark.parametrize("name", samples.names("cloudevents"))
def test_samples_are_sent_in_the_mode_they_are_of(name: str) -> None:
    body = samples.read("cloudevents", name)
    delivery = send("cloudevents", "s3cret", body, samples.event_of(name))
    kind = delivery.headers.one("content-type")
    expected = {"binary": "application/json", "batch": BATCH[0][1]}
    assert kind == expected.get(name.partition("+")[2], "application/cloudevents+json")
