"""The poll `bugs`: bugs of the health dashboard that are new or have changed.

The list is read from its beginning to its end, four pages at a time; the position is the place in
the list and what is known of each bug, with the number of the pass that read it last. A bug that
moves within the list while it is read is found where it went, in this pass or in the next. A page
of which all was read in this pass ends it: a server that knows no offset, or begins anew behind the
end of its list, has no more to give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from schemas.events import EventDraft, Json
from service.vendors.base import CallContext, Options, PollAnswer
from service.vendors.checksum.client import BUGS_A_PAGE, MAX_BUG_PAGES, ChecksumClient
from service.vendors.checksum.facts import bug_draft, bug_fact, changed_bug_fact
from service.vendors.checksum.payloads import BugRow
from service.vendors.reading import as_key, as_list, as_mapping, as_whole

PAGES_AT_ONCE = 4
MOST_BUGS_KEPT = 5000
MOST_BUGS_READ = MAX_BUG_PAGES * BUGS_A_PAGE
"""A pass ends here, though the list seems to go on."""


class BugsOptions(Options):
    """Which bugs are watched, and whether those that are there already are told."""

    status: str | None = Field(default=None, description="Only bugs of this status.")
    severity: str | None = Field(default=None, description="Only bugs of this severity.")
    tags: tuple[str, ...] = Field(default=(), description="Only bugs with these tags.")
    project: str | None = Field(default=None, description="Only bugs of this project.")
    collection_name: str | None = Field(
        default=None, description="Only bugs of this collection of tests."
    )
    report_existing: bool = Field(
        default=False, description="Also tells the bugs that are there when the poll begins."
    )


def ask_bugs(
    context: CallContext, options: BugsOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every new bug (`bug.found`) and every change of status or severity (`bug.changed`)."""
    client = ChecksumClient(context.http, context.options)
    known = as_mapping(position)
    kept = {key: as_mapping(value) for key, value in as_mapping(known.get("bugs")).items()}
    offset = max(as_whole(known.get("offset")) or 0, 0)
    is_first = position is None or known.get("first") is True
    number = as_whole(known.get("pass")) or 0
    events: list[EventDraft] = []
    is_end = False
    for _ in range(PAGES_AT_ONCE):
        rows = client.bugs_page(
            offset=offset,
            status=options.status,
            severity=options.severity,
            tags=options.tags,
            project=options.project,
            collection_name=options.collection_name,
        )
        is_fresh = False
        for row in rows.read:
            if row.id is None:
                continue
            before = kept.pop(row.id, {})
            is_fresh |= before.get("pass") != number
            event, after = _compare(row, before, context)
            kept[row.id] = {**after, "pass": number}
            if event is not None and (not is_first or options.report_existing):
                events.append(event)
        offset += rows.places
        is_end = rows.is_last or not is_fresh or offset >= MOST_BUGS_READ
        if is_end:
            break
    return PollAnswer(
        events,
        {
            "bugs": dict(list(kept.items())[-MOST_BUGS_KEPT:]),
            "offset": 0 if is_end else offset,
            "first": is_first and not is_end,
            "pass": number + is_end,
        },
        more=not is_end,
    )


def _compare(
    row: BugRow, before: dict[str, Any], context: CallContext
) -> tuple[EventDraft | None, dict[str, Json]]:
    """Give what has become of a bug, if anything, and what is known of it now.

    Changes are numbered, so that a bug that comes back to an earlier state is told again; from the
    present second on, so that a poll added anew gives no number twice.
    """
    state = f"{row.status}|{row.severity}"
    seen = [one for one in as_list(before.get("seen")) if isinstance(one, str)]
    number = as_whole(before.get("changes")) or int(context.now.timestamp())
    event: EventDraft | None = None
    if not before:
        key = f"bug:{row.id}:found"
        event = _event(row, "bug.found", key, bug_fact(row), context)
    elif before.get("state") != state:
        number += 1
        key = f"bug:{row.id}:{number}:{state}"
        fact = changed_bug_fact(row) or bug_fact(row)
        if row.updated_at is None and (row.status or "") in seen:
            fact = as_key(f"{fact}:{number}")
        event = _event(row, "bug.changed", key, fact, context)
    seen = list(dict.fromkeys([*seen, row.status or ""]))
    return event, {"state": state, "changes": number, "seen": seen}


def _event(row: BugRow, type_: str, key: str, fact: str, context: CallContext) -> EventDraft:
    return bug_draft(
        row,
        type_,
        vendor_type=f"bug.{row.status or 'unknown'}",
        payload=row.model_dump(mode="json", by_alias=True),
        repository=context.options.repository,
        fact=fact,
    ).model_copy(update={"key": key})
