"""What Slack's error words mean (reference 7.2). They come with HTTP 200, except for webhooks."""

from __future__ import annotations

from datetime import timedelta

from service.errors import RateLimited, Refused, VendorBroken
from service.vendors.reading import as_list, as_text
from service.vendors.slack.answers import Answer

LIMITED_WAIT = timedelta(seconds=30)
"""How long to wait after a limit that is told by a word alone."""

_LIMITED = frozenset({"ratelimited", "rate_limited"})
_NOT_NOW = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
_IN_DOUBT = frozenset({"internal_error", "fatal_error"})

_TOKEN = (  # a hint, not a token
    "a bot token cannot be renewed: copy the Bot User OAuth Token from the app's page OAuth & "  # noqa: S105
    "Permissions into credentials.bot_token of the connection"
)
_HINTS = {
    "not_in_channel": "invite the bot: write /invite @<bot> in the channel",
    "channel_not_found": "give the channel's id, and invite the bot when the channel is private",
    "is_archived": "the channel is archived: choose another in options.channel",
    "channel_is_archived": "the channel is archived: choose another",
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "account_inactive": _TOKEN,
    "no_service": "the webhook was removed: check credentials.webhook_url of the connection",
    "invalid_blocks": "check the blocks in Slack's Block Kit Builder",
    "missing_scope": "add the scope to the app and install it again",
    "restricted_action": "an administrator of the workspace forbids this",
    "action_prohibited": "an administrator of the workspace forbids this",
}


class SlackRefused(Refused):
    """Slack refuses this request, with the word it says so."""

    def __init__(self, message: str, *, word: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.word = word


def raise_for_word(told: Answer, method: str, *, safe: bool) -> None:
    """Raise what an answer that is not `ok` means; `safe` says that calling twice does no harm."""
    if told.ok:
        return
    word = told.error or "an error without a name"
    more = "; ".join(filter(None, map(as_text, as_list(told.response_metadata.get("messages")))))
    message = f"Slack refuses {method}: {word}" + (f" ({more[:200]})" if more else "")
    if word in _LIMITED:
        raise RateLimited(message, retry_after=LIMITED_WAIT)
    if word in _NOT_NOW or word in _IN_DOUBT:
        raise VendorBroken(message, perhaps_done=word in _IN_DOUBT and not safe)
    hint = _HINTS.get(word)
    if word == "missing_scope" and told.needed:
        hint = f"add the scope {told.needed} to the app and install it again"
    raise SlackRefused(message, word=word, hint=hint)


def hint_in(message: str) -> str | None:
    """Give the hint for an error that names its word in plain text, as incoming webhooks do."""
    return next((hint for word, hint in _HINTS.items() if word in message), None)
