"""The pages as one ASGI application beside the management API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.errors import (
    HookwrightError,
    Invalid,
    RateLimited,
    Rejected,
    Unauthenticated,
)
from service.faults import to_do
from service.store import run_details
from service.unit_of_work import reading
from service.web import run_shapes
from service.web.dashboard import visit as visits
from service.web.dashboard.addresses import own_page, to_sign_in
from service.web.dashboard.deciding import Asked, Form, decide, told
from service.web.dashboard.decisions import find_decisions
from service.web.dashboard.events import find_events, read_lately
from service.web.dashboard.needs import MOST, may_look_up, read_needs
from service.web.dashboard.rendering import page
from service.web.dashboard.visit import Visit
from service.web.deps import Parts
from service.web.errors import note_request
from service.web.limits import Limiter

SIGN_INS_A_MINUTE = 10
MOST_FIELDS = 20


class Pages:
    """The pages of one installation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sign_ins = Limiter(limit=SIGN_INS_A_MINUTE)
        self._style = (files(__package__) / "static" / "style.css").read_bytes()

    def application(self) -> Starlette:
        """Give the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page(self.needs)),
                Route("/events", self._page(self.events)),
                Route("/decisions", self._page(self.decisions)),
                Route("/runs/{ident:uuid}", self._page(self.run)),
                *(
                    Route(f"/{kind}/{{ident:uuid}}", self._form(self.decide), methods=["POST"])
                    for kind in ("runs", "deliveries", "alerts")
                ),
                Route("/refused", self._form(self.decide), methods=["POST"]),
                Route("/sign-in", self.sign_in_page),
                Route("/sign-in", self.sign_in, methods=["POST"]),
                Route("/sign-out", self._form(self.sign_out), methods=["POST"]),
                Route("/style.css", self.style),
            ],
            exception_handlers={
                HookwrightError: self._on_error,
                HTTPStatus.NOT_FOUND: self._on_nothing,
                HTTPStatus.METHOD_NOT_ALLOWED: self._on_nothing,
                Exception: self._on_mistake,
            },
        )

    # --- what is shown ------------------------------------------------------------------------

    def needs(self, request: Request, visit: Visit) -> Response:
        """Show what needs a person."""
        now = self._parts.clock()
        with reading(self._parts.database) as session:
            needs = read_needs(session, self._parts.actions, now)
            done = told(session, request.query_params)
            lately = read_lately(session, now)
        return page(
            "needs.html", visit=visit, needs=needs, most=MOST, now=now, done=done, lately=lately
        )

    def events(self, request: Request, visit: Visit) -> Response:
        """Show events, all of them or those with some words."""
        now = self._parts.clock()
        with reading(self._parts.database) as session:
            found = find_events(session, request.query_params, now)
        return page("events.html", visit=visit, found=found, now=now, done=None)

    def decisions(self, request: Request, visit: Visit) -> Response:
        """Show all the decisions that wait, a page at a time."""
        now = self._parts.clock()
        with reading(self._parts.database) as session:
            found = find_decisions(session, request.query_params.get("cursor"), now)
            done = told(session, request.query_params)
        return page("decisions.html", visit=visit, found=found, now=now, done=done)

    def run(self, request: Request, visit: Visit) -> Response:
        """Show a run, or a branch of one, and what can be decided on it."""
        run_id: UUID = request.path_params["ident"]
        with reading(self._parts.database) as session:
            run = run_shapes.run_detail(run_details.read_run(session, run_id))
            done = told(session, request.query_params)
        effects = {effect.step: effect for effect in run.effects}
        looked_up = {
            step.step for step in run.steps if may_look_up(self._parts.actions, step.action or "")
        }
        return page(
            "run.html",
            visit=visit,
            run=run,
            effects=effects,
            looked_up=looked_up,
            now=self._parts.clock(),
            done=done,
        )

    def style(self, _request: Request) -> Response:
        """Give the style sheet."""
        return Response(
            self._style, media_type="text/css", headers={"Cache-Control": "max-age=300"}
        )

    # --- what is decided ----------------------------------------------------------------------

    def decide(self, request: Request, visit: Visit, form: Form) -> Response:
        """Do what a button says, and show the page it was on."""
        ident: UUID | None = request.path_params.get("ident")
        did = decide(Asked(self._parts, visit, ident, form))
        back = own_page(form.get("back") or request.url.path)
        return _see(f"{back}{'&' if '?' in back else '?'}{urlencode(did)}")

    # --- coming and going ---------------------------------------------------------------------

    async def sign_in_page(self, request: Request) -> Response:
        """Ask for a token."""
        return page("sign_in.html", wanted=own_page(request.query_params.get("to")), fault=None)

    async def sign_in(self, request: Request) -> Response:
        """Let somebody in who has a token."""
        form = await _read(request)
        wanted = own_page(form.get("to"))
        visits.check_site(request)
        if not self._sign_ins.take(request.client.host if request.client else "").allowed:
            raise RateLimited("too many tries: wait a minute")
        answer = _see(wanted)
        token = form.get("token", "").strip()
        try:
            await run_in_threadpool(visits.begin, self._parts, token, request, answer)
        except Unauthenticated:
            fault = "This token is not known here, or has ended."
            return page("sign_in.html", wanted=wanted, fault=fault, status=HTTPStatus.UNAUTHORIZED)
        return answer

    def sign_out(self, _request: Request, _visit: Visit, _form: Form) -> Response:
        """Let somebody go."""
        answer = _see("/sign-in")
        visits.end(answer)
        return answer

    # --- around them --------------------------------------------------------------------------

    def _page(
        self, show: Callable[[Request, Visit], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        def shown(request: Request) -> Response:
            try:
                visit = visits.of(self._parts, request)
            except Unauthenticated:
                return _see(to_sign_in(request))
            return show(request, visit)

        async def serve(request: Request) -> Response:
            return await run_in_threadpool(shown, request)

        return serve

    def _form(
        self, act: Callable[[Request, Visit, Form], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        def acted(request: Request, form: Form) -> Response:
            visit = visits.of(self._parts, request)
            visits.check_form(visit, request, form, decides=act != self.sign_out)
            return act(request, visit, form)

        async def serve(request: Request) -> Response:
            return await run_in_threadpool(acted, request, await _read(request))

        return serve

    def _on_error(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Unauthenticated):
            return _see(to_sign_in(request))
        status = HTTPStatus.SERVICE_UNAVAILABLE
        message, hint = "Something went wrong.", None
        if isinstance(error, HookwrightError):
            message, hint = error.message, error.hint
        if isinstance(error, Rejected):
            status = HTTPStatus(error.status)
        elif isinstance(error, RateLimited):
            status = HTTPStatus.TOO_MANY_REQUESTS
        back = request.url.path if request.url.path.startswith("/runs/") else "/"
        return page("problem.html", message=message, hint=hint, back=back, status=status)

    def _on_mistake(self, request: Request, error: Exception) -> Response:
        return page(
            "problem.html",
            message="Hookwright made a mistake",
            hint=to_do(note_request(error, request.scope)),
            back="/",
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
        )

    def _on_nothing(self, request: Request, error: Exception) -> Response:
        is_kept = request.url.path.startswith("/runs/")
        return page(
            "problem.html",
            message="There is nothing here",
            hint="what is older than the retention has been removed" if is_kept else None,
            back="/",
            status=error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND,
        )


async def _read(request: Request) -> dict[str, str]:
    """Give the fields of a form; the body's size is bounded by BoundedBodies."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Invalid("this is no form of ours") from error


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)
