"""What a list asks for, and the SQL that gives the newest ids of it.

How they are found is told in `service/store/keyset.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.ids import first_id
from schemas.reading_tables import ODD_TIMES

SLACK = timedelta(minutes=1)
"""How far a row's time and that of its id may be apart, unless it is among the odd ones."""

Values = tuple[str, ...]
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Keyset:
    """How the rows of a list are found.

    `columns` are what the index begins with, as SQL. `time` is the column a list is narrowed by.
    `always` holds for every row of the list, `odd` for those alone whose ids tell another time than
    they do, where their index says it in a way of its own.
    """

    table: str
    time: str
    columns: tuple[str, ...] = ()
    always: str = ""
    odd: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows.

    `among`: only with these values in the keyset's columns (None: with any); `alone`: what each of
    these columns was narrowed to by itself, which together with the conditions says the same.
    `conditions` and `having` are SQL, whose parameters are
    in `values`; what they are to have is looked for among those that fulfil the conditions.
    `are_few`: an index of their own finds the rows that fit, `in_no_order`: and not the newest
    first. `window`: among so many of the newest alone. `before` is the id the page begins behind.
    """

    among: Sequence[Values] | None = None
    alone: Mapping[str, Sequence[str]] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    having: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    are_few: bool = False
    in_no_order: bool = False
    window: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None


class Statement:
    """The SQL that gives the newest ids. All that is put together is our own."""

    def __init__(
        self, keyset: Keyset, wanted: Wanted, *, is_sqlite: bool, in_order: bool = True
    ) -> None:
        self._order = " ORDER BY found.id DESC" if in_order else ""
        self._keyset, self._wanted, self._is_sqlite = keyset, wanted, is_sqlite
        self.values = dict(wanted.values)
        self._conditions = [*wanted.conditions, *wanted.having]
        if keyset.always:
            # Said so, no index is sought by what most rows fulfil.
            is_checked = wanted.in_no_order
            always = f"({keyset.always}) = true" if is_checked else keyset.always
            self._conditions.append(always)
        if wanted.since is not None:
            self._conditions.append(self._bind(f"{self._time()} >=", "since", wanted.since))
        if wanted.until is not None:
            self._conditions.append(self._bind(f"{self._time()} <", "until", wanted.until))
        if wanted.window is not None:
            self.values["window"] = wanted.window
        self._bind_among()

    @property
    def conditions(self) -> list[str]:
        """All that a row has to fulfil, but for its id."""
        return [*self._conditions, *self._is_among()]

    def text(self) -> str:
        """Give the statement."""
        wanted = self._wanted
        if wanted.since is None and wanted.until is None:
            return self._newest(None, wanted.before)
        odd = self._odd()
        lowest = None if wanted.since is None else first_id(wanted.since - SLACK)
        highest = wanted.before
        if wanted.until is not None:
            last = first_id(wanted.until + SLACK)
            highest = last if highest is None else min(last, highest)
        return (
            f"SELECT id FROM ({self._newest(lowest, highest)}) AS usual"  # noqa: S608  # ours
            f" UNION SELECT id FROM ({odd}) AS odd ORDER BY id DESC LIMIT :limit"
        )

    def without_end(self) -> str:
        """Give the statement for all rows, said so that PostgreSQL can tell how many there are."""
        wanted = self._wanted
        bounds = []
        if wanted.since is not None:
            bounds.append(self._bind("id >=", "lowest", first_id(wanted.since)))
        if wanted.until is not None:
            bounds.append(self._bind("id <", "below", first_id(wanted.until)))
        bounds += self._are_alone()
        always = [self._keyset.always] if self._keyset.always else []
        where = " AND ".join([*wanted.conditions, *wanted.having, *always, *bounds]) or "true"
        return f"SELECT FROM {self._keyset.table} WHERE {where}"

    def _time(self) -> str:
        """Give a row's time, so that no index over times alone is taken for it: the ids are one."""
        time = self._keyset.time
        return f'+"{time}"' if self._is_sqlite else f"(\"{time}\" + interval '0')"

    def _bind(self, condition: str, name: str, value: object) -> str:
        self.values[name] = value
        return f"{condition} :{name}"

    def _bind_among(self) -> None:
        among = self._wanted.among
        if among is not None and self._is_sqlite:
            self.values["among"] = json.dumps(among)
        elif among is not None:
            columns = zip(*among, strict=True)
            self.values |= {f"among{at}": list(of) for at, of in enumerate(columns)}

    def _newest(self, lowest: UUID | None, below: UUID | None) -> str:
        """Give the statement for rows whose ids begin with one, and come before another."""
        table = self._keyset.table
        bounds = []
        if lowest is not None:
            bounds.append(self._bind("id >=", "lowest", lowest))
        if below is not None:
            bounds.append(self._bind("id <", "below", below))
        if self._wanted.window is not None:
            newest = _select("*", table, [*self._wanted.conditions, *bounds], ":window")
            return _select("id", f"({newest}) AS newest", self.conditions)
        if self._wanted.in_no_order:
            # Neither database shall go through all rows in the order of their ids instead.
            where = " AND ".join([*self.conditions, *bounds])
            if self._is_sqlite:
                order = " ORDER BY +id DESC" if self._order else ""
                return f"SELECT id FROM {table} WHERE {where}{order} LIMIT :limit"  # noqa: S608  # ours
            few = f"WITH few AS MATERIALIZED (SELECT id FROM {table} WHERE {where})"  # noqa: S608  # ours
            order = " ORDER BY id DESC" if self._order else ""
            return f"{few} SELECT id FROM few{order} LIMIT :limit"  # noqa: S608  # ours
        if self._wanted.among is None or self._wanted.are_few:
            return _select("id", table, [*self.conditions, *bounds])
        if self._is_sqlite:
            each = _select("id", table, [*self._equal(), *self._conditions, *bounds])
            found = f"CROSS JOIN {table} AS found ON found.id IN ({each})"
        else:
            found = f"CROSS JOIN LATERAL ({self._newest_of_each()}) AS found"
        return (
            f"SELECT found.id AS id FROM {self._given()} {found}"  # noqa: S608  # ours
            f"{self._order} LIMIT :limit"
        )

    def _newest_of_each(self) -> str:
        """Give the statement for the newest of one combination, on PostgreSQL.

        Values that are compared as a whole row, with the id, and that give the order: so there is
        one index for it alone. Of equal values it would believe, where it knows nothing of how
        frequent each of them is, that going through all rows by their ids finds some soon.
        """
        names = ", ".join(self._keyset.columns)
        given = ", ".join(f"given{at}" for at in range(len(self._keyset.columns)))
        begins, ends = "lowest" in self.values, "below" in self.values
        first = f"({names}, id) >= ({given}, :lowest)" if begins else f"({names}) >= ({given})"
        last = f"({names}, id) < ({given}, :below)" if ends else f"({names}) <= ({given})"
        falling = ", ".join(f"{name} DESC" for name in (*self._keyset.columns, "id"))
        # In no order all rows would be gone through for what no index has.
        order = f" ORDER BY {falling}" if self._order or self._wanted.having else ""
        where = " AND ".join([first, last, *self._conditions])
        return f"SELECT id FROM {self._keyset.table} WHERE {where}{order} LIMIT :limit"  # noqa: S608  # ours

    def _odd(self) -> str:
        table = self._keyset.table
        index = ODD_TIMES.format(table=table)
        of = f"{table} INDEXED BY {index}" if self._is_sqlite else table
        own = self._keyset.odd
        is_odd = own or _is_odd(self._keyset.time, is_sqlite=self._is_sqlite)
        before = self._wanted.before
        bounds = [] if before is None else [self._bind("id <", "before", before)]
        if self._is_sqlite:
            return _select("id", of, [is_odd, *self.conditions, *bounds])
        # By themselves at first: another index, for what they have beside, has all the others too.
        where = " AND ".join([is_odd, *bounds])
        odd = f"(SELECT * FROM {table} WHERE {where} ORDER BY id DESC OFFSET 0) AS odd"  # noqa: S608  # ours
        return _select("id", odd, self.conditions)

    def _given(self) -> str:
        """Give the combinations of values as rows `given`."""
        if self._is_sqlite:
            return "json_each(:among) AS given"
        columns = range(len(self._keyset.columns))
        lists = ", ".join(f"CAST(:among{at} AS text[])" for at in columns)
        return f"unnest({lists}) AS given ({', '.join(f'given{at}' for at in columns)})"

    def _equal(self) -> list[str]:
        value = "json_extract(given.value, '$[{}]')" if self._is_sqlite else "given.given{}"
        return [f"{name} = {value.format(at)}" for at, name in enumerate(self._keyset.columns)]

    def _are_alone(self) -> list[str]:
        """Give what each column was narrowed to by itself, as PostgreSQL compares it fastest."""
        conditions = []
        for at, (column, values) in enumerate(self._wanted.alone.items()):
            conditions.append(f"{column} = ANY(CAST(:alone{at} AS text[]))")
            self.values[f"alone{at}"] = list(values)
        return conditions

    def _is_among(self) -> list[str]:
        if self._wanted.among is None:
            return []
        if not self._is_sqlite:
            # No index is to be sought by these: they are what most of the rows fulfil.
            return [f"({one}) IS TRUE" for one in self._are_alone()]
        columns = range(len(self._keyset.columns))
        values = ", ".join(f"json_extract(value, '$[{at}]')" for at in columns)
        names = ", ".join(self._keyset.columns)
        return [f"({names}) IN (SELECT {values} FROM {self._given()})"]  # noqa: S608  # ours


def _is_odd(time: str, *, is_sqlite: bool) -> str:
    """Give the condition of the index of odd times, as migration 0006 has it."""
    if is_sqlite:
        own = f'CAST((julianday("{time}") - 2440587.5) * 86400000 AS INTEGER)'
        return (
            f"(id < printf('%012x', max(0, {own} - 60000)) OR id > printf('%012x', {own} + 60000))"
        )
    own = "(('x' || translate(left(CAST(id AS text), 13), '-', ''))::bit(48)::bigint / 1000.0)"
    return f'("{time}" < to_timestamp({own} - 60) OR "{time}" > to_timestamp({own} + 60))'


def _select(what: str, of: str, conditions: Sequence[str], limit: str = ":limit") -> str:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {what} FROM {of}{where} ORDER BY id DESC LIMIT {limit}"  # noqa: S608  # ours
