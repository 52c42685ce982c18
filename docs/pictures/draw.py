"""Draws healed-run.svg from healed-run.json, the record of one run as `run show --json` gives it.

    python docs/pictures/draw.py             draws the record there is
    python docs/pictures/draw.py --record    makes a new record first, in the demonstration's
                                             installation, where GitHub fails once on purpose

The picture needs nothing from elsewhere, and follows the reader's light or dark colours.
"""  # noqa: INP001  # a script beside the pictures it makes, no package

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from examples.demo.installation import ASK_EVERY_S, Installation, start
from examples.demo.story import HEAL_PULL_REQUEST, TESTS_REPOSITORY

FOLDER = Path(__file__).parent
RECORD, PICTURE = FOLDER / "healed-run.json", FOLDER / "healed-run.svg"
WORKFLOW = "heal-failed-run"
PATIENCE_S = 60

WIDTH, MARGIN = 960, 32
LEFT, RIGHT = 236, WIDTH - 44
TOP, ROW = 138, 58
BAR, LEAST_PX = 14, 5
MOST_TICKS = 8
CHARACTER_PX, STRONG_PX = 7.0, 8.2
"""How wide a character is at most, plain and strong, in whatever font the reader has."""

STYLE = """
  .card{fill:#fff;stroke:#d1d9e0}.grid{stroke:#e6eaef}.wait{fill:#cde2fb}.call{fill:#0969da}
  .bad{fill:#cf222e}.text{fill:#1f2328}.faint{fill:#59636e}.good{fill:#1a7f37}.pill{fill:#dafbe1}
  .link{fill:#0969da}
  @media (prefers-color-scheme:dark){
  .card{fill:#0d1117;stroke:#3d444d}.grid{stroke:#21262d}.wait{fill:#1c3a63}.call{fill:#4493f8}
  .bad{fill:#f85149}.text{fill:#f0f6fc}.faint{fill:#9198a1}.good{fill:#3fb950}.pill{fill:#12301c}
  .link{fill:#6cb0ff}}
  text{font:13px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
  .mono{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
  .title{font-size:19px}.small{font-size:12px}.strong{font-weight:600}
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a moment lies, in pixels from the left."""

    began: datetime
    seconds: float

    def at(self, moment: str) -> float:
        """Give the place of a moment of the record."""
        return self.place((datetime.fromisoformat(moment) - self.began).total_seconds())

    def place(self, seconds: float) -> float:
        """Give the place of so many seconds after the beginning."""
        return LEFT + (RIGHT - LEFT) * seconds / self.seconds


def draw(run: Row) -> str:
    """Give the picture of a run as SVG."""
    event = run["event"]
    began = datetime.fromisoformat(event["received_at"])
    took = _seconds(event["received_at"], run["ended_at"])
    axis = Axis(began, took)
    performed = [step for step in run["steps"] if step["started_at"]]
    left_out = [step["step"] for step in run["steps"] if not step["started_at"]]
    height = TOP + ROW * (len(performed) + 1) + 58
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f'  width="{WIDTH}" height="{height}" aria-labelledby="title description">',
        f'<title id="title">One run of the workflow {run["workflow"]}</title>',
        f'<desc id="description">{escape(_description(run, performed))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="12"/>',
        *_head(run, took),
        *_scale(axis, took, height),
        *_delivery(run, axis),
    ]
    effects: dict[str, list[Row]] = {}
    for effect in run["effects"]:
        effects.setdefault(effect["step"], []).append(effect)
    for number, step in enumerate(performed, 1):
        parts.extend(_step(step, effects.get(step["step"], []), axis, TOP + ROW * number))
    parts.extend(_foot(left_out, height))
    return "\n".join([*parts, "</svg>", ""])


def _description(run: Row, performed: Sequence[Row]) -> str:
    steps = "; ".join(
        f"{step['step']} ({step['action']}), {_span(step['started_at'], step['ended_at'])}"
        for step in performed
    )
    return f"{run['event']['type']} from {run['event']['vendor']}, then {steps}. {run['status']}."


def _head(run: Row, took: float) -> Iterator[str]:
    yield _text(MARGIN, 46, run["workflow"], "text title strong")
    facts = run["event"]["facts"]
    told = (
        f"{facts['suite']['name']}: {facts['counts']['failed']} failed, "
        f"{facts['counts']['passed']} passed, {facts['repository']}#{facts['pr_number']}"
    )
    yield (
        f'<text x="{MARGIN}" y="72"><tspan class="text strong">{run["event"]["type"]}</tspan>'
        f'<tspan class="faint"> from {run["event"]["vendor"]} · {escape(told)}</tspan></text>'
    )
    words = f"✓ {run['status']} after {_told(took)}"
    wide = len(words) * STRONG_PX + 16
    yield (
        f'<rect class="pill" x="{WIDTH - MARGIN - wide:.0f}" y="26" width="{wide:.0f}" '
        f'height="28" rx="14"/>'
    )
    yield _text(WIDTH - MARGIN - wide / 2, 45, words, "good strong", anchor="middle")


def _scale(axis: Axis, took: float, height: int) -> Iterator[str]:
    each = next(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60) if took / step <= MOST_TICKS)
    for number in range(int(took / each) + 1):
        x = axis.place(number * each)
        yield (f'<line class="grid" x1="{x:.1f}" y1="{TOP - 22}" x2="{x:.1f}" y2="{height - 58}"/>')
        yield _text(x, TOP - 28, f"{number * each:g} s", "faint small", anchor="middle")


def _delivery(run: Row, axis: Axis) -> Iterator[str]:
    received = run["event"]["received_at"]
    yield _text(MARGIN, TOP + 11, "signed webhook", "text strong")
    yield _text(MARGIN, TOP + 28, f"POST /hooks/{run['event']['source']}", "faint mono")
    x, y = axis.at(received), TOP + BAR / 2
    yield f'<path class="good" d="M{x:.1f} {y - 8}l8 8l-8 8l-8-8z"/>'
    yield _text(x + 18, TOP + 11, "verified, stored, answered", "good strong")
    yield _text(x + 18, TOP + 29, f"run begun {_span(received, run['created_at'])} later", "faint")


def _step(step: Row, effects: Sequence[Row], axis: Axis, y: int) -> Iterator[str]:
    yield _text(MARGIN, y + 11, step["step"], "text strong")
    yield _text(MARGIN, y + 28, step["action"], "faint mono")
    begin, end = axis.at(step["started_at"]), axis.at(step["ended_at"])
    yield _bar("wait", begin, end, y)
    for attempt in step["attempts"]:
        kind = "bad" if attempt["error"] else "call"
        yield _bar(kind, axis.at(attempt["started_at"]), axis.at(attempt["ended_at"]), y)
    how, came = _how(step), _what_came(step, effects)
    wide = max(len(how) * CHARACTER_PX, len(came) * STRONG_PX)
    beside = begin + max(end - begin, LEAST_PX) + 12
    x, anchor = (beside, "start") if beside + wide <= WIDTH - MARGIN else (begin - 12, "end")
    yield _text(x, y + 11, how, "faint", anchor=anchor)
    yield _text(x, y + 29, came, "link strong", anchor=anchor)


def _bar(kind: str, begin: float, end: float, y: int) -> str:
    wide = max(end - begin, LEAST_PX)
    return (
        f'<rect class="{kind}" x="{begin:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}" '
        f'rx="{2 if wide < BAR else 4}"/>'
    )


def _how(step: Row) -> str:
    parts = [_span(step["started_at"], step["ended_at"])]
    if step["polls"]:
        parts.append(f"asked {step['polls']} times")
    for failed, again in pairwise(step["attempts"]):
        if failed["error"]:
            said = str(failed["error"]["message"]).partition(" to ")[0]
            parts.append(f"{said}, tried again {_span(failed['ended_at'], again['started_at'])} on")
    return " · ".join(parts)


def _what_came(step: Row, effects: Sequence[Row]) -> str:
    """Say in a few words what there is now, from the addresses in the outputs and the effects."""
    if branch := (step["output"] or {}).get("head_branch"):
        return f"→ branch {branch}"
    text = json.dumps(step["output"])
    if pull := re.search(r'"https://github\.com/([^/"]+/[^/"]+)/pull/(\d+)(#issuecomment)?', text):
        kind = "comment on" if pull[3] else "pull request"
        return f"→ {kind} {pull[1]}#{pull[2]}"
    for effect in effects:
        channel = str(effect["target"] or "").partition(":")[0]
        if effect["connection"] == "slack" and channel:
            return f"→ message in {channel}"
        return f"→ begun at {effect['connection']}"
    status = (step["output"] or {}).get("status")
    return f"→ the run {status}" if status else ""


def _foot(left_out: Sequence[str], height: int) -> Iterator[str]:
    y, x = height - 26, float(MARGIN)
    for kind, words in (
        ("call", "calling"),
        ("wait", "waiting"),
        ("bad", "answered with an error"),
    ):
        yield f'<rect class="{kind}" x="{x:.0f}" y="{y - 10}" width="14" height="10" rx="2"/>'
        yield _text(x + 20, y, words, "faint small")
        x += 44 + len(words) * CHARACTER_PX
    if left_out:
        words = f"not needed this time: {', '.join(left_out)}"
        yield _text(WIDTH - MARGIN, y, words, "faint small", anchor="end")


def _text(x: float, y: float, words: str, classes: str, *, anchor: str = "start") -> str:
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{classes}" x="{x:.1f}" y="{y:g}"{at}>{escape(words)}</text>'


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _span(begin: str, end: str) -> str:
    return _told(_seconds(begin, end))


def _told(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def record() -> None:
    """Let one failed run be healed, with one refusal of GitHub on the way, and keep its record."""
    with tempfile.TemporaryDirectory() as folder, start(Path(folder), None) as installation:
        twins = installation.twins
        branch = f"checksum/heal-{HEAL_PULL_REQUEST}"
        healed = {"repo": TESTS_REPOSITORY, "number": HEAL_PULL_REQUEST, "branch": branch}
        twins["github"].lever("pulls", healed | {"head_sha": "cd" * 20})
        twins["checksum"].lever("outcomes", {"runs": ["failed", "passed"], "heals": ["pr"]})
        twins["github"].fault("status", method="POST", path="*/comments", status=502, times=1)
        twins["vibeview"].lever("send", {"event": "run.failed"})
        deadline = time.monotonic() + PATIENCE_S
        while not (run := _ended(installation)):
            if time.monotonic() > deadline:
                raise SystemExit(f"no run of {WORKFLOW} ended in {PATIENCE_S} s")
            time.sleep(ASK_EVERY_S)
    RECORD.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def _ended(installation: Installation) -> Row | None:
    installation.check_alive()
    rows = installation.get("/runs", workflow=WORKFLOW)["data"]
    ended = [row["id"] for row in rows if row["ended_at"]]
    return installation.get(f"/runs/{ended[0]}") if ended else None


def main() -> None:
    """Draw the picture, from a new record when one is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="let a new run happen first")
    if parser.parse_args().record:
        record()
    picture = draw(json.loads(RECORD.read_text(encoding="utf-8")))
    PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
