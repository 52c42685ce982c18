"""Events by the words they have, newest first.

The database makes the words from what it stores (migration 0006): a column with an index over it on
PostgreSQL, a full-text table on SQLite. The types, vendors and sources that a search is narrowed to
are among an event's words: they are searched for as well, so that what both rarely have is found as
fast as what is rare by itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from uuid import UUID

from sqlmodel import Session

from schemas.api_events import EventQuestion
from schemas.ids import first_id
from service.store.keyset import (
    MOST_COMBINATIONS,
    count_of,
    count_up_to,
    ids_of,
    is_sqlite,
    narrowed_by,
    newest_ids,
    planned_rows,
)
from service.store.keyset_sql import SLACK, Parameters, Wanted
from service.store.listed import EVENTS

MOST_WORDS = 20
SHORTEST_BEGINNING = 3
"""Letters that a word needs before its `*`: fewer would stand for most words there are."""
WINDOW = 1_000
"""Of the newest events so many are looked at one by one, before the index is asked for all that
have the words: what is frequent is among them, and what is not, the index gives in no time."""
WIDEST_WINDOW = 10_000
"""So many are looked at when that is likely to be enough, by what the first of them had."""
FEW = 5_000
"""So many events are looked at one by one."""
MOST_PLANNED = 5
"""Parts of a search of which it is asked how many events have each: asking takes its time."""
_WORD = re.compile(r"([^\W_]+)(\*?)")


@dataclass(frozen=True, slots=True)
class Words:
    """What is searched for: whole words, and beginnings of words."""

    whole: tuple[str, ...]
    beginnings: tuple[str, ...]

    def __bool__(self) -> bool:
        """Say whether anything is searched for."""
        return bool(self.whole or self.beginnings)


def words_in(said: str) -> Words:
    """Give the words of a search, in lower case. What is no letter and no digit parts words."""
    found = _WORD.findall(said.lower())[:MOST_WORDS]
    beginnings = [word for word, star in found if star and len(word) >= SHORTEST_BEGINNING]
    return Words(tuple(word for word, _ in found if word not in beginnings), tuple(beginnings))


def search_ids(session: Session, question: EventQuestion, wanted: Wanted, limit: int) -> list[UUID]:
    """Give the ids of the newest events that are asked for and have the words of the question."""
    words = _words_of(question, wanted)
    if not words:
        return []
    if is_sqlite(session):
        return ids_of(session, *_in_order_of_numbers(words, wanted, limit))
    return _search_postgres(session, words, wanted, limit)


def are_few(session: Session, wanted: Wanted) -> bool:
    """Say whether events are so few, without the words, that each may be looked at (PostgreSQL)."""
    return not is_sqlite(session) and _planned_without_words(session, wanted) <= WINDOW


def newest_found(session: Session, question: EventQuestion, wanted: Wanted) -> list[UUID]:
    """Give the ids of those that are found among the newest events: a sample, in a moment."""
    words = _words_of(question, wanted)
    if not words:
        return []
    if is_sqlite(session):
        return ids_of(session, *_in_order_of_numbers(words, wanted, WINDOW))
    return newest_ids(session, EVENTS, replace(_having(words, wanted), window=WINDOW), WINDOW)


def planned_finds(session: Session, question: EventQuestion, wanted: Wanted) -> int:
    """Give how many events PostgreSQL expects to find; 0 on SQLite."""
    words = words_in(question.words or "")
    if not words or is_sqlite(session):
        return 0
    return planned_rows(session, EVENTS, _having(words, wanted))


def count_found(session: Session, question: EventQuestion, wanted: Wanted, limit: int) -> int:
    """Give how many events are found, or the limit if there are more."""
    words = _words_of(question, wanted)
    if not words:
        return 0
    if is_sqlite(session):
        return count_of(session, *_in_order_of_numbers(words, wanted, limit))
    without = _planned_without_words(session, wanted)
    return count_up_to(session, EVENTS, _all_having(session, words, wanted, without), limit)


def _words_of(question: EventQuestion, wanted: Wanted) -> Words:
    """Give the words of a search, and of what it is narrowed to."""
    words = words_in(question.words or "")
    if not words or (wanted.among is not None and not wanted.among):
        return Words((), ())
    narrowed = (question.vendor, question.source, question.subject, _whole(question.type))
    # Of what is not ASCII the databases make words in ways of their own.
    sure = " ".join(text for text in narrowed if text is not None and text.isascii())
    return Words((*words.whole, *words_in(sure).whole), words.beginnings)


def _whole(pattern: str | None) -> str | None:
    """Give the words of a pattern that are whole."""
    return None if pattern is None else re.sub(r"[^\W_]*\*[^\W_]*", " ", pattern)


def _search_postgres(session: Session, words: Words, wanted: Wanted, limit: int) -> list[UUID]:
    searched = _having(words, wanted)
    without = _planned_without_words(session, wanted)
    if without <= WINDOW:
        return newest_ids(session, EVENTS, _looked_at(words, wanted), limit)
    found = newest_ids(session, EVENTS, replace(searched, window=WINDOW), limit)
    # Half as many again: what is as frequent throughout is not spread evenly.
    wider = 3 * limit * WINDOW // (2 * len(found)) if found else 0
    if len(found) < limit and WINDOW < wider <= WIDEST_WINDOW:
        found = newest_ids(session, EVENTS, replace(searched, window=wider), limit)
    if len(found) == limit:
        return found
    return newest_ids(session, EVENTS, _all_having(session, words, wanted, without), limit)


def _all_having(session: Session, words: Words, wanted: Wanted, without: float) -> Wanted:
    """Narrow what is wanted to events that have these words, for PostgreSQL to find them all.

    The index of words reads whatever is asked of it to its end. So it is asked for nothing where
    fewer events are left without it, and for no more than a part of the words where few have that:
    those few are looked at themselves. `without`: how many are expected without the words.
    """
    if without <= WINDOW or (without <= FEW and without < _planned(session, words)):
        return _looked_at(words, wanted)
    rarest = _rarest(session, words)
    if rarest is None:
        return replace(_having(words, wanted), in_no_order=True)
    condition, values = _has(rarest, "rarest")
    looked_at = _looked_at(words, wanted)
    having = (condition, *looked_at.having)
    values |= looked_at.values
    return replace(looked_at, having=having, values=values, are_few=True, in_no_order=True)


def _looked_at(words: Words, wanted: Wanted) -> Wanted:
    """Narrow to events that have these words, which each of those wanted is asked for itself."""
    searched = _having(words, wanted)
    having = tuple(f"({one}) IS TRUE" for one in searched.having)
    is_one_subject = wanted.are_few
    return replace(searched, having=having, are_few=is_one_subject, in_no_order=is_one_subject)


def _planned_without_words(session: Session, wanted: Wanted) -> float:
    """Give how many events PostgreSQL expects; infinitely many where no index leads to them."""
    combinations = len(wanted.among or ())
    if wanted.are_few or 0 < combinations <= MOST_COMBINATIONS:
        return planned_rows(session, EVENTS, wanted)
    return math.inf


def _rarest(session: Session, words: Words) -> Words | None:
    """Give the part of the words that few events have, if there is one (PostgreSQL)."""
    parts = [Words(words.whole, ())] if words.whole else []
    parts += [Words((), (beginning,)) for beginning in words.beginnings]
    if not 1 < len(parts) <= MOST_PLANNED:
        return None
    planned = {part: _planned(session, part) for part in parts}
    rarest = min(parts, key=planned.__getitem__)
    return rarest if planned[rarest] <= FEW else None


def _planned(session: Session, words: Words) -> int:
    return planned_rows(session, EVENTS, _having(words, Wanted()))


def _having(words: Words, wanted: Wanted) -> Wanted:
    """Narrow what is wanted to events that have these words (PostgreSQL)."""
    condition, values = _has(words, "words")
    return replace(wanted, having=(condition,), values={**wanted.values, **values}, are_few=True)


def _has(words: Words, name: str) -> tuple[str, dict[str, str]]:
    """Give the condition of events that have these words, and its parameters, named after one."""
    values = {name: " ".join(words.whole)}
    queries = [f"plainto_tsquery('simple', :{name})"] if words.whole else []
    for at, beginning in enumerate(words.beginnings):
        # Signs like ² are words for us and none for PostgreSQL: they find nothing.
        word = f"plainto_tsquery('simple', :{name}{at})"
        begins = f"CAST(CAST({word} AS text) || '\\:*' AS tsquery)"
        queries.append(f"CASE WHEN numnode({word}) = 0 THEN {word} ELSE {begins} END")
        values[f"{name}{at}"] = beginning
    return f"words @@ ({' && '.join(queries)})", values


def _in_order_of_numbers(words: Words, wanted: Wanted, limit: int) -> tuple[str, Parameters]:
    """Give the search in the order of the events' numbers, in which SQLite has what it finds.

    Of a stretch of time these are the numbers of the ids of that time.
    """
    terms = [f'"{word}"' for word in words.whole] + [f'"{word}"*' for word in words.beginnings]
    conditions, values = narrowed_by(EVENTS, wanted, is_sqlite=True)
    events = " CROSS JOIN events ON events.id = event_id" if conditions else ""
    conditions.append("event_words MATCH :match")
    values |= {"match": " AND ".join(terms), "limit": limit}
    for name, sign, moment in (("lowest", ">", wanted.since), ("highest", "<=", wanted.until)):
        if moment is not None:
            values[name] = first_id(moment - SLACK if name == "lowest" else moment + SLACK)
            conditions.append(f"event_words.rowid {sign} {_last_number(f'event_id < :{name}')}")
    if wanted.before is not None:
        conditions.append(f"event_words.rowid <= {_last_number('event_id < :before')}")
        values["before"] = wanted.before
    return (
        "SELECT event_id AS id FROM event_words"  # noqa: S608  # put together of our own
        f" CROSS JOIN event_numbers ON number = event_words.rowid{events}"
        f" WHERE {' AND '.join(conditions)} ORDER BY event_words.rowid DESC LIMIT :limit"
    ), values


def _last_number(condition: str) -> str:
    last = f"SELECT number FROM event_numbers WHERE {condition} ORDER BY event_id DESC LIMIT 1"  # noqa: S608  # ours
    return f"coalesce(({last}), 0)"
