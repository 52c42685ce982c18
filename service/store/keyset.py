"""The newest rows of a list, found through its index whatever it is narrowed by.

An index that begins with the columns of a list's filters and ends with the id has the newest rows
of each combination of their values at hand. What combinations there are is known (`kinds`), so the
newest of several, or of all, are the newest of the newest of each: a page costs the same whether
a thousand rows are stored or ten million, and whether what is looked for is frequent or rare.

Ids are times. A list that is narrowed by time looks only among the ids of that time, and at the
rows whose ids tell another time than they do, which have an index of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Result, Uuid, bindparam, text
from sqlalchemy.types import TypeEngine
from sqlmodel import Session, select

from schemas.columns import UtcTime
from schemas.reading_tables import KindRow
from service.store.keyset_sql import Keyset, Parameters, Statement, Values, Wanted

MOST_COMBINATIONS = 1_000
"""What fits more of them than that is looked for among all rows: it is not rare."""
# To compile a statement pays for none of these, and before 18 what is closed counts as expensive.
_OTHER_WAYS = {
    **dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"), "off"),
    # A plan that is made once for all values knows nothing of how many have these.
    "plan_cache_mode": "force_custom_plan",
}
_NO_OTHER_WAY = text(
    "SELECT "
    + ", ".join(
        f"current_setting('{way}') AS {way}, set_config('{way}', '{value}', true)"
        for way, value in _OTHER_WAYS.items()
    )
)
_AS_BEFORE = text(
    "SELECT " + ", ".join(f"set_config('{way}', :{way}, true)" for way in _OTHER_WAYS)
)
_TYPES: Mapping[str, TypeEngine[Any]] = {
    "since": UtcTime(),
    "until": UtcTime(),
    **dict.fromkeys(("before", "below", "lowest", "highest", "event", "run"), Uuid()),
}


def newest_ids(session: Session, keyset: Keyset, wanted: Wanted, limit: int) -> list[UUID]:
    """Give the ids of the newest rows, newest first."""
    if wanted.among is not None and not wanted.among:
        return []
    if wanted.among is not None and len(wanted.among) > MOST_COMBINATIONS:
        wanted = replace(wanted, are_few=True)
    statement = Statement(keyset, wanted, is_sqlite=is_sqlite(session))
    with _in_order_of_an_index(session, wanted):
        return ids_of(session, statement.text(), statement.values | {"limit": limit})


def count_up_to(session: Session, keyset: Keyset, wanted: Wanted, limit: int) -> int:
    """Give how many rows there are, or the limit if there are more."""
    if wanted.among is not None and not wanted.among:
        return 0
    statement = Statement(keyset, wanted, is_sqlite=is_sqlite(session), in_order=False)
    with _in_order_of_an_index(session, wanted):
        return count_of(session, statement.text(), statement.values | {"limit": limit})


@contextmanager
def _in_order_of_an_index(session: Session, wanted: Wanted) -> Iterator[None]:
    """Let PostgreSQL take rows as an index has them, and not gather all that fit before it begins.

    It does that where it expects few, and of what a row is compared with here it knows too little:
    of several times, of values of other rows, and of all of it before the first ANALYZE.
    """
    if wanted.in_no_order or is_sqlite(session):
        yield
        return
    before = session.execute(_NO_OTHER_WAY).mappings().one()
    yield
    session.execute(_AS_BEFORE, {way: before[way] for way in _OTHER_WAYS})


def planned_rows(session: Session, keyset: Keyset, wanted: Wanted) -> int:
    """Give how many rows PostgreSQL expects there to be, by its own statistics; 0 on SQLite."""
    if is_sqlite(session) or (wanted.among is not None and not wanted.among):
        return 0
    statement = Statement(keyset, wanted, is_sqlite=False)
    explained = f"EXPLAIN (FORMAT JSON) {statement.without_end()}"
    # Times are the ids': of those PostgreSQL knows what of them lies between others.
    values = {name: of for name, of in statement.values.items() if name not in {"since", "until"}}
    (plan,) = _asked(session, explained, values).scalar_one()
    return int(plan["Plan"]["Plan Rows"])


def ids_of(session: Session, statement: str, values: Mapping[str, Any]) -> list[UUID]:
    """Give the ids that a statement finds, in its order."""
    return list(_asked(session, statement, values, id=Uuid).scalars())


def count_of(session: Session, statement: str, values: Mapping[str, Any]) -> int:
    """Give how many rows a statement finds."""
    counted = f"SELECT count(*) FROM ({statement}) AS found"  # noqa: S608  # ours
    return int(_asked(session, counted, values).scalar_one())


def _asked(
    session: Session, statement: str, values: Mapping[str, Any], **columns: Any
) -> Result[Any]:
    types = (bindparam(name, type_=kind) for name, kind in _TYPES.items() if name in values)
    asked = text(statement).bindparams(*types)
    return session.execute(asked.columns(**columns) if columns else asked, dict(values))


def newest_of_portion(
    session: Session, keyset: Keyset, wanted: Wanted, having: Wanted, size: int
) -> tuple[list[UUID], UUID | None]:
    """Give those of the newest rows that have something no index knows, of `size` rows.

    And the last row of that portion; None when there are no more behind it.
    """
    if wanted.among is not None and not wanted.among:
        return [], None
    statement = Statement(keyset, wanted, is_sqlite=is_sqlite(session))
    conditions = " AND ".join(having.conditions)
    # The last of the portion stands behind all, and a second time if it fits.
    asked = (
        f"WITH portion AS MATERIALIZED ({statement.text()})"  # noqa: S608  # ours
        f" SELECT id, 0 AS part FROM {keyset.table} WHERE id IN (SELECT id FROM portion)"
        f" AND {conditions} UNION ALL SELECT id, 1 FROM"
        f" (SELECT id FROM portion ORDER BY id DESC LIMIT 1 OFFSET {size - 1}) AS last"
        " ORDER BY part, id DESC"
    )
    values = statement.values | {"limit": size} | dict(having.values)
    with _in_order_of_an_index(session, wanted):
        found = list(_asked(session, asked, values, id=Uuid, part=Integer))
    last = found.pop().id if found and found[-1].part else None
    return [row.id for row in found], last


def narrowed_by(keyset: Keyset, wanted: Wanted, *, is_sqlite: bool) -> tuple[list[str], Parameters]:
    """Give the conditions, as SQL, of rows that are looked at one by one, and their parameters."""
    statement = Statement(keyset, wanted, is_sqlite=is_sqlite)
    return statement.conditions, statement.values


def kinds_of(session: Session, listed: str) -> Sequence[Values]:
    """Give the combinations of values that rows of a list have or had."""
    found = select(KindRow.one, KindRow.two, KindRow.three).where(KindRow.listed == listed)
    return [tuple(row) for row in session.exec(found)]


def first_values(session: Session, keyset: Keyset) -> set[str]:
    """Give the values that rows have in the first column: each by one look into the index."""
    first, table = keyset.columns[0], keyset.table
    in_order = ", ".join((*keyset.columns, "id"))
    found = text(
        f"WITH RECURSIVE known (value) AS ("  # noqa: S608  # ours
        f" SELECT (SELECT {first} FROM {table} ORDER BY {in_order} LIMIT 1) UNION ALL"
        f" SELECT (SELECT {first} FROM {table} WHERE {first} > known.value"
        f" ORDER BY {in_order} LIMIT 1) FROM known WHERE value IS NOT NULL)"
        " SELECT value FROM known WHERE value IS NOT NULL"
    )
    return set(session.execute(found).scalars())


def is_sqlite(session: Session) -> bool:
    """Say on which of the two databases this is."""
    return session.get_bind().dialect.name == "sqlite"
