"""`vendor list|show`: what each vendor can do, from the code alone; no server is needed."""

from __future__ import annotations

import click

from service.cli.guides import print_fields_of, print_guide
from service.cli.output import console, json_option, print_json, print_table
from service.errors import Invalid, NotFound
from service.vendor_facts import describe_vendor, fields_of, option_models
from service.vendors import BY_NAME, VENDORS, samples
from service.vendors.base import Vendor
from service.workflows.findings import did_you_mean

ADDRESS = "https://YOUR-ADDRESS/hooks/"


@click.group("vendor")
def vendor_command() -> None:
    """Vendors: what each can do, and how to connect it."""


@vendor_command.command("list", epilog="Example: hookwright vendor list")
@json_option
def vendor_list(*, as_json: bool) -> None:
    """List the vendors of this version: who is received from, called, polled, reconciled."""
    if as_json:
        print_json([describe_vendor(vendor) for vendor in VENDORS])
        return
    print_table(
        ["name", "vendor", "receives", "calls", "polls", "reconciles"],
        [
            [
                vendor.name,
                vendor.title,
                vendor.incoming is not None,
                _number(len(vendor.actions)) if vendor.outgoing is not None else "no",
                ", ".join(poll.name for poll in vendor.polls) or None,
                ", ".join(record.name for record in vendor.records) or None,
            ]
            for vendor in VENDORS
        ],
        empty="no vendors",
    )


def _number(actions: int) -> str:
    return f"{actions} action{'' if actions == 1 else 's'}"


@vendor_command.command("show", epilog="Example: hookwright vendor show vibeview")
@click.argument("name")
@click.option("--template", is_flag=True, help="Print only the body to be pasted at the vendor.")
@json_option
def vendor_show(*, name: str, template: bool, as_json: bool) -> None:
    """Show what to do at a vendor, what to write here, its options, events and actions."""
    vendor = find_vendor(name)
    if template:
        print_template(vendor)
    elif as_json:
        print_json(describe_vendor(vendor))
    else:
        _print(vendor)


def find_vendor(name: str) -> Vendor:
    """Give the vendor of a name. Raises NotFound with what was probably meant."""
    found = BY_NAME.get(name.lower())
    if found is None:
        raise NotFound(f"there is no vendor `{name}`", hint=did_you_mean(name, BY_NAME))
    return found


def print_template(vendor: Vendor) -> None:
    """Print the body to be pasted at the vendor, and nothing else. Raises Invalid."""
    if vendor.guide.template is None:
        raise Invalid(f"{vendor.title} chooses the form of its bodies: there is no template")
    click.echo(vendor.guide.template.rstrip("\n"))


def _print(vendor: Vendor) -> None:
    out = console()
    out.print(f"[bold]{vendor.title}[/] ({vendor.name})")
    print_guide(vendor, url=f"{ADDRESS}{vendor.name}", calling=True)
    if vendor.guide.configuration:
        out.print("\n[bold]hookwright.yaml[/]")
        out.print(vendor.guide.configuration.rstrip("\n"), markup=False)
    for title, model in option_models(vendor):
        if model.model_fields:
            out.print(f"\n[bold]{title}[/]")
            print_fields_of(fields_of(model))
    if vendor.incoming is not None and vendor.incoming.types:
        out.print("\n[bold]Events[/]")
        for theirs, ours in vendor.incoming.types.items():
            out.print(f"  {theirs}  ->  {ours}", markup=False)
    if found := samples.names(vendor.name):
        out.print(f"\n[bold]Samples[/] (`hookwright send {vendor.name} {found[0]}` sends one)")
        for name in found:
            out.print(f"  {name}", markup=False)
    if vendor.actions:
        out.print(f"\n[bold]Actions[/] (`hookwright workflow actions {vendor.name}` says more)")
        for action in vendor.actions:
            out.print(f"  {action.name}  {action.summary}", markup=False)
