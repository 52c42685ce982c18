"""Which scheme a captured delivery was signed with: every one that is known is tried, and told.

This is for people who connect a sender. The door never does the like: a source has one scheme, and
what does not fit is refused. Nothing here does I/O or reads the clock; scheme_trials.py bounds the
work, whatever the request holds. A secret is in no sentence it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from service.captured import Captured
from service.identification_report import Match, NearMiss, Report
from service.mismatches import explain_mismatches
from service.scheme_candidates import (
    CUSTOM,
    GENERIC,
    Candidate,
    guessed_candidates,
    known_candidates,
)
from service.scheme_matches import describe_match, ranked
from service.scheme_search import signature_headers
from service.scheme_trials import ANY_SECRET, MAX_HASHED_BYTES, Budget, Trials
from service.vendors import VENDORS
from service.vendors.base import Vendor


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
    trials = Trials(delivery, secrets, now, Budget(most_hashed=most_hashed), written, source)
    known = list(known_candidates(vendors))
    applicable = _applicable(trials, known)
    matches = list(_matches(trials, applicable))
    misses: Sequence[NearMiss] = ()
    if not matches:
        # Before the guesses: they may use up what there is to spend.
        misses = explain_mismatches(trials, applicable)
        generic = next((vendor for vendor in vendors if vendor.name == GENERIC), None)
        if generic is not None:
            matches = list(_matches(trials, guessed_candidates(generic, delivery.headers)))
    shape = tuple(signature_headers(delivery.headers))
    if known_reason is not None:
        notes = [known_reason]
    else:
        notes = [*captured.missing, *_notes(trials)]
        if not matches and not misses:
            notes.append(_unexplained(shape))
    return Report(
        matches=tuple(ranked(matches, delivery.headers)),
        near_misses=() if matches else tuple(misses),
        signature_headers=shape,
        notes=tuple(notes),
    )


def _applicable(trials: Trials, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give the candidates whose headers were sent; most fall away here, with nothing hashed."""
    probe = trials.secrets[0] if trials.secrets else ""
    found = []
    for candidate in candidates:
        reason = trials.reason(candidate.verifier(probe))
        if reason == "unusable":
            # The secret is not of this encoding: the headers are looked at with one that is.
            reason = trials.reason(candidate.verifier(ANY_SECRET))
        if reason != "missing_header":
            found.append(candidate)
    return found


def _matches(trials: Trials, candidates: Iterable[Candidate]) -> Iterator[Match]:
    for candidate in candidates:
        for number, secret in enumerate(trials.secrets):
            if trials.budget.exhausted:
                return
            verifier = candidate.verifier(secret)
            if verifier is not None and trials.reason(verifier) is None:
                yield describe_match(trials, candidate, number, verifier)
                if candidate.scheme == CUSTOM:
                    return


def _notes(trials: Trials) -> Iterator[str]:
    if trials.budget.exhausted:
        yield "not everything was tried: the request is too large for that"
    if not trials.secrets:
        yield "no secret was given, so no signature could be compared"


def _unexplained(shape: Sequence[str]) -> str:
    """Say what may be the matter when nothing came near. `shape`: what looks like a signature."""
    if not shape:
        return (
            "no header of this request looks like a signature; a sender that signs nothing is "
            "received with a path token: vendor generic, options {scheme: none}"
        )
    return (
        f"no scheme that is known explains what is in {', '.join(shape)}: is the secret right, "
        "and was a line break added to it or to the body?"
    )
