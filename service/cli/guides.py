"""What a person does at a vendor, and fields with their meaning, as they are printed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.text import Text

from service.cli.output import console, terminal_width
from service.vendor_facts import FieldFact
from service.vendors.base import Vendor

WIDEST = 96
UNBOUNDED = 100_000
"""Without a terminal a paragraph is one line, so that programs can find what it says."""


def print_guide(vendor: Vendor, *, url: str, calling: bool = False) -> None:
    """Print the steps at the vendor, the template to paste, and what surprises people."""
    guide = vendor.guide
    _print_steps(f"At {vendor.title}", guide.incoming, url)
    if calling:
        _print_steps("To call it", guide.outgoing, url)
    out = console()
    if guide.template is not None:
        out.print("\n[bold]Body to paste there[/] (--template prints it alone)")
        out.print(guide.template.rstrip("\n"), markup=False)
    if guide.notes:
        out.print("\n[bold]Good to know[/]")
        for note in guide.notes:
            print_paragraph(note, mark="- ")
    if guide.pages:
        out.print("\n[bold]Its pages[/]")
        for page in guide.pages:
            out.print(f"  {page}", markup=False)


def _print_steps(title: str, steps: Sequence[str], url: str) -> None:
    if not steps:
        return
    console().print(f"\n[bold]{title}[/]")
    for number, step in enumerate(steps, 1):
        print_paragraph(step.replace("{url}", url), mark=f"{number}. ")


def print_paragraph(text: str, *, mark: str = "", indent: int = 2) -> None:
    """Print one paragraph; at a terminal it is wrapped under its mark."""
    lead = " " * indent + mark
    width = min(terminal_width() or UNBOUNDED, WIDEST)
    if terminal_width() is None:
        width = UNBOUNDED
    wrapped = textwrap.fill(
        text,
        width=width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
    console().print(wrapped, markup=False)


def print_fields_of(facts: Iterable[FieldFact], *, indent: int = 2, outputs: bool = False) -> None:
    """Print fields: name, type, whether it is needed or what it is otherwise, what it means."""
    for fact in facts:
        line = Text(" " * indent).append(fact.name, "bold").append(f"  {fact.type}", "cyan")
        if not outputs and fact.needed:
            line.append("  needed", "yellow")
        elif not outputs and fact.default not in {None, "none"}:
            line.append(f"  default {fact.default}", "bright_black")
        console().print(line)
        if fact.description:
            print_paragraph(fact.description, indent=indent + 2)
