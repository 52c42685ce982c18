"""Refused requests are verified again, with the secrets of today; what proves authentic goes on.

What is accepted is stored as the door would have stored it: under its own key, so that it is a
duplicate when it was sent again meanwhile, and as received when it came. A request and its
delivery are noted in one transaction: nothing is lost or done twice when it is asked for twice,
at the same time, or when the process ends in the middle.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from schemas.ids import new_id
from schemas.jobs import IngestDeliveries
from schemas.reverifying import (
    Reverified,
    ReverifyOutcome,
    ReverifyQuestion,
    ReverifyReport,
)
from schemas.tables import DeliveryRow, RejectionRow
from service import audit
from service.db import Database, Session
from service.door import storable_key
from service.door_request import headers_as_json
from service.errors import HandshakeError, NotFound, SignatureError, Unavailable
from service.faults import note_fault
from service.paging import read_cursor, write_cursor
from service.proving import Prover, open_provers
from service.queue import Queue
from service.refused import restore
from service.secretbox import SecretBox
from service.store import reverifying as store
from service.store.arrivals import SWEEP_AFTER
from service.store.sources import read_sources
from service.tokens import Caller
from service.unit_of_work import reading, unit_of_work
from service.vendors.base import Vendor
from service.workflows.findings import did_you_mean

log = structlog.get_logger(__name__)

NOT_JUDGED = "failed"
"""The reason of a request over which our own code failed; the door's word for it."""
PORTION = 500
"""Requests that one call looks at; the answer has a cursor for the rest."""
ROWS_AT_ONCE = 50
BYTES_AT_ONCE = 4 * 1024 * 1024
"""Bodies that are held in memory together; one alone may be as large as the quarantine takes."""


@dataclass(slots=True)
class _Verdict:
    """What is known of one request; `delivery` when it is authentic."""

    row: RejectionRow
    outcome: ReverifyOutcome
    reason: str | None = None
    delivery: DeliveryRow | None = None
    delivery_id: UUID | None = None

    def shown(self) -> Reverified:
        """Give it for the answer."""
        return Reverified(
            rejection_id=self.row.id,
            source=self.row.address or self.row.source,
            outcome=self.outcome,
            reason=self.reason,
            delivery_id=self.delivery_id,
        )


@dataclass(frozen=True, slots=True)
class _Judge:
    """Decides what a request is, with the sources as they are now."""

    provers: Mapping[str, Prover]
    box: SecretBox
    named: str | None
    """The source that all of them are taken for; None: the name they were sent to."""
    now: datetime

    def judge(self, row: RejectionRow) -> _Verdict:
        """Verify one request again. One that our code cannot judge does not hinder the others."""
        try:
            return self._judge(row)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            note_fault(error, "rejection_not_judged", rejection_id=str(row.id))
            return _Verdict(row, ReverifyOutcome.NOT_AUTHENTIC, NOT_JUDGED)

    def _judge(self, row: RejectionRow) -> _Verdict:
        if row.delivery_id is not None:
            return _Verdict(row, ReverifyOutcome.ALREADY, delivery_id=row.delivery_id)
        prover = self.provers.get(self.named or row.address or row.source)
        if prover is None:
            return _Verdict(row, ReverifyOutcome.NO_SOURCE)
        whole = restore(row, self.box)
        if whole is None:
            return _Verdict(row, ReverifyOutcome.INCOMPLETE)
        try:
            delivery = prover.prove(row, whole)
        except SignatureError as error:
            return _Verdict(row, ReverifyOutcome.NOT_AUTHENTIC, error.reason)
        assert prover.incoming is not None  # noqa: S101  # for the type checker
        with suppress(HandshakeError):
            if prover.incoming.handshake(delivery, prover.options) is None:
                key = storable_key(prover.incoming.delivery_key(delivery, prover.options))
                return self._accept(row, prover, key, whole.headers)
        return _Verdict(row, ReverifyOutcome.HANDSHAKE)

    def _accept(
        self, row: RejectionRow, prover: Prover, key: str, headers: Sequence[tuple[str, str]]
    ) -> _Verdict:
        live = prover.live
        delivery = DeliveryRow(
            id=new_id(),
            source_id=live.id,
            source=live.name,
            vendor=live.vendor,
            delivery_key=key,
            received_at=row.received_at,
            headers=json.loads(headers_as_json(headers, live.secret_values)),
            body=row.body,
            due_at=self.now + SWEEP_AFTER,
            rejection_id=row.id,
        )
        return _Verdict(row, ReverifyOutcome.ACCEPTED, delivery=delivery, delivery_id=delivery.id)


def reverify(
    database: Database,
    queue: Queue,
    vendors: Mapping[str, Vendor],
    box: SecretBox,
    question: ReverifyQuestion,
    caller: Caller,
    now: datetime,
) -> ReverifyReport:
    """Verify a portion of the refused requests that are asked for, and store what is authentic.

    Raises NotFound when the source that they shall be taken for is not there, and Invalid for a
    cursor of another question.
    """
    asked = {"list": "reverify", **question.filters()}
    after = None if question.cursor is None else read_cursor(question.cursor, asked)
    with reading(database) as session:
        judge = _Judge(
            open_provers(read_sources(session), vendors, box, now), box, question.as_source, now
        )
        _check_source(question.as_source, judge.provers)
        found = store.find_candidates(session, question, after=after, limit=PORTION + 1)
    results: list[Reverified] = []
    for ids in _portions(found[:PORTION]):
        with reading(database) as session:
            verdicts = [judge.judge(row) for row in store.read_rejections(session, ids)]
            if question.dry_run:
                _find_duplicates(session, verdicts)
        if not question.dry_run:
            _store(database, queue, verdicts, question, caller, now)
        results += [verdict.shown() for verdict in verdicts]
    more = len(found) > PORTION
    return _report(results, question, write_cursor(found[PORTION - 1].id, asked) if more else None)


def _check_source(name: str | None, provers: Mapping[str, Prover]) -> None:
    if name is not None and name not in provers:
        raise NotFound(f"there is no source `{name}`", hint=did_you_mean(name, provers))


def _portions(found: Sequence[store.Candidate]) -> Iterator[list[UUID]]:
    part: list[UUID] = []
    size = 0
    for candidate in found:
        size += candidate.body_bytes
        if part and (len(part) >= ROWS_AT_ONCE or size > BYTES_AT_ONCE):
            yield part
            part, size = [], candidate.body_bytes
        part.append(candidate.id)
    if part:
        yield part


def _key(delivery: DeliveryRow) -> store.Key:
    return delivery.source_id, delivery.delivery_key


def _find_duplicates(session: Session, verdicts: Sequence[_Verdict]) -> None:
    """Tell what would be a duplicate, also of another of these requests."""
    authentic = [verdict for verdict in verdicts if verdict.delivery is not None]
    stored = store.find_stored(session, [_key(one.delivery) for one in authentic if one.delivery])
    seen: set[store.Key] = set()
    for verdict in authentic:
        assert verdict.delivery is not None  # noqa: S101  # for the type checker
        earlier = stored.get(_key(verdict.delivery))
        if earlier is not None or _key(verdict.delivery) in seen:
            verdict.outcome = ReverifyOutcome.DUPLICATE
        verdict.delivery_id = None if earlier is None else earlier.id
        seen.add(_key(verdict.delivery))


def _store(
    database: Database,
    queue: Queue,
    verdicts: Sequence[_Verdict],
    question: ReverifyQuestion,
    caller: Caller,
    now: datetime,
) -> None:
    """Store what is authentic, note what it has become, and ring for it."""
    authentic = {one.row.id: one.delivery for one in verdicts if one.delivery is not None}
    if not authentic:
        return
    with unit_of_work(database, queue) as work:
        new = store.store_deliveries(work.session, list(authentic.values()))
        stored = store.find_stored(work.session, [_key(row) for row in authentic.values()])
        for verdict in verdicts:
            if verdict.delivery is None or verdict.delivery.id in new:
                continue
            earlier = stored.get(_key(verdict.delivery))
            if earlier is None:
                raise Unavailable("a delivery was removed meanwhile; ask again")
            verdict.delivery_id = earlier.id
            # Somebody else may have asked for the same at the same time.
            is_ours = earlier.rejection_id == verdict.row.id
            verdict.outcome = ReverifyOutcome.ALREADY if is_ours else ReverifyOutcome.DUPLICATE
        accepted = {
            one.row.id: one.delivery_id
            for one in verdicts
            if one.delivery is not None and one.delivery_id is not None
        }
        store.note_accepted(work.session, accepted, now)
        revived = store.revive(work.session, list(set(accepted.values()) - new), now)
        if new or revived:
            work.ring(IngestDeliveries((*sorted(new), *revived)))
        audit.record(
            work.session,
            caller,
            "rejection.reverify",
            question.as_source or question.source or "rejections",
            now=now,
            details={
                "asked": question.filters(),
                "accepted": len(new),
                "duplicates": len(accepted) - len(new),
            },
        )
    log.info("rejections_reverified", accepted=len(new), duplicates=len(accepted) - len(new))


def _report(
    results: list[Reverified], question: ReverifyQuestion, next_cursor: str | None
) -> ReverifyReport:
    counts = Counter(result.outcome for result in results)
    reasons = Counter(result.reason for result in results if result.reason is not None)
    return ReverifyReport(
        dry_run=question.dry_run,
        accepted=counts[ReverifyOutcome.ACCEPTED],
        duplicates=counts[ReverifyOutcome.DUPLICATE],
        not_authentic=dict(sorted(reasons.items())),
        incomplete=counts[ReverifyOutcome.INCOMPLETE],
        no_source=counts[ReverifyOutcome.NO_SOURCE],
        handshakes=counts[ReverifyOutcome.HANDSHAKE],
        already=counts[ReverifyOutcome.ALREADY],
        results=results,
        next_cursor=next_cursor,
    )
