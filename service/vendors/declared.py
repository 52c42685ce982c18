"""Vendors that are data: a scheme's name, a table of events, and where bodies hold what we read.

`declare` makes a `Vendor` of a `Declaration`. What a place is, is said in `places.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, create_model

from schemas.events import EventDraft, Json
from service.signatures import Scheme, compile_verifier, preset, sign_with, time_text
from service.vendors.base import (
    Answer,
    Delivery,
    Guide,
    Headers,
    Incoming,
    Options,
    Secret,
    Signed,
    Vendor,
    Verifier,
    dig,
    read_json,
)
from service.vendors.places import (
    HEADER,
    JOINED,
    FactReader,
    Places,
    as_places,
    facts_at,
    key_at,
    read_batch,
    tell_apart,
    text_at,
    time_at,
)
from service.vendors.reading import as_key, as_name, put, read_object

UNKNOWN = "unknown"
_ODD_IN_FILE = re.compile(r"[^A-Za-z0-9_.-]+")
_HEADER_TOKEN = "header-token"  # noqa: S105  # names a scheme


class DeclaredOptions(Options):
    """What can be set for every source of a declared vendor."""

    events: dict[str, str] = Field(
        default_factory=dict,
        description="The vendor's names of events and the types to give them, before our table.",
    )
    facts: dict[str, str] = Field(
        default_factory=dict,
        description="Further facts by dotted name, each with a path in the body or `@Header`.",
    )
    subject_path: str = Field(
        default="", description="Where the body holds the subject, if not where we look for it."
    )


def _no_handshake(_delivery: Delivery) -> Answer | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A vendor as data.

    `schemes` are names of ready schemes; the first is the default, and with several the option
    `scheme` chooses. `events` is the table of the vendor's names and ours; a name that is not in
    it becomes `<vendor>.<name>`. The name is what is at `named_by`, then a full stop and what is
    at `detailed_by` (`pipeline`, `issue.opened`). `known_by` are the places of the delivery key.
    Where `named_by` or `known_by` is empty, the scheme tells it. `fact` is where the vendor gives
    an id that is the same whichever way the fact reaches us.
    `batch`: the body is an array with an event in each entry. `empty`: the body may be empty.
    """

    name: str
    title: str
    guide: Guide
    schemes: tuple[str, ...]
    events: Mapping[str, str] = field(default_factory=dict)
    named_by: Places = ()
    detailed_by: Places = ()
    known_by: Places = ()
    subject: Places = ()
    time: Places = ()
    fact: Places = ()
    facts: Mapping[str, FactReader] = field(default_factory=dict)
    batch: bool = False
    empty: bool = False
    handshake: Callable[[Delivery], Answer | None] = _no_handshake
    status_code: int = 202
    answer_body: bool = True


def declare(it: Declaration) -> Vendor:
    """Give the vendor that a declaration describes."""
    receiver = _Receiver(it)
    return Vendor(
        name=it.name,
        title=it.title,
        guide=it.guide,
        incoming=Incoming(
            options=_options_of(it),
            verifier=receiver.verifier,
            delivery_key=receiver.delivery_key,
            normalise=receiver.normalise,
            sign=receiver.sign,
            handshake=receiver.handshake,
            status_code=it.status_code,
            answer_body=it.answer_body,
            types={**it.events, "*": f"{it.name}.*"},
        ),
    )


def _options_of(it: Declaration) -> type[DeclaredOptions]:
    """Give the options of a vendor: those of all, and what its schemes leave to be chosen."""
    fields: dict[str, Any] = {}
    if len(it.schemes) > 1:
        text = "How it proves who it is."
        fields["scheme"] = (Literal[it.schemes], Field(default=it.schemes[0], description=text))
    timed = [scheme for scheme in map(preset, it.schemes) if scheme.ts_source != "none"]
    if timed:
        text = "How many seconds a signed time may be off, in either direction."
        fields["tolerance_s"] = (int, Field(default=timed[0].tolerance_s, ge=0, description=text))
    if _HEADER_TOKEN in it.schemes:
        header = preset(_HEADER_TOKEN).signature_header
        text = "The header that carries the token with scheme header-token."
        fields["token_header"] = (
            str,
            Field(default=header, pattern=r"^[A-Za-z0-9-]+$", description=text),
        )
    return create_model(
        f"{it.title.replace(' ', '')}Options",
        __base__=DeclaredOptions,
        __doc__=f"Options of a {it.title} source.",
        **fields,
    )


class _Receiver:
    """The functions of one declared vendor. A class because they share its declaration."""

    def __init__(self, it: Declaration) -> None:
        self._it = it
        # The name of a sample's file cannot hold every letter that a vendor's name may hold.
        self._spelled = {_ODD_IN_FILE.sub("_", name): name for name in it.events}

    def _preset_of(self, options: DeclaredOptions) -> Scheme:
        return preset(getattr(options, "scheme", self._it.schemes[0]))

    def _scheme_of(self, options: DeclaredOptions) -> Scheme:
        scheme = self._preset_of(options)
        knobs: dict[str, object] = {}
        if scheme.ts_source != "none":
            knobs["tolerance_s"] = getattr(options, "tolerance_s", scheme.tolerance_s)
        if scheme == preset(_HEADER_TOKEN):
            knobs["signature_header"] = getattr(options, "token_header", scheme.signature_header)
        return scheme.changed(knobs)

    def _named_by(self, scheme: Scheme) -> Places:
        # The body goes before a header, since only the body is signed.
        return self._it.named_by or (*scheme.event_paths, *as_places(scheme.event_headers))

    def _known_by(self, scheme: Scheme) -> Places:
        return self._it.known_by or as_places(scheme.id_headers, scheme.id_paths)

    def verifier(self, options: DeclaredOptions, secrets: Sequence[Secret]) -> Verifier:
        """Give the check of one source. Raises ConfigurationError."""
        return compile_verifier(self._scheme_of(options), secrets)

    def delivery_key(self, delivery: Delivery, options: DeclaredOptions) -> str:
        """Give the first id there is; without one the body's digest."""
        found = key_at(delivery, self._known_by(self._preset_of(options)))
        return as_key(found) if found else delivery.body_digest()

    def handshake(self, delivery: Delivery, _options: DeclaredOptions) -> Answer | None:
        """Give the answer to a handshake, None for everything else."""
        return self._it.handshake(delivery)

    def normalise(self, delivery: Delivery, options: DeclaredOptions) -> list[EventDraft]:
        """Give the event, or one for each entry of a batch.

        Raises ValueError when the body is no JSON object, or no batch where there may be one.
        """
        named_by = self._named_by(self._preset_of(options))
        if self._it.batch:
            entries = read_batch(delivery.body)
            return tell_apart(
                [self._read(entry, delivery.headers, options, named_by) for entry in entries]
            )
        is_empty = self._it.empty and not delivery.body.strip()
        body = {} if is_empty else read_object(delivery.body)
        return [self._read(body, delivery.headers, options, named_by)]

    def _read(
        self, body: Json, headers: Headers, options: DeclaredOptions, named_by: Places
    ) -> EventDraft:
        it = self._it
        name = text_at(body, headers, named_by) or UNKNOWN
        detail = text_at(body, headers, it.detailed_by)
        whole = f"{name}.{detail}" if detail else name
        known = (
            table[key] for table in (options.events, it.events) for key in (whole, name)
            if key in table
        )  # fmt: skip
        type_ = next(known, f"{it.name}.{as_name(whole)}")
        more = {name: (place,) for name, place in options.facts.items()}
        subject_at = (options.subject_path,) if options.subject_path else it.subject
        fact = text_at(body, headers, it.fact)
        return EventDraft(
            type=type_,
            vendor_type=as_name(whole),
            subject=text_at(body, headers, subject_at),
            time=time_at(body, headers, it.time),
            facts=facts_at(type_, body, headers, {**it.facts, **more}),
            payload=body,
            fact=as_key(fact) if fact else "",
        )

    def sign(
        self,
        body: bytes,
        secret: str,
        now: datetime,
        options: DeclaredOptions,
        *,
        event: str,
        delivery_id: str,
    ) -> Signed:
        """Give a body as the vendor would send it, with name, id and time where it has them.

        Of a batch the first entry gets the name, and every entry an id of its own.
        """
        scheme = self._scheme_of(options)
        name, detail = self._spelled.get(event, event), ""
        if self._it.detailed_by:
            name, _, detail = name.partition(".")
        named_by = self._named_by(scheme)
        id_at = (self._it.fact if self._it.batch else self._known_by(scheme))[:1]
        id_at = tuple(place.partition(JOINED)[0] for place in id_at)
        texts = [(named_by, name), (self._it.detailed_by, detail), (id_at, delivery_id)]
        headers = {"Content-Type": "application/json"}
        for places, text in texts:
            if text:
                headers |= dict.fromkeys(_headers_in(places), text)
        with suppress(ValueError):  # what is no JSON is sent as it is
            document = read_json(body)
            entries = document if isinstance(document, list) else [document]
            for number, entry in enumerate(entry for entry in entries if isinstance(entry, dict)):
                _write(entry, texts if not number else [(id_at, f"{delivery_id}-{number}")])
                _write_time(entry, scheme, now)
            body = json.dumps(document).encode()
        headers |= dict(sign_with(scheme, body, secret, now, delivery_id))
        return Signed(headers=tuple(headers.items()), body=body)


def _headers_in(places: Places) -> list[str]:
    return [place.removeprefix(HEADER) for place in places if place.startswith(HEADER)]


def _write(entry: dict[str, Any], texts: Sequence[tuple[Places, str]]) -> None:
    """Write each text at the first of its paths that the body already has, else at the first."""
    for places, text in texts:
        paths = [place for place in places if not place.startswith(HEADER)]
        if paths and text:
            put(entry, next((at for at in paths if dig(entry, at) is not None), paths[0]), text)


def _write_time(entry: dict[str, Any], scheme: Scheme, now: datetime) -> None:
    if scheme.ts_source == "body":
        ts = time_text(now, scheme.ts_unit)
        put(entry, scheme.ts_path, ts if scheme.ts_unit == "iso" else int(ts))


def source_configuration(vendor: str, secret: str, options: str = "") -> str:
    """Give what stands in hookwright.yaml for a source whose secret is in a variable."""
    lines = (
        f"sources:\n  - name: {vendor}\n    vendor: {vendor}\n    secrets: [{{env: {secret}}}]\n"
    )
    return f"{lines}    options: {{{options}}}\n" if options else lines
