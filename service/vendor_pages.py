"""Pages of the documentation that are made from the code: each vendor, actions, events, workflows.

`python -m service.vendor_pages docs` writes them; a test says when they are not current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from service.actions import Actions, AnyAction, VendorAction
from service.event_pages import events_page
from service.markdown_text import anchor, bullets, code, fence, numbered, plain, table
from service.vendor_facts import (
    ActionFact,
    FieldFact,
    about,
    action_fact,
    fields_of,
    option_models,
    rate_in_words,
)
from service.vendors import BY_NAME, VENDORS, samples
from service.vendors.base import Vendor
from service.verification_facts import PATH_TOKEN, verification_of
from service.workflow_pages import reference_page

URL = "https://hooks.example.com/hooks/"
MADE = "<!-- Made from the code by `make docs`; what is changed here by hand is lost. -->"
KEPT = frozenset({"coverage.md"})
"""Pages of docs/vendors/ that are made elsewhere."""


def pages() -> dict[str, str]:
    """Give every generated page by its path below docs/."""
    found = {f"vendors/{vendor.name}.md": vendor_page(vendor) for vendor in VENDORS}
    found["actions.md"] = actions_page(Actions(BY_NAME).values())
    found["events.md"] = events_page(MADE, VENDORS)
    found["workflow-reference.md"] = reference_page(MADE)
    return found


# --- a vendor -----------------------------------------------------------------------------------


def vendor_page(vendor: Vendor) -> str:
    """Give the page of one vendor."""
    return _page(f"# {plain(vendor.title)}", MADE, *_parts(vendor))


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(vendor: Vendor) -> Iterator[str]:
    yield _overview(vendor)
    guide = vendor.guide
    url = f"{URL}{vendor.name}"
    if guide.incoming:
        yield f"## At {plain(vendor.title)}"
        yield numbered(step.replace("{url}", url) for step in guide.incoming)
    if guide.template is not None:
        yield "### The body to paste there"
        yield f"`hookwright vendor show {vendor.name} --template` prints it alone."
        yield fence(guide.template, "text")
    if guide.outgoing:
        yield "## To call it"
        yield numbered(step.replace("{url}", url) for step in guide.outgoing)
    if guide.configuration:
        yield "## Here"
        yield "In `hookwright.yaml`, then `hookwright apply`:"
        yield fence(guide.configuration, "yaml")
    if guide.notes:
        yield "## Good to know"
        yield bullets(guide.notes)
    yield from _incoming(vendor)
    yield from _outgoing(vendor)
    yield from _options(vendor)
    if guide.pages:
        yield "## Its pages"
        yield "\n".join(f"- <{page}>" for page in guide.pages)


def _overview(vendor: Vendor) -> str:
    doc = (sys.modules[f"service.vendors.{vendor.name}"].__doc__ or "").strip()
    intro = plain(doc.partition("\n\n")[0].partition(": ")[2] or doc.partition("\n\n")[0])
    ways = verification_of(vendor)
    outgoing = vendor.outgoing
    rows = [
        ("Received", _proof(ways[0].scheme, ways[0].headers) if ways else "it sends no webhooks"),
        ("Called", code(outgoing.base_url) if outgoing is not None else "no"),
        ("Polled", ", ".join(code(poll.name) for poll in vendor.polls) or "no"),
        ("Reconciled", ", ".join(code(record.name) for record in vendor.records) or "no"),
    ]
    first = f"{intro[:1].upper()}{intro[1:]}"
    return f"{first}\n\n{table(('', ''), rows)}"


def _proof(scheme: str, headers: Iterable[str]) -> str:
    if scheme == PATH_TOKEN:
        return "proven by its address, which holds a token"
    return f"proven by {', '.join(code(name) for name in headers)}"


def _incoming(vendor: Vendor) -> Iterator[str]:
    incoming = vendor.incoming
    if incoming is None:
        return
    ways = verification_of(vendor)
    yield "## How a delivery is proven"
    if all(way.scheme == PATH_TOKEN for way in ways):
        yield (
            "It signs nothing. The source has a `path_token`, and the vendor sends to "
            f"`/hooks/{vendor.name}/TOKEN`."
        )
    else:
        yield table(
            ("Scheme", "Headers", "What is signed", "Time"),
            (
                (
                    f"{code(way.scheme)}{', the default' if way.default and len(ways) > 1 else ''}",
                    ", ".join(code(name) for name in way.headers),
                    way.content,
                    "not checked" if way.tolerance_s is None else f"±{way.tolerance_s} s",
                )
                for way in ways
            ),
        )
    if incoming.read_back is not None:
        yield (
            "The body is taken for a hint: with `connection:` at the source, what really happened "
            "is read from the API."
        )
    if incoming.types:
        yield "## Events"
        rows = [(code(theirs), code(ours)) for theirs, ours in incoming.types.items()]
        yield table((f"Name at {plain(vendor.title)}", "Our type"), rows)
        yield (
            "`*` stands for any other name. The facts of each of our types are in "
            "[events.md](../events.md)."
        )
    if found := samples.names(vendor.name):
        yield "## Samples"
        yield f"`hookwright send SOURCE SAMPLE` sends one of them as {plain(vendor.title)} would."
        yield ", ".join(code(name) for name in found)


def _outgoing(vendor: Vendor) -> Iterator[str]:
    if vendor.actions:
        yield "## Actions"
        facts = [action_fact(VendorAction(vendor, action)) for action in vendor.actions]
        yield table(
            ("Action", "", "What it does"),
            (
                (
                    f"[`{fact.name}`](../actions.md#{anchor(fact.name)})",
                    fact.safety,
                    plain(fact.summary),
                )
                for fact in facts
            ),
        )
    if vendor.polls:
        yield "## Polls"
        yield table(
            ("Poll", "What it tells"),
            ((code(poll.name), plain(poll.summary)) for poll in vendor.polls),
        )
    if vendor.records:
        yield "## Reconciling"
        yield (
            "`hookwright reconcile` compares the vendor's own record with what was stored here, "
            "and closes gaps ([operations.md](../operations.md#reconciling))."
        )
        yield table(
            ("Record", "What is compared", "How a gap is closed"),
            (
                (
                    code(record.name),
                    plain(record.summary),
                    _closing(
                        redeliver=record.redeliver is not None, restore=record.restore is not None
                    ),
                )
                for record in vendor.records
            ),
        )
    if vendor.outgoing is not None:
        yield "## Limits we keep"
        yield bullets(
            f"{rate_in_words(rate)}, by all processes together" for rate in vendor.outgoing.rates
        )
        if vendor.outgoing.keep_back:
            yield (
                f"When an answer says that {vendor.outgoing.keep_back} calls are left, no more are "
                "made until the vendor's window begins anew."
            )


def _closing(*, redeliver: bool, restore: bool) -> str:
    ways = ["it is sent again by the vendor"] if redeliver else []
    if restore:
        ways.append("it is read from the API")
    return ", else ".join(ways) or "the entry itself tells the event"


def _options(vendor: Vendor) -> Iterator[str]:
    for title, model in option_models(vendor):
        if model.model_fields:
            yield f"## {title}"
            if not all(fact.description for fact in fields_of(model)):
                yield plain(about(model))
            yield _fields(model)


def _fields(model: type[BaseModel], *, outputs: bool = False) -> str:
    facts = fields_of(model)
    described = any(fact.description for fact in facts)
    columns = ["Name", "Type"] if outputs else ["Name", "Type", "Default"]
    return table(
        (*columns, "Meaning") if described else columns,
        (tuple(_cells(fact, outputs=outputs, described=described)) for fact in facts),
    )


def _cells(fact: FieldFact, *, outputs: bool, described: bool) -> Iterator[str]:
    yield code(fact.name)
    yield plain(fact.type)
    if not outputs:
        yield "**needed**" if fact.needed else _default(fact.default or "none")
    if described:
        yield plain(fact.description)


def _default(text: str) -> str:
    return text if text == "none" else code(text)


# --- actions ------------------------------------------------------------------------------------

_INTRO = (
    "What a step of a [workflow](workflows.md) can use. `hookwright workflow actions NAME` prints "
    "the same, with `--json` as JSON Schema. *Reads* change nothing; *keeps* finds what it made "
    "or brings about a state; *once* is never done twice, and with *vendor key* the vendor sees to "
    "that by a key of ours."
)


def actions_page(actions: Iterable[AnyAction]) -> str:
    """Give the page of all actions."""
    every = list(actions)
    groups: dict[str, list[AnyAction]] = {}
    for action in every:
        title = action.vendor.title if isinstance(action, VendorAction) else "Our own alerts"
        groups.setdefault(title, []).append(action)
    parts = ["# Actions", MADE, _INTRO]
    parts.append(
        table(
            ("Action", "", "What it does"),
            (
                (f"[`{fact.name}`](#{anchor(fact.name)})", fact.safety, plain(fact.summary))
                for fact in map(action_fact, every)
            ),
        )
    )
    for title, members in groups.items():
        parts.append(f"## {plain(title)}")
        for action in members:
            parts.extend(_action(action, action_fact(action)))
    return _page(*parts)


def _action(found: AnyAction, fact: ActionFact) -> Iterator[str]:
    action = found.action if isinstance(found, VendorAction) else found
    yield f"### `{fact.name}`"
    yield f"{plain(fact.summary)} {plain(fact.behaviour)}"
    yield _takes(action.params)
    yield "Gives:"
    yield _fields(action.outputs, outputs=True)


def _takes(model: type[BaseModel]) -> str:
    if not model.model_fields:
        return "Takes nothing."
    said = "" if all(fact.description for fact in fields_of(model)) else plain(about(model))
    return "\n\n".join(part for part in ("Takes:", said, _fields(model)) if part)


# --- writing ------------------------------------------------------------------------------------


def write_pages(docs: Path) -> list[str]:
    """Write every page below `docs`, remove those of vendors that are gone; give what changed."""
    made = pages()
    changed = []
    for name, text in made.items():
        file = docs / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(name)
    for file in sorted((docs / "vendors").glob("*.md")):
        if f"vendors/{file.name}" not in made and file.name not in KEPT:
            file.unlink()
            changed.append(f"vendors/{file.name}")
    return changed


if __name__ == "__main__":
    for changed_page in write_pages(Path(sys.argv[1])):
        sys.stdout.write(f"{changed_page}\n")
