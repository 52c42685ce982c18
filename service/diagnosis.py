"""The true reason of a refusal, found out behind the door, in words that say what to do.

The sender never learns any of it. Nothing here does I/O or reads the clock, and no sentence holds a
secret. The work is bounded whatever the request holds (examination.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from schemas.tables import RejectionRow
from service.captured import captured_rejection
from service.errors import SignatureError
from service.examination import (
    MAX_HASHED_BYTES,
    Cause,
    Diagnosis,
    Examination,
    Surroundings,
    Suspect,
    digest_fits,
)
from service.identification import identify
from service.near_misses import other_bodies, other_secrets
from service.proving import NO_LIVE_SECRET, WRONG_PATH_TOKEN
from service.refused import Whole
from service.scheme_candidates import Candidate
from service.scheme_search import signature_headers
from service.vendors.base import Secret
from service.verification_facts import needed_headers
from service.workflows.findings import did_you_mean
from service.yaml_text import flow_yaml

MAX_TEXT = 500
MAX_SHOWN = 60
NEAR_IN_TIME = timedelta(minutes=10)
"""Deliveries of one source that came so close to one another were judged by one clock."""


def diagnose(
    row: RejectionRow,
    whole: Whole | None,
    suspects: Mapping[str, Suspect],
    around: Surroundings,
    now: datetime,
) -> Diagnosis:
    """Say why a request was refused. `whole` is None when it was not kept whole.

    Never raises for what a request holds.
    """
    seen = whole or Whole(tuple((name, value) for name, value in row.headers), "")
    examination = Examination(row, seen, suspects, around, now)
    found = _diagnose(examination, is_whole=whole is not None)
    return Diagnosis(found.cause, found.text[:MAX_TEXT])


def _diagnose(about: Examination, *, is_whole: bool) -> Diagnosis:
    suspect = about.suspects.get(about.name)
    if about.row.delivery_id is not None:
        return Diagnosis(Cause.CORRECTED, "It has proven authentic since and was accepted.")
    if suspect is None:
        return _unknown(about, is_whole=is_whole)
    if about.row.reason == "handshake_malformed":
        return Diagnosis(
            Cause.HANDSHAKE,
            f"The signature is right, the handshake is not: {about.row.detail}. Let the vendor "
            "begin it again.",
        )
    if not is_whole:
        return _in_part(about, suspect)
    try:
        suspect.prover.prove(about.row, about.whole)
    except SignatureError as error:
        return _refused(about, suspect, error)
    return Diagnosis(
        Cause.CORRECTED,
        "It proves authentic with what is configured now: "
        f"`hookwright delivery reverify --id {about.row.id}` has it processed.",
    )


# --- the address ------------------------------------------------------------------------------


def _unknown(about: Examination, *, is_whole: bool) -> Diagnosis:
    name = about.name[:MAX_SHOWN]
    if is_whole:
        for suspect in about.suspects.values():
            if about.proves(suspect):
                return Diagnosis(
                    Cause.UNKNOWN_SOURCE,
                    f"It was sent to /hooks/{name}, which is no source, and is signed as those of "
                    f"`{suspect.name}` are. Correct the address at the vendor to "
                    f"/hooks/{suspect.name}; `hookwright delivery reverify --id {about.row.id} "
                    f"--as {suspect.name}` has this one processed.",
                )
    near = did_you_mean(name, about.suspects)
    hint = f" {near[0].upper()}{near[1:]}" if near else ""
    end = "" if hint.endswith("?") or not hint else "."
    return Diagnosis(
        Cause.UNKNOWN_SOURCE,
        f"There is no source `{name}`.{hint}{end} It is signed with no source's secret. Correct "
        "the address at the vendor, or add the source to hookwright.yaml and apply; "
        f"`hookwright delivery reverify --source {name}` then has what was kept.",
    )


def about_path(source: str, *, has_token: bool) -> str:
    """Say how the path of a source must be."""
    if has_token:
        return (
            "the token in the path was wrong or missing: this source takes "
            f"/hooks/{source}/TOKEN with the `path_token` of the configuration file"
        )
    return f"the path was wrong: this source takes /hooks/{source} with nothing after it"


_CLOSED = {
    "disabled": "It is disabled. Enable it and apply",
    "no_secret": "It has no secret, so that nothing can be proven. Give it the one the vendor has "
    "in hookwright.yaml and apply",
    NO_LIVE_SECRET: "None of its secrets is valid at present. Give it the one the vendor has in "
    "hookwright.yaml and apply",
    "misconfigured": "It cannot be used as it is configured; the log says why under "
    "`source_cannot_be_used`. Correct it and apply",
}


def _closed(suspect: Suspect, reason: str) -> Diagnosis:
    return Diagnosis(
        Cause.SOURCE_CLOSED,
        f"The source `{suspect.name}` takes nothing. {_CLOSED.get(reason, reason)}; `hookwright "
        f"delivery reverify --source {suspect.name}` then has what was kept.",
    )


# --- the proof --------------------------------------------------------------------------------


def _in_part(about: Examination, suspect: Suspect) -> Diagnosis:
    if suspect.prover.closed is not None:
        return _closed(suspect, suspect.prover.closed)
    if about.row.reason in {"missing_header", "repeated_header", "malformed_header"}:
        return _headers(about, suspect, about.row.reason)
    return Diagnosis(
        Cause.NOT_KEPT,
        f"Only {len(about.row.body)} of {about.row.body_bytes} bytes of the body were kept, or not "
        "all of its headers: no signature over it can be computed. Another refusal of this source "
        "may tell more.",
    )


def _refused(about: Examination, suspect: Suspect, error: SignatureError) -> Diagnosis:
    if error.reason == WRONG_PATH_TOKEN:
        words = about_path(suspect.name, has_token=suspect.prover.live.path_token is not None)
        return Diagnosis(Cause.WRONG_PATH, f"{words[0].upper()}{words[1:]}.")
    candidate = suspect.candidate()
    if candidate is None:
        return _closed(suspect, suspect.prover.closed or error.reason)
    live = [secret.value for secret in suspect.secrets if secret.is_live(about.now)]
    found = _clock(about, suspect, candidate, live, error) or _secret_of(about, suspect, candidate)
    if found is not None:
        return found
    if suspect.prover.closed is not None:
        return _closed(suspect, suspect.prover.closed)
    return _scheme(about, suspect, live) or (
        _mismatch(about, suspect, candidate, live)
        if error.reason in {"signature_mismatch", *_TIMED}
        else _headers(about, suspect, error.reason)
    )


_TIMED = frozenset({"stale", "from_the_future"})


def _clock(
    about: Examination,
    suspect: Suspect,
    candidate: Candidate,
    secrets: Sequence[str],
    error: SignatureError,
) -> Diagnosis | None:
    """Say whose clock is wrong, where everything but the time is right."""
    if error.reason not in _TIMED or not any(about.fits(candidate, one) for one in secrets):
        return None
    others = about.around.late - {suspect.name}
    accepted = about.around.accepted.get(suspect.name)
    is_steady = accepted is not None and abs(accepted - about.row.received_at) < NEAR_IN_TIME
    if others:
        whose = (
            f"`{min(others)}` is refused for its time as well: look at this machine's clock first "
            "(`timedatectl`)."
        )
    elif is_steady and error.reason == "stale":
        whose = (
            "Others of this source come in time: this one waited somewhere, or was sent a second "
            "time without being signed anew."
        )
    elif is_steady:
        whose = "Others of this source come in time: one of the sender's machines goes fast."
    elif error.reason == "stale":
        whose = (
            "The sender's clock is slow, this machine's is fast (`timedatectl`), or what it sends "
            "waits in a queue."
        )
    else:
        whose = "The sender's clock is fast, or this machine's is slow (`timedatectl`)."
    return Diagnosis(
        Cause.CLOCK,
        f"The signature is right, its time is not: {error.message}. {whose} If it was harmless, "
        "allow more with the source's `tolerance_s`, reverify, and take it back.",
    )


def _secret_of(about: Examination, suspect: Suspect, candidate: Candidate) -> Diagnosis | None:
    """Find whose secret it fits, if it is any of ours."""
    for number, secret in enumerate(suspect.secrets, 1):
        if not secret.is_live(about.now) and about.fits(candidate, secret.value):
            return Diagnosis(
                Cause.WRONG_SECRET,
                f"It fits secret {number} of this source, which {_validity(secret, about.now)}. "
                "Give the vendor the present one, or let both be valid for a while.",
            )
    own = {secret.value for secret in suspect.secrets}
    for other in about.suspects.values():
        if other.name == suspect.name:
            continue
        if about.proves(other):
            return _belongs(about, suspect, other)
        values = {secret.value for secret in other.secrets} - own
        if any(about.fits(candidate, value) for value in values):
            return _belongs(about, suspect, other)
    return None


def _belongs(about: Examination, suspect: Suspect, other: Suspect) -> Diagnosis:
    text = (
        f"It is signed with the secret of `{other.name}`. At the vendor, two addresses or two "
        f"secrets are mixed up: /hooks/{suspect.name} needs the secret of `{suspect.name}`."
    )
    if about.proves(other):
        text += (
            f" If it was meant for `{other.name}`: `hookwright delivery reverify --id "
            f"{about.row.id} --as {other.name}`."
        )
    return Diagnosis(Cause.OTHER_SOURCE, text)


def _validity(secret: Secret, now: datetime) -> str:
    if secret.not_after is not None and now >= secret.not_after:
        return f"was valid until {secret.not_after:%Y-%m-%d %H:%M} UTC"
    return (
        f"is valid from {secret.not_before:%Y-%m-%d %H:%M} UTC" if secret.not_before else "is not"
    )


def _scheme(about: Examination, suspect: Suspect, secrets: Sequence[str]) -> Diagnosis | None:
    """Find out whether the right secret signed in another way than the source is told."""
    captured = captured_rejection(about.row, about.whole.headers)
    report = identify(
        captured, secrets, about.now, source=suspect.name, most_hashed=MAX_HASHED_BYTES
    )
    if not report.matches:
        return None
    match = report.matches[0]
    options = flow_yaml(match.options) if match.options else "no options"
    return Diagnosis(
        Cause.OTHER_SCHEME,
        f"The secret is right, and signs in another way than this source expects: {match.title}, "
        f"scheme {match.scheme}. Write vendor: {match.vendor}, {options}, apply, and reverify; "
        f"`hookwright source identify --rejection {about.row.id}` gives the lines.",
    )


def _mismatch(
    about: Examination, suspect: Suspect, candidate: Candidate, secrets: Sequence[str]
) -> Diagnosis:
    for secret in secrets:
        for words, other in other_secrets(secret):
            if about.fits(candidate, other):
                return Diagnosis(
                    Cause.WRONG_SECRET,
                    f"The signature is right if {words}. Correct the secret of this source, apply, "
                    "and reverify.",
                )
    unchanged = digest_fits(about.delivery)
    for words, body in () if unchanged else _bodies(about):
        if any(about.fits(candidate, secret, about.with_body(body)) for secret in secrets):
            return _changed(about, f"The signature is right if {words}")
    if unchanged is False:
        return _changed(about, "The body is not the one whose digest was sent along")
    return Diagnosis(Cause.WRONG_SECRET, _another_secret(about, suspect, unchanged=bool(unchanged)))


def _bodies(about: Examination) -> Iterator[tuple[str, bytes]]:
    for words, body in other_bodies(about.row.body):
        if about.exhausted:
            return
        yield words, body


def _changed(about: Examination, found: str) -> Diagnosis:
    via = about.delivery.headers.first("via")
    who = f" (`Via` names {via[:MAX_SHOWN]!r})" if via else ""
    return Diagnosis(
        Cause.BODY_CHANGED,
        f"{found}: something between the vendor and here{who} changes the body. Let it pass bodies "
        "on byte for byte. What came is not what was signed, so this one cannot be accepted; let "
        "the vendor send it again.",
    )


def _another_secret(about: Examination, suspect: Suspect, *, unchanged: bool) -> str:
    accepted = about.around.accepted.get(suspect.name)
    if accepted is not None and accepted > about.row.received_at:
        text = (
            "No secret of any source signs this, and others of this source were accepted "
            "afterwards: it was sent with an earlier secret, by a second sender, or is forged"
        )
    elif accepted is not None:
        text = (
            "No secret of any source signs this, and others of this source were accepted before: "
            "the secret was changed at the vendor, there is a second sender, or it is forged"
        )
    else:
        text = (
            "No secret of any source signs this, nor any usual change of the body: the secret at "
            "the vendor is most likely another one"
        )
    known = " Its digest shows that the body came unchanged." if unchanged else ""
    return (
        f"{text}.{known} Compare it with that of `{suspect.name}` in hookwright.yaml, correct it, "
        f"apply, and `hookwright delivery reverify --source {suspect.name}`."
    )


# --- the headers ------------------------------------------------------------------------------


def _headers(about: Examination, suspect: Suspect, reason: str) -> Diagnosis:
    incoming = suspect.prover.incoming
    needed = needed_headers(incoming, suspect.prover.options) if incoming is not None else ()
    counts = {name: len(about.delivery.headers.values(name)) for name in needed}
    if reason == "repeated_header":
        many = [name for name, count in counts.items() if count > 1]
        return Diagnosis(
            Cause.HEADERS_CHANGED,
            f"{_listed(many) or 'A header that the signature needs'} came more than once, and "
            "whoever sends two can be believed in neither: something in between adds it again.",
        )
    if reason != "missing_header":
        return Diagnosis(
            Cause.OTHER_SCHEME,
            f"{about.row.detail[:150]}. {_listed(needed)} came in another form than this source's "
            "scheme has: another scheme, or something in between rewrites it. `hookwright source "
            f"identify --rejection {about.row.id}` tells what fits.",
        )
    gone = _listed([name for name, count in counts.items() if not count])
    shapes = [name[:MAX_SHOWN] for name in signature_headers(about.delivery.headers)]
    if shapes:
        return Diagnosis(
            Cause.OTHER_SCHEME,
            f"{gone or 'A header that the signature needs'} was not sent, but {_listed(shapes)} "
            "was: another scheme or another vendor than this source's. `hookwright source "
            f"identify --rejection {about.row.id}` tells what fits.",
        )
    return Diagnosis(
        Cause.HEADERS_CHANGED,
        f"{gone or 'A header that the signature needs'} was not sent, and no other header looks "
        "like a signature: at the vendor no secret is set for this address, something in between "
        "drops the header, or it is no delivery at all.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
