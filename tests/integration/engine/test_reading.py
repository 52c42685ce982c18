"""What is read in one transaction fits together, whatever is written meanwhile."""

from __future__ import annotations

from sqlmodel import select

from schemas.upkeep_tables import MarkRow
from service.db import Database
from service.queue import UnheardQueue
from service.unit_of_work import reading, unit_of_work


def test_a_reader_sees_one_moment(database: Database) -> None:
    with unit_of_work(database, UnheardQueue()) as work:
        work.session.add(MarkRow(name="first", number=1))
    with reading(database) as session:
        before = session.exec(select(MarkRow.number).where(MarkRow.name == "first")).one()
        with unit_of_work(database, UnheardQueue()) as work:
            work.session.add(MarkRow(name="second", number=2))
        after = session.exec(select(MarkRow).where(MarkRow.name == "second")).all()
    assert (before, after) == (1, [])
    with reading(database) as session:
        assert session.exec(select(MarkRow).where(MarkRow.name == "second")).one().number == 2
