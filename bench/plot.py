"""Draws the figures: how far each is on the good side of its bound, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.figures import Figure, Verdict, shown

WIDTH, LABEL_WIDTH, ROW_HEIGHT, LINE_HEIGHT, FOOT = 960, 520, 26, 17, 12
HALF = (WIDTH - LABEL_WIDTH) / 2 - 70
"""From the bound to where a figure is ten times better, or worse, than wanted."""
MIDDLE = (LABEL_WIDTH + WIDTH) / 2
NOT_JUDGED = "#8a8a8a"
COLOURS = {Verdict.KEPT: "#2f7d4f", Verdict.MISSED: "#b3402e"}
TITLE = "Hookwright beside what people use instead: how far each figure is from its bound"
LEGEND = (
    "A bar: how many times better (right) or worse (left) a figure is than its bound; logarithmic.",
    "Green: the bound is kept. Red: it is missed. Grey: void, or of a quick run, and says nothing.",
)


def draw(figures: Sequence[Figure], about: Sequence[str], *, judged: bool) -> str:
    """Give an SVG with a row for each figure, and a bar in it for each that has a bound.

    `about`: lines that say which run it was. `judged` False: no bar says whether its bound is kept.
    """
    lines = [*about, *LEGEND]
    head = 64 + LINE_HEIGHT * len(lines)
    height = head + FOOT + ROW_HEIGHT * len(figures)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' font-family="sans-serif" font-size="13">'
        ),
        f"<title>{escape(TITLE)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(8, 22, TITLE, size=16),
        *(_text(8, 42 + n * LINE_HEIGHT, line, size=12) for n, line in enumerate(lines)),
        *_scale(head, height - FOOT),
        *(
            part
            for number, figure in enumerate(figures)
            for part in _row(head + number * ROW_HEIGHT, figure, judged=judged)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scale(top: int, bottom: int) -> Iterator[str]:
    ends = (
        (MIDDLE - HALF, "10 times worse"),
        (MIDDLE, "bound"),
        (MIDDLE + HALF, "10 times better"),
    )
    for x, words in ends:
        colour = "#222" if x == MIDDLE else "#ddd"
        yield _text(x, top - 14, words, anchor="middle", size=12)
        yield f'<line x1="{x}" x2="{x}" y1="{top - 8}" y2="{bottom}" stroke="{colour}"/>'


def _row(y: int, figure: Figure, *, judged: bool) -> Iterator[str]:
    text_y = y + ROW_HEIGHT - 9
    yield _text(8, text_y, figure.wanted.says)
    if figure.value is None:
        yield _text(MIDDLE + 5, text_y, figure.verdict.value)
        return
    value = shown(figure.value, figure.wanted.unit)
    if figure.wanted.limit is None:
        yield _text(MIDDLE + 5, text_y, f"{value} (no bound)")
        return
    length = max(-1.0, min(1.0, _decades(figure.value, figure.wanted.limit, figure))) * HALF
    left, end = min(MIDDLE, MIDDLE + length), MIDDLE + length
    colour = COLOURS.get(figure.verdict, NOT_JUDGED) if judged else NOT_JUDGED
    yield (
        f'<rect x="{left:.1f}" y="{y + 4}" width="{abs(length):.1f}" height="{ROW_HEIGHT - 8}"'
        f' fill="{colour}"/>'
    )
    anchor, gap = ("start", 5) if length >= 0 else ("end", -5)
    yield _text(end + gap, text_y, value, anchor=anchor)


def _decades(value: float, limit: float, figure: Figure) -> float:
    """How many times ten better than wanted; negative: worse."""
    value = max(value, 1e-9)
    return math.log10(limit / value if figure.wanted.at_most else value / limit)


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="#222">'
        f"{escape(words)}</text>"
    )
