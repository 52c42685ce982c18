"""Why no scheme fits a captured delivery: which come near, and what would make them fit."""

from __future__ import annotations

from collections.abc import Sequence

from service.identification_report import NearMiss
from service.near_misses import other_bodies, other_secrets
from service.redaction import STRUCK
from service.scheme_candidates import GENERIC, Candidate
from service.scheme_search import signature_headers
from service.scheme_trials import ANY_SECRET, Trials, altered, headers_of
from service.vendors.base import Verifier

_DETAILS = {
    "signature_mismatch": "the header is there and the signature is wrong: another secret, or a "
    "body that was changed on its way",
    "malformed_header": "the header is there, in another form than this scheme's",
    "malformed_time": "the signature's time is missing or in another form than this scheme's",
    "repeated_header": "a header that the signature needs was sent more than once",
}


def explain_mismatches(trials: Trials, applicable: Sequence[Candidate]) -> Sequence[NearMiss]:
    """Give the schemes whose headers were sent, each with a sentence, what comes nearest first."""
    misses: list[NearMiss] = []
    said: set[tuple[str, str]] = set()
    for candidate in _likeliest(applicable):
        if trials.budget.exhausted:
            return misses
        miss = _near_miss(trials, candidate)
        if (
            miss is not None
            and (miss.header, miss.detail) not in said
            and not _is_struck(trials, miss)
        ):
            said.add((miss.header, miss.detail))
            misses.append(miss)
    # Of each header only what comes nearest is told.
    nearest: dict[str, int] = {}
    for miss in misses:
        nearest[miss.header] = min(_distance(miss), nearest.get(miss.header, len(_DETAILS)))
    misses = [miss for miss in misses if _distance(miss) == nearest[miss.header]]
    return sorted(misses, key=_distance)


def _is_struck(trials: Trials, miss: NearMiss) -> bool:
    """Say whether the header's value was not kept, so that nothing can be told from it."""
    return trials.delivery.headers.first(miss.header) == STRUCK


def _distance(miss: NearMiss) -> int:
    if miss.detail.startswith("matches if"):
        return 0
    return 1 if miss.reason == "signature_mismatch" else 2


def _likeliest(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda item: (len(item.options), item.vendor.name == GENERIC))


def _near_miss(trials: Trials, candidate: Candidate) -> NearMiss | None:
    for secret in trials.secrets or (ANY_SECRET,):
        verifier = candidate.verifier(secret)
        reason = trials.reason(verifier)
        if verifier is None or reason == "unusable":
            continue
        header = _signature_header(trials, verifier)
        detail = _DETAILS.get(reason or "", reason or "")
        if reason == "signature_mismatch" and trials.secrets:
            detail = _what_would_match(trials, candidate, secret) or detail
        return NearMiss(
            vendor=candidate.vendor.name,
            scheme=candidate.scheme,
            header=trials.written.get(header, header),
            reason=reason or "",
            detail=detail,
        )
    return None


def _signature_header(trials: Trials, verifier: Verifier) -> str:
    used, header = headers_of(trials, verifier)
    shape = signature_headers(trials.delivery.headers)
    return next((name for name in used if name in shape), header)


def _what_would_match(trials: Trials, candidate: Candidate, secret: str) -> str | None:
    """Give the small change of body or secret under which the signature is right, in words."""
    for words, other in other_secrets(secret):
        if trials.reason(candidate.verifier(other)) is None:
            return f"matches if {words}"
    verifier = candidate.verifier(secret)
    for words, body in other_bodies(trials.delivery.body):
        if trials.reason(verifier, altered(trials.delivery, body=body)) is None:
            return f"matches if {words}"
    return None
