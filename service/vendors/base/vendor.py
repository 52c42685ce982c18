"""A vendor: all that it is made of, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from service.vendors.base.actions import Action
from service.vendors.base.incoming import Incoming
from service.vendors.base.outgoing import Outgoing
from service.vendors.base.polling import Poll
from service.vendors.base.records import Record


@dataclass(frozen=True, slots=True)
class Guide:
    """What a person does at the vendor; printed by `source show` and on the vendor's page.

    `incoming` are the steps there after which webhooks come, `outgoing` those after which its API
    can be called; in both `{url}` stands for the address of the source. `notes` are what surprises
    people. `template` is a body to be pasted at the vendor, where it lets us choose one.
    `configuration` is what stands in hookwright.yaml then, as YAML.
    """

    pages: tuple[str, ...]
    configuration: str
    incoming: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """A product that sends us webhooks or that we call."""

    name: str
    title: str
    guide: Guide
    incoming: Incoming | None = None
    outgoing: Outgoing | None = None
    actions: tuple[Action, ...] = ()
    polls: tuple[Poll, ...] = ()
    records: tuple[Record, ...] = ()
