"""Texts and blocks within Slack's limits (reference 7.3): what is too long is cut, visibly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.events import Json

MAX_TEXT_CHARS = 4000
MAX_BLOCKS = 50
MAX_ALL_BLOCKS_CHARS = 12_000
MAX_SECTION_CHARS = 3000
MAX_FIELD_CHARS = 2000
MAX_FIELDS = 10
MAX_HEADER_CHARS = 150
MAX_ELEMENTS = 10
_CUT: dict[str, Json] = {
    "type": "context",
    "elements": [{"type": "mrkdwn", "text": "_Cut: the message was too long for Slack._"}],
}


def fit_text(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Give the text, cut with an ellipsis when it is too long."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def escape(text: str) -> str:
    """Give a foreign text for mrkdwn: Slack names these three characters (reference 7.3)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fit_blocks(blocks: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Give as many blocks as Slack takes, their texts cut, with a note when some are left out."""
    fitted = [_fit_block(block) for block in blocks]
    if len(fitted) <= MAX_BLOCKS and _chars(fitted) <= MAX_ALL_BLOCKS_CHARS:
        return fitted
    kept: list[dict[str, Json]] = []
    for block in fitted[: MAX_BLOCKS - 1]:
        if _chars([*kept, block, _CUT]) > MAX_ALL_BLOCKS_CHARS:
            break
        kept.append(block)
    return [*kept, dict(_CUT)]


def _chars(blocks: Sequence[Mapping[str, Json]]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))


def _fit_block(block: Mapping[str, Json]) -> dict[str, Json]:
    fitted = dict(block)
    kind = fitted.get("type")
    if kind == "header":
        fitted["text"] = _fit_object(fitted.get("text"), MAX_HEADER_CHARS)
    elif kind == "section":
        if "text" in fitted:
            fitted["text"] = _fit_object(fitted["text"], MAX_SECTION_CHARS)
        if isinstance(fitted.get("fields"), list):
            fields = fitted["fields"][:MAX_FIELDS]
            fitted["fields"] = [_fit_object(one, MAX_FIELD_CHARS) for one in fields]
    elif kind == "context" and isinstance(fitted.get("elements"), list):
        elements = fitted["elements"][:MAX_ELEMENTS]
        fitted["elements"] = [_fit_object(one, MAX_FIELD_CHARS) for one in elements]
    return fitted


def _fit_object(value: Any, limit: int) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        return {**value, "text": fit_text(value["text"], limit)}
    return value
