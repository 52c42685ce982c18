"""Checkly's alerts in our words: the template rendered, signatures, keys, facts."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from schemas.config import Configuration
from schemas.events import CertificateFacts, CheckFacts, EventDraft
from service.vendors import BY_NAME, samples
from service.vendors.base import Delivery, Incoming, Secret
from service.vendors.checkly import VENDOR
from service.vendors.checkly.events import EVENTS
from service.vendors.checkly.options import ChecklyOptions
from tests.vendors.deliveries import NOW, make_delivery, refusal

SECRET = "checkly-webhook-secret"
TEMPLATE = VENDOR.guide.template or ""


def incoming() -> Incoming:
    assert VENDOR.incoming is not None
    return VENDOR.incoming


# --- a renderer of the few Handlebars that the template uses --------------------------------------

_MORE_ESCAPES = {"`": "&#x60;", "=": "&#x3D;"}
_EACH = re.compile(r"\{\{#each (\w+)\}\}(.*?)\{\{/each\}\}", re.DOTALL)
_UNLESS_LAST = re.compile(r"\{\{#unless @last\}\}(.*?)\{\{/unless\}\}", re.DOTALL)
_VALUE = re.compile(r"\{\{\{(\w+)\}\}\}|\{\{(\w+)\}\}")


def escaped(text: str) -> str:
    """Escape as Handlebars does: HTML's five signs, and two more."""
    return "".join(_MORE_ESCAPES.get(sign, sign) for sign in html.escape(text))


def render(template: str, variables: dict[str, Any]) -> bytes:
    def fill(text: str, known: dict[str, Any]) -> str:
        def value(found: re.Match[str]) -> str:
            raw, plain = found[1], found[2]
            return str(known.get(raw, "")) if raw else escaped(str(known.get(plain, "")))

        return _VALUE.sub(value, text)

    def each(found: re.Match[str]) -> str:
        items = list(variables.get(found[1], ()))
        last = len(items) - 1
        return "".join(
            fill(_UNLESS_LAST.sub("" if number == last else r"\1", found[2]), {"this": item})
            for number, item in enumerate(items)
        )

    return fill(_EACH.sub(each, template), variables).encode()


VARIABLES: dict[str, Any] = {
    "ALERT_TITLE": "Check out & pay has failed",
    "ALERT_TYPE": "ALERT_FAILURE",
    "CHECK_ID": "c2f8b9d4",
    "CHECK_NAME": "Check out & pay <guest>",
    "CHECK_TYPE": "BROWSER",
    "CHECK_RESULT_ID": "a3f1c7d0",
    "GROUP_NAME": "Shop",
    "RUN_LOCATION": "eu-central-1",
    "RESPONSE_TIME": 18342,
    "RESULT_LINK": "https://app.checklyhq.com/checks/c2f8b9d4?result=a3f1c7d0&tab=1",
    "STARTED_AT": "2026-01-01T00:00:00.412Z",
    "TAGS": ["production", "team=web", "r&d"],
}


def delivered(body: bytes, *more: tuple[str, str]) -> Delivery:
    """What arrives of a body, with the digest computed here and not by our own signing."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return make_delivery([("x-checkly-signature", digest), *more], body)


def read(body: Any) -> EventDraft:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (draft,) = incoming().normalise(make_delivery((), raw), ChecklyOptions())
    return draft


def key_of(body: bytes) -> str:
    return incoming().delivery_key(make_delivery((), body), ChecklyOptions())


def verify(delivery: Delivery, now: datetime = NOW, **options: Any) -> None:
    checked = ChecklyOptions(**options)
    incoming().verifier(checked, [Secret(SECRET)])(delivery, now)


# --- the template ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alert_type", sorted(EVENTS))
def test_the_template_handed_out_gives_deliveries_that_are_read(alert_type: str) -> None:
    body = render(TEMPLATE, {**VARIABLES, "ALERT_TYPE": alert_type})
    delivery = delivered(body)
    verify(delivery)
    assert key_of(body) == f"a3f1c7d0:{alert_type}"
    (draft,) = incoming().normalise(delivery, ChecklyOptions())
    assert draft.type == EVENTS[alert_type]
    assert draft.subject == "c2f8b9d4"
    assert draft.fact == f"alert:c2f8b9d4:{alert_type}:1767225600"
    assert draft.facts["name"] == "Check out & pay <guest>"
    assert draft.facts["url"].endswith("?result=a3f1c7d0&tab=1")


def test_the_template_leaves_nothing_out() -> None:
    facts = CheckFacts.model_validate(read(render(TEMPLATE, VARIABLES)).facts)
    assert facts == CheckFacts(
        check_id="c2f8b9d4",
        name="Check out & pay <guest>",
        kind="BROWSER",
        status="failed",
        result_id="a3f1c7d0",
        url="https://app.checklyhq.com/checks/c2f8b9d4?result=a3f1c7d0&tab=1",
        group="Shop",
        location="eu-central-1",
        response_time_ms=18342,
        tags=("production", "team=web", "r&d"),
    )


@pytest.mark.parametrize("tags", [[], ["one"], ["one", "two", "three"]])
def test_any_number_of_tags_makes_valid_json(tags: list[str]) -> None:
    body = render(TEMPLATE, {**VARIABLES, "TAGS": tags})
    assert json.loads(body)["tags"] == tags
    assert read(body).facts["tags"] == tags


@pytest.mark.parametrize("name", ['The "new" shop', "two\nlines", "back\\slash"])
def test_a_body_that_the_template_broke_is_authentic_and_not_readable(name: str) -> None:
    body = render(TEMPLATE, {**VARIABLES, "CHECK_NAME": name})
    delivery = delivered(body)
    verify(delivery)
    assert key_of(body) == delivery.body_digest()
    with pytest.raises(ValueError, match=r".+"):
        incoming().normalise(delivery, ChecklyOptions())


@pytest.mark.parametrize("body", [{}, {"alert_type": ""}, {"alert_type": ["ALERT_FAILURE"]}])
def test_a_body_of_another_template_is_refused_in_words(body: Any) -> None:
    with pytest.raises(ValueError, match="template"):
        read(body)


def test_the_guide_configures_what_there_is() -> None:
    configuration = Configuration.model_validate(yaml.safe_load(VENDOR.guide.configuration))
    assert {source.vendor for source in configuration.sources} == {"checkly"}
    polls = {poll.name for poll in VENDOR.polls}
    assert {poll.poll for poll in configuration.polls} == polls
    (source,) = configuration.sources
    assert source.connection in {connection.name for connection in configuration.connections}
    assert source.reconcile is not None
    assert any("{url}" in step for step in VENDOR.guide.incoming)
    assert BY_NAME["checkly"] is VENDOR


# --- samples --------------------------------------------------------------------------------------


def test_every_type_of_alert_has_a_sample() -> None:
    assert {samples.event_of(name) for name in samples.names("checkly")} == set(EVENTS)


@pytest.mark.parametrize("name", samples.names("checkly"))
def test_a_sample_is_what_its_name_says(name: str) -> None:
    draft = read(samples.read("checkly", name))
    assert draft.vendor_type == samples.event_of(name)
    assert draft.type == EVENTS[draft.vendor_type]
    assert draft.time is not None
    assert draft.fact.startswith(f"alert:{draft.subject}:{draft.vendor_type}:")


@pytest.mark.parametrize(
    ("alert_type", "status"),
    [
        ("ALERT_FAILURE", "failed"),
        ("ALERT_DEGRADED_FAILURE", "failed"),
        ("ALERT_FAILURE_REMAIN", "failed"),
        ("ALERT_DEGRADED", "degraded"),
        ("ALERT_DEGRADED_REMAIN", "degraded"),
        ("ALERT_FAILURE_DEGRADED", "degraded"),
        ("ALERT_RECOVERY", "passed"),
        ("ALERT_DEGRADED_RECOVERY", "passed"),
        ("NO_ALERT", "unknown"),
        ("ALERT_FROM_TOMORROW", "unknown"),
    ],
)
def test_status_of_an_alert(alert_type: str, status: str) -> None:
    assert read({"alert_type": alert_type}).facts["status"] == status


def test_a_certificate_has_facts_of_its_own() -> None:
    told = CertificateFacts.model_validate(read(samples.read("checkly", "ALERT_SSL")).facts)
    assert (told.domain, told.days_remaining) == ("api.acme.example", 14)
    plain = read(samples.read("checkly", "ALERT_SSL+template"))
    assert (plain.facts["domain"], plain.facts["days_remaining"]) == (None, None)
    assert plain.facts["name"] == "Orders API"


def test_an_error_message_is_read_where_the_template_has_one() -> None:
    assert "Timeout" in read(samples.read("checkly", "ALERT_FAILURE+error")).facts["error"]


def test_an_unknown_type_of_alert_is_kept_under_its_name() -> None:
    draft = read({"alert_type": "ALERT_FROM_TOMORROW", "check_id": "c1"})
    assert draft.type == "checkly.ALERT_FROM_TOMORROW"
    assert draft.fact == ""


@pytest.mark.parametrize(
    "body",
    [
        {"alert_type": "ALERT_FAILURE", "started_at": "2026-01-01T00:00:00Z"},
        {"alert_type": "ALERT_FAILURE", "check_id": "c1"},
        {"alert_type": "ALERT_FAILURE", "check_id": "c1", "started_at": "soon"},
    ],
)
def test_no_fact_is_named_that_is_not_known(body: Any) -> None:
    assert read(body).fact == ""


def test_two_alerts_of_a_check_are_two_facts() -> None:
    alert = {"alert_type": "ALERT_FAILURE", "check_id": "c1", "started_at": "2026-01-01T00:00:00Z"}
    others = ({"alert_type": "ALERT_RECOVERY"}, {"check_id": "c2"}, {"started_at": 1767225601})
    facts = {read(alert).fact, *(read({**alert, **other}).fact for other in others)}
    assert len(facts) == 4
    assert read({**alert, "started_at": "2026-01-01T01:00:00.999+01:00"}).fact == read(alert).fact


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("812", 812),
        (812.4, 812),
        ("812.6", 813),
        *[(odd, None) for odd in ("", "NaN", "1e400", True, -5, "9" * 40)],
        ([], None),
    ],
)
def test_response_times_are_read_from_untidy_values(value: Any, milliseconds: int | None) -> None:
    body = {"alert_type": "ALERT_FAILURE", "response_time_ms": value}
    assert read(body).facts["response_time_ms"] == milliseconds


# --- keys -----------------------------------------------------------------------------------------


def test_one_result_may_give_two_alerts() -> None:
    bodies = [
        json.dumps({"check_result_id": "r1", "alert_type": name}).encode()
        for name in ("ALERT_DEGRADED", "ALERT_DEGRADED_FAILURE")
    ]
    assert [key_of(body) for body in bodies] == ["r1:ALERT_DEGRADED", "r1:ALERT_DEGRADED_FAILURE"]


@pytest.mark.parametrize(
    "body", [{"check_result_id": "r1"}, {"alert_type": "ALERT_FAILURE"}, {"check_result_id": ""}]
)
def test_without_result_or_type_the_body_is_the_key(body: Any) -> None:
    raw = json.dumps(body).encode()
    assert key_of(raw) == hashlib.sha256(raw).hexdigest()


# --- signatures -----------------------------------------------------------------------------------


def test_the_reference_vector_is_accepted() -> None:
    body = b'{"type":"run.failed","data":{"run_id":"tr7abc123x"}}'
    digest = "e35022c1ca02754573a7b737c410609ad75b581ad450b41ea01303b3d0b2ec52"
    check = incoming().verifier(ChecklyOptions(), [Secret("test-secret-0123456789abcdefghij")])
    check(make_delivery([("x-checkly-signature", digest)], body), NOW)
    check(make_delivery([("X-Checkly-Signature", digest.upper())], body), NOW)
    wrong = make_delivery([("x-checkly-signature", f"sha256={digest}")], body)
    assert refusal(check, wrong) == "malformed_header"


def test_the_headers_can_be_named_otherwise() -> None:
    body = b"{}"
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    verify(make_delivery([("x-own", digest)], body), signature_header="X-Own")
    sent = ("x-when", str(int(NOW.timestamp())))
    verify(delivered(body, sent), timestamp_header="X-When", max_lateness_s=60)


SENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("auto", "1767225600"),
        ("auto", "1767225600000"),
        ("auto", "2026-01-01T00:00:00Z"),
        ("auto", "2026-01-01T01:00:00.000+01:00"),
        ("s", "1767225600"),
        ("ms", "1767225600000"),
        ("iso", "2026-01-01T00:00:00.000Z"),
    ],
)
def test_lateness_is_judged_in_every_unit(unit: str, text: str) -> None:
    delivery = delivered(b"{}", ("x-checkly-timestamp", text))
    options = ChecklyOptions(timestamp_unit=unit, max_lateness_s=300)
    check = incoming().verifier(options, [Secret(SECRET)])
    check(delivery, SENT + timedelta(seconds=299))
    assert refusal(check, delivery, SENT + timedelta(seconds=301)) == "stale"
    assert refusal(check, delivery, SENT - timedelta(seconds=301)) == "from_the_future"


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "2026-01-01T00:00:00Z"),
        ("ms", "soon"),
        ("iso", "1767225600"),
        ("auto", ""),
        ("auto", "²"),
        ("s", "9" * 19),
    ],
)
def test_a_time_of_another_form_is_malformed_when_lateness_counts(unit: str, text: str) -> None:
    delivery = delivered(b"{}", ("x-checkly-timestamp", text))
    options = ChecklyOptions(timestamp_unit=unit, max_lateness_s=300)
    check = incoming().verifier(options, [Secret(SECRET)])
    assert refusal(check, delivery) == "malformed_time"
    verify(delivery)


def test_a_late_delivery_is_only_judged_when_it_is_authentic() -> None:
    late = make_delivery(
        [("x-checkly-signature", "0" * 64), ("x-checkly-timestamp", "1")], b'{"a":1}'
    )
    check = incoming().verifier(ChecklyOptions(max_lateness_s=300), [Secret(SECRET)])
    assert refusal(check, late) == "signature_mismatch"
    assert refusal(check, delivered(b"{}")) == "missing_header"


def test_lateness_is_a_positive_number_of_seconds() -> None:
    with pytest.raises(ValidationError):
        ChecklyOptions(max_lateness_s=0)
