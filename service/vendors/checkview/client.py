"""CheckView's API: websites, test flows, test runs, UX audits, health (vendors.md §3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from schemas.events import Json
from service.errors import Refused, VendorBroken
from service.http import HttpAnswer, VendorHttp, path_of
from service.vendors.base import CallContext
from service.vendors.checkview.options import CheckViewConnectionOptions, CheckViewCredentials
from service.vendors.checkview.payloads import Answer, Health, TestFlow, TestRun, UxAudit, Website
from service.vendors.reading import as_whole
from service.vendors.trail import follow

MAX_KEY_CHARS = 200
_HINTS = {
    400: "when it is a list that is refused, its pages may be too long: set the connection's "
    "options.page_size to 20",
    401: "make a new access token (cvpat_…) in CheckView's dashboard and put it into the "
    "connection's credentials.api_token",
    403: "the token may not do this: reading needs the scope read:organization, starting runs and "
    "audits write:organization; a token made in the dashboard has all rights of its user",
    404: "check the id; when it is right, CheckView has this call at another place than is assumed "
    "here: set it in the connection's options.paths",
}

M = TypeVar("M", bound=Answer)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page of a list; `next` is the cursor of the page after it, None when this is the last.

    `total` is the number of all rows, where the vendor tells it.
    """

    rows: tuple[M, ...]
    next: str | None
    total: int | None


def auth_headers(
    credentials: CheckViewCredentials, _options: CheckViewConnectionOptions
) -> Mapping[str, str]:
    """Give the token's header."""
    return {"Authorization": f"Bearer {credentials.api_token.get_secret_value()}"}


class CheckViewClient:
    """Every call that is listed. Errors are those of VendorHttp.

    Calls that change something are never repeated here; with an `idempotency_key` the vendor
    answers the same call within 60 minutes as it did the first time.
    """

    def __init__(self, http: VendorHttp, options: CheckViewConnectionOptions) -> None:
        self._http = http
        self._options = options
        self._paths = options.paths

    # --- websites and flows ---------------------------------------------------------------------

    def websites(self) -> Iterator[Website]:
        """Give every website."""
        return self._all(self.websites_page)

    def websites_page(
        self, cursor: str | None = None, *, limit: int | None = None
    ) -> Page[Website]:
        """Give one page of the websites."""
        return self._page(Website, self._paths.websites, {"cursor": cursor, "limit": limit})

    def test_flows(self) -> Iterator[TestFlow]:
        """Give every test flow."""
        path = self._paths.test_flows
        return self._all(lambda cursor: self._page(TestFlow, path, {"cursor": cursor}))

    def test_flow(self, flow_id: str) -> TestFlow:
        """Give one test flow."""
        return self._one(TestFlow, self._ask("GET", _filled(self._paths.test_flow, flow_id)))

    def run_test_flow(
        self, flow_id: str, *, idempotency_key: str, body: Mapping[str, Json] | None = None
    ) -> TestRun:
        """Start a run of a flow. The vendor publishes no body; one that is given goes with it."""
        path = _filled(self._paths.run_test_flow, flow_id)
        answer = self._ask("POST", path, json=dict(body or {}) or None, key=idempotency_key)
        return self._one(TestRun, answer)

    # --- runs -----------------------------------------------------------------------------------

    def test_runs(
        self, *, test_flow_id: str | None = None, status: str | None = None
    ) -> Iterator[TestRun]:
        """Give every run that fits, in the vendor's order: newest first, as is assumed."""
        found = self._all(
            lambda cursor: self.test_runs_page(cursor, test_flow_id=test_flow_id, status=status)
        )
        return of_flow(found, test_flow_id)

    def test_runs_page(
        self,
        cursor: str | None = None,
        *,
        test_flow_id: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> Page[TestRun]:
        """Give one page of the runs.

        The parameters' names are assumed: a vendor that overlooks them gives others too, which
        `of_flow` leaves out.
        """
        wanted = {
            "cursor": cursor,
            "limit": limit,
            self._options.flow_parameter: test_flow_id,
            self._options.status_parameter: status,
        }
        return self._page(TestRun, self._paths.test_runs, wanted)

    def test_run(self, run_id: str) -> TestRun:
        """Give one run."""
        return self._one(TestRun, self._ask("GET", _filled(self._paths.test_run, run_id)))

    # --- audits ---------------------------------------------------------------------------------

    def ux_audits(self) -> Iterator[UxAudit]:
        """Give every UX audit."""
        return self._all(self.ux_audits_page)

    def ux_audits_page(self, cursor: str | None = None) -> Page[UxAudit]:
        """Give one page of the UX audits."""
        return self._page(UxAudit, self._paths.ux_audits, {"cursor": cursor})

    def create_ux_audit(
        self,
        *,
        idempotency_key: str,
        website_id: str | None = None,
        url: str | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> UxAudit:
        """Start an audit of a website by its id, or of an address; `body` goes with it."""
        named = {self._options.website_member: website_id, self._options.url_member: url}
        sent = {**(body or {}), **{name: text for name, text in named.items() if text is not None}}
        path = self._paths.create_ux_audit
        return self._one(UxAudit, self._ask("POST", path, json=sent, key=idempotency_key))

    # --- health ---------------------------------------------------------------------------------

    def health(self, part: Literal["all", "ready", "live"] = "all") -> Health:
        """Give how the vendor is; asked without the token. Raises VendorBroken when it is ill."""
        paths = self._paths
        path = {"all": paths.health, "ready": paths.health_ready, "live": paths.health_live}[part]
        answer = self._http.request("GET", path, bare=True)
        try:
            body = answer.json()
        except VendorBroken:
            body = None  # it answered that it is well, in a form of its own
        return answer.fit(Health, body if isinstance(body, dict) else {"status": answer.text()})

    # --- how ------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        key: str | None = None,
    ) -> HttpAnswer:
        headers = {} if key is None else {"Idempotency-Key": _sendable(key)}
        try:
            return self._http.request(method, path, params=params, json=json, headers=headers)
        except Refused as fault:
            hint = _HINTS.get(fault.status or 0, fault.hint)
            raise Refused(fault.message, status=fault.status, hint=hint) from fault

    def _page(self, model: type[M], path: str, params: Mapping[str, Any]) -> Page[M]:
        limit = params.get("limit") or self._options.page_size
        answer = self._ask("GET", path, params={**params, "limit": limit})
        rows = answer.objects(*self._options.wrappers, "items", "results")
        has_more = answer.headers.get("x-has-more", "").strip().lower()
        cursor = answer.headers.get("x-next-cursor") or None
        if has_more == "true" and cursor is None:
            raise VendorBroken(f"the answer to {answer.asked} has more pages and names no cursor")
        if cursor is not None and cursor == params.get("cursor"):
            raise VendorBroken(f"the pages of {answer.asked} go round in a circle")
        return Page(
            tuple(_identified(answer.fit(model, row), answer) for row in rows),
            None if has_more == "false" else cursor,
            as_whole(answer.headers.get("x-total-count")),
        )

    def _all(self, page_of: Callable[[str | None], Page[M]]) -> Iterator[M]:
        cursor: str | None = None
        followed: tuple[str, ...] | None = ()
        while followed is not None:
            page = page_of(cursor)
            yield from page.rows
            if page.next is None:
                return
            cursor, followed = page.next, follow(followed, page.next)
        raise VendorBroken("the pages of a list go round in a circle, or have no end")

    def _one(self, model: type[M], answer: HttpAnswer) -> M:
        body = answer.json()
        if isinstance(body, dict):
            wrapped = (body.get(name) for name in self._options.wrappers)
            body = next((inner for inner in wrapped if isinstance(inner, dict)), body)
        return _identified(answer.fit(model, body), answer)


def of_flow(runs: Iterable[TestRun], flow_id: str | None) -> Iterator[TestRun]:
    """Give the runs of this flow (None: of any)."""
    return (run for run in runs if flow_id in {None, run.test_flow.id})


def check(context: CallContext) -> str:
    """Ask what the token sees; no call of the vendor's tells whose it is.

    The runs are asked for too, because that call's place is assumed and everything needs it.
    """
    client = CheckViewClient(context.http, context.options)
    websites = _counted(client.websites_page(limit=1), "website")
    runs = _counted(client.test_runs_page(limit=1), "test run")
    return f"an organisation with {websites} and {runs}"


def _counted(page: Page[Any], what: str) -> str:
    count = len(page.rows) if page.total is None else page.total
    more = " or more" if page.total is None and page.next else ""
    return f"{count}{more} {what}{'' if count == 1 else 's'}"


def _identified(found: M, answer: HttpAnswer) -> M:
    """Give what was found. Raises VendorBroken when it has no id: nothing could be known by it."""
    if getattr(found, "id", None) is None:
        raise VendorBroken(
            f"the answer {answer.status} to {answer.asked} has something without an id",
            perhaps_done=not answer.safe,
            hint="set the connection's options.wrappers to the member that holds the answer",
        )
    return found


def _filled(template: str, id_: str) -> str:
    return template.replace("{id}", path_of(id_).removeprefix("/"))


def _sendable(key: str) -> str:
    """Give a key as a header can carry it, unquoted as this vendor wants it (vendors.md §9.3)."""
    if key.isascii() and key.isprintable() and len(key) <= MAX_KEY_CHARS:
        return key
    return hashlib.sha256(key.encode()).hexdigest()
