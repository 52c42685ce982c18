"""A generic source: ready schemes, knobs, senders without signature, and configured facts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.errors import ConfigurationError
from service.signatures import PRESETS
from service.vendors import BY_NAME, samples
from service.vendors.base import Secret
from service.vendors.generic.options import GenericOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal
from tests.vendors.key_pairs import pair_for

INCOMING = BY_NAME["generic"].incoming


def read(body: Any, headers: tuple[tuple[str, str], ...] = (), **options: Any):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (draft,) = INCOMING.normalise(make_delivery(headers, raw), GenericOptions(**options))
    return draft


def key(headers: list[tuple[str, str]], body: Any, **options: Any) -> str:
    delivery = make_delivery(headers, json.dumps(body).encode())
    return INCOMING.delivery_key(delivery, GenericOptions(**options))


# --- how it is signed ---------------------------------------------------------------------------


def test_standard_webhooks_unless_said_otherwise():
    signed = INCOMING.sign(b"{}", "whsec_AAAA", NOW, GenericOptions(), event="x", delivery_id="m1")
    assert dict(signed.headers)["webhook-id"] == "m1"
    INCOMING.verifier(GenericOptions(), [Secret("whsec_AAAA")])(as_delivery(signed), NOW)


@pytest.mark.parametrize("scheme", PRESETS)
def test_every_ready_scheme_can_be_named(scheme):
    options = GenericOptions(scheme=scheme)
    assert INCOMING.wants_secret(options)
    pair = pair_for(PRESETS[scheme], "whsec_AAAA")
    signed = INCOMING.sign(b"{}", pair.private, NOW, options, event="x.y", delivery_id="m1")
    INCOMING.verifier(options, [Secret(pair.public)])(as_delivery(signed), NOW)


def test_a_knob_replaces_that_of_the_ready_scheme():
    options = GenericOptions(scheme="github", signature_header="X-Mirror-Signature")
    signed = INCOMING.sign(b"{}", "s", NOW, options, event="push", delivery_id="d")
    assert dict(signed.headers)["X-Mirror-Signature"].startswith("sha256=")
    INCOMING.verifier(options, [Secret("s")])(as_delivery(signed), NOW)


def test_every_knob_can_be_set():
    options = GenericOptions(
        scheme="custom",
        signature_header="X-Sig",
        item_separator="comma",
        item_format="key_value",
        signature_keys=("s",),
        algorithm="hmac-sha512",
        encoding="base64",
        template="{ts}|{body}|",
        ts_source="item",
        ts_key="when",
        ts_unit="ms",
        tolerance_s=5,
        secret_encoding="hex",
        id_headers=("X-Id",),
        event_headers=("X-Kind",),
    )
    signed = INCOMING.sign(b"{}", "00ff", NOW, options, event="went.wrong", delivery_id="d-1")
    delivery = as_delivery(signed)
    INCOMING.verifier(options, [Secret("00ff")])(delivery, NOW)
    assert INCOMING.delivery_key(delivery, options) == "d-1"
    assert INCOMING.normalise(delivery, options)[0].type == "generic.went.wrong"
    late = NOW.replace(second=6)
    assert refusal(INCOMING.verifier(options, [Secret("00ff")]), delivery, late) == "stale"


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "sha256-bdy"},
        {"scheme": "custom"},
        {"scheme": "custom", "signature_header": "X", "template": "{ts}{body}"},
        {"scheme": "github", "encoding": "text"},
        {"scheme": "none", "signature_header": "X"},
        {"scheme": "none", "tolerance_s": 5},
        {"signature_heder": "X"},
    ],
)
def test_contradicting_options(options):
    with pytest.raises(ValueError, match="validation error"):
        GenericOptions(**options)


# --- a sender that signs nothing ----------------------------------------------------------------


def test_unsigned_source_asks_for_no_secret():
    options = GenericOptions(scheme="none")
    assert not INCOMING.wants_secret(options)
    INCOMING.verifier(options, [])(make_delivery([], b"anything"), NOW)


def test_unsigned_source_with_a_secret_is_a_mistake():
    with pytest.raises(ConfigurationError):
        INCOMING.verifier(GenericOptions(scheme="none"), [Secret("s")])


def test_no_other_vendor_goes_without_a_secret_but_those_that_sign_nothing():
    for vendor in BY_NAME.values():
        if vendor.incoming is not None and vendor.name != "checkview":
            assert vendor.incoming.wants_secret(vendor.incoming.options())


def test_unsigned_source_reads_names_and_ids_where_it_is_told():
    options = {"scheme": "none", "id_headers": ("ce-id",), "event_headers": ("ce-type",)}
    headers = (("ce-id", "1"), ("ce-type", "deploy.done"))
    assert read({}, headers, **options).type == "generic.deploy.done"
    assert key(list(headers), {}, **options) == "1"


# --- which it is --------------------------------------------------------------------------------


def test_id_of_the_header_then_of_the_body_then_the_digest():
    options = {"scheme": "custom", "signature_header": "X", "id_headers": ("A", "B")}
    options["id_paths"] = ("event.id", "event", "id")
    assert key([("B", "b1")], {"id": "i"}, **options) == "b1"
    assert key([("A", " ")], {"event": {"id": "e"}, "id": "i"}, **options) == "e"
    assert key([], {"event": "plain", "id": "i"}, **options) == "plain"
    assert key([], {"event": {"id": [1]}, "id": 5}, **options) == "5"
    assert len(key([], {"event": {}, "id": True}, **options)) == 64


# --- what it says -------------------------------------------------------------------------------


BUILD = samples.read("generic", "build.failed")
FACTS = {
    "run_id": "data.run.id",
    "url": "data.run.url",
    "counts.failed": "data.failures",
    "counts.passed": "data.passed",
    "repository": "data.repository",
    "branch": "data.branch",
    "commit_sha": "data.commit",
    "pr_number": "data.pull_request",
}


def test_mapped_type_has_the_facts_of_its_family():
    draft = read(
        BUILD, events={"build.failed": "test_run.failed"}, facts=FACTS, subject_path="data.run.id"
    )
    assert draft.type == "test_run.failed"
    assert draft.vendor_type == "build.failed"
    assert draft.subject == draft.facts["run_id"] == "build-9182"
    assert draft.facts["counts"] == {"passed": 118, "failed": 2, "recovered": 0, "bug": 0}
    assert draft.facts["pr_number"] is None
    assert draft.time is not None
    assert draft.time.isoformat() == "2026-04-28T12:05:00+00:00"


def test_a_fact_that_does_not_fit_its_family_is_left_out():
    draft = read(
        {"type": "t", "n": "many", "id": "r1"},
        events={"t": "test_run.failed"},
        facts={"counts.failed": "n", "run_id": "id", "no_such_fact": "id"},
    )
    assert draft.facts["run_id"] == "r1"
    assert draft.facts["counts"]["failed"] == 0
    assert "no_such_fact" not in draft.facts


def test_a_type_without_a_family_has_the_facts_as_found():
    draft = read({"type": "invoice.paid", "a": {"b": [1]}}, facts={"x.y": "a.b", "z": "nowhere"})
    assert draft.facts == {"x": {"y": [1]}}


@pytest.mark.parametrize("key_", ["type", "event", "event_type"])
def test_event_names_without_a_header(key_):
    assert read({key_: "a.b"}, scheme="none").type == "generic.a.b"


def test_nothing_names_the_event():
    assert read({}).type == "generic.unknown"
    assert read({}, events={"unknown": "check.failed"}).type == "check.failed"
