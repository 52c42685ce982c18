"""Which scheme a captured delivery was signed with: every one that is known is tried, and told.

This is for people who connect a sender. The door never does the like: a source has one scheme, and
what does not fit is refused. Nothing here does I/O or reads the clock; the work is bounded by
MAX_TRIALS and MAX_HASHED_BYTES, whatever the request holds. A secret is in no sentence it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.captured import Captured
from service.errors import SignatureError
from service.identification_report import Match, NearMiss, Report, TimeVerdict
from service.near_misses import other_bodies, other_secrets
from service.redaction import STRUCK
from service.scheme_candidates import (
    CUSTOM,
    ENCODINGS,
    GENERIC,
    Candidate,
    guessed_candidates,
    known_candidates,
)
from service.scheme_search import signature_headers
from service.signatures import PRESETS, Knobs
from service.vendors import VENDORS
from service.vendors.base import Delivery, Headers, Vendor, Verifier
from service.yaml_text import flow_yaml

MAX_TRIALS = 20_000
MAX_HASHED_BYTES = 2 * 1024**3
_LONG_AGO = timedelta(days=3650)


@dataclass(slots=True)
class _Budget:
    """How much may still be tried."""

    trials: int = MAX_TRIALS
    most_hashed: int = MAX_HASHED_BYTES
    hashed: int = 0

    def spend(self) -> bool:
        """Take one trial, if there is one left."""
        self.trials -= 1
        return not self.exhausted

    def hash(self, size: int) -> None:
        """Note that a body of so many bytes went through a sum."""
        self.hashed += size

    @property
    def exhausted(self) -> bool:
        return self.trials < 0 or self.hashed > self.most_hashed


@dataclass(slots=True)
class _Finder:
    """One request and what was found out about it so far."""

    delivery: Delivery
    secrets: Sequence[str]
    now: datetime
    budget: _Budget
    written: Mapping[str, str]
    source: str | None = None
    matches: list[Match] = field(default_factory=list)
    misses: list[NearMiss] = field(default_factory=list)

    def reason(
        self,
        verifier: Verifier | None,
        delivery: Delivery | None = None,
        now: datetime | None = None,
    ) -> str | None:
        """Give why a check refuses, `unusable` when there is none, None when it lets pass."""
        if verifier is None or not self.budget.spend():
            return "unusable"
        tried = delivery or self.delivery
        try:
            verifier(tried, now or self.now)
        except SignatureError as error:
            if error.reason == "signature_mismatch":
                self.budget.hash(len(tried.body))
            return error.reason
        self.budget.hash(len(tried.body))
        return None


def identify(
    captured: Captured,
    secrets: Sequence[str],
    now: datetime,
    *,
    vendors: Sequence[Vendor] = VENDORS,
    source: str | None = None,
    known_reason: str | None = None,
    most_hashed: int = MAX_HASHED_BYTES,
) -> Report:
    """Say which schemes fit a captured delivery with any of the secrets.

    Every vendor's own scheme is tried with every variant of its options, then every ready scheme
    and encoding of the secret, then what the headers themselves suggest. `source` is the name to
    write into the configuration (None: the vendor's); `known_reason` is why it was refused, where
    that is not the signature, and is told instead of guesses. `most_hashed` bytes of bodies may go
    through a sum.
    """
    delivery = captured.as_delivery(now)
    secrets = [secret for secret in dict.fromkeys(secrets) if secret.strip()]
    written = {name.lower(): name for name, _ in captured.headers}
    finder = _Finder(delivery, secrets, now, _Budget(most_hashed=most_hashed), written, source)
    known = list(known_candidates(vendors))
    applicable = _applicable(finder, known)
    _match(finder, applicable)
    if not finder.matches:
        # Before the guesses: they may use up what there is to spend.
        _explain(finder, applicable)
        generic = next((vendor for vendor in vendors if vendor.name == GENERIC), None)
        if generic is not None:
            _match(finder, guessed_candidates(generic, delivery.headers))
    if finder.matches:
        finder.misses = []
    shape = tuple(signature_headers(delivery.headers))
    return Report(
        matches=tuple(_ranked(finder.matches, delivery.headers)),
        near_misses=tuple(finder.misses),
        signature_headers=shape,
        notes=tuple(_notes(captured, finder, shape, known_reason)),
    )


def _applicable(finder: _Finder, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give the candidates whose headers were sent; most fall away here, with nothing hashed."""
    probe = finder.secrets[0] if finder.secrets else ""
    found = []
    for candidate in candidates:
        reason = finder.reason(candidate.verifier(probe))
        if reason == "unusable":
            # The secret is not of this encoding: the headers are looked at with one that is.
            reason = finder.reason(candidate.verifier(_ANY_SECRET))
        if reason != "missing_header":
            found.append(candidate)
    return found


_ANY_SECRET = "00" * 32
"""Valid text, base64 and hex, and the right length for an Ed25519 key."""


def _match(finder: _Finder, candidates: Iterable[Candidate]) -> None:
    for candidate in candidates:
        for number, secret in enumerate(finder.secrets):
            if finder.budget.exhausted:
                return
            verifier = candidate.verifier(secret)
            if verifier is not None and finder.reason(verifier) is None:
                finder.matches.append(_found(finder, candidate, number, secret, verifier))
                if candidate.scheme == CUSTOM:
                    return


# --- what is told of a match --------------------------------------------------------------------


def _found(
    finder: _Finder, candidate: Candidate, number: int, secret: str, verifier: Verifier
) -> Match:
    headers, header = _headers_of(finder, verifier)
    options = dict(candidate.options)
    if candidate.scheme == CUSTOM:
        options = _plainer(options, finder.written)
    return Match(
        vendor=candidate.vendor.name,
        title=candidate.vendor.title,
        scheme=candidate.scheme,
        header=finder.written.get(header, header),
        headers=tuple(finder.written.get(name, name) for name in headers),
        secret=number,
        secret_encoding=_encoding_of(finder, candidate, secret),
        options=options,
        time=_judge_time(finder, candidate, secret),
        configuration=_configuration(candidate.vendor, options, finder.source),
    )


def _headers_of(finder: _Finder, verifier: Verifier) -> tuple[tuple[str, ...], str]:
    """Give the headers that a check needs, and the one with the signature.

    They are found by taking one away at a time, so that it holds for any vendor's own check. What
    is missing is told before anything is summed up, so it is asked with an empty body.
    """
    delivery = _with(finder.delivery, body=b"")
    names = list(dict.fromkeys(name for name, _ in delivery.headers.items))
    used = []
    signature = ""
    for name in names:
        rest = [pair for pair in delivery.headers.items if pair[0] != name]
        if finder.reason(verifier, _with(delivery, rest)) != "missing_header":
            continue
        used.append(name)
        spoilt = finder.reason(verifier, _with(delivery, [*rest, (name, "x")]))
        # A time is malformed as a time, an id spoils the sum: only a signature loses its form.
        if spoilt == "malformed_header" or (not signature and spoilt != "malformed_time"):
            signature = name
    return tuple(used), signature or "".join(used[:1])


def _with(
    delivery: Delivery, items: Sequence[tuple[str, str]] | None = None, body: bytes | None = None
) -> Delivery:
    headers = delivery.headers if items is None else Headers(items)
    return Delivery(
        delivery.source, headers, delivery.body if body is None else body, delivery.received_at
    )


def _encoding_of(finder: _Finder, candidate: Candidate, secret: str) -> str | None:
    """Give how the secret is read; None when the vendor's own scheme leaves no choice."""
    if "secret_encoding" in candidate.options:
        return str(candidate.options["secret_encoding"])
    if candidate.vendor.name == GENERIC:
        preset = PRESETS.get(candidate.scheme)
        return preset.secret_encoding if preset is not None else "utf-8"
    if "secret_encoding" in candidate.incoming.options.model_fields:
        for encoding in ENCODINGS:
            options = {**candidate.options, "secret_encoding": encoding}
            tried = Candidate(candidate.vendor, candidate.incoming, options)
            if finder.reason(tried.verifier(secret)) is None:
                return encoding
    return None


def _judge_time(finder: _Finder, candidate: Candidate, secret: str) -> TimeVerdict:
    strict = candidate.verifier(secret, strict=True)
    if finder.reason(strict, now=finder.now + _LONG_AGO) is None:
        return TimeVerdict(
            signed=False,
            accepted_now=True,
            detail="no time is signed: it is accepted whenever it comes",
        )
    if strict is not None:
        try:
            strict(finder.delivery, finder.now)
        except SignatureError as error:
            return TimeVerdict(
                signed=True,
                accepted_now=False,
                detail=f"{error.message}: the door would refuse it now ({error.reason})",
            )
    return TimeVerdict(signed=True, accepted_now=True, detail="its signed time is accepted now")


def _plainer(options: Mapping[str, Any], written: Mapping[str, str]) -> dict[str, Any]:
    """Leave out the knobs that say the default; write headers as the sender does."""
    return {
        name: written.get(value, value) if name.endswith("_header") else value
        for name, value in options.items()
        if name == "scheme" or value != Knobs.model_fields[name].default
    }


def _configuration(vendor: Vendor, options: Mapping[str, Any], source: str | None) -> str:
    name = "sender" if vendor.name == GENERIC else vendor.name
    variable = f"{name.upper().replace('-', '_')}_WEBHOOK_SECRET"
    lines = [
        "sources:",
        f"  - name: {source or name}",
        f"    vendor: {vendor.name}",
        f"    secrets: [{{env: {variable}}}]",
    ]
    if options:
        lines.append(f"    options: {flow_yaml(options)}")
    return "\n".join(lines) + "\n"


def _ranked(matches: Sequence[Match], headers: Headers) -> list[Match]:
    """Put the likeliest first: who is named in the headers, then who needs least to be said."""
    told = " ".join(
        f"{name} {value}" if name == "user-agent" else name for name, value in headers.items
    ).lower()
    order = sorted(
        matches,
        key=lambda match: (
            match.vendor == GENERIC or match.vendor not in told,
            len(match.options),
            match.vendor != GENERIC,
        ),
    )
    # The same vendor and scheme with an option that changes nothing is no news.
    seen: set[tuple[str, str]] = set()
    return [
        match
        for match in order
        if (match.vendor, match.scheme) not in seen and not seen.add((match.vendor, match.scheme))  # type: ignore[func-returns-value]
    ]


# --- why nothing matches ------------------------------------------------------------------------


def _explain(finder: _Finder, applicable: Sequence[Candidate]) -> None:
    said: set[tuple[str, str]] = set()
    for candidate in _likeliest(applicable):
        if finder.budget.exhausted:
            return
        miss = _near_miss(finder, candidate)
        if (
            miss is not None
            and (miss.header, miss.detail) not in said
            and not _is_struck(finder, miss)
        ):
            said.add((miss.header, miss.detail))
            finder.misses.append(miss)
    # Of each header only what comes nearest is told.
    nearest: dict[str, int] = {}
    for miss in finder.misses:
        nearest[miss.header] = min(_distance(miss), nearest.get(miss.header, len(_DETAILS)))
    finder.misses = [miss for miss in finder.misses if _distance(miss) == nearest[miss.header]]
    finder.misses.sort(key=_distance)


def _is_struck(finder: _Finder, miss: NearMiss) -> bool:
    """Say whether the header's value was not kept, so that nothing can be told from it."""
    return finder.delivery.headers.first(miss.header) == STRUCK


def _distance(miss: NearMiss) -> int:
    if miss.detail.startswith("matches if"):
        return 0
    return 1 if miss.reason == "signature_mismatch" else 2


def _likeliest(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda item: (len(item.options), item.vendor.name == GENERIC))


def _near_miss(finder: _Finder, candidate: Candidate) -> NearMiss | None:
    for secret in finder.secrets or (_ANY_SECRET,):
        verifier = candidate.verifier(secret)
        reason = finder.reason(verifier)
        if verifier is None or reason == "unusable":
            continue
        _, header = _headers_of_refused(finder, verifier)
        detail = _DETAILS.get(reason or "", reason or "")
        if reason == "signature_mismatch" and finder.secrets:
            detail = _what_would_match(finder, candidate, secret) or detail
        return NearMiss(
            vendor=candidate.vendor.name,
            scheme=candidate.scheme,
            header=finder.written.get(header, header),
            reason=reason or "",
            detail=detail,
        )
    return None


_DETAILS = {
    "signature_mismatch": "the header is there and the signature is wrong: another secret, or a "
    "body that was changed on its way",
    "malformed_header": "the header is there, in another form than this scheme's",
    "malformed_time": "the signature's time is missing or in another form than this scheme's",
    "repeated_header": "a header that the signature needs was sent more than once",
}


def _headers_of_refused(finder: _Finder, verifier: Verifier) -> tuple[tuple[str, ...], str]:
    used, header = _headers_of(finder, verifier)
    likely = [name for name in used if name in signature_headers(finder.delivery.headers)]
    return used, (likely or [header or (used[0] if used else "")])[0]


def _what_would_match(finder: _Finder, candidate: Candidate, secret: str) -> str | None:
    """Give the small change of body or secret under which the signature is right, in words."""
    for words, other in other_secrets(secret):
        if finder.reason(candidate.verifier(other)) is None:
            return f"matches if {words}"
    verifier = candidate.verifier(secret)
    for words, body in other_bodies(finder.delivery.body):
        if finder.reason(verifier, _with(finder.delivery, body=body)) is None:
            return f"matches if {words}"
    return None


def _notes(
    captured: Captured, finder: _Finder, shape: Sequence[str], known_reason: str | None
) -> Iterator[str]:
    if known_reason is not None:
        yield known_reason
        return
    yield from captured.missing
    if finder.budget.exhausted:
        yield "not everything was tried: the request is too large for that"
    if not finder.secrets:
        yield "no secret was given, so no signature could be compared"
    if finder.matches:
        return
    if not shape and not finder.misses:
        yield (
            "no header of this request looks like a signature; a sender that signs nothing is "
            "received with a path token: vendor generic, options {scheme: none}"
        )
    elif shape and not finder.misses:
        yield (
            f"no scheme that is known explains what is in {', '.join(shape)}: is the secret right, "
            "and was a line break added to it or to the body?"
        )
