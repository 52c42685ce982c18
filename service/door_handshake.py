"""OPTIONS at the door: the abuse-protection handshake of CloudEvents' web hooks.

CloudEvents http-webhook 1.0.3-wip, section 4: a sender asks whether we want its deliveries, and
the status alone is no consent. The callback a sender may name is never called: consent is given at
once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from schemas.config import Limits
from service.door_answers import ALLOW, Header, Refusal, Reply

_ORIGIN = re.compile(rb"[A-Za-z0-9._:/*-]{1,255}")
_RATE = re.compile(rb"[1-9][0-9]{0,8}")
SECONDS_A_MINUTE = 60


def answer_options(headers: Mapping[bytes, bytes], limits: Limits) -> Reply:
    """Give the consent that was asked for; without a question only the methods are named.

    Raises Refusal (400) when the origin is no DNS name.
    """
    origin = headers.get(b"webhook-request-origin")
    if origin is None:
        return Reply(HTTPStatus.NO_CONTENT, b"", (ALLOW,))
    if not _ORIGIN.fullmatch(origin):
        detail = "WebHook-Request-Origin is no DNS name."
        raise Refusal(HTTPStatus.BAD_REQUEST, "handshake_malformed", detail)
    answer: list[Header] = [(b"allow", b"POST"), (b"webhook-allowed-origin", origin)]
    asked = headers.get(b"webhook-request-rate")
    if asked is not None:
        ours = max(1, int(limits.per_second * SECONDS_A_MINUTE))
        allowed = min(ours, int(asked)) if _RATE.fullmatch(asked) else ours
        answer.append((b"webhook-allowed-rate", b"%d" % allowed))
    return Reply(HTTPStatus.OK, b"", tuple(answer))
