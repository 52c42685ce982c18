"""How a vendor's deliveries are proven, found out from its own code: for pages and tables.

A signed delivery is made and its headers are taken away one by one: those that the check misses
are the ones it needs. So the page cannot say anything else than the code does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args, get_origin

from service.errors import HookwrightError, SignatureError
from service.signatures import PRESETS, Knobs, Scheme
from service.vendors.base import Delivery, Headers, Incoming, Secret, Signed, Vendor

PATH_TOKEN = "path token"  # noqa: S105  # names a way of proving
_ANY_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA=="  # noqa: S105  # of nobody
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_ALGORITHMS: Mapping[str, str] = {
    "hmac-sha256": "HMAC-SHA256",
    "hmac-sha1": "HMAC-SHA1",
    "hmac-sha512": "HMAC-SHA512",
    "ed25519": "Ed25519",
    "ecdsa-p256-sha256": "ECDSA on P-256",
    "token-equality": "the secret itself",
}


@dataclass(frozen=True, slots=True)
class VerificationFact:
    """One way in which a vendor's deliveries are proven. `tolerance_s` None: no time is checked."""

    scheme: str
    default: bool
    headers: tuple[str, ...]
    content: str
    tolerance_s: int | None


def verification_of(vendor: Vendor) -> tuple[VerificationFact, ...]:
    """Give the ways in which this vendor's deliveries can be proven, the default first."""
    incoming = vendor.incoming
    if incoming is None:
        return ()
    schemes = _schemes(incoming)
    if not schemes:
        return (_fact(vendor, incoming, vendor.name, {}, default=True),)
    facts = []
    for name in schemes:
        with suppress(ValueError):  # `custom` needs knobs that nobody has set here
            incoming.options.model_validate({"scheme": name})
            default = name == incoming.options.model_fields["scheme"].default
            facts.append(_fact(vendor, incoming, name, {"scheme": name}, default=default))
    return tuple(sorted(facts, key=lambda fact: not fact.default))


def _schemes(incoming: Incoming) -> tuple[str, ...]:
    info = incoming.options.model_fields.get("scheme")
    if info is None:
        return ()
    if get_origin(info.annotation) is Literal:
        return tuple(str(value) for value in get_args(info.annotation))
    return tuple(sorted(PRESETS))


def _fact(
    vendor: Vendor, incoming: Incoming, scheme: str, given: Mapping[str, Any], *, default: bool
) -> VerificationFact:
    options: Any = incoming.options.model_validate(given)
    if not incoming.wants_secret(options):
        return VerificationFact(PATH_TOKEN, default, (), "nothing is signed", None)
    preset = PRESETS.get(scheme) or PRESETS.get(vendor.name)
    headers = needed_headers(incoming, options)
    if not headers and preset is not None:
        headers = tuple(
            name for name in (preset.signature_header, preset.ts_header, preset.id_header) if name
        )
    # Knobs that nobody set leave a ready scheme as it is; their default is that of `custom`.
    ready = None if preset is None else preset.tolerance_s
    tolerance = ready if isinstance(options, Knobs) else getattr(options, "tolerance_s", ready)
    timed = preset is not None and preset.ts_source != "none"
    return VerificationFact(
        scheme=scheme,
        default=default,
        headers=headers,
        content="" if preset is None else _content(preset),
        tolerance_s=tolerance if timed else None,
    )


def _content(scheme: Scheme) -> str:
    algorithm = _ALGORITHMS.get(scheme.algorithm, scheme.algorithm)
    if scheme.algorithm == "token-equality":
        return algorithm
    return f"{algorithm} of `{scheme.template}`, in {scheme.encoding}"


def needed_headers(incoming: Incoming, options: Any) -> tuple[str, ...]:
    """Give the headers without which a delivery is refused; none when we cannot sign as they do."""
    try:
        signed = incoming.sign(
            b'{"type": "a", "id": "b"}',
            _ANY_SECRET,
            _ANY_TIME,
            options,
            event="a",
            delivery_id="b",
        )
        verify = incoming.verifier(options, [Secret(_ANY_SECRET)])
        verify(_delivery(signed), _ANY_TIME)
    except HookwrightError:
        return ()
    needed = []
    for name, _ in signed.headers:
        try:
            verify(_delivery(signed, without=name), _ANY_TIME)
        except SignatureError:
            needed.append(name)
    return tuple(needed)


def _delivery(signed: Signed, *, without: str = "") -> Delivery:
    pairs = [(name.lower(), value) for name, value in signed.headers if name != without]
    return Delivery("any", Headers(pairs), signed.body, _ANY_TIME)
