"""The ways of signing that a captured delivery is tried with: a vendor under a set of options.

Lives here: which there are. They are tried, within bounds, in `scheme_trials.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args, get_origin

from service.errors import ConfigurationError
from service.scheme_search import guess_schemes
from service.signatures import PRESETS
from service.vendors.base import Headers, Incoming, Secret, Vendor, Verifier

MAX_VARIANTS = 40
"""Of one vendor's options."""

GENERIC, CUSTOM = "generic", "custom"
ENCODINGS = ("utf-8", "base64", "hex")
_NO_TOLERANCE = 10**11
"""Seconds; for vendors whose tolerance cannot be switched off."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One vendor under one set of options."""

    vendor: Vendor
    incoming: Incoming
    options: Mapping[str, Any]

    @property
    def scheme(self) -> str:
        """The name of the scheme, or the vendor's where it has one alone."""
        default = self.vendor.name
        if "scheme" in self.incoming.options.model_fields:
            default = str(self.incoming.options.model_fields["scheme"].default)
        return str(self.options.get("scheme", default))

    def verifier(self, secret: str, *, strict: bool = False) -> Verifier | None:
        """Give the check with this secret alone; None when options or secret do not go with it.

        Unless it is `strict`, a signed time may be as old as it likes.
        """
        tries: list[Mapping[str, Any]] = [{}]
        if not strict and "tolerance_s" in self.incoming.options.model_fields:
            tries = [{"tolerance_s": None}, {"tolerance_s": _NO_TOLERANCE}]
        for extra in tries:
            try:
                options = self.incoming.options.model_validate({**self.options, **extra})
                return self.incoming.verifier(options, [Secret(secret)])
            except (ConfigurationError, ValueError):
                continue
        return None


def known_candidates(vendors: Sequence[Vendor]) -> Iterator[Candidate]:
    """Give every vendor that signs, under every variant of its options that decides how."""
    for vendor in vendors:
        incoming = vendor.incoming
        if incoming is None or not incoming.needs_secret:
            continue
        for options in _variants(vendor, incoming):
            try:
                model = incoming.options.model_validate(options)
            except ValueError:
                continue
            if not incoming.unsigned(model):
                yield Candidate(vendor, incoming, options)


def _variants(vendor: Vendor, incoming: Incoming) -> Iterator[dict[str, Any]]:
    """Give the sets of options that decide how a vendor's deliveries are signed."""
    if vendor.name == GENERIC:
        default = incoming.options.model_fields["scheme"].default
        for name in PRESETS:
            named = {} if name == default else {"scheme": name}
            yield named
            for encoding in ENCODINGS:
                if encoding != PRESETS[name].secret_encoding:
                    yield {**named, "secret_encoding": encoding}
        return
    choices: list[list[tuple[str, Any]]] = []
    for name, info in incoming.options.model_fields.items():
        values = list(_literals(info.annotation))
        if values:
            rest = [(name, value) for value in values if value != info.default]
            choices.append([("", None), *rest])
    for number, chosen in enumerate(product(*choices)):
        if number >= MAX_VARIANTS:
            return
        yield {name: value for name, value in chosen if name}


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for inner in get_args(annotation):
            yield from _literals(inner)


def guessed_candidates(generic: Vendor, headers: Headers) -> Iterator[Candidate]:
    """Give the generic vendor with the knobs that the headers of a request suggest."""
    if generic.incoming is None:
        return
    for knobs in guess_schemes(headers):
        for encoding in ENCODINGS:
            extra = {} if encoding == ENCODINGS[0] else {"secret_encoding": encoding}
            yield Candidate(generic, generic.incoming, {"scheme": CUSTOM, **knobs, **extra})
