"""Draws the figures: how far each is on the good side of its bound, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.figures import Figure, Verdict, shown

WIDTH, LABEL_WIDTH, ROW_HEIGHT, MARGIN = 960, 520, 26, 34
DECADES = 1.0
"""Of the scale on each side of the bound: ten times worse to ten times better."""
COLOURS = {Verdict.KEPT: "#2f7d4f", Verdict.MISSED: "#b3402e", Verdict.VOID: "#8a8a8a"}


def draw(figures: Sequence[Figure]) -> str:
    """Give an SVG with a bar for each figure that was measured."""
    measured = [figure for figure in figures if figure.value is not None]
    height = 2 * MARGIN + ROW_HEIGHT * len(measured)
    middle = (LABEL_WIDTH + WIDTH) / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        (
            f'<text x="{middle}" y="20" text-anchor="middle" fill="#444">'
            "worse ← what is wanted → better</text>"
        ),
        *(line for number, one in enumerate(measured) for line in _bar(number, one, middle)),
        (
            f'<line x1="{middle}" x2="{middle}" y1="{MARGIN - 6}" y2="{height - MARGIN + 6}"'
            ' stroke="#222"/>'
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(number: int, figure: Figure, middle: float) -> Iterator[str]:
    y = MARGIN + number * ROW_HEIGHT
    half = (WIDTH - LABEL_WIDTH) / 2 - 60
    length = max(-1.0, min(1.0, _decades(figure) / DECADES)) * half
    left, end = min(middle, middle + length), middle + length
    anchor, gap = ("start", 5) if length >= 0 else ("end", -5)
    text_y = y + ROW_HEIGHT - 9
    value = figure.value or 0.0
    yield f'<text x="8" y="{text_y}" fill="#222">{escape(figure.wanted.says)}</text>'
    yield (
        f'<rect x="{left:.1f}" y="{y + 4}" width="{abs(length):.1f}" height="{ROW_HEIGHT - 8}"'
        f' fill="{COLOURS[figure.verdict]}"/>'
    )
    yield (
        f'<text x="{end + gap:.1f}" y="{text_y}" text-anchor="{anchor}" fill="#222">'
        f"{escape(shown(value, figure.wanted.unit))}</text>"
    )


def _decades(figure: Figure) -> float:
    """How many times ten better than wanted; negative: worse."""
    value = max(figure.value or 0.0, 1e-9)
    better = figure.wanted.limit / value if figure.wanted.at_most else value / figure.wanted.limit
    return math.log10(better)
