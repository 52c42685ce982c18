"""A run as a timeline, from its form in the API: for `run show` and the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.text import Text

from service.cli.branch_lines import SIGNS, branch_lines, step_path, waiting_lines
from service.cli.marks import by_whom
from service.cli.output import (
    STATE_STYLES,
    between,
    console,
    duration,
    moment,
    reason_with_fault,
)

__all__ = ["SIGNS", "render_run", "step_path"]

_EFFECT_SIGNS = {"made": "⇒", "in_doubt": "?", "shadowed": "⇢", "not_made": "✗", "intended": "…"}
_EFFECT_WORDS = {"made": "changed", "shadowed": "would change", "not_made": "did not change"}
_RAIL = "│"
_NAME_WIDTH = 16
_ACTION_WIDTH = 26
_REASON_AT = 2 + _NAME_WIDTH + 1 + _ACTION_WIDTH + 1
_MOST_LINKS = 5
_FAINT = "bright_black"
_LONGEST_REASON = 66
_LONGEST_VALUE = 200
_LEAST_ROOM = 24
"""With fewer columns than these under its own column, a text goes on under the step's name."""

Row = Mapping[str, Any]


def render_run(run: Row, *, width: int | None = None) -> Text:
    """Give a run's timeline as styled lines.

    `width`: the columns of the terminal, in which long lines are folded so that the rail on the
    left stays whole. None: nothing is folded.
    """
    lines = [*_head(run), *_events(run), Text(_RAIL, style=_FAINT)]
    effects: dict[str, list[Row]] = {}
    for effect in run["effects"]:
        effects.setdefault(effect["step"], []).append(effect)
    if run["wait"] and not run["wait"]["step"]:
        lines.extend(waiting_lines(run["wait"]))
    for step in run["steps"]:
        if step["status"] == "pending" and step["round"] and run["ended_at"]:
            continue  # performed for an earlier end of the run, and not for this one
        lines.extend(_step(step, run, effects.get(step["step"], ())))
    lines.extend(_end(run))
    if width is not None:
        lines = [folded for line in lines for folded in _fold(line, width)]
    return Text("\n").join(lines)


def _fold(line: Text, width: int) -> Iterator[Text]:
    """Give a line in as many as it needs; what goes on stays in its column, beside the rail."""
    plain = line.plain
    # An address that is broken cannot be followed; the terminal folds it itself.
    if line.cell_len <= width or "://" in plain:
        yield line
        return
    ended = plain.startswith(("╰", " "))
    at = _REASON_AT if plain[:1] not in {_RAIL, "╭", "╰", " "} else len(_RAIL) + 3
    if width - at < _LEAST_ROOM or line.cell_len <= at:
        at = len(_RAIL) + 3
    head, rest = line.divide([at])
    for number, part in enumerate(rest.wrap(console(), width - at)):
        begin = head if number == 0 else _begin(f"{' ' if ended else _RAIL:<{at}}", _FAINT)
        part.rstrip()
        yield begin.append_text(part)


def _head(run: Row) -> Iterator[Text]:
    line = _begin("╭─ ", _FAINT)
    line.append(run["workflow"], style="bold")
    line.append(f"  version {run['version']}", style=_FAINT)
    if run["shadow"]:
        line.append("  shadow: effects are only recorded", style="magenta")
    if run["retries"]:
        times = "once" if run["retries"] == 1 else f"{run['retries']} times"
        line.append(f"  retried {times}", style="yellow")
    if mark := by_whom(run):
        line.append(f"  {mark}", style="yellow")
    yield line
    yield _railed(Text(f"run {run['id']}", style=_FAINT))
    if run["path"]:
        yield _railed(Text(f"branch {run['path']} of run {run['root_id']}", style=_FAINT))
    if run["item"] is not None:
        yield _railed(Text(f"for {_short(_plain(run['item']), _LONGEST_VALUE)}", style=_FAINT))
    if caller := run["called_by"]:
        said = f"called by {caller['workflow']} · {caller['step']}  run {caller['id']}"
        yield _railed(Text(said, style=_FAINT))


def _events(run: Row) -> Iterator[Text]:
    """Say which event started the run, and which others it gathered: by when we received them."""
    yield Text(_RAIL, style=_FAINT)
    first, further = run["event"], run["events"]
    types = max(len(event["type"]) for event in (first, *further))
    about = max(len(event["subject"] or "") for event in (first, *further))
    line = _begin("◆ ", "bold blue")
    line.append(f"{first['type']:<{types}}", style="bold").append(f"  {first['vendor']}")
    yield line.append(_about(first, about), style=_FAINT)
    told = _facts(first["facts"])
    if told:
        yield _railed(Text(told))
    for event in further:
        line = _begin("◇ ", "blue").append(f"{event['type']:<{types}}")
        # Only the first names its vendor; the others leave its column free.
        line.append(" " * (2 + len(first["vendor"])))
        yield line.append(_about(event, about), style=_FAINT)


def _about(event: Row, width: int) -> str:
    """Give an event's subject, in a column when any has one, and when it was received."""
    # An older server gives of a gathered event the sender's time alone.
    received = moment(event.get("received_at") or event["time"])
    return f"  {event['subject'] or '':<{width}}  {received}" if width else f"  {received}"


def _facts(facts: Row) -> str:
    parts = []
    if suite := (facts.get("suite") or {}).get("name"):
        parts.append(str(suite))
    if counts := facts.get("counts"):
        parts.append(f"{counts['failed']} failed, {counts['passed']} passed")
    if visual := facts.get("visual"):
        parts.append(f"visual {visual}")
    if facts.get("repository"):
        number = facts.get("pr_number")
        parts.append(f"{facts['repository']}{f'#{number}' if number else ''}")
    if (left := facts.get("remaining_micro")) is not None:
        parts.append(f"${left / 1_000_000:.2f} left")
    if tier := facts.get("tier"):
        parts.append(f"tier {tier}")
    return " · ".join(parts)


def _step(step: Row, run: Row, effects: Sequence[Row]) -> Iterator[Text]:
    status = step["status"]
    style = STATE_STYLES.get(status, "")
    faint = status in {"skipped", "pending"}
    line = _begin(f"{SIGNS.get(status, '·')} ", style)
    line.append(f"{step['step']:<{_NAME_WIDTH}} ", style=_FAINT if faint else "bold")
    does = step["action"] or ("" if step["kind"] == "uses" else step["kind"])
    line.append(f"{does:<{_ACTION_WIDTH}} ", style=_FAINT if faint else "")
    line.append(_how(step), style=_FAINT)
    yield line
    yield from _tries(step)
    for effect in effects:
        yield _railed(_effect(effect, told=bool(step["error"])))
        if effect["state"] == "shadowed":
            yield from _given(effect["params"])
    for link in _links(step["output"]):
        yield _railed(Text(f"↗ {link}", style="blue"))
    yield from branch_lines(run, step["step"])
    for called in run["calls"]:
        if called["step"] == step["step"]:
            line = _begin(f"{SIGNS.get(called['status'], '·')} ", _style(called["status"]))
            line.append(f"called {called['workflow']}: {called['status']}")
            yield _railed(line.append(f"  run {called['id']}", style=_FAINT))
    wait = run["wait"]
    if wait and wait["step"] == step["step"] and wait["kind"] != "branches":
        for line in waiting_lines(wait, decided=bool(step["answer"])):
            yield _railed(line)
    if decided := _decided(step):
        yield _railed(decided)
    if step["error"]:
        yield _railed(_fault(step["error"]))


def _decided(step: Row) -> Text | None:
    """Say who decided what, and on which question."""
    told = step["answer"] or step["output"]
    if step["kind"] != "approval" or not _is_map(told) or "decided_at" not in told:
        return None
    text = f"“{_short(str(told['text']), _LONGEST_REASON)}” " if told.get("text") else ""
    if told["timed_out"]:
        return Text(f"{text}nobody decided in time", style="yellow")
    by = f" by {told['by']}" if told["by"] else ""
    note = f": {_in_line(str(told['note']))}" if told["note"] else ""
    if told["approved"]:
        return Text(f"{text}approved{by}{note}", style="green")
    return Text(f"{text}rejected{by}{note}", style="red")


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _style(status: str) -> str:
    return STATE_STYLES.get(status, "")


def _how(step: Row) -> str:
    if step["reason"]:
        return _short(str(step["reason"]), _LONGEST_REASON)
    parts = []
    took = between(step["started_at"], step["ended_at"])
    if took is not None:
        parts.append(duration(took))
    if step["polls"]:
        parts.append(f"asked {step['polls']} time{'s' if step['polls'] > 1 else ''}")
    elif len(step["attempts"]) > 1:
        parts.append(f"{len(step['attempts'])} attempts")
    return " · ".join(parts)


def _tries(step: Row) -> Iterator[Text]:
    # The last try's error is the step's, and is told there.
    for attempt, after in pairwise(step["attempts"]):
        if not attempt["error"]:
            continue
        line = _begin(f"↻ attempt {attempt['number']}: ", "yellow")
        line.append(_in_line(str(attempt["error"].get("message", attempt["error"]))))
        waited = between(attempt["ended_at"], after["started_at"])
        if waited is not None:
            line.append(f" · waited {duration(waited)}", style=_FAINT)
        yield _railed(line)


def _effect(effect: Row, *, told: bool) -> Text:
    state = effect["state"]
    line = _begin(f"{_EFFECT_SIGNS.get(state, '·')} ", STATE_STYLES.get(state, "green"))
    # What an own action changes stands behind no connection.
    line.append(f"{_EFFECT_WORDS.get(state, state)} {effect['connection'] or effect['action']}")
    if effect["target"]:
        line.append(f" {effect['target']}")
    if effect["error"] and not told:
        line.append(f": {_in_line(effect['error'])}", style="red")
    return line


def _given(params: Row) -> Iterator[Text]:
    """Say with what a change would be made, for nothing outside shows it."""
    for name, value in params.items():
        if value is not None:
            line = _begin(f"  {name}: ", _FAINT)
            yield _railed(line.append(_short(_plain(value), _LONGEST_VALUE)))


def _fault(error: Row) -> Text:
    told = reason_with_fault(_in_line(str(error.get("message", ""))), error.get("fault"))
    return Text(f"{error.get('code', 'error')}: {told}", "red")


def _end(run: Row) -> Iterator[Text]:
    status = run["status"]
    line = _begin("╰─ ", _FAINT)
    line.append(f"{SIGNS.get(status, '·')} {status}", style=f"bold {STATE_STYLES.get(status, '')}")
    took = between(run["created_at"], run["ended_at"])
    if took is not None:
        line.append(f" after {duration(took)}")
    # Why a run began is told by its event; why it did not is told here.
    if run["reason"] and status in {"skipped", "cancelled"}:
        line.append(f": {_in_line(run['reason'])}")
    elif run["cancel_requested"] and not run["ended_at"]:
        line.append(": it shall be cancelled", style="yellow")
    yield line
    if run["error"]:
        yield Text("   ").append_text(_fault(run["error"]))
        if fault := run["error"].get("fault"):
            yield Text(f"   look in the log for fault={fault}, and report it", _FAINT)
        if run["root_id"] == run["id"]:
            yield Text(f"   to go on from there: hookwright run retry {run['id']}", _FAINT)
    for name, value in (run["output"] or {}).items() if _is_map(run["output"]) else ():
        yield Text(f"   {name}: {_short(_plain(value), _LONGEST_VALUE)}")


def _railed(text: Text) -> Text:
    return _begin(f"{_RAIL}   ", _FAINT).append_text(text)


def _begin(sign: str, style: str) -> Text:
    # A style given to the text itself would colour all that is appended to it.
    return Text().append(sign, style=style)


def _links(output: Any) -> list[str]:
    """Give the addresses in a step's output, in order, each once."""
    found: dict[str, None] = {}
    waiting = [output]
    while waiting and len(found) < _MOST_LINKS:
        value = waiting.pop(0)
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and value.startswith(("https://", "http://")):
            found[value] = None
    return list(found)


def _in_line(text: str) -> str:
    return " ".join(text.split())


def _short(text: str, longest: int) -> str:
    line = _in_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
