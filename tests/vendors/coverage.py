"""What of each vendor is covered, found out from the code and its samples: a table for the docs.

`python -m tests.vendors.coverage docs/vendors/coverage.md` writes it; a test says when it is not
current, and when a cell is empty that vendors.md makes possible.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from schemas.events import FAMILIES
from service.http import VendorHttp
from service.markdown_text import code, table
from service.signatures import PRESETS
from service.vendor_pages import MADE
from service.vendors import VENDORS, samples
from service.vendors.base import CallContext, Vendor
from service.verification_facts import PATH_TOKEN, verification_of
from tests.vendors.deliveries import as_delivery
from tests.vendors.key_pairs import pair_for
from tests.vendors.listed.call import Call

LISTED_FOLDER = Path(__file__).with_name("listed")
SECRET = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY_SCHEMES = 8
COLUMNS = ("verified in", "events normalised", "calls", "polled", "reconciled")

RECEIVED_ONLY = "It is received only: of its API nothing is described to us, so it is not called"
IMPOSSIBLE: Mapping[tuple[str, str], str] = {
    ("slack", "polled"): "What happens in Slack is sent; there is no list of it to ask for",
    ("slack", "reconciled"): "Slack keeps no record of what it sent, and repeats by itself",
    ("checksum", "reconciled"): "Checksum sends no webhooks, so none can be missing: it is polled",
}
"""Cells that no code can fill, and why. Vendors without a client are `RECEIVED_ONLY`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One vendor: a cell is empty when there is nothing."""

    vendor: Vendor
    cells: Mapping[str, str]


def rows() -> list[Row]:
    """Give a row for every vendor."""
    return [
        Row(
            vendor,
            {
                "verified in": _verified(vendor),
                "events normalised": _normalised(vendor),
                "calls": _calls(vendor),
                "polled": ", ".join(code(poll.name) for poll in vendor.polls),
                "reconciled": ", ".join(code(record.name) for record in vendor.records),
            },
        )
        for vendor in VENDORS
    ]


def why_empty(vendor: Vendor, column: str) -> str | None:
    """Give why a cell of this vendor must be empty; None when it must not."""
    if vendor.outgoing is None and column in {"calls", "polled", "reconciled"}:
        return RECEIVED_ONLY
    return IMPOSSIBLE.get((vendor.name, column))


# --- verified, normalised -----------------------------------------------------------------------


def _verified(vendor: Vendor) -> str:
    """Name each header that carries a proof, with the schemes it is read by."""
    schemes: dict[str, list[str]] = {}
    for way in verification_of(vendor):
        where = PATH_TOKEN if way.scheme == PATH_TOKEN else code(_proof_header(way.headers))
        schemes.setdefault(where, []).append(way.scheme)
    if len(schemes) > MANY_SCHEMES:
        return f"any of {sum(map(len, schemes.values()))} schemes, or one set by hand"
    return ", ".join(
        where if len(names) == 1 else f"{where} ({', '.join(map(code, names))})"
        for where, names in schemes.items()
    )


def _proof_header(headers: Sequence[str]) -> str:
    """Give the header with the signature among those that are needed."""
    words = ("signature", "hmac", "token", "authorization")
    named = [name for name in headers if any(word in name.lower() for word in words)]
    return next((name for name in named if "timestamp" not in name.lower()), headers[0])


def _normalised(vendor: Vendor) -> str:
    """Count what the recorded bodies become: names of theirs, and types of ours."""
    theirs, ours = set(), set()
    for type_ in types_of_samples(vendor):
        theirs.add(type_[0])
        ours.add(type_[1])
    if not theirs:
        return ""
    families = {type_.partition(".")[0] for type_ in ours} & set(FAMILIES)
    told = f", {', '.join(code(family) for family in sorted(families))}" if families else ""
    return f"{len(theirs)} of its names to {len(ours)} types{told}"


def types_of_samples(vendor: Vendor) -> Iterator[tuple[str, str]]:
    """Give the vendor's name and our type of every event that the recorded bodies give."""
    incoming = vendor.incoming
    for sample in samples.names(vendor.name) if incoming is not None else ():
        assert incoming is not None
        options = incoming.options()
        signed = incoming.sign(
            samples.read(vendor.name, sample),
            secret_for(vendor),
            NOW,
            options,
            event=samples.event_of(sample),
            delivery_id="d-1",
        )
        delivery = as_delivery(signed, NOW)
        if incoming.handshake(delivery, options) is None:
            for event in incoming.normalise(delivery, options):
                yield event.vendor_type, event.type


def secret_for(vendor: Vendor) -> str:
    """Give a secret with which the vendor's deliveries can be signed: the sender's own key."""
    scheme = PRESETS.get(vendor.name)
    return SECRET if scheme is None else pair_for(scheme, SECRET).private


# --- calls --------------------------------------------------------------------------------------


def listed(vendor: str) -> tuple[Call, ...]:
    """Give the calls that vendors.md lists for a vendor, as tests/vendors/listed has them."""
    if not (LISTED_FOLDER / f"{vendor}.py").is_file():
        return ()
    found: tuple[Call, ...] = importlib.import_module(f"tests.vendors.listed.{vendor}").LISTED
    return found


def covered(vendor: Vendor) -> list[Call]:
    """Give those of the listed calls whose method the vendor's client, or its module, has."""
    calls = listed(vendor.name)
    if not calls:
        return []
    module = importlib.import_module(f"service.vendors.{vendor.name}.client")
    client = make_client(vendor, module)
    return [call for call in calls if _has(client, call.by) or _has(module, call.by)]


def _has(client: object, method: str) -> bool:
    try:
        return callable(attrgetter(method)(client))
    except AttributeError:
        return False


def make_client(vendor: Vendor, module: ModuleType) -> object:
    """Make the vendor's client over a connection that nobody uses."""
    made = client_class(vendor, module)
    outgoing = vendor.outgoing
    assert outgoing is not None
    http = VendorHttp(base_url="http://127.0.0.1")
    options = outgoing.options()
    # No call is made, so no credential needs a value.
    kind = outgoing.credentials
    credentials = kind.model_construct(**dict.fromkeys(kind.model_fields))
    context = CallContext(http, credentials, options, vendor.name, NOW)
    given = {"http": http, "options": options, "credentials": credentials, "context": context}
    wanted = inspect.signature(made).parameters
    return made(**{name: value for name, value in given.items() if name in wanted})


def client_class(vendor: Vendor, module: ModuleType) -> Callable[..., Any]:
    """Give the class that is named after the vendor: `VibeViewClient`."""
    wanted = f"{vendor.name}client"
    found = [value for name, value in vars(module).items() if name.lower() == wanted]
    assert len(found) == 1, f"{module.__name__} has no class {vendor.title}Client"
    made: Callable[..., Any] = found[0]
    return made


def _calls(vendor: Vendor) -> str:
    calls = listed(vendor.name)
    return f"{len(covered(vendor))} of {len(calls)}" if calls else ""


# --- the page -----------------------------------------------------------------------------------

_INTRO = """\
What this version does with each vendor, counted by the tests. *Verified in*: the header with the
signature, and the schemes where there are several. *Events normalised*: what the recorded bodies
become. *Calls*: those of the vendor's API that its client makes, of those that its reference lists.
*Polled* and *reconciled*: by name, as in `hookwright.yaml`."""


def render() -> str:
    """Give the page."""
    notes: list[str] = []
    lines = []
    for row in rows():
        cells = (
            row.cells[column] or _note(notes, why_empty(row.vendor, column)) for column in COLUMNS
        )
        lines.append([f"[{row.vendor.title}]({row.vendor.name}.md)", *cells])
    footnotes = "\n".join(f"{number}. {text}." for number, text in enumerate(notes, 1))
    parts = (
        "# Coverage",
        MADE,
        _INTRO,
        table(("vendor", *COLUMNS), lines),
        "Cells that stay empty:",
    )
    return "\n\n".join((*parts, footnotes)) + "\n"


def _note(notes: list[str], why: str | None) -> str:
    if why is None:
        return "**missing**"
    if why not in notes:
        notes.append(why)
    return f"({notes.index(why) + 1})"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
