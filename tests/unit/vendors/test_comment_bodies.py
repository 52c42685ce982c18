"""Markers and cuts of comments, fits of Slack messages: for any text whatever."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.vendors.github.markdown import fit, has_marker, marked_body, marker_line, marker_name
from service.vendors.slack.blocks import MAX_ALL_BLOCKS_CHARS, MAX_BLOCKS, fit_blocks, fit_text

PIECES = st.sampled_from(
    [
        "```python\n",
        "```\n",
        "~~~\n",
        "````\n",
        "<details><summary>x</summary>\n",
        "</details>\n",
        "plain words\n",
        "`inline ``` code`\n",
        "x" * 50,
        "\n",
    ]
)


@pytest.mark.parametrize("plain", ["hookwright", "visual-regression:suite_abc123", "heal:a.b/c"])
def test_a_plain_marker_stays_as_it_is(plain: str) -> None:
    assert marker_line(plain) == f"<!-- hookwright:{plain} -->"


@given(st.text(min_size=1))
def test_no_marker_ends_its_comment(text: str) -> None:
    line = marker_line(text)
    inside = line.removeprefix("<!-- hookwright:").removesuffix(" -->")
    assert "--" not in inside
    assert ">" not in inside
    assert inside.isascii()
    assert 1 <= len(inside) <= 110
    assert has_marker(marked_body(text, "body"), text)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_markers_never_become_one(one: str, other: str) -> None:
    assert (marker_name(one) == marker_name(other)) is (one == other)


def test_a_marker_counts_in_the_first_line_only() -> None:
    line = marker_line("a")
    assert has_marker(f"{line}\r\nbody", "a")
    assert not has_marker(f"quoted:\n{line}\nbody", "a")
    assert not has_marker(f"{line} more\nbody", "a")
    assert not has_marker(None, "a")
    assert not has_marker("", "a")


@given(st.lists(PIECES, max_size=60).map("".join), st.integers(min_value=200, max_value=1000))
def test_a_cut_body_fits_and_leaves_nothing_open(text: str, limit: int) -> None:
    cut = fit(text, limit)
    assert len(cut) <= limit
    if len(text) <= limit:
        assert cut == text
    else:
        assert f"{len(text)} characters" in cut
        assert open_ends(cut) == (False, 0)


def open_ends(text: str) -> tuple[bool, int]:
    """An independent reading: is a fence open at the end, how many details are."""
    fence, details = "", 0
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        mark = line[:1]
        run = len(line) - len(line.lstrip(mark)) if mark in {"`", "~"} else 0
        if fence:
            if run >= len(fence) and mark == fence[0] and not line[run:].strip():
                fence = ""
        elif run >= 3 and (mark == "~" or "`" not in line[run:]):
            fence = mark * run
        else:
            details += line.count("<details>")
            details = max(0, details - line.count("</details>"))
    return bool(fence), details


def test_a_long_body_is_cut_below_the_limit_of_github() -> None:
    body = marked_body("a", "<details>\n\n```\n" + "line of output\n" * 10_000 + "```\n</details>")
    assert len(body) <= 65_000
    assert has_marker(body, "a")
    assert open_ends(body) == (False, 0)


def test_short_texts_and_blocks_stay_as_they_are() -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}, {"type": "divider"}]
    assert fit_text("hi") == "hi"
    assert fit_blocks(blocks) == blocks


TEXTS = st.text(alphabet="ab<>&", max_size=20).map(lambda text: text * 200)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "header", "text": {"type": "plain_text", "text": text}}, TEXTS),
    st.builds(lambda text: {"type": "section", "text": {"type": "mrkdwn", "text": text}}, TEXTS),
    st.builds(
        lambda texts: {"type": "section", "fields": [{"type": "mrkdwn", "text": t} for t in texts]},
        st.lists(TEXTS, max_size=12),
    ),
    st.builds(
        lambda texts: {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": t} for t in texts],
        },
        st.lists(TEXTS, max_size=12),
    ),
    st.just({"type": "divider"}),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@given(st.lists(BLOCKS, max_size=60))
def test_any_blocks_fit_after_the_cut(blocks: list[dict[str, Any]]) -> None:
    fitted = fit_blocks(blocks)
    assert len(fitted) <= MAX_BLOCKS
    assert len(json.dumps(fitted, ensure_ascii=False)) <= MAX_ALL_BLOCKS_CHARS
    for block in fitted:
        if block.get("type") == "header":
            assert len(block["text"]["text"]) <= 150
        if block.get("type") == "section" and "text" in block:
            assert len(block["text"]["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10
        if block.get("type") == "context":
            assert len(block["elements"]) <= 10


@given(st.text(max_size=5000))
def test_any_text_fits(text: str) -> None:
    assert len(fit_text(text)) <= 4000
