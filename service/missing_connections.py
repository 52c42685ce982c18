"""Workflows whose steps need an account that is not there: they would fail when they get so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from schemas.document import Document
from schemas.document.steps import ActionStep, ApprovalStep, Step
from service.actions import AnyAction, VendorAction, index_actions
from service.db import Session
from service.store.connections import every_connection
from service.store.runs import current_versions
from service.vendors.base import Safety, Vendor

_SHOWN = 3
"""Workflows that are named; of more the number is said."""


@dataclass(frozen=True, slots=True)
class Need:
    """An account that steps of a workflow want: one of a vendor, perhaps by its name."""

    vendor: str
    name: str | None


def missing_connections(
    session: Session, vendors: Sequence[Vendor], *, shadow: bool = False
) -> list[str]:
    """Give a line for every account that enabled workflows need and that is not there.

    `shadow`: no effects are made in the whole installation, so only reads need an account.
    """
    actions = index_actions(vendors)
    needed: dict[Need, list[str]] = defaultdict(list)
    for document in _documents(session):
        for need in dict.fromkeys(_needs(document, actions, shadow=shadow)):
            needed[need].append(document.name)
    there = every_connection(session)
    titles = {vendor.name: vendor.title for vendor in vendors}
    told = []
    for need, names in needed.items():
        fitting = sorted(row.name for row in there if row.vendor == need.vendor)
        if len(fitting) != 1 if need.name is None else need.name not in fitting:
            told.append(_sentence(need, names, fitting, titles.get(need.vendor, need.vendor)))
    return told


def _sentence(need: Need, workflows: Sequence[str], fitting: Sequence[str], title: str) -> str:
    if need.name is not None:
        return f"{_who(workflows)} the connection `{need.name}` of {title}, and there is none"
    if fitting:
        return (
            f"{_who(workflows)} a connection of {title}, and there are several: name one of "
            f"{', '.join(fitting)} with `connection:` in the step"
        )
    return (
        f"{_who(workflows)} a connection of {title}, and there is none: add one under "
        f"`connections:` with `vendor: {need.vendor}`"
    )


def _documents(session: Session) -> Iterator[Document]:
    for _, version in current_versions(session):
        # What cannot be read any more is told of where it is started.
        with suppress(ValidationError):
            yield Document.model_validate(version.document)


def _needs(document: Document, actions: Mapping[str, AnyAction], *, shadow: bool) -> Iterator[Need]:
    for step in document.by_id.values():
        need = _need_of(step, actions, shadow=shadow or document.mode == "shadow")
        if need is not None:
            yield need


def _need_of(step: Step, actions: Mapping[str, AnyAction], *, shadow: bool) -> Need | None:
    if isinstance(step, ApprovalStep):
        asked = step.approval.ask
        return None if asked is None or shadow else Need(asked, step.approval.connection)
    found = actions.get(step.uses) if isinstance(step, ActionStep) else None
    if not isinstance(step, ActionStep) or not isinstance(found, VendorAction):
        return None
    if shadow and found.action.safety is not Safety.READ:
        return None
    return Need(found.vendor.name, step.connection)


def _who(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"the workflow `{names[0]}` needs"
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"the workflows {shown}{more} need"
