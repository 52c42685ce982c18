"""Why a request was refused: each cause is told from the others, in words, without a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.configured_tables import SourceRow
from schemas.tables import RejectionRow
from service.diagnosing import choose
from service.diagnosis import diagnose
from service.examination import Cause, Diagnosis, Surroundings, Suspect
from service.proving import open_prover
from service.refused import Whole
from service.secretbox import SecretBox
from service.source_secrets import path_token_digest, seal_secrets
from service.store.rejections import Kept
from service.vendors import BY_NAME
from service.vendors.base import Secret

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOX = SecretBox(["k" * 40])
ID = UUID(int=7)
RIGHT, WRONG, OTHER = "right-secret-0123", "wrong-secret-4567", "other-secret-8901"
STANDARD = "whsec_" + "S" * 32
BODY = json.dumps({"type": "a.b", "name": "Zoë & <Co> a/b"}, ensure_ascii=False).encode()


def suspect(
    name: str,
    vendor: str = "github",
    secrets: Sequence[str | Secret] = (RIGHT,),
    *,
    token: str | None = None,
    enabled: bool = True,
    **options: Any,
) -> Suspect:
    given_secrets = [one if isinstance(one, Secret) else Secret(one) for one in secrets]
    row = SourceRow(
        name=name,
        vendor=vendor,
        secrets=seal_secrets(BOX, given_secrets),
        path_token_sha256=path_token_digest(token) if token else None,
        options=options,
        limits={},
        enabled=enabled,
        updated_at=NOW,
    )
    return Suspect(open_prover(row, BY_NAME, BOX, NOW), BY_NAME[vendor], options, given_secrets)


def signed(
    vendor: str = "github",
    secret: str = WRONG,
    body: bytes = BODY,
    *,
    ago: float = 0,
    **options: Any,
) -> tuple[list[tuple[str, str]], bytes]:
    incoming = BY_NAME[vendor].incoming
    assert incoming is not None
    typed = incoming.options.model_validate(options)
    sent = incoming.sign(
        body, secret, NOW - timedelta(seconds=ago), typed, event="a.b", delivery_id="d-1"
    )
    return [(name.lower(), value) for name, value in sent.headers], sent.body


def refusal(
    headers: Sequence[tuple[str, str]],
    body: bytes = BODY,
    *,
    reason: str = "signature_mismatch",
    name: str = "hub",
    known: bool = True,
    **more: Any,
) -> RejectionRow:
    values: dict[str, Any] = {
        "id": ID,
        "source": name if known else "-",
        "address": None if known else name,
        "received_at": NOW,
        "reason": reason,
        "headers": [list(pair) for pair in headers],
        "body": body,
        "body_bytes": len(body),
        "complete": True,
    }
    return RejectionRow(**{**values, **more})


def explained(
    row: RejectionRow,
    *suspects: Suspect,
    token: str = "",
    around: Surroundings | None = None,
    whole: bool = True,
) -> Diagnosis:
    pairs = tuple((name, value) for name, value in row.headers)
    found = diagnose(
        row,
        Whole(pairs, token) if whole else None,
        {one.name: one for one in suspects or (suspect("hub"),)},
        around or Surroundings(),
        NOW,
    )
    for secret in (RIGHT, WRONG, OTHER, STANDARD, "path-token"):
        assert secret not in found.text
    assert len(found.text) <= 500
    return found


def test_another_secret() -> None:
    found = explained(refusal(*signed()))
    assert found.cause == Cause.WRONG_SECRET
    assert "most likely another one" in found.text
    assert "hookwright delivery reverify --source hub" in found.text


@pytest.mark.parametrize(
    ("minutes", "words"), [(5, "were accepted afterwards"), (-5, "were accepted before")]
)
def test_what_came_before_and_after_tells_more(minutes: int, words: str) -> None:
    around = Surroundings(accepted={"hub": NOW + timedelta(minutes=minutes)})
    assert words in explained(refusal(*signed()), around=around).text


def test_what_was_corrected_meanwhile() -> None:
    found = explained(refusal(*signed(secret=RIGHT)))
    assert found.cause == Cause.CORRECTED
    assert f"hookwright delivery reverify --id {ID}" in found.text


@pytest.mark.parametrize(
    ("vendor", "other"),
    [
        ("github", suspect("second", secrets=[OTHER])),
        ("generic", suspect("second", "linear", [OTHER])),
    ],
)
def test_the_secret_of_another_source(vendor: str, other: Suspect) -> None:
    hub = suspect("hub", vendor, [RIGHT if vendor == "github" else STANDARD])
    body = json.dumps({"webhookTimestamp": int(NOW.timestamp() * 1000)}).encode()
    headers, body = signed(other.vendor.name, OTHER, body)
    found = explained(refusal(headers, body), hub, other)
    assert found.cause == Cause.OTHER_SOURCE
    assert "`second`" in found.text
    assert f"--id {ID} --as second" in found.text


def test_another_source_of_another_vendor_with_this_ones_way_of_signing() -> None:
    other = suspect("second", "generic", [STANDARD])
    headers, body = signed(secret=STANDARD)
    found = explained(refusal(headers, body), suspect("hub"), other)
    assert found.cause == Cause.OTHER_SOURCE
    assert "--as" not in found.text


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret(WRONG, not_after=NOW - timedelta(hours=1)), "was valid until 2026-11-20 11:00 UTC"),
        (Secret(WRONG, not_before=NOW + timedelta(hours=1)), "is valid from 2026-11-20 13:00 UTC"),
    ],
)
@pytest.mark.parametrize("first", [[RIGHT], []])
def test_an_earlier_or_later_secret(secret: Secret, words: str, first: list[str]) -> None:
    found = explained(refusal(*signed()), suspect("hub", secrets=[*first, secret]))
    assert found.cause == Cause.WRONG_SECRET
    assert f"fits secret {len(first) + 1} of this source, which {words}" in found.text


@pytest.mark.parametrize("mine", [f" {WRONG}", f"{WRONG}\n", f'"{WRONG}"'])
def test_a_secret_with_something_around_it(mine: str) -> None:
    found = explained(refusal(*signed()), suspect("hub", secrets=[mine]))
    assert found.cause == Cause.WRONG_SECRET
    assert "is right if" in found.text


FORM = b"payload=%7B%22a%22%3A+1%7D&text=a%20b%2Fc%7E"
VALUE = json.loads(BODY)
CHANGES: Mapping[str, tuple[bytes, bytes]] = {
    "a final line break added": (BODY, BODY + b"\n"),
    "a final line break removed": (BODY + b"\n", BODY),
    "CR LF for line feeds": (b"a\nb\n", b"a\r\nb\r\n"),
    "line feeds for CR LF": (b"a\r\nb", b"a\nb"),
    "written compact": (BODY, json.dumps(VALUE, separators=(",", ":")).encode()),
    "written by JavaScript, was by Python": (
        json.dumps(VALUE).encode(),
        json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode(),
    ),
    "indented": (
        json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode(),
        json.dumps(VALUE, indent=4).encode(),
    ),
    "written by Go": (
        b'{"name":"Zo\xc3\xab \\u0026 \\u003cCo\\u003e a/b","type":"a.b"}\n',
        BODY,
    ),
    "written by PHP": (b'{"type":"a.b","name":"Zo\\u00eb & <Co> a\\/b"}', BODY),
    "unpacked": (zlib.compress(BODY, wbits=31), BODY),
    "from Latin-1 to UTF-8": ("Zoë".encode("latin-1"), "Zoë".encode()),
    "from UTF-8 to Latin-1": ("Zoë".encode(), "Zoë".encode("latin-1")),
    "a form with + for %20": (b"text=a%20b%2Fc", b"text=a+b%2Fc"),
    "a form with %20 for +": (b"text=a+b%2Fc", b"text=a%20b%2Fc"),
    "a form with small hex": (b"text=a+b%2fc", b"text=a+b%2Fc"),
    "emptied before it was signed": (b"", BODY),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_body_that_was_changed_on_its_way(change: str) -> None:
    was, came = CHANGES[change]
    signature = hmac.new(RIGHT.encode(), was, "sha256").hexdigest()
    headers = [("x-hub-signature-256", f"sha256={signature}"), ("via", "1.1 gateway")]
    found = explained(refusal(headers, came))
    assert found.cause == Cause.BODY_CHANGED
    assert "'1.1 gateway'" in found.text


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_a_digest_that_came_along_tells_whether_the_body_was_changed() -> None:
    headers, body = signed()
    for name, form in (("content-digest", "sha-256=:{}:"), ("digest", "SHA-256={}")):
        right = [*headers, (name, form.format(digest(body)))]
        assert "came unchanged" in explained(refusal(right, body)).text
        wrong = [*headers, (name, form.format(digest(b"another")))]
        assert explained(refusal(wrong, body)).cause == Cause.BODY_CHANGED
    md5 = base64.b64encode(hashlib.md5(b"another", usedforsecurity=False).digest()).decode()
    assert explained(refusal([*headers, ("content-md5", md5)])).cause == Cause.BODY_CHANGED
    odd = [*headers, ("digest", "id-sha-256=x, =, ,")]
    assert explained(refusal(odd)).cause == Cause.WRONG_SECRET


@pytest.mark.parametrize(
    ("ago", "around", "words"),
    [
        (4000, Surroundings(), "4000 s ago. The sender's clock is slow"),
        (-4000, Surroundings(), "4000 s ahead. The sender's clock is fast"),
        (4000, Surroundings(accepted={"hub": NOW}), "this one waited somewhere"),
        (-4000, Surroundings(accepted={"hub": NOW}), "one of the sender's machines"),
        (4000, Surroundings(late=frozenset({"second", "hub"})), "`second` is refused for its time"),
    ],
)
def test_a_clock(ago: float, around: Surroundings, words: str) -> None:
    row = refusal(*signed("generic", STANDARD, ago=ago), reason="stale")
    found = explained(row, suspect("hub", "generic", [STANDARD]), around=around)
    assert found.cause == Cause.CLOCK
    assert words in found.text


def test_a_wrong_secret_is_told_also_of_what_came_too_late() -> None:
    row = refusal(*signed("generic", "whsec_" + "W" * 32, ago=4000), reason="stale")
    assert explained(row, suspect("hub", "generic", [STANDARD])).cause == Cause.WRONG_SECRET


def test_a_header_that_is_missing() -> None:
    found = explained(refusal([("x-request-id", "1")], reason="missing_header"))
    assert found.cause == Cause.HEADERS_CHANGED
    assert "`X-Hub-Signature-256` was not sent" in found.text
    assert "drops the header" in found.text


def test_a_header_that_came_twice_or_in_another_form() -> None:
    headers, body = signed()
    found = explained(refusal([*headers, *headers], body, reason="repeated_header"))
    assert found.cause == Cause.HEADERS_CHANGED
    assert "`X-Hub-Signature-256` came more than once" in found.text
    odd = [("x-hub-signature-256", "md5=12")]
    assert explained(refusal(odd, reason="malformed_header")).cause == Cause.OTHER_SCHEME


def test_another_scheme_with_the_right_secret() -> None:
    row = refusal(*signed("shopify", RIGHT), reason="missing_header")
    found = explained(row)
    assert found.cause == Cause.OTHER_SCHEME
    assert "vendor: shopify" in found.text


def test_another_scheme_with_another_secret() -> None:
    found = explained(refusal(*signed("shopify"), reason="missing_header"))
    assert found.cause == Cause.OTHER_SCHEME
    assert "`x-shopify-hmac-sha256`" in found.text
    assert f"source identify --rejection {ID}" in found.text


def test_a_name_that_is_no_source() -> None:
    found = explained(refusal(*signed(), name="hubb", known=False, reason="unknown_source"))
    assert found.cause == Cause.UNKNOWN_SOURCE
    assert "did you mean `hub`?" in found.text.replace("Did", "did")
    mine = refusal(*signed(secret=RIGHT), name="hubb", known=False, reason="unknown_source")
    assert f"--id {ID} --as hub" in explained(mine).text
    later = refusal(*signed(secret=RIGHT), known=False, reason="unknown_source")
    assert explained(later).cause == Cause.CORRECTED


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        (suspect("hub", enabled=False), "disabled"),
        (suspect("hub", secrets=[]), "no secret"),
        (suspect("hub", scheme="no-such"), "cannot be used"),
    ],
)
def test_a_source_that_takes_nothing(closed: Suspect, words: str) -> None:
    found = explained(refusal(*signed(), reason="disabled"), closed)
    assert found.cause == Cause.SOURCE_CLOSED
    assert words in found.text


def test_a_wrong_token_in_the_path() -> None:
    walled = suspect("hub", "generic", [], token="path-token", scheme="none")
    found = explained(refusal([], reason="wrong_path_token"), walled, token="guess")
    assert found.cause == Cause.WRONG_PATH
    assert "/hooks/hub/TOKEN" in found.text
    assert explained(refusal([]), walled, token="path-token").cause == Cause.CORRECTED
    assert "with nothing after it" in explained(refusal(*signed()), token="guess").text


def test_a_handshake() -> None:
    row = refusal(*signed(), reason="handshake_malformed", detail="no challenge in it")
    assert explained(row).cause == Cause.HANDSHAKE


def test_what_was_kept_in_parts_only() -> None:
    cut = refusal(*signed(), body_bytes=10_000_000)
    assert explained(cut, whole=False).cause == Cause.NOT_KEPT
    headless = refusal([], reason="missing_header")
    assert explained(headless, whole=False).cause == Cause.HEADERS_CHANGED


def test_many_sources_and_a_large_body_do_not_make_it_endless() -> None:
    many = [suspect(f"s{number}", secrets=[f"secret-of-{number}"]) for number in range(40)]
    headers, _ = signed()
    row = refusal(headers, b'{"a": "' + b"x" * 1024 * 1024 + b'"}')
    assert explained(row, suspect("hub"), *many).cause == Cause.WRONG_SECRET


VENDORS: list[tuple[str, str | None, dict[str, Any]]] = [
    ("github", RIGHT, {}),
    ("generic", STANDARD, {}),
    ("generic", RIGHT, {"scheme": "stripe"}),
    ("gitlab", RIGHT, {}),
    ("slack", RIGHT, {}),
    ("linear", RIGHT, {}),
    ("generic", None, {"scheme": "none"}),
]
SUSPECTS = [
    suspect("hub", vendor, [secret] if secret else [], token=None if secret else "t", **options)
    for vendor, secret, options in VENDORS
]
NAMES = st.sampled_from(
    [
        *("x-hub-signature-256", "webhook-signature", "webhook-timestamp", "webhook-id"),
        *("stripe-signature", "x-gitlab-token", "content-digest", "digest", "content-md5", "via"),
        *("x-slack-signature", "x-slack-request-timestamp", "linear-signature", "content-length"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["sha256=" + "a" * 64, "v1,YQ==", "t=1,v1=ab", "1795176000", "sha-256=::"]),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b'{"a": 1e999}', b"[" * 5000, b'"\\ud800"', b"a=%ff&b=%", b"=&=", b"\xff"]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=150, deadline=None)
@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=BODIES,
    source=st.sampled_from(SUSPECTS),
    reason=st.sampled_from(["signature_mismatch", "missing_header", "stale", "unknown_source"]),
    name=st.sampled_from(["hub", "hup", "", "\x00\ud800"]),
    whole=st.booleans(),
)
def test_it_never_raises(
    headers: list[tuple[str, str]],
    body: bytes,
    source: Suspect,
    reason: str,
    name: str,
    whole: bool,  # noqa: FBT001
) -> None:
    row = refusal(headers, body, reason=reason, name=name, known=name == "hub")
    assert explained(row, source, suspect("second"), whole=whole).text


def test_of_each_source_and_reason_one_a_minute_is_looked_into() -> None:
    def kept(number: int, seconds: int, *, explained: bool = False, source: str = "hub") -> Kept:
        at = NOW + timedelta(seconds=seconds)
        return Kept(UUID(int=number), source, "signature_mismatch", at, explained)

    flood = [kept(number, 50) for number in range(400)]
    assert choose(flood) == [UUID(int=0)]
    assert choose([*flood, kept(900, 0, explained=True)]) == []
    assert choose([*flood, kept(900, -10, explained=True)]) == [UUID(int=0)]
    other = kept(901, 40, source="other")
    assert choose([*flood, kept(900, 0, explained=True), other]) == [UUID(int=901)]
