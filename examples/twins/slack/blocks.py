"""Block Kit's limits as Slack enforces them (reference 7.3)."""

import json
from collections.abc import Callable, Iterator

MAX_BLOCKS = 50
MAX_ALL_BLOCKS_CHARS = 13_200
Block = dict[str, object]
Check = Callable[[Block], Iterator[str]]


def problems_of(blocks: object) -> list[str]:
    """What Slack would refuse, one sentence each; empty when the blocks are good."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return ["blocks must be an array of objects"]
    found = [] if len(blocks) <= MAX_BLOCKS else [f"no more than {MAX_BLOCKS} items allowed"]
    for number, block in enumerate(blocks):
        found += [f"{problem} [json-pointer:/blocks/{number}]" for problem in _block(block)]
    return found


def too_long(blocks: list[Block]) -> bool:
    """Whether all blocks together are more than Slack takes."""
    return len(json.dumps(blocks, ensure_ascii=False)) > MAX_ALL_BLOCKS_CHARS


def _block(block: Block) -> Iterator[str]:
    kind = block.get("type")
    check = CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        yield f"unsupported type: {kind}"
        return
    if len(str(block.get("block_id", ""))) > 255:
        yield "block_id is longer than 255 characters"
    yield from check(block)


def _section(block: Block) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield "section needs text or fields"
    if "text" in block:
        yield from _text(block["text"], 3000)
    fields = block.get("fields", [])
    if not isinstance(fields, list) or len(fields) > 10:
        yield "section.fields takes up to 10 items"
        return
    for one in fields:
        yield from _text(one, 2000)
    if isinstance(block.get("accessory"), dict):
        yield from _element(block["accessory"])


def _header(block: Block) -> Iterator[str]:
    yield from _text(block.get("text"), 150, kinds=("plain_text",))


def _context(block: Block) -> Iterator[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
        yield "context takes 1 to 10 elements"
        return
    for element in elements:
        if isinstance(element, dict) and element.get("type") != "image":
            yield from _text(element, 3000)


def _actions(block: Block) -> Iterator[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        yield "actions takes 1 to 25 elements"
        return
    for element in elements:
        yield from _element(element)


def _element(element: object) -> Iterator[str]:
    if not isinstance(element, dict) or not isinstance(element.get("type"), str):
        yield "an element needs a type"
        return
    if len(str(element.get("action_id", ""))) > 255:
        yield "action_id is longer than 255 characters"
    if element["type"] == "button":
        yield from _text(element.get("text"), 75, kinds=("plain_text",))
        if len(str(element.get("value", ""))) > 2000:
            yield "button value is longer than 2000 characters"
        if len(str(element.get("url", ""))) > 3000:
            yield "button url is longer than 3000 characters"
        if element.get("style", "primary") not in {"primary", "danger"}:
            yield "button style is primary or danger"


def _text(
    text: object, limit: int, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield f"text must be an object of type {' or '.join(kinds)}"
        return
    words = text.get("text")
    if not isinstance(words, str) or not 1 <= len(words) <= limit:
        yield f"text must have 1 to {limit} characters"


def _free(_: Block) -> Iterator[str]:
    yield from ()


CHECKS: dict[str, Check] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "divider": _free,
    "image": _free,
    "rich_text": _free,
}
