"""Lines of a timeline about what a run waits for, and about its branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from service.cli.output import STATE_STYLES, moment

SIGNS = {
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "○",
    "cancelled": "⊘",
    "in_doubt": "?",
    "running": "◐",
    "waiting": "◔",
    "pending": "·",
}
_FAINT = "bright_black"
_WAITS = "cyan"

Row = Mapping[str, Any]


def step_path(wait: Row) -> str:
    """Give how a step that waits is named: `each[3].go`, or `go` in the run itself."""
    return f"{wait['path']}.{wait['step']}" if wait["path"] else str(wait["step"])


def waiting_lines(wait: Row, *, decided: bool = False, run_id: str | None = None) -> Iterator[Text]:
    """Say what is waited for, since when and until when, and what a person can do.

    `run_id`: the run under whose id the command names a branch's step by its path.
    """
    if decided:
        yield Text("◔ it is decided; the run goes on", style=_WAITS)
        return
    until = f" until {moment(wait['due_at'])}" if wait["due_at"] else ""
    since = f" since {moment(wait['since'])}" if wait["kind"] in {"approval", "person"} else ""
    yield Text(f"◔ {wait['words']}{since}{until}", style=_WAITS)
    named = f"{run_id} '{step_path(wait)}'" if run_id else f"{wait['run_id']} {wait['step']}"
    if wait["kind"] == "approval":
        if wait["question"]:
            yield Text(f"  {' '.join(wait['question'].split())}", style="bold")
        yield Text(f"  hookwright run approve {named} (or --reject)")
    if wait["kind"] == "person":
        yield Text("  look whether it took effect, then say so:", style=_FAINT)
        yield Text(f"  hookwright run settle {named} --took-effect (or --not-made)")


def branch_lines(run: Row, step: str) -> Iterator[Text]:
    """Say how far the branches of a step have come, and which failed or are under way."""
    for spread in run["spreads"]:
        if spread["step"] != step:
            continue
        counts = {
            "succeeded": spread["succeeded"],
            "failed": spread["failed"],
            "cancelled": spread["cancelled"],
            "under way": spread["under_way"],
            "not begun": spread["total"] - spread["begun"],
        }
        done = spread["begun"] - spread["under_way"]
        parts = [f"{count:,} {word}" for word, count in counts.items() if count]
        said = f"{done:,} of {spread['total']:,} done: {', '.join(parts)}"
        yield _railed(Text(said, _WAITS if spread["under_way"] else _FAINT))
        shown = [one for one in run["branches"] if _belongs(one, run, step)]
        for one in shown:
            yield from _branch(one, run)
        listed = sum(one["step"] == step for one in shown)
        if listed < spread["failed"] + spread["under_way"]:
            more = spread["failed"] + spread["under_way"] - listed
            address = f"GET /api/v1/runs/{run['id']}/branches"
            yield _railed(Text(f"  and {more:,} more: {address}", style=_FAINT))


def _belongs(branch: Row, run: Row, step: str) -> bool:
    base = f"{run['path']}/" if run["path"] else ""
    return str(branch["path"]).startswith(f"{base}{step}[")


def _branch(branch: Row, run: Row) -> Iterator[Text]:
    status = branch["status"]
    line = Text().append(f"{SIGNS.get(status, '·')} ", style=STATE_STYLES.get(status, ""))
    line.append(branch["path"])
    error = branch["error"]
    if error:
        said = " ".join(str(error.get("message", "")).split())
        where = f"{error['step']}: " if error.get("step") else ""
        line.append(f"  {where}{error.get('code', 'error')}: {said}", style="red")
    line.append(f"  {branch['id']}", style=_FAINT)
    yield _railed(line)
    if branch["wait"]:
        for told in waiting_lines(branch["wait"], run_id=run["root_id"]):
            yield _railed(Text("  ").append_text(told))


def _railed(text: Text) -> Text:
    return Text().append("│   ", style=_FAINT).append_text(text)
