"""What the twins were made to do, told by what identifies the cause of each effect."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from examples.twins.launch import TwinProcess

_COMMENTED = re.compile(r"^\S+/commented", re.MULTILINE)


def causes(twins: Mapping[str, TwinProcess]) -> Counter[str]:
    """Give how often each cause took effect, over all twins: `<subject>/<what was done>`."""
    return Counter(cause(name, call) for name, twin in twins.items() for call in twin.effects())


def cause(twin: str, call: Mapping[str, Any]) -> str:
    """Give the cause of one call that took effect; one that nobody planned is told as it came."""
    for ending, told in _TOLD[twin]:
        if call["path"].endswith(ending):
            return told(call)
    return f"{twin} {call['method']} {call['path']}"


def _comment(call: Mapping[str, Any]) -> str:
    found = _COMMENTED.search(call["body"]["body"])
    return found[0] if found else f"a comment: {call['body']['body'][:80]}"


def _thing(what: str) -> Callable[[Mapping[str, Any]], str]:
    """Give how an effect on one thing is told whose id stands before the end of the path."""
    return lambda call: f"{call['path'].split('/')[-2]}/{what}"


_TOLD: dict[str, tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...]] = {
    "slack": (("/chat.postMessage", lambda call: str(call["body"]["text"]).split(" ")[0]),),
    "github": (
        ("/comments", _comment),
        ("/dispatches", lambda call: str(call["body"]["client_payload"]["cause"])),
    ),
    "checksum": (
        ("/auto-heal", lambda call: f"{call['body']['testRunId']}/healed"),
        ("/execution/grep", lambda call: str(call["body"]["grep"])),
    ),
    "checkrd": (("/kill-switch", _thing("halted")), ("/mute", _thing("muted"))),
}
