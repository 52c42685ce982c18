"""Options of a generic source: a ready scheme or knobs, and how bodies become events."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field, field_validator, model_validator

from service.errors import ConfigurationError
from service.signatures import HeaderName, Knobs, Scheme, preset
from service.vendors.base import Options

CUSTOM, NONE = "custom", "none"


class GenericOptions(Options, Knobs):
    """How an unknown sender signs, and what its bodies mean.

    `scheme` names a ready scheme, `custom` for one made of knobs alone, or `none` for a sender
    that signs nothing (the source is then known by its path token). Every knob that is given
    replaces that of the ready scheme.

    `events` turns the sender's event names into ours, as in `{"build.broke": "test_run.failed"}`;
    what is not listed becomes `generic.<name>`. `facts` gives facts by dotted name from dotted
    paths of the body, as in `{"run_id": "data.run.id", "counts.failed": "data.failures"}`.
    `subject_path` and `time_paths` lead to the subject and to when it happened.
    """

    scheme: str = Field(
        default="standard-webhooks",
        description="A ready scheme by name; `custom` for knobs alone; `none` where nothing is "
        "signed.",
    )
    # Without a scheme's own: where senders mostly have the name of an event. No id path, because
    # an `id` that is not the event's own would make two events one.
    event_paths: tuple[str, ...] = Field(
        default=("type", "event", "event_type"),
        description="Where the body names the event, if no header does.",
    )
    event_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers that name the event."
    )
    events: dict[str, str] = Field(
        default_factory=dict, description="The sender's names of events and our types for them."
    )
    facts: dict[str, str] = Field(
        default_factory=dict, description="Facts by dotted name, each with its path in the body."
    )
    subject_path: str = Field(default="", description="Where the body names the thing it is about.")
    time_paths: tuple[str, ...] = Field(
        default=("timestamp", "created_at", "time"),
        description="Where the body says when it happened; the first that is there counts.",
    )

    @field_validator("scheme")
    @classmethod
    def _must_be_known(cls, name: str) -> str:
        if name not in {CUSTOM, NONE}:
            try:
                preset(name)
            except ConfigurationError as error:
                message = f"{error.message}; {error.hint}, {CUSTOM}, {NONE}"
                raise ValueError(message) from error
        return name

    @model_validator(mode="after")
    def _must_make_a_scheme(self) -> GenericOptions:
        if self.scheme == NONE:
            of_signatures = (self._given().keys() & Scheme.model_fields.keys()) - _NAMING
            if of_signatures:
                message = f"scheme none signs nothing; leave out {', '.join(sorted(of_signatures))}"
                raise ValueError(message)
        else:
            scheme_of(self)
        return self

    def _given(self) -> dict[str, Any]:
        """Give the knobs that were set, as they were set."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    @cached_property
    def naming(self) -> Knobs:
        """The knobs that say where ids and event names are; the door asks for every delivery."""
        if self.scheme in {CUSTOM, NONE}:
            return self
        return scheme_of(self)

    def knobs(self) -> dict[str, Any]:
        """Give the signature's knobs that were set."""
        return {name: value for name, value in self._given().items() if name in Scheme.model_fields}


_NAMING = frozenset({"id_headers", "id_paths", "event_headers", "event_paths"})


def is_unsigned(options: GenericOptions) -> bool:
    """Say whether the sender signs nothing."""
    return options.scheme == NONE


def scheme_of(options: GenericOptions) -> Scheme:
    """Give the scheme of a sender that signs. Raises ValueError for contradicting knobs."""
    if options.scheme == CUSTOM:
        return Scheme.model_validate(options.knobs())
    return preset(options.scheme).changed(options.knobs())
