"""The calls of CheckView's API that the reference lists (3.2), over one organisation."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkview.bodies import AuditRequest
from examples.twins.checkview.dialect import speak
from examples.twins.checkview.organisation import API, Organisation
from examples.twins.checkview.paging import Row, page_of
from examples.twins.checkview.problems import problem
from examples.twins.record import mark_effect

HEALTH = ("/health", "/health/ready", "/health/live")
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Calls:
    """Websites, test flows, test runs, UX audits and health."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        once, get, post = self._organisation.answers.once, ["GET"], ["POST"]
        flow = f"{API}/test-flows/{{id}}"
        return (
            *(Route(path, self.health, methods=get) for path in HEALTH),
            Route(f"{API}/websites", self.list_websites, methods=get),
            Route(f"{API}/test-flows", self.list_flows, methods=get),
            Route(flow, self.show_flow, methods=get),
            Route(f"{flow}/run", once(self.run_flow), methods=post),
            Route(f"{API}/test-runs", self.list_runs, methods=get),
            Route(f"{API}/test-runs/{{id}}", self.show_run, methods=get),
            Route(f"{API}/ux-audits", self.list_audits, methods=get),
            Route(f"{API}/ux-audits", once(self.start_audit), methods=post),
        )

    async def health(self, _: Request) -> Response:
        """Whether the vendor is well; needs no token."""
        return JSONResponse({"status": "ok"})

    async def list_websites(self, request: Request) -> Response:
        """Websites."""
        sites = self._organisation.book.websites.values()
        return self._page((Row(_LONG_AGO, site.number, site.show()) for site in sites), request)

    async def list_flows(self, request: Request) -> Response:
        """Test flows."""
        flows = self._organisation.book.flows.values()
        return self._page((Row(_LONG_AGO, flow.number, flow.show()) for flow in flows), request)

    async def show_flow(self, request: Request) -> Response:
        """One test flow."""
        flow = self._organisation.known_flow(request.path_params["id"], request)
        return self._answer(flow.show())

    async def run_flow(self, request: Request) -> Response:
        """Start a run of a flow."""
        organisation = self._organisation
        flow = organisation.known_flow(request.path_params["id"], request)
        run = organisation.book.start_run(flow, organisation.settings.pace)
        organisation.watch(run)
        mark_effect(request)
        return self._answer(run.show(organisation.clock.now()), 201)

    async def list_runs(self, request: Request) -> Response:
        """Test runs, newest first; `test_flow_id` and `status` narrow the list."""
        now, wanted = self._organisation.clock.now(), request.query_params
        flow, status = wanted.get("test_flow_id"), wanted.get("status")
        runs = (
            run
            for run in self._organisation.book.runs.values()
            if flow in {None, run.flow.flow_id} and status in {None, run.status(now)}
        )
        return self._page((Row(run.created_at, run.number, run.show(now)) for run in runs), request)

    async def show_run(self, request: Request) -> Response:
        """One test run."""
        run = self._organisation.book.runs.get(request.path_params["id"])
        if run is None:
            detail = f"Test run {request.path_params['id']} was not found."
            raise problem(404, detail, request.url.path)
        return self._answer(run.show(self._organisation.clock.now()))

    async def list_audits(self, request: Request) -> Response:
        """UX audits, newest first."""
        now = self._organisation.clock.now()
        audits = self._organisation.book.audits.values()
        rows = (Row(audit.starts_at, audit.number, audit.show(now)) for audit in audits)
        return self._page(rows, request)

    async def start_audit(self, request: Request) -> Response:
        """Start a UX audit of a website or an address."""
        organisation, path = self._organisation, request.url.path
        asked = AuditRequest.model_validate_json(await request.body() or b"{}")
        site = None
        if asked.website_id is not None:
            site = organisation.book.websites.get(asked.website_id)
            if site is None:
                raise problem(404, f"Website {asked.website_id} was not found.", path)
        url = asked.url or (site.url if site else None)
        if url is None:
            raise problem(400, "website_id or url is required.", path)
        audit = organisation.book.start_audit(site, url, organisation.settings.pace)
        mark_effect(request)
        return self._answer(audit.show(organisation.clock.now()), 201)

    def _page(self, rows: Iterable[Row], request: Request) -> Response:
        settings = self._organisation.settings
        shown, headers = page_of(rows, request, max_page=settings.max_page)
        body = speak(shown, settings.dialect)
        return JSONResponse(body if settings.lists == "array" else {"data": body}, headers=headers)

    def _answer(self, shown: dict[str, object], status: int = 200) -> Response:
        return JSONResponse(speak(shown, self._organisation.settings.dialect), status)
