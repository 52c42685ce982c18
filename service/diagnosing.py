"""Finding out why requests were refused: by itself for a few of many, and when somebody asks.

It is done beside the door, by the process that does the chores. Of each source and reason one
refusal a minute is looked into, so that a flood costs no more than a trickle does; the others are
when somebody looks at them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from schemas.configured_tables import SourceRow
from schemas.tables import RejectionRow
from service.db import Database
from service.diagnosis import diagnose
from service.errors import ConfigurationError, HookwrightError
from service.examination import Cause, Diagnosis, Surroundings, Suspect
from service.faults import note_fault
from service.proving import open_prover
from service.queue import Queue
from service.refused import restore
from service.runtime import Runtime
from service.secretbox import SecretBox
from service.source_secrets import open_secrets
from service.store import details
from service.store import rejections as store
from service.store.sources import read_sources
from service.unit_of_work import reading, unit_of_work
from service.vendors import BY_NAME
from service.vendors.base import Secret, Vendor

log = structlog.get_logger(__name__)

LOOKS_BACK = timedelta(minutes=10)
ONE_IN = timedelta(seconds=60)
MOST_LOOKED_AT = 500
MOST_DELIVERIES = 1_000
SAME_HOUR = timedelta(hours=1)
_FAULT = "A fault of ours hindered finding out why; the log has it under `refusal_not_explained`."
_LATE = ("stale", "from_the_future")


def diagnose_next(runtime: Runtime) -> bool:
    """Look into one refusal of which nothing like it was looked into; say whether more wait."""
    now = runtime.clock()
    with reading(runtime.database) as session:
        kept = store.find_recent(session, now - LOOKS_BACK, MOST_LOOKED_AT)
    waiting = choose(kept)
    if not waiting:
        return False
    box = SecretBox(runtime.settings.required_secret_keys())
    try:
        explain(runtime.database, runtime.queue, box, waiting[0], now, vendors=runtime.vendors)
    except HookwrightError:
        raise
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # It would be the next one again, and keep all others from being looked into.
        note_fault(error, "refusal_not_explained", rejection_id=str(waiting[0]))
        with unit_of_work(runtime.database, runtime.queue) as work:
            store.note_diagnosis(work.session, waiting[0], Cause.UNEXPLAINED, _FAULT)
    return len(waiting) > 1


def choose(kept: Sequence[store.Kept]) -> list[UUID]:
    """Give which to look into: of each source and reason the newest, and one in a minute."""
    chosen: dict[tuple[str, str], store.Kept] = {}
    explained: dict[tuple[str, str], datetime] = {}
    for one in kept:  # newest first
        key = (one.source, one.reason)
        if one.explained:
            explained.setdefault(key, one.received_at)
        else:
            chosen.setdefault(key, one)
    return [
        one.id
        for key, one in chosen.items()
        if key not in explained or one.received_at - explained[key] >= ONE_IN
    ]


def explain(
    database: Database,
    queue: Queue,
    box: SecretBox,
    ident: UUID,
    now: datetime,
    *,
    vendors: Mapping[str, Vendor] = BY_NAME,
) -> Diagnosis:
    """Find out why this request was refused, and note it. Raises NotFound."""
    with reading(database) as session:
        row = details.read(session, RejectionRow, ident)
        around = Surroundings(
            store.newest_deliveries(session, MOST_DELIVERIES),
            frozenset(store.sources_refused(session, _LATE, row.received_at - SAME_HOUR)),
        )
        sources = read_sources(session)
    suspects = {
        source.name: suspect
        for source in sources
        if (suspect := _suspect(source, vendors, box, now)) is not None
    }
    found = diagnose(row, restore(row, box), suspects, around, now)
    with unit_of_work(database, queue) as work:
        store.note_diagnosis(work.session, ident, found.cause, found.text)
    is_ours = any(source.name == row.source for source in sources)
    log.log(
        logging.WARNING if is_ours else logging.INFO,
        "refusal_explained",
        rejection_id=str(ident),
        source=row.source,
        reason=row.reason,
        cause=found.cause.value,
        diagnosis=found.text,
    )
    return found


def _suspect(
    source: SourceRow, vendors: Mapping[str, Vendor], box: SecretBox, now: datetime
) -> Suspect | None:
    vendor = vendors.get(source.vendor)
    if vendor is None:
        return None
    prover = open_prover(source, vendors, box, now)
    secrets: Sequence[Secret] = ()
    with suppress(ConfigurationError):  # told in the log when the prover was opened
        secrets = open_secrets(box, source.secrets)
    return Suspect(prover, vendor, source.options, secrets)
