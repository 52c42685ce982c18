"""The page of all event types with their facts, made from the code (see vendor_pages.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from schemas.events import EVENT_TYPES, FAMILIES, Facts
from service.markdown_text import code, plain, table
from service.vendor_facts import about, fields_of
from service.vendors.base import Vendor

_INTRO = (
    "Our own vocabulary: the facts of a type are the same whichever vendor it comes from. What a "
    "vendor calls otherwise and is not in a table of its page keeps its name, as "
    "`<vendor>.<the vendor's name>`. GitHub's events have GitHub's names. Every event also has "
    "the vendor's own body as `payload` ([all fields](workflow-reference.md#names-in-scope)). "
    "Polls and records give the same types as webhooks: Checkly's test sessions are `test_run.*` "
    "too, and all of Checksum's events are asked for as long as it sends no webhooks."
)


def events_page(made: str, vendors: Sequence[Vendor]) -> str:
    """Give the page; `made` is the line that says where it comes from."""
    parts = ["# Events", made, _INTRO]
    for model in dict.fromkeys(FAMILIES.values()):
        parts.extend(_family(model, vendors))
    return "\n\n".join(parts) + "\n"


def _family(model: type[Facts], vendors: Sequence[Vendor]) -> Iterator[str]:
    families = [name for name, facts in FAMILIES.items() if facts is model]
    yield f"## {', '.join(code(f'{name}.*') for name in families)}"
    said = about(model).partition("`. ")[2] or about(model).partition("`: ")[2]
    if said:
        yield plain(f"{said[:1].upper()}{said[1:]}")
    types = [name for name in EVENT_TYPES if name.partition(".")[0] in families]
    rows = [(code(name), ", ".join(_givers(name, vendors))) for name in types]
    yield table(("Type", "Known webhooks"), rows)
    yield table(("Fact", "Type"), ((code(name), plain(kind)) for name, kind in _facts(model)))


def _givers(type_: str, vendors: Sequence[Vendor]) -> Iterator[str]:
    """Name the vendors whose tables of webhooks give this type."""
    family = type_.partition(".")[0]
    for vendor in vendors:
        given = set(vendor.incoming.types.values()) if vendor.incoming is not None else set()
        if type_ in given or f"{family}.*" in given:
            yield f"[{vendor.title}](vendors/{vendor.name}.md)"


def _facts(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give the facts by dotted name: what is inside another fact is named with it."""
    for fact, info in zip(fields_of(model), model.model_fields.values(), strict=True):
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _facts(inner, f"{prefix}{fact.name}.")
        else:
            yield f"{prefix}{fact.name}", fact.type
