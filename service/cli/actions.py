"""`workflow actions`: what a step can use, printed from the code."""

from __future__ import annotations

from collections.abc import Mapping

import click

from service.actions import Actions, AnyAction, VendorAction
from service.cli.backtesting import workflow_backtest
from service.cli.guides import print_fields_of, print_paragraph
from service.cli.output import console, json_option, print_json, print_table
from service.cli.starting import workflow_disable, workflow_enable, workflow_start
from service.cli.testing import workflow_test
from service.cli.versions import workflow_show, workflow_versions
from service.cli.workflows import workflow_command
from service.errors import NotFound
from service.vendor_facts import about, action_as_json, action_fact
from service.vendors import BY_NAME, VENDORS
from service.workflows.findings import did_you_mean

__all__ = ["workflow_command"]

OWN = "alert"

workflow_command.add_command(workflow_test)
workflow_command.add_command(workflow_backtest)
for command in (
    workflow_start,
    workflow_enable,
    workflow_disable,
    workflow_show,
    workflow_versions,
):
    workflow_command.add_command(command)


@workflow_command.command(
    "actions",
    short_help="Show what steps can use: all actions, or one.",
    epilog="Example: hookwright workflow actions checksum",
)
@click.argument("name", metavar="[NAME|VENDOR]", required=False)
@json_option
def workflow_actions(*, name: str | None, as_json: bool) -> None:
    """Show what steps can use: all actions, those of a vendor, or one with all its fields.

    With --json, what each takes and gives is a JSON Schema.
    """
    every = Actions(BY_NAME)
    found = _chosen(every, name)
    if as_json:
        shown = [action_as_json(action) for action in found]
        print_json(shown[0] if name in every else shown)
    elif name is None:
        print_table(
            ["action", "safety", "description"],
            [
                [fact.name, fact.safety, fact.summary]
                for fact in (action_fact(action) for action in found)
            ],
            empty="no actions",
        )
    else:
        for number, action in enumerate(found):
            if number:
                console().print()
            _print(action)


def _chosen(every: Mapping[str, AnyAction], name: str | None) -> list[AnyAction]:
    if name is None:
        return list(every.values())
    if name in every:
        return [every[name]]
    found = [
        action
        for action in every.values()
        if (isinstance(action, VendorAction) and action.vendor.name == name)
        or (name == OWN and not isinstance(action, VendorAction))
    ]
    if not found and name in BY_NAME:
        raise NotFound(f"{BY_NAME[name].title} has no actions")
    if not found:
        known = [*every, *(vendor.name for vendor in VENDORS if vendor.actions), OWN]
        raise NotFound(
            f"there is no action and no vendor with actions `{name}`",
            hint=did_you_mean(name, known),
        )
    return found


def _print(action: AnyAction) -> None:
    fact = action_fact(action)
    out = console()
    out.print(f"[bold]{fact.name}[/]  {fact.summary}")
    print_paragraph(fact.behaviour)
    inner = action.action if isinstance(action, VendorAction) else action
    out.print("[bold]  takes[/]" if fact.params else "[bold]  takes[/] nothing")
    if not all(field.description for field in fact.params) and (said := about(inner.params)):
        print_paragraph(said, indent=4)
    print_fields_of(fact.params, indent=4)
    out.print("[bold]  gives[/]" if fact.outputs else "[bold]  gives[/] nothing")
    print_fields_of(fact.outputs, indent=4, outputs=True)
