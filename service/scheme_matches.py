"""What is told of a scheme that fits a captured delivery, and which is the likeliest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from service.errors import SignatureError
from service.identification_report import Match, TimeVerdict
from service.scheme_candidates import CUSTOM, ENCODINGS, GENERIC, Candidate
from service.scheme_trials import Trials, headers_of
from service.signatures import PRESETS, Knobs
from service.vendors.base import Headers, Vendor, Verifier
from service.yaml_text import flow_yaml

_LONG_AGO = timedelta(days=3650)


def describe_match(trials: Trials, candidate: Candidate, number: int, verifier: Verifier) -> Match:
    """Tell of a candidate whose check, with the secret of this number, lets the request pass."""
    secret = trials.secrets[number]
    headers, header = headers_of(trials, verifier)
    options = dict(candidate.options)
    if candidate.scheme == CUSTOM:
        options = _plainer(options, trials.written)
    return Match(
        vendor=candidate.vendor.name,
        title=candidate.vendor.title,
        scheme=candidate.scheme,
        header=trials.written.get(header, header),
        headers=tuple(trials.written.get(name, name) for name in headers),
        secret=number,
        secret_encoding=_encoding_of(trials, candidate, secret),
        options=options,
        time=_judge_time(trials, candidate, secret),
        configuration=_configuration(candidate.vendor, options, trials.source),
    )


def ranked(matches: Sequence[Match], headers: Headers) -> list[Match]:
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
    first: dict[tuple[str, str], Match] = {}
    for match in order:
        first.setdefault((match.vendor, match.scheme), match)
    return list(first.values())


def _encoding_of(trials: Trials, candidate: Candidate, secret: str) -> str | None:
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
            if trials.reason(tried.verifier(secret)) is None:
                return encoding
    return None


def _judge_time(trials: Trials, candidate: Candidate, secret: str) -> TimeVerdict:
    strict = candidate.verifier(secret, strict=True)
    if trials.reason(strict, now=trials.now + _LONG_AGO) is None:
        return TimeVerdict(
            signed=False,
            accepted_now=True,
            detail="no time is signed: it is accepted whenever it comes",
        )
    if strict is not None:
        try:
            strict(trials.delivery, trials.now)
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
