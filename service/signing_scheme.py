"""How a sender signs: one scheme as data, with every knob, and the check that it makes sense.

The knobs and what they can be are those of vendors.md §8.13. What a scheme does with bytes is in
`service/signatures.py`; ready schemes are in `service/signing_presets.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Algorithm: TypeAlias = Literal[
    "hmac-sha256",
    "hmac-sha1",
    "hmac-sha512",
    "ed25519",
    "ecdsa-p256-sha256",
    "token-equality",
]
ItemFormat: TypeAlias = Literal["bare", "prefix", "key_value", "version_value"]
Separator: TypeAlias = Literal["none", "comma", "space"]
Encoding: TypeAlias = Literal["hex", "base64", "text"]
SecretEncoding: TypeAlias = Literal["utf-8", "base64", "hex"]
TimeSource: TypeAlias = Literal["none", "header", "item", "body"]
TimeUnit: TypeAlias = Literal["s", "ms", "iso"]

PLACEHOLDER = re.compile(r"\{(body|ts|id)\}")
_BRACES = re.compile(r"[{}]")
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$")]
"""The name of a header (RFC 9110 token); empty when there is none."""


class HeaderNames(BaseModel):
    """The headers that belong together in one way of sending; empty when there is none."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    signature: HeaderName = Field(min_length=1)
    ts: HeaderName = ""
    id: HeaderName = ""


class Knobs(BaseModel):
    """Every knob, each with a default; `Scheme` is the same with its contradictions refused.

    `item_format` says what one item of the signature header looks like: the signature alone, the
    signature after `prefix`, a `key=value` list in which those under `signature_keys` count, or
    `version,value`. `ed25519_keys` names keys or versions that are Ed25519 whatever `algorithm`
    says; they are checked with the secrets that begin with `whpk_` (Standard Webhooks `v1a`).
    With `ed25519` the secret is a raw public key, with `ecdsa-p256-sha256` a public key in DER
    (SubjectPublicKeyInfo), both in `secret_encoding`.

    The time is the text of `ts_header`, of the item `ts_key`, or at `ts_path` of the body; it is
    compared in both directions with `tolerance_s` seconds, or not at all when that is None.
    `{ts}` in `template` stands for the text exactly as it was received.

    `id_headers`, then `id_paths` of the body, name the delivery; `event_headers`, then
    `event_paths`, name its event.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    signature_header: HeaderName = Field(
        default="", description="The header that holds the signature."
    )
    item_separator: Separator = Field(
        default="none", description="What separates several items in that header."
    )
    item_format: ItemFormat = Field(
        default="bare",
        description="What one item is: the signature, after a prefix, key=value, or version,value.",
    )
    prefix: str = Field(
        default="", description="What stands before the signature, such as sha256=."
    )
    signature_keys: tuple[str, ...] = Field(
        default=(), description="The keys or versions of the items that are signatures."
    )
    ed25519_keys: tuple[str, ...] = Field(
        default=(),
        description="Keys or versions whose signatures are Ed25519, checked with whpk_ secrets.",
    )
    algorithm: Algorithm = Field(
        default="hmac-sha256",
        description="How it is computed; token-equality means that the secret itself is sent.",
    )
    encoding: Encoding = Field(default="hex", description="How the signature is written.")
    template: str = Field(
        default="{body}",
        description="What is signed: {body}, and {ts} and {id} as the headers have them.",
    )
    ts_source: TimeSource = Field(
        default="none",
        description="Where the time is: in a header, an item of the signature header, or the body.",
    )
    ts_header: HeaderName = Field(default="", description="The header that holds the time.")
    ts_key: str = Field(default="t", description="The key of the item that holds the time.")
    ts_path: str = Field(default="", description="Where the body holds the time.")
    ts_unit: TimeUnit = Field(
        default="s",
        description="How the time is written: Unix seconds, Unix milliseconds, or ISO text.",
    )
    tolerance_s: int | None = Field(
        default=300,
        ge=0,
        description="How many seconds the time may be off, either way; null checks no time.",
    )
    secret_encoding: SecretEncoding = Field(
        default="utf-8",
        description="How the secret is read: as it is, as base64 (after whsec_), or as hex digits.",
    )
    id_header: HeaderName = Field(
        default="", description="The header whose value is {id} in the template."
    )
    other_headers: tuple[HeaderNames, ...] = Field(
        default=(),
        description="Other complete sets of headers that a delivery may come with instead.",
    )
    id_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers that name the delivery; the first that was sent counts."
    )
    id_paths: tuple[str, ...] = Field(
        default=(), description="Where the body names the delivery, if no header does."
    )
    event_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers that name the event."
    )
    event_paths: tuple[str, ...] = Field(
        default=(), description="Where the body names the event, if no header does."
    )


class Scheme(Knobs):
    """One way of signing. Validation refuses knobs that contradict one another (ValueError)."""

    @property
    def header_sets(self) -> tuple[HeaderNames, ...]:
        """Give every complete set of headers a delivery may come with, ours first."""
        ts = self.ts_header if self.ts_source == "header" else ""
        own = HeaderNames(signature=self.signature_header, ts=ts, id=self.id_header)
        return (own, *self.other_headers)

    @property
    def time_is_signed(self) -> bool:
        """Say whether a replay with a fresh time would be noticed."""
        return "{ts}" in self.template or self.ts_source == "body"

    def changed(self, knobs: Mapping[str, object]) -> Scheme:
        """Give this scheme with some knobs set otherwise. Raises ValueError."""
        return Scheme.model_validate({**self.model_dump(), **knobs})

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Scheme:
        faults = (*self._faults_of_header(), *self._faults_of_template(), *self._faults_of_time())
        for wrong, sentence in faults:
            if wrong:
                raise ValueError(sentence)
        return self

    def _faults_of_header(self) -> tuple[tuple[bool, str], ...]:
        form, separator = self.item_format, self.item_separator
        is_token = self.algorithm == "token-equality"
        return (
            (not self.signature_header, "signature_header is missing"),
            (
                form in {"key_value", "version_value"} and not self.signature_keys,
                f"item_format {form} needs signature_keys",
            ),
            (
                form == "version_value" and separator == "comma",
                "item_format version_value holds a comma itself; item_separator must be space",
            ),
            (form == "prefix" and not self.prefix, "item_format prefix needs prefix"),
            (
                self.encoding == "text" and not is_token,
                "encoding text goes with algorithm token-equality only",
            ),
            (
                is_token and self.template != "{body}",
                "algorithm token-equality signs nothing, so it takes no template",
            ),
        )

    def _faults_of_template(self) -> tuple[tuple[bool, str], ...]:
        names = PLACEHOLDER.findall(self.template)
        return (
            (not self.template.isascii(), "template must be ASCII"),
            (
                _BRACES.search(PLACEHOLDER.sub("", self.template)) is not None,
                "template knows {body}, {ts} and {id} only",
            ),
            (
                names.count("body") != 1 or len(set(names)) != len(names),
                "template needs {body} once, and {ts} and {id} at most once",
            ),
            (
                "id" in names and not all((self.id_header, *(o.id for o in self.other_headers))),
                "template has {id}, so id_header (and id in other_headers) is needed",
            ),
            (
                "ts" in names and self.ts_source not in {"header", "item"},
                "template has {ts}, so ts_source must be header or item",
            ),
        )

    def _faults_of_time(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.ts_source == "header"
                and not all((self.ts_header, *(other.ts for other in self.other_headers))),
                "ts_source header needs ts_header (and ts in other_headers)",
            ),
            (
                self.ts_source == "item" and (self.item_format != "key_value" or not self.ts_key),
                "ts_source item needs item_format key_value and ts_key",
            ),
            (self.ts_source == "body" and not self.ts_path, "ts_source body needs ts_path"),
        )
