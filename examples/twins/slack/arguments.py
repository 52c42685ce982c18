"""Reads what Slack's calls are given, as JSON or as a form, and Slack's ways to refuse it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from examples.twins.slack.blocks import Block, problems_of, too_long
from examples.twins.slack.workspace import decode
from examples.twins.twin import Refusal

MAX_TEXT_CHARS = 40_000
Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message shows."""

    text: str
    blocks: list[Block]
    attachments: list[Block]


def refuse(error: str, **more: object) -> Refusal:
    """Slack's errors come with HTTP 200."""
    metadata = {"response_metadata": more} if more else {}
    return Refusal(200, {"ok": False, "error": error, **metadata})


def refuse_for_now(retry_after_s: int) -> Refusal:
    """Too many calls: the one error with a status of its own, and `Retry-After` in seconds."""
    body = {"ok": False, "error": "ratelimited"}
    return Refusal(429, body, (("retry-after", str(retry_after_s)),))


async def read_form(request: Request) -> Fields:
    """The fields of a form; nothing when the body is something else."""
    if "application/x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        return {}
    text = (await request.body()).decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))


async def read_arguments(request: Request) -> Fields:
    """Arguments of a Web API method: JSON or form, and the query."""
    if "application/json" not in request.headers.get("content-type", ""):
        return {**request.query_params, **await read_form(request)}
    try:
        value = await request.json()
    except ValueError as fault:
        raise refuse("invalid_json") from fault
    if not isinstance(value, dict):
        raise refuse("json_not_object")
    return value


async def read_webhook(request: Request) -> Fields:
    """The body of an incoming webhook: JSON, or a form whose `payload` is JSON."""
    form = await read_form(request)
    raw = form["payload"] if "payload" in form else (await request.body()).decode(errors="replace")
    value = decode(raw)
    if not isinstance(value, dict):
        raise Refusal(400, "invalid_payload")
    return value


def read_content(fields: Mapping[str, object]) -> Content:
    """Text, blocks and attachments within Slack's limits."""
    text = fields.get("text")
    blocks = decode(fields.get("blocks")) or []
    attachments = decode(fields.get("attachments")) or []
    if text is not None and not isinstance(text, str):
        raise refuse("invalid_arguments", messages=["text must be a string"])
    problems = problems_of(blocks)
    if problems:
        raise refuse("invalid_blocks", messages=[f"[ERROR] {problem}" for problem in problems])
    if not isinstance(blocks, list) or not isinstance(attachments, list):
        raise refuse("invalid_attachments")
    if not text and not blocks and not attachments:
        raise refuse("no_text")
    if len(text or "") > MAX_TEXT_CHARS:
        raise refuse("msg_too_long")
    if too_long(blocks):
        raise refuse("msg_blocks_too_long")
    return Content(text or "", blocks, attachments)


def read_metadata(fields: Mapping[str, object]) -> Fields | None:
    """`metadata` with its two members, or `None` when there is none."""
    given = decode(fields.get("metadata"))
    if given is None:
        return None
    if not isinstance(given, dict) or not (
        isinstance(given.get("event_type"), str) and isinstance(given.get("event_payload"), dict)
    ):
        raise refuse("invalid_metadata_format")
    return given


def is_on(value: object) -> bool:
    """Whether a switch is on, as JSON or as a form says it."""
    return value is True or str(value).lower() in {"true", "1"}
