"""What must be asked of VibeView: its credit, its ledger, and whether it has new events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from schemas.events import EventDraft, Json
from service.vendors.base import CallContext, Options, Poll, PollAnswer
from service.vendors.reading import as_list, as_mapping, as_text, as_whole
from service.vendors.vibeview.api.calling import PAGE, Page
from service.vendors.vibeview.api.credits import REFILLS, LedgerEntry
from service.vendors.vibeview.client import VibeViewClient
from service.vendors.vibeview.credit_polling import CreditBalanceOptions, ask_credit_balance
from service.vendors.vibeview.events import EVENTS, KEPT

PAGES_A_QUESTION = 5
"""How many pages of the ledger are read before others may use the connection's rate."""
MOST_ENTRIES = 100_000
"""A ledger that does not say how long it is ends here."""


class LedgerOptions(Options):
    """Options of the poll `ledger`: which movements are told. An empty list tells all of them."""

    entry_types: tuple[str, ...] = Field(
        default=tuple(sorted(REFILLS)),
        description="Which movements of credit are told; an empty list tells all of them.",
    )

    def wants(self, entry: LedgerEntry) -> bool:
        """Say whether this movement is told."""
        return not self.entry_types or entry.entry_type in self.entry_types


@dataclass(slots=True)
class LedgerReader:
    """Reads a list whose newest entry comes first from a mark upwards, a page at a time.

    `mark` is the newest entry that was told (empty: the ledger was empty), `offset` where the next
    page begins. First the mark is looked for downwards; then each page begins so that the mark is
    its last entry. New entries push the mark further down, where it is looked for again: so what
    is told always lies directly above the mark, and nothing is left out.

    `before` is the digest of the page before on the way down: where it comes again, the newest page
    shows whether entries were added or the server knows no offset and has but one page.
    """

    client: VibeViewClient
    mark: str
    offset: int
    before: str = ""

    def read_page(self) -> tuple[list[LedgerEntry], bool]:
        """Give the page's entries above the mark, oldest first, and whether all are told.

        A ledger that does not hold the mark is read from its oldest entry.
        """
        page = self.client.credits.ledger_page(offset=self.offset)
        rows = page.rows
        place = next((i for i, row in enumerate(rows) if self.mark and row.id == self.mark), None)
        if place is None:
            if self._is_all_there_is(page):
                self.offset = 0
            elif page.places == PAGE and not self._is_behind_the_end(page):
                self.offset += PAGE
                self.before = _digest_of(rows)
                return [], False
            place = 0 if page.total is not None and self.offset >= page.total else len(rows)
        self.before = ""
        found = [row for row in rows[:place] if row.id is not None]
        self.mark = (found[0].id if found else None) or self.mark
        is_done = self.offset == 0
        self.offset = max(0, self.offset - PAGE + 1)
        return found[::-1], is_done

    def _is_all_there_is(self, page: Page[LedgerEntry]) -> bool:
        """Say whether a server without offsets gave its only page again."""
        if self.offset == 0 or self.before != _digest_of(page.rows):
            return False
        return self.client.credits.ledger_page().rows == page.rows

    def _is_behind_the_end(self, page: Page[LedgerEntry]) -> bool:
        """Say whether the list has ended before this page, whatever is on it."""
        total = MOST_ENTRIES if page.total is None else min(page.total, MOST_ENTRIES)
        return self.offset > 0 and self.offset >= total


def ask_ledger(
    context: CallContext, options: LedgerOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell new movements of credit, oldest first. The first question only notes where it begins."""
    client = VibeViewClient(context.http)
    if position is None:
        newest = client.credits.ledger_page(limit=1).rows
        return PollAnswer([], {"mark": (newest[0].id or "") if newest else "", "offset": 0})
    known = as_mapping(position)
    reader = LedgerReader(
        client,
        as_text(known.get("mark")) or "",
        max(0, as_whole(known.get("offset")) or 0),
        as_text(known.get("before")) or "",
    )
    events: list[EventDraft] = []
    is_done = False
    for _ in range(PAGES_A_QUESTION):
        entries, is_done = reader.read_page()
        events += [_movement(context, entry) for entry in entries if options.wants(entry)]
        if is_done:
            break
    after = {"mark": reader.mark, "offset": reader.offset, "before": reader.before}
    return PollAnswer(events, after, more=not is_done)


def _movement(context: CallContext, entry: LedgerEntry) -> EventDraft:
    fact = f"ledger:{entry.id}"
    return EventDraft(
        type="vibeview.ledger_entry",
        vendor_type=f"ledger.{entry.entry_type or 'unknown'}",
        subject=entry.id,
        time=entry.created_at,
        facts={
            "account": context.connection,
            **entry.model_dump(mode="json", exclude={"id", "created_at"}),
        },
        payload=entry.model_dump(mode="json"),
        key=fact,
        fact=fact,
    )


class CatalogOptions(Options):
    """Options of the poll `catalog`."""

    known: tuple[str, ...] = Field(
        default=(),
        description="Events of VibeView that the source's option `events` maps, beside our table.",
    )


def ask_catalog(
    context: CallContext, options: CatalogOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell when VibeView's list of events and our table of them differ in another way than before.

    `unknown` is what VibeView can send and we keep under its own name, `missing` what we know and
    VibeView does not name.
    """
    catalog = VibeViewClient(context.http).webhooks.catalog()
    offered = {entry.type for entry in catalog if entry.type is not None}
    ours = {*EVENTS, *KEPT, *options.known}
    now: dict[str, Json] = {"unknown": sorted(offered - ours), "missing": sorted(ours - offered)}
    before = as_mapping(position)
    number = as_whole(before.get("told"))
    told = int(context.now.timestamp()) if number is None else number
    difference: dict[str, Json] = {name: as_list(before.get(name)) for name in now}
    if now == difference and position is not None:
        return PollAnswer([], {**now, "told": told})
    events = [] if position is None and not now["unknown"] else [_change(context, now, told + 1)]
    return PollAnswer(events, {**now, "told": told + 1})


def _change(context: CallContext, now: dict[str, Json], number: int) -> EventDraft:
    return EventDraft(
        type="vibeview.catalog_changed",
        vendor_type="poll.catalog",
        subject=context.connection,
        facts={"account": context.connection, **now},
        payload=now,
        key=f"catalog:{_digest(now.values())}:{number}",
    )


def _digest_of(rows: Iterable[LedgerEntry]) -> str:
    return _digest(row.model_dump(mode="json") for row in rows)


def _digest(values: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


POLLS = (
    Poll(
        name="credit_balance",
        summary="Credit that gets low, is used up, or is back",
        options=CreditBalanceOptions,
        ask=ask_credit_balance,
    ),
    Poll(
        name="ledger",
        summary="Top-ups, refills and other movements of credit",
        options=LedgerOptions,
        ask=ask_ledger,
    ),
    Poll(
        name="catalog",
        summary="Events that VibeView can send and that we do not know",
        options=CatalogOptions,
        ask=ask_catalog,
    ),
)
