"""The release before finds payloads on SQLite as it left them: as text."""

from __future__ import annotations

import json

import sqlalchemy as sa

from schemas.clock import utc_now
from schemas.compact import COMPRESSED_FROM_BYTES
from schemas.ids import new_id
from schemas.tables import EventRow
from service.db import Database
from service.queue import UnheardQueue
from service.store import schema
from service.store.deliveries import store_events
from service.unit_of_work import unit_of_work


def test_compressed_payloads_are_text_again(empty_sqlite_url: str) -> None:
    database = Database(empty_sqlite_url)
    schema.upgrade(database)
    payloads = [None, 5, {"text": "é"}, {"text": "é" * COMPRESSED_FROM_BYTES}]
    now = utc_now()
    events = [
        EventRow(
            dedupe_key=str(number),
            type="t",
            vendor="v",
            vendor_type="t",
            time=now,
            received_at=now,
            payload=payload,
            correlation_id=new_id(),
        )
        for number, payload in enumerate(payloads)
    ]
    with unit_of_work(database, UnheardQueue()) as work:
        store_events(work.session, events)
    found = sa.text("SELECT payload FROM events ORDER BY dedupe_key")
    with database.engine.connect() as connection:
        assert isinstance(connection.scalars(found).all()[-1], bytes)
    schema.downgrade(database, "0004")
    with database.engine.connect() as connection:
        kept = connection.scalars(found).all()
    assert [json.loads(text) if isinstance(text, str) else text for text in kept] == payloads
    database.dispose()
