"""Checkrd's webhooks: the vendor's signature rules, both forms of body, and identities of facts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.events import AgentAlertFacts, EventDraft, KillSwitchFacts, PolicyFacts
from service.vendors import BY_NAME, samples
from service.vendors.base import Secret
from service.vendors.checkrd.agents import read_stream
from service.vendors.checkrd.answers import ControlEvent
from service.vendors.checkrd.connection import end_of
from service.vendors.checkrd.message_signature import (
    TelemetrySigner,
    component_list,
    signature_base,
)
from service.vendors.checkrd.options import CheckrdOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery, refusal

INCOMING = BY_NAME["checkrd"].incoming
SECRET = "test-secret-0123456789abcdefghij"
BODY = b'{"type":"run.failed","data":{"run_id":"tr7abc123x"}}'
T = int(NOW.timestamp())
GOOD = "bbd5ffa271e2811e569d020eea20b109592e084e0855f00a2f746699d5fe5a32"
"""The vector of vendors.md §11 for `{t}.{body}`."""

CHANGE = {
    "alert_rule_id": "rule-1",
    "agent_id": "agent-1",
    "agent_name": "sales-agent",
    "condition_type": "error_rate",
    "previous_state": "ok",
    "new_state": "firing",
    "observed_value": 0.31,
    "threshold": 0.2,
    "reason": "too many errors",
    "evaluated_at": "2026-04-15T12:00:00Z",
}


def read(body: Any, **options: Any) -> EventDraft:
    (draft,) = INCOMING.normalise(
        make_delivery([], json.dumps(body).encode()), CheckrdOptions(**options)
    )
    return draft


def alert(type_: str | None = "alert.firing", id_: str = "entry-1", **change: Any) -> dict:
    body = {"id": id_, "timestamp": "2026-04-15T12:00:01Z", "data": {**CHANGE, **change}}
    return body if type_ is None else {"type": type_, **body}


def envelope(version: Any = 1, **data: Any) -> dict:
    return {
        "id": "message-1",
        "timestamp": "2026-04-15T12:00:00Z",
        "schema_version": version,
        "data": data,
    }


def signed(value: str, body: bytes = BODY):
    return make_delivery([("Checkrd-Signature", value)], body)


def hexed(secret: str, t: int = T, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()


# --- who sent it --------------------------------------------------------------------------------


@pytest.fixture
def verify():
    return INCOMING.verifier(CheckrdOptions(), [Secret(SECRET)])


@pytest.mark.parametrize(
    "value",
    [
        f"t={T},v1={GOOD}",
        f"t={T},v1={GOOD.upper()}",
        f"v1={GOOD},t={T}",
        f"t={T},v1={'0' * 64},v1={GOOD}",
        f"t={T},v1={GOOD},v1={'0' * 64}",
        f"t={T},v2={'0' * 128},v1={GOOD},more=x",
        f"t={T}, v1={GOOD}",
    ],
)
def test_any_v1_counts_and_unknown_tags_do_not(verify, value):
    verify(signed(value), NOW)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (f"t={T},v1={GOOD[:-1]}0", "signature_mismatch"),
        (f"t={T},v1={GOOD[:-2]}", "malformed_header"),
        (f"t={T},v2={GOOD}", "malformed_header"),
        (f"t={T}", "malformed_header"),
        (f"v1={GOOD}", "malformed_time"),
        (f"t={T + 1},v1={GOOD}", "signature_mismatch"),
        (f"t={T},t={T},v1={GOOD}", "malformed_header"),
        ("", "malformed_time"),
    ],
)
def test_what_is_refused(verify, value, reason):
    assert refusal(verify, signed(value)) == reason


def test_one_changed_byte_is_refused(verify):
    changed = BODY.replace(b"tr7abc123x", b"tr7abc123y")
    assert refusal(verify, signed(f"t={T},v1={GOOD}", changed)) == "signature_mismatch"


@pytest.mark.parametrize(("off", "reason"), [(301, "stale"), (-301, "from_the_future")])
def test_the_time_counts_in_both_directions(verify, off, reason):
    verify(signed(f"t={T},v1={GOOD}"), NOW + timedelta(seconds=off - off // abs(off)))
    assert refusal(verify, signed(f"t={T},v1={GOOD}"), NOW + timedelta(seconds=off)) == reason


def test_any_secret_counts_with_any_v1_while_rotating():
    both = INCOMING.verifier(CheckrdOptions(), [Secret("new"), Secret("old")])
    for first, second in (("old", "other"), ("other", "new"), ("new", "old")):
        both(signed(f"t={T},v1={hexed(first)},v1={hexed(second)}"), NOW)


def test_our_signature_is_the_vectors():
    headers = dict(
        INCOMING.sign(b"[]", SECRET, NOW, CheckrdOptions(), event="", delivery_id="").headers
    )
    assert headers["Checkrd-Signature"] == f"t={T},v1={hexed(SECRET, body=b'[]')}"


def test_header_and_tolerance_are_options():
    options = CheckrdOptions(signature_header="X-Other", tolerance_s=5)
    verify = INCOMING.verifier(options, [Secret(SECRET)])
    delivery = as_delivery(
        INCOMING.sign(BODY, SECRET, NOW, options, event="kill_switch", delivery_id="i")
    )
    verify(delivery, NOW)
    assert refusal(verify, delivery, NOW + timedelta(seconds=6)) == "stale"


def test_a_signed_envelope_keeps_its_form():
    body = samples.read("checkrd", "kill_switch")
    out = INCOMING.sign(
        body, SECRET, NOW, CheckrdOptions(), event="policy_updated", delivery_id="d1"
    )
    document = json.loads(out.body)
    assert (document["id"], document["data"]["type"]) == ("d1", "policy_updated")
    assert "type" not in document


# --- what it says -------------------------------------------------------------------------------

TYPES = {
    "alert.firing": "agent_alert.fired",
    "alert.firing+entry": "agent_alert.fired",
    "alert.resolved": "agent_alert.resolved",
    "alert.ok": "checkrd.alert.ok",
    "alert.ok+firing": "agent_alert.resolved",
    "alert.pending": "checkrd.alert.pending",
    "alert.no_data": "checkrd.alert.no_data",
    "kill_switch": "agent.kill_switch_changed",
    "kill_switch+off": "agent.kill_switch_changed",
    "policy_updated": "policy.updated",
    "policy_updated+newer_schema": "checkrd.policy_updated",
    "interaction_request": "checkrd.interaction_request",
    "interaction_response": "checkrd.interaction_response",
}


def test_every_sample_has_its_expectation():
    assert set(samples.names("checkrd")) == set(TYPES)


@pytest.mark.parametrize(("name", "type_"), TYPES.items())
def test_types_of_the_samples(name, type_):
    draft = read(json.loads(samples.read("checkrd", name)))
    assert draft.type == type_
    assert draft.vendor_type == samples.event_of(name)
    assert draft.time is not None
    assert draft.fact


def test_the_table_is_what_normalise_uses():
    for vendor_type, type_ in INCOMING.types.items():
        if vendor_type != "*":
            sample = read(alert(vendor_type, new_state=None, previous_state="firing"))
            assert sample.type == type_


def test_facts_of_a_firing_alert():
    draft = read(json.loads(samples.read("checkrd", "alert.firing")))
    facts = AgentAlertFacts.model_validate(draft.facts)
    assert draft.subject == facts.rule_id == "6f1d2c7a-5b0e-4f5e-9b1a-2f4f6f0f9c11"
    assert facts.alert_id == "b7c1f1c4-0a52-4e0e-9a57-1f2a6c0d3e01"
    assert (facts.agent_name, facts.condition) == ("sales-agent", "error_rate")
    assert (facts.previous_state, facts.state) == ("ok", "firing")
    assert (facts.observed_value, facts.threshold) == (0.31, 0.2)
    assert facts.reason is not None
    assert draft.time is not None
    assert draft.time.isoformat() == "2026-04-15T12:00:00+00:00"


def test_facts_of_a_kill_switch_and_of_a_policy():
    on, off = (
        read(json.loads(samples.read("checkrd", name)))
        for name in ("kill_switch", "kill_switch+off")
    )
    assert KillSwitchFacts.model_validate(on.facts).active is True
    assert KillSwitchFacts.model_validate(off.facts).active is False
    assert on.subject == on.facts["agent_id"] is not None
    policy = read(json.loads(samples.read("checkrd", "policy_updated")))
    facts = PolicyFacts.model_validate(policy.facts)
    assert facts.version == "7"
    assert facts.hash is not None
    assert facts.hash.startswith("sha256:")


def test_the_new_state_goes_before_the_name():
    assert read(alert("alert.firing", new_state="resolved")).type == "agent_alert.resolved"
    assert read(alert("alert.changed", new_state="FIRING")).type == "agent_alert.fired"
    assert read(alert("alert.resolved", new_state=None)).facts["state"] == "resolved"
    assert read(alert("alert.changed", new_state="pending")).type == "checkrd.alert.pending"


def test_a_bare_entry_of_the_history_is_read_too():
    draft = read({"id": "entry-1", **CHANGE})
    assert (draft.type, draft.vendor_type) == ("agent_alert.fired", "alert.firing")
    assert draft.fact == read(alert()).fact


@pytest.mark.parametrize("version", [2, "2", 99, "latest", [], {}, 1.5])
def test_a_newer_schema_is_kept_and_not_read(version):
    draft = read(envelope(version, type="kill_switch", agent_id="a", active=True))
    assert (draft.type, draft.vendor_type) == ("checkrd.kill_switch", "kill_switch")
    assert draft.facts == {}
    assert draft.payload["data"]["active"] is True


@pytest.mark.parametrize("version", [1, "1", 1.0, 0, None])
def test_the_known_schema_is_read(version):
    draft = read(envelope(version, type="kill_switch", agent_id="a", active=True))
    assert draft.facts["active"] is True


def test_a_known_schema_can_be_raised():
    body = envelope(2, type="kill_switch", agent_id="a", active=True)
    assert read(body, schema_version=2).type == "agent.kill_switch_changed"


@pytest.mark.parametrize("value", ["high", True, [], "1e999", 10**400, None])
def test_numbers_that_are_none_are_left_out(value):
    draft = read(alert(observed_value=value))
    assert draft.facts["observed_value"] is None
    assert draft.type == "agent_alert.fired"


def test_numbers_as_text_are_read():
    assert read(alert(observed_value="0.5")).facts["observed_value"] == 0.5


@pytest.mark.parametrize("body", [{}, {"id": "x"}, {"data": {"alert_rule_id": "r"}}, {"type": ""}])
def test_a_body_that_names_no_event_is_an_error(body):
    with pytest.raises(ValueError, match="names no type"):
        read(body)


# --- which fact it is ---------------------------------------------------------------------------


def test_an_alert_is_known_by_rule_state_and_second():
    assert read(alert()).fact == "alert:rule-1:firing:2026-04-15T12:00:00Z"
    same = (
        alert(id_="notification-7"),
        alert(evaluated_at="2026-04-15T12:00:00.731+00:00"),
        alert(evaluated_at="2026-04-15T14:00:00+02:00"),
        alert(None),
    )
    assert {read(body).fact for body in same} == {read(alert()).fact}
    other = (
        alert(alert_rule_id="rule-2"),
        alert(new_state="resolved"),
        alert(evaluated_at="2026-04-15T12:00:01Z"),
    )
    assert len({read(body).fact for body in (alert(), *other)}) == 4


def test_an_alert_can_be_known_by_its_id():
    body = alert(id_="notification-7", history_id="entry-1")
    options = {"identity": "id", "history_id_paths": ("data.history_id", "id")}
    assert read(body, **options).fact == "alert-history:entry-1"
    assert read(alert(id_="entry-1"), **options).fact == "alert-history:entry-1"


def test_an_alert_without_rule_or_time_is_known_by_its_id():
    for missing in ("alert_rule_id", "evaluated_at"):
        assert read(alert(**{missing: None})).fact == "alert-history:entry-1"
    body = {"type": "alert.firing", "data": {}}
    assert read(body).fact == ""


def test_a_message_is_known_by_its_id():
    assert read(envelope(type="kill_switch")).fact == "event:message-1"
    assert read({"type": "kill_switch"}).fact == ""


# --- what options can say -----------------------------------------------------------------------


def test_other_names_can_be_told():
    events = {"agent.paused": "agent.kill_switch_changed", "rule.hot": "agent_alert.fired"}
    paused = read({"type": "agent.paused", "data": {"agent_id": "a"}}, events=events)
    assert (paused.type, paused.facts["agent_id"]) == ("agent.kill_switch_changed", "a")
    hot = read(alert("rule.hot"), events=events)
    assert (hot.type, hot.facts["rule_id"]) == ("agent_alert.fired", "rule-1")
    prefixed = read(alert("rule.changed"), alert_prefixes=("rule.",))
    assert prefixed.type == "agent_alert.fired"
    named = read(alert("rule.resolved", new_state=None), alert_prefixes=("rule.",))
    assert (named.type, named.facts["state"]) == ("agent_alert.resolved", "resolved")


def test_other_places_can_be_told():
    body = {"kind": "alert.firing", "key": "k1", "payload": CHANGE, "at": "2026-01-01T00:00:00Z"}
    options = {
        "type_paths": ("kind",),
        "id_paths": ("key",),
        "history_id_paths": ("key",),
        "data_path": "payload",
    }
    assert read(body, **options).facts["alert_id"] == "k1"
    delivery = make_delivery([], json.dumps(body).encode())
    assert INCOMING.delivery_key(delivery, CheckrdOptions(**options)) == "k1"


# --- telemetry's signature ----------------------------------------------------------------------

RFC_KEY = "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5"


def test_the_signature_is_that_of_the_rfc():
    """RFC 9421, appendix B.2.6: test-key-ed25519."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_KEY))
    components = (
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@method", "POST"),
        ("@path", "/foo"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    )
    params = f'{component_list(components)};created=1618884473;keyid="test-key-ed25519"'
    signature = key.sign(signature_base(components, params))
    assert base64.b64encode(signature).decode() == (
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    )


def test_telemetry_is_signed_as_the_vendor_wants_it():
    signer = TelemetrySigner("agent-1", "key-1", Ed25519PrivateKey.generate())
    headers = signer.headers("POST", "https://api.example/v1/telemetry", b"{}", NOW, "0" * 32)
    assert headers["Signature-Input"] == (
        'checkrd=("@method" "@target-uri" "content-digest" "x-checkrd-signer-agent")'
        f';created={T};expires={T + 300};keyid="key-1";alg="ed25519";nonce="{"0" * 32}"'
    )
    assert headers["X-Checkrd-Signer-Agent"] == "agent-1"
    assert headers["Signature"].startswith("checkrd=:")
    # SHA-256 of {}: RFC 9530 writes it in base64 between colons.
    digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert "private" not in repr(signer)


# --- control messages and log-ins ---------------------------------------------------------------


def stream(text: str, **more: bool) -> list[ControlEvent]:
    return list(read_stream(text.split("\n"), **more))


def test_a_stream_is_read_as_its_standard_says():
    text = (
        '\ufeff: hello\n\nevent: init\ndata: {"kill_switch_active": true,\ndata: "other": 1}\n\n'
        "id: 7\nretry: 100\n\nevent:kill_switch\ndata:{}\n\ndata\n\nevent: lost\ndata: {}"
    )
    told = stream(text)
    assert [event.event for event in told] == ["init", "kill_switch", "message"]
    assert (told[0].kill_switch_active, told[1].kill_switch_active) == (True, None)
    assert stream(text, heartbeats=True)[0].event == "heartbeat"


@pytest.mark.parametrize("data", ["[]", "no json", "{" * 99_999, '"text"', ""])
def test_a_message_that_is_no_object_has_no_members(data):
    (event,) = stream(f"event: init\ndata: {data}\n\n")
    assert event.kill_switch_active is None


def token(claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_a_login_tells_its_own_end():
    assert end_of(token({"exp": T})) == NOW
    for other in ("jwt_twin", "a.b.c", "", "..", token([]), token({}), token({"exp": "soon"})):
        assert end_of(other) is None
