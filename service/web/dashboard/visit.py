"""Who is visiting the pages: a token in a sealed cookie, and forms that only our pages can send.

A page is only a face of the API for people: the cookie holds a token like any other, so that what
it may do is the token's role, and revoking the token ends the visit.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ConfigurationError, Forbidden, Unauthenticated
from service.secretbox import SecretBox
from service.tokens import Caller, Role, authenticate
from service.unit_of_work import reading
from service.web.deps import Parts

COOKIE = "hookwright_visit"
LASTS = timedelta(hours=12)
LONGEST_TOKEN = 200
_OWN_SITE = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor with a token that is good now. `form_key` goes with every form of our pages."""

    caller: Caller
    form_key: str

    @property
    def may_decide(self) -> bool:
        """Whether the visitor may change anything."""
        return self.caller.role.includes(Role.OPERATOR)


def begin(parts: Parts, token: str, request: Request, response: Response) -> None:
    """Let the visitor in with this token. Raises Unauthenticated."""
    _authenticated(parts, token, request)
    until = parts.clock() + LASTS
    sealed = _box(parts).seal({"token": token, "until": until.timestamp()})
    response.set_cookie(
        COOKIE,
        sealed.decode(),
        max_age=int(LASTS.total_seconds()),
        secure=_came_by_https(parts, request),
        httponly=True,
        # Lax, so that the link in a message leads to its page; forms carry a key of their own.
        samesite="lax",
    )


def end(response: Response) -> None:
    """Let the visitor go."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def of(parts: Parts, request: Request) -> Visit:
    """Give who is visiting. Raises Unauthenticated."""
    sealed = request.cookies.get(COOKIE, "")
    try:
        opened = _box(parts).open(sealed.encode("utf-8", "replace")) if sealed else None
    except ConfigurationError:
        opened = None
    if not isinstance(opened, dict):
        raise Unauthenticated
    token, until = opened.get("token"), opened.get("until")
    if not isinstance(token, str) or not isinstance(until, float):
        raise Unauthenticated
    if datetime.fromtimestamp(until, UTC) <= parts.clock():
        raise Unauthenticated
    return Visit(_authenticated(parts, token, request), _form_key(parts, sealed))


def check_form(
    visit: Visit, request: Request, form: Mapping[str, str], *, decides: bool = True
) -> None:
    """Raise Forbidden unless one of our own pages sent this form, and the visitor may do it.

    `decides`: the form changes something, for which a viewer's token is not enough.
    """
    check_site(request)
    if not hmac.compare_digest(form.get("form_key", "").encode(), visit.form_key.encode()):
        raise Forbidden("this form is too old", hint="go back, load the page again, and repeat it")
    if decides and not visit.may_decide:
        raise Forbidden("this needs the role operator", hint="sign in with another token")


def check_site(request: Request) -> None:
    """Raise Forbidden for a form that a page of somebody else's had sent."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    foreign = site not in _OWN_SITE if site else bool(origin) and urlsplit(origin).netloc != host
    if foreign:
        raise Forbidden("this form was not sent by a page of Hookwright")


def _authenticated(parts: Parts, token: str, request: Request) -> Caller:
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated
    with reading(parts.database) as session:
        caller = authenticate(
            session, token, now=parts.clock(), admin_token=parts.settings.admin_token
        )
    return Caller(
        caller.label,
        caller.role,
        caller.token_id,
        request_id=request.scope.get("request_id"),
        remote=request.client.host if request.client else None,
    )


def _came_by_https(parts: Parts, request: Request) -> bool:
    # TLS ends at the server in front of us, which PUBLIC_URL tells of; beside it somebody may come
    # over loopback, whose browser would not send a secure cookie back.
    public = urlsplit(parts.settings.public_url or "")
    is_public = public.netloc == request.headers.get("host", "")
    return (public.scheme if is_public else request.url.scheme) == "https"


def _box(parts: Parts) -> SecretBox:
    return SecretBox(parts.settings.required_secret_keys())


def _form_key(parts: Parts, sealed: str) -> str:
    key = hashlib.sha256(b"form:" + parts.settings.required_secret_keys()[0].encode()).digest()
    return hmac.new(key, sealed.encode(), hashlib.sha256).hexdigest()
