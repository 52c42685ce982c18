"""The poll of the credit that is left: no billing webhook is certain, so the balance is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import Field, model_validator

from schemas.events import CreditsFacts, EventDraft, Json
from service.errors import Refused, Transient
from service.vendors.base import CallContext, Options, PollAnswer
from service.vendors.reading import as_mapping, as_time, as_whole
from service.vendors.vibeview.api.calling import PAGE
from service.vendors.vibeview.api.credits import DEDUCTION, Balance, LedgerEntry
from service.vendors.vibeview.client import VibeViewClient
from service.vendors.vibeview.credits import (
    CreditAlert,
    CreditLimits,
    Judgement,
    Tier,
    judge,
    may_depend_on_refill,
)

MICRO = 1_000_000
LEDGER_PAGES = 5
DAY = timedelta(hours=24)
_TIERS: dict[object, Tier] = {"warn": "warn", "critical": "critical", "zero": "zero"}


class CreditBalanceOptions(Options):
    """Options of the poll `credit_balance`. `critical_usd` is a fifth of the floor by default.

    `topup_url` is the page where a person can buy credit; the vendor's API gives none to look at.
    """

    floor_usd: Decimal = Field(
        default=Decimal(5), gt=0, le=1_000_000, description="Below so many USD, credit is low."
    )
    critical_usd: Decimal | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Below so many USD, it is critical; a fifth of the floor if none.",
    )
    rearm: float = Field(
        default=1.2,
        ge=1,
        le=10,
        description="How many times a limit credit must reach before that limit counts anew.",
    )
    topup_url: str | None = Field(
        default=None, description="The page where a person can buy credit, for the message."
    )

    @model_validator(mode="after")
    def _in_order(self) -> CreditBalanceOptions:
        if self.critical_usd is not None and self.critical_usd > self.floor_usd:
            message = "critical_usd must not be above floor_usd"
            raise ValueError(message)
        return self

    def limits(self) -> CreditLimits:
        """Give the limits in micro-credits."""
        critical = self.floor_usd / 5 if self.critical_usd is None else self.critical_usd
        return CreditLimits(int(self.floor_usd * MICRO), int(critical * MICRO), self.rearm)


@dataclass(frozen=True, slots=True)
class CreditPosition:
    """What the poll remembers.

    `alert` is what is open, `told` the number of the last event, `since` when that was, `mark` the
    newest ledger entry then (empty: there was none, None: it could not be read).
    """

    alert: CreditAlert
    told: int
    since: datetime | None = None
    mark: str | None = None

    @classmethod
    def read(cls, position: Mapping[str, Json] | None, now: datetime) -> CreditPosition:
        """Read a stored position; numbers begin at the present second where there is none.

        So a poll that was removed and added again does not give numbers a second time.
        """
        known = as_mapping(position)
        told = as_whole(known.get("told"))
        mark = known.get("mark")
        return cls(
            CreditAlert(_TIERS.get(known.get("tier")), as_whole(known.get("flagged_micro"))),
            int(now.timestamp()) if told is None else told,
            as_time(known.get("since")),
            mark if isinstance(mark, str) else None,
        )

    def write(self) -> dict[str, Json]:
        """Give the form that is stored. Older versions wrote no `flagged_micro`."""
        return {
            "tier": self.alert.tier,
            "flagged_micro": self.alert.flagged_micro,
            "told": self.told,
            "since": self.since.isoformat() if self.since else None,
            "mark": self.mark,
        }


def ask_credit_balance(
    context: CallContext, options: CreditBalanceOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell when credit gets low, lower, is used up, or is back; each once."""
    client = VibeViewClient(context.http)
    known = CreditPosition.read(position, context.now)
    limits = options.limits()
    balance = client.credits.balance()
    total, low = balance.total_micro, balance.low_balance
    asks = may_depend_on_refill(known.alert, total, limits, low_balance=low)
    refilled = asks and _was_refilled(client, known)
    verdict = judge(known.alert, total, limits, low_balance=low, refilled=refilled)
    if verdict.told is None:
        kept = CreditPosition(verdict.alert, known.told, known.since, known.mark)
        return PollAnswer([], kept.write())
    ledger = _newest(client)
    number = known.told + 1
    event = _event(context, options, balance, verdict, number=number, ledger=ledger)
    mark = None if ledger is None else (ledger[0].id or "" if ledger else "")
    return PollAnswer([event], CreditPosition(verdict.alert, number, context.now, mark).write())


def _was_refilled(client: VibeViewClient, known: CreditPosition) -> bool:
    """Say whether credit came in after the alert; False when the ledger cannot be read."""
    try:
        for entry in client.credits.ledger(pages=LEDGER_PAGES):
            if known.mark:
                if entry.id == known.mark:
                    return False
            elif known.mark is None and not _is_after(entry.created_at, known.since):
                return False
            if entry.is_refill:
                return True
    except (Refused, Transient):
        # The balance is the authority: without the ledger the alert ends by distance alone.
        return False
    return False


def _is_after(at: datetime | None, since: datetime | None) -> bool:
    return at is not None and since is not None and at > since


def _newest(client: VibeViewClient) -> list[LedgerEntry] | None:
    """Give the newest page of the ledger; None when it cannot be read, which stops no alert."""
    try:
        return client.credits.ledger_page().rows
    except (Refused, Transient):
        return None


def _event(
    context: CallContext,
    options: CreditBalanceOptions,
    balance: Balance,
    verdict: Judgement,
    *,
    number: int,
    ledger: list[LedgerEntry] | None,
) -> EventDraft:
    limits = options.limits()
    end = balance.plan_period_end
    facts = CreditsFacts(
        remaining_micro=balance.total_micro,
        allowance_micro=balance.allowance_micro,
        prepaid_micro=balance.prepaid_micro,
        floor_micro=limits.floor_micro,
        period_end=end,
        topup_url=options.topup_url,
        tier=verdict.alert.tier,
        account=context.connection,
    )
    period = end.date().isoformat() if end else "none"
    return EventDraft(
        type=verdict.told or "",
        vendor_type="poll.credit_balance",
        subject=context.connection,
        facts=facts.model_dump(mode="json"),
        payload={
            "balance": balance.model_dump(mode="json"),
            "burn": _burn(ledger, balance.total_micro, context.now),
        },
        key=f"credits:{verdict.alert.tier or 'restored'}:{period}:{number}",
    )


def _burn(ledger: list[LedgerEntry] | None, total_micro: int, now: datetime) -> Json:
    """Give what was used in the last 24 h, from the newest page of the ledger.

    `complete` is False when that page does not reach back so far: then it is a lower bound.
    """
    if ledger is None:
        return None
    used = sum(
        -(entry.amount_micro or 0)
        for entry in ledger
        if entry.entry_type == DEDUCTION and _is_after(entry.created_at, now - DAY)
    )
    oldest = ledger[-1].created_at if ledger else None
    complete = len(ledger) < PAGE or not _is_after(oldest, now - DAY)
    hours = round(total_micro / used * 24, 1) if used > 0 and total_micro > 0 else None
    return {"used_micro_24h": used, "complete": complete, "hours_left": hours}
