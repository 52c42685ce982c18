"""What differs between the run that a case expects and the one that was played."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.events import Json
from schemas.testing import ELLIPSIS, Expected, ExpectedEffect, ExpectedEvent, read_span
from schemas.workflow import RunStatus, WaitKind
from service.workflows.decisions import InDoubt, Succeeded
from service.workflows.matching import Match
from service.workflows.simulated import Arrived, Cancel, Decided, Later, Played

LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected. A side of None is missing there.

    `lines` tell a list of which some entries differ: each with its sign, `-` for what is expected
    and `+` for what came instead. `note`: a sentence in place of two sides.
    """

    where: str
    expected: str | None = None
    got: str | None = None
    lines: tuple[tuple[str, str], ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that was changed outside, or may have been."""

    uses: str
    params: Mapping[str, Json]
    path: str


def compare_start(expect: Expected, match: Match | None) -> tuple[Difference, ...]:
    """Compare whether the event starts a run; the rest is only compared when it does."""
    if match is None:
        if expect.starts is False:
            return (Difference("starts", "false", "true: it is started directly"),)
        return ()
    found = []
    wanted = expect.starts is not False
    if match.started != wanted:
        got = f"{_shown(match.started)}: {match.reason}"
        found.append(Difference("starts", _shown(wanted), got))
    elif expect.reason is not None and not fits(expect.reason, match.reason):
        found.append(Difference("reason", expect.reason, match.reason))
    return tuple(found)


def compare(
    expect: Expected, played: Played, reads: Collection[str], start: datetime
) -> list[Difference]:
    """Give what differs, in the order in which people ask for it."""
    found: list[Difference] = []
    if played.cut_short:
        found.append(Difference("run", note="it makes no end: it was stopped after many attempts"))
    if expect.status is not None and expect.status != played.status.value:
        found.append(Difference("status", expect.status, told_end(played)))
    found.extend(_error(expect, played))
    if expect.steps is not None:
        found.extend(_steps(expect.steps, played))
    if expect.effects is not None:
        found.extend(_effects(expect.effects, effects_of(played, reads)))
    if expect.emits is not None:
        found.extend(_emits(expect.emits, played))
    if "output" in expect.model_fields_set:
        found.extend(_deep("output", expect.output, played.output))
    found.extend(_took(expect, played))
    if expect.waits_for is not None:
        waits = {path: kind.value for path, kind in played.waiting_on.items()}
        found.extend(_deep("waits_for", expect.waits_for, waits))
    found.extend(_unused(item, start) for item in played.unused if not _may_be_unused(item))
    return found


def effects_of(played: Played, reads: Collection[str]) -> list[Effect]:
    """Give what was changed outside: calls that succeeded, or may have, of actions that change."""
    return [
        Effect(call.action, call.params, call.path)
        for call, answer in played.calls
        if call.action not in reads and isinstance(answer.outcome, Succeeded | InDoubt)
    ]


def told_end(played: Played) -> str:
    """Say how a run ended, with why."""
    if played.error is not None:
        error = played.error
        return f"{played.status.value}: {error.step}: {error.code}: {error.message}"
    if played.status is RunStatus.WAITING:
        waits = (
            f"{path} waits for {'a person' if kind is WaitKind.PERSON else kind.value}"
            for path, kind in played.waiting_on.items()
        )
        return f"waiting: {', '.join(waits)}"
    return played.status.value


def span(time: timedelta) -> str:
    """Give a time span as a document writes it: `1h30m`, `90s` as `1m30s`."""
    left = round(time.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def fits(expected: str, text: str) -> bool:
    """Say whether a text is as expected; `…` stands for any characters."""
    if "…" not in expected:
        return expected == text
    parts = (re.escape(part) for part in expected.split("…"))
    return re.fullmatch(".*?".join(parts), text, re.DOTALL) is not None


def is_as_expected(expected: Json, got: Json) -> bool:
    """Say whether a value is as expected: keys that are not named are not looked at."""
    return next(_deep("", expected, got), None) is None


# --- parts ----------------------------------------------------------------------------------------


def _error(expect: Expected, played: Played) -> Iterator[Difference]:
    wanted = expect.error
    if wanted is None:
        return
    if played.error is None:
        yield Difference("error", _json(wanted.model_dump(exclude_none=True)), told_end(played))
        return
    for name in ("step", "code", "message"):
        value = getattr(wanted, name)
        got = getattr(played.error, name)
        if value is not None and not fits(value, got):
            yield Difference(f"error.{name}", value, got)


def _steps(expected: Mapping[str, str | None], played: Played) -> Iterator[Difference]:
    got = [(step.path, step.status.value) for step in played.steps]
    wanted = [(path, str(status)) for path, status in expected.items() if path not in ELLIPSIS]
    if len(wanted) < len(expected):
        got = [(path, status) for path, status in got if path in dict(wanted)]
    if got != wanted:
        lines = _side_by_side([f"{p}: {s}" for p, s in wanted], [f"{p}: {s}" for p, s in got])
        yield Difference("steps", lines=tuple(lines))


def _effects(expected: Sequence[ExpectedEffect | str], got: list[Effect]) -> Iterator[Difference]:
    wanted = [
        effect
        for item in expected
        if isinstance(item, ExpectedEffect)
        for effect in [item] * item.times
    ]
    partial = any(isinstance(item, str) for item in expected)
    yield from _in_order(
        "effects",
        [(item.uses, item.params) for item in wanted],
        [(effect.uses, effect.params) for effect in got],
        [f"{effect.uses}  by {effect.path}" for effect in got],
        partial=partial,
        below="with",
    )


def _emits(expected: Sequence[ExpectedEvent | str], played: Played) -> Iterator[Difference]:
    wanted = [
        (item.type, item.model_dump(include=item.model_fields_set - {"type"}))
        for item in expected
        if isinstance(item, ExpectedEvent)
    ]
    got = [
        (draft.type, {"subject": draft.subject, "facts": draft.facts}) for draft in played.emitted
    ]
    partial = any(isinstance(item, str) for item in expected)
    names = [name for name, _ in got]
    yield from _in_order("emits", wanted, got, names, partial=partial, below=None)


def _in_order(
    where: str,
    wanted: Sequence[tuple[str, Json]],
    got: Sequence[tuple[str, Json]],
    told: Sequence[str],
    *,
    partial: bool,
    below: str | None,
) -> Iterator[Difference]:
    """Compare two lists of named values: first the names, then the values one by one."""
    if partial:
        kept = _found_in_order(wanted, got)
        if kept is not None:
            return
        names = {name for name, _ in wanted}
        numbers = [number for number, (name, _) in enumerate(got) if name in names]
        got, told = [got[number] for number in numbers], [told[number] for number in numbers]
    if [name for name, _ in wanted] != [name for name, _ in got]:
        shown = [text.partition("  by ")[0] for text in told]
        lines = _side_by_side([name for name, _ in wanted], shown, told)
        yield Difference(where, lines=tuple(lines))
        return
    for number, ((name, value), (_, other)) in enumerate(zip(wanted, got, strict=True)):
        # People count from 1.
        start = f"{where} {number + 1} ({name})"
        yield from _deep(f"{start}.{below}" if below else start, value, other)


def _found_in_order(wanted: Sequence[tuple[str, Json]], got: Sequence[tuple[str, Json]]) -> Any:
    rest = iter(got)
    found = [
        next((True for name, other in rest if name == want and is_as_expected(value, other)), None)
        for want, value in wanted
    ]
    return found if all(found) else None


def _took(expect: Expected, played: Played) -> Iterator[Difference]:
    took = played.ended_at - played.started_at
    if expect.took is not None:
        wanted = read_span(expect.took)
        if took != wanted:
            yield Difference("took", span(wanted), span(took))


def _deep(where: str, expected: Json, got: Json) -> Iterator[Difference]:
    """Compare values; of mappings only the keys that are expected."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key, value in expected.items():
            inner = f"{where}.{key}" if where else str(key)
            if key in got:
                yield from _deep(inner, value, got[key])
            elif value is not None:
                yield Difference(inner, _shown(value), None)
    elif _are_lists(expected, got) and len(expected) == len(got):
        for number, (value, other) in enumerate(zip(expected, got, strict=True)):
            yield from _deep(f"{where}[{number}]", value, other)
    elif isinstance(expected, str) and isinstance(got, str):
        if not fits(expected, got):
            yield from _texts(where, expected, got)
    elif expected != got or isinstance(expected, bool) != isinstance(got, bool):
        yield Difference(where, _shown(expected), _shown(got))


def _are_lists(*values: Json) -> bool:
    return all(isinstance(value, list | tuple) for value in values)


def _texts(where: str, expected: str, got: str) -> Iterator[Difference]:
    if "\n" not in expected + got:
        yield Difference(where, _shown(expected), _shown(got))
        return
    lines = _side_by_side(expected.splitlines(), got.splitlines())
    yield Difference(where, lines=tuple(lines))


def _side_by_side(
    wanted: Sequence[str], got: Sequence[str], told: Sequence[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Give both lists as one: what they have in common once, and signs before the rest."""
    told = got if told is None else told
    lengths = [[0] * (len(got) + 1) for _ in range(len(wanted) + 1)]
    for left in range(len(wanted) - 1, -1, -1):
        for right in range(len(got) - 1, -1, -1):
            lengths[left][right] = (
                lengths[left + 1][right + 1] + 1
                if fits(wanted[left], got[right])
                else max(lengths[left + 1][right], lengths[left][right + 1])
            )
    left = right = 0
    while left < len(wanted) or right < len(got):
        if left < len(wanted) and right < len(got) and fits(wanted[left], got[right]):
            yield " ", told[right]
            left, right = left + 1, right + 1
        elif right == len(got) or (
            left < len(wanted) and lengths[left + 1][right] >= lengths[left][right + 1]
        ):
            yield "-", wanted[left]
            left += 1
        else:
            yield "+", told[right]
            right += 1


def _may_be_unused(item: Later) -> bool:
    return isinstance(item.what, Arrived)


def _unused(item: Later, start: datetime) -> Difference:
    at = span(item.at - start)
    if isinstance(item.what, Cancel):
        return Difference(f"later, {at}", note="the run had ended before it was cancelled")
    what = item.what
    path = "" if isinstance(what, Arrived) else what.path
    wait = "a decision" if isinstance(what, Decided) else "somebody to settle it"
    return Difference(f"later, {at}", note=f"`{path}` did not wait for {wait}")


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
