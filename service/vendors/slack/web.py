"""Slack's own client with our transport under it.

`slack_sdk` names the methods of the Web API and types their arguments. It opens no connection here:
every call goes through `VendorHttp`, so that our limits, the address guard and what is known about
doubtful calls hold for it as for every other vendor.
"""

from __future__ import annotations

from typing import Any

from slack_sdk.web import SlackResponse, WebClient

from service.errors import Bug
from service.http import VendorHttp
from service.vendors.slack.answers import JSON_HEADERS, Answer
from service.vendors.slack.refusals import raise_for_word

_REPEATABLE = frozenset({"auth.test", "chat.update"})
"""Methods that are called with POST and may be called twice with the same effect."""


class GuardedWebClient(WebClient):
    """The library's client over one connection.

    An answer that is not `ok` raises what its word means. Pages are asked for by their cursor: the
    library's own way to iterate an answer opens a connection, and is closed here.
    """

    def __init__(self, http: VendorHttp) -> None:
        # A proxy that is named, though never used, keeps the library from asking the environment.
        super().__init__(proxy="none", retry_handlers=[])
        self._http = http

    def api_call(
        self,
        api_method: str,
        *,
        http_verb: str = "POST",
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> SlackResponse:
        """Call one method of the Web API. Errors are those of VendorHttp, and SlackRefused."""
        if files or headers or auth:
            raise Bug(f"{api_method} wants what Hookwright's transport does not carry")
        given = {**(params or {}), **(data or {}), **(json or {})}
        path = f"/{api_method}"
        if http_verb == "GET":
            answer = self._http.request("GET", path, params=given)
        else:
            answer = self._http.request(
                "POST",
                path,
                json=given,
                headers=JSON_HEADERS,
                safe=api_method in _REPEATABLE,
            )
        body = answer.json()
        raise_for_word(answer.fit(Answer, body), api_method, safe=answer.safe)
        return SlackResponse(
            client=self,
            http_verb=http_verb,
            api_url=api_method,
            req_args={},
            data=body,
            headers=dict(answer.headers),
            status_code=answer.status,
        )

    def _request_for_pagination(
        self,
        api_url: str,
        req_args: dict[str, dict[str, Any]],  # noqa: ARG002  # the library's signature
    ) -> dict[str, Any]:
        raise Bug(f"{api_url} is asked for its next page by the cursor, not by iterating")
