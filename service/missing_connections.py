"""Workflows whose steps need an account that is not there: they would fail when they get so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from schemas.document import Document
from schemas.document.steps import ActionStep, ApprovalStep, Step
from service.actions import Actions, AnyAction, VendorAction
from service.db import Session
from service.store.connections import every_connection
from service.store.runs import current_versions
from service.vendors.base import Safety, Vendor

_SHOWN = 3
"""Workflows that are named; of more the number is said."""
_FEW = 2
"""So many vendors are told of with their workflows also where it is to be brief."""


@dataclass(frozen=True, slots=True)
class Need:
    """An account that steps of a workflow want: one of a vendor, perhaps by its name."""

    vendor: str
    name: str | None


def missing_connections(
    session: Session, vendors: Mapping[str, Vendor], *, shadow: bool = False, brief: bool = False
) -> list[str]:
    """Say which accounts enabled workflows need and have not; nothing when all are there.

    `shadow`: no effects are made in the whole installation, so only reads need an account.
    `brief`: of many vendors only their names.
    """
    actions = Actions(vendors)
    needed: dict[Need, list[str]] = defaultdict(list)
    for document in _documents(session):
        for need in dict.fromkeys(_needs(document, actions, shadow=shadow)):
            needed[need].append(document.name)
    there = every_connection(session)
    nowhere: dict[str, list[str]] = {}
    told = []
    for need, names in needed.items():
        title = vendors[need.vendor].title if need.vendor in vendors else need.vendor
        fitting = sorted(row.name for row in there if row.vendor == need.vendor)
        if need.name is not None and need.name not in fitting:
            told.append(f"{_who(names)} the connection `{need.name}` of {title}: there is none")
        elif need.name is None and not fitting:
            nowhere[title] = names
        elif need.name is None and len(fitting) > 1:
            told.append(
                f"{_who(names)} a connection of {title}, and there are several: name one of "
                f"{', '.join(fitting)} with `connection:` in the step"
            )
    # In one line: whoever has just begun has the workflows and none of the connections.
    missing = "workflows need connections that are not there:"
    if brief and len(nowhere) > _FEW:
        told.append(f"{missing} {', '.join(nowhere)}; `hookwright doctor` says which need which")
    elif nowhere:
        each = (f"{title} ({_listed(names)})" for title, names in nowhere.items())
        told.append(f"{missing} {', '.join(each)}")
    return told


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
    return f"the workflow{'s' * (len(names) > 1)} {_listed(names)} need{'s' * (len(names) == 1)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
