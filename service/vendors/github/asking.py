"""One call to GitHub's API: who makes it, its pages, and what to do when it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from schemas.events import Json
from service.errors import Permanent, Refused, VendorBroken
from service.http import HttpAnswer, path_of
from service.vendors.base import CallContext
from service.vendors.github.app_tokens import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, app_headers
from service.vendors.github.credentials import GitHubConnectionOptions, GitHubCredentials

PAGE = 100
MAX_PAGES = 50
GONE = 410
UNPROCESSABLE = 422

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<>]*\brel="?next"?', re.IGNORECASE)
_NO_APP = "must authenticate via a GitHub App"


class GitHubAsking:
    """Makes the calls of one connection. Errors are those of VendorHttp, with hints of GitHub's."""

    def __init__(self, context: CallContext) -> None:
        self.http = context.http
        self.now = context.now
        self.options: GitHubConnectionOptions = context.options
        self.credentials: GitHubCredentials = context.credentials

    def ask(
        self,
        method: str,
        path: str,
        *,
        needs: str = "",
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        safe: bool | None = None,
        as_app: bool = False,
    ) -> HttpAnswer:
        """Make one call. `needs` names the permission for it, `as_app` asks as the App itself."""
        headers = None
        if as_app:
            headers = app_headers(self.http, self.credentials, self.options, self.now)
        try:
            return self.http.request(
                method, path, params=params, json=json, headers=headers, safe=safe, bare=as_app
            )
        except Refused as fault:
            fault.hint = self._hint(fault, needs) or fault.hint
            raise

    def pages(
        self,
        path: str,
        *,
        needs: str = "",
        params: Mapping[str, Any] | None = None,
        as_app: bool = False,
        most: int | None = None,
    ) -> Iterator[HttpAnswer]:
        """Give the pages of a list, as the `Link` header leads on; at most so many (None: all)."""
        asked: Mapping[str, Any] | None = {"per_page": PAGE, **(params or {})}
        for _ in range(MAX_PAGES if most is None else most):
            answer = self.ask("GET", path, needs=needs, params=asked, as_app=as_app)
            yield answer
            following = next_page(answer)
            if following is None:
                return
            asked = {**(asked or {}), **following}
        if most is not None:
            return
        raise VendorBroken(f"{path} has more than {MAX_PAGES * PAGE} rows, which is too many")

    def _hint(self, fault: Refused, needs: str) -> str | None:
        """Say what the user can do about it."""
        permission = f"the permission {needs}" if needs else "a permission"
        if fault.status == UNAUTHORIZED:
            if self.credentials.is_app:
                return (
                    "GitHub does not take what the App shows: check app_id, private_key and "
                    "installation_id of the connection, and this machine's clock"
                )
            return (
                "GitHub does not know this token: it is mistyped, expired or revoked; make a new "
                "one and put it into the connection's credentials as `token`"
            )
        if fault.status == FORBIDDEN and _NO_APP in fault.message:
            return (
                "only a GitHub App may write check runs: give the connection app_id, private_key "
                "and installation_id, or use github.commit_status, which a token may"
            )
        if fault.status == FORBIDDEN:
            whose = "App's installation" if self.credentials.is_app else "token"
            return f"GitHub knows the {whose}, which lacks {permission}: add it in its settings"
        if fault.status == NOT_FOUND:
            return (
                "check the name or number; GitHub also says so where the token may not see the "
                f"repository or lacks {permission}"
            )
        return None


def next_page(answer: HttpAnswer) -> dict[str, str] | None:
    """Give the parameters of the page after this one; None when it is the last.

    Only the parameters are taken, not the address: it is GitHub's own, and the connection may
    reach GitHub by another.
    """
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    return dict(parse_qsl(urlsplit(found[1]).query))


def repo_path(repo: str) -> str:
    """Give where a repository is. Raises Permanent for what is no `owner/name`."""
    owner, _, name = repo.partition("/")
    if not owner or not name or "/" in name:
        raise Permanent(f"{repo!r} is no repository", hint="write it as owner/name")
    return path_of("repos", owner, name)
