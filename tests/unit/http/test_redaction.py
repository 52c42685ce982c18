"""Every form of secret of the vendors is struck out, and what is none stays readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.redaction import STRUCK, is_sensitive_name, redact, redact_fields


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc123def456", "abc123def456"),
        ("{'authorization': 'Bearer abc123def456'}", "abc123def456"),
        ("authorization=abc123def456", "abc123def456"),
        ("X-API-Key: abc123def456", "abc123def456"),
        ("ChecksumAppCode: abc123def456", "abc123def456"),
        ("used bearer abc123def456 here", "abc123def456"),
        ("cvpat_abc123def456", "abc123def456"),
        ("ck_live_abc123def456", "abc123def456"),
        ("tok_abc123def456", "abc123def456"),
        ("xoxb-123-456-abcdef", "123-456-abcdef"),
        ("whsec_plJ3nmyCDGBKInavdOK15jsl", "plJ3nmyCDGBKInavdOK15jsl"),
        ("https://hooks.slack.com/services/T000/B000/XXXX now", "T000/B000/XXXX"),
        ("https://hooks.slack.com/actions/T000/1/XXXX now", "T000/1/XXXX"),
        ("https://hooks.slack.com/commands/T000/1/XXXX now", "T000/1/XXXX"),
        ("ghp_abcdefghij0123456789", "abcdefghij0123456789"),
        ("github_pat_11AAAA_bbbb", "11AAAA_bbbb"),
        ("postgresql://user:pass@host/db", "user:pass"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- end", "MIIE"),
        ("hw_abcdefghijkl", "abcdefghijkl"),
    ],
)
def test_secrets_are_struck_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert STRUCK in redact(text)


def test_known_values_are_struck_out_wherever_they_stand() -> None:
    assert redact("the key s3cr3t-value is wrong", ["s3cr3t-value"]) == f"the key {STRUCK} is wrong"
    assert redact("a is a", ["a"]) == "a is a"


@pytest.mark.parametrize(
    "text",
    ["run tr7abc123x failed", "acme/webapp#42:visual", "GET /api/v1/credits/balance answered 404"],
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text


def test_fields_are_struck_out_by_name_and_by_form_at_any_depth() -> None:
    shown = redact_fields(
        {
            "api_token": "anything",
            "delivery_key": "evt_1",
            "headers": {"Authorization": "x", "Accept": "json"},
            "lines": ["tok_abc123def456", 3, b"raw"],
            "password": None,
        }
    )
    assert shown == {
        "api_token": STRUCK,
        "delivery_key": "evt_1",
        "headers": {"Authorization": STRUCK, "Accept": "json"},
        "lines": [f"tok_{STRUCK}", 3, "3 bytes"],
        "password": None,
    }
    assert is_sensitive_name("SLACK_BOT_TOKEN")
    assert is_sensitive_name("X-Hub-Signature-256") is False


@given(st.text(), st.text(alphabet="abcdef0123456789", min_size=12, max_size=40))
def test_a_known_secret_is_in_no_text_afterwards(text: str, secret: str) -> None:
    assert secret not in redact(f"{text}{secret}{text}", [secret])
