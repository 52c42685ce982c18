"""The pages as one ASGI application beside the management API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qsl, quote
from uuid import UUID

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service import approvals, doubts, retrying
from service.errors import (
    HookwrightError,
    Invalid,
    RateLimited,
    Rejected,
    Unauthenticated,
)
from service.store import run_details
from service.unit_of_work import reading
from service.web import run_shapes
from service.web.dashboard import visit as visits
from service.web.dashboard.needs import may_look_up, read_needs
from service.web.dashboard.rendering import page
from service.web.dashboard.visit import Visit
from service.web.deps import Parts
from service.web.limits import Limiter

Form = Mapping[str, str]
PATHS = ("/sign-in", "/sign-out", "/runs/", "/style.css")
SIGN_INS_A_MINUTE = 10
MOST_FIELDS = 20
LONGEST_NOTE = 2000


def is_page(path: str, accept: str) -> bool:
    """Say whether this path is a page's. The address itself is one for whoever reads HTML."""
    return path.startswith(PATHS) or (path == "/" and "text/html" in accept)


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
                Route("/runs/{run_id:uuid}", self._page(self.run)),
                Route("/runs/{run_id:uuid}", self._form(self.decide), methods=["POST"]),
                Route("/sign-in", self.sign_in_page),
                Route("/sign-in", self.sign_in, methods=["POST"]),
                Route("/sign-out", self._form(self.sign_out), methods=["POST"]),
                Route("/style.css", self.style),
            ],
            exception_handlers={HookwrightError: self._on_error, 404: self._on_nothing},
        )

    # --- what is shown ------------------------------------------------------------------------

    def needs(self, request: Request, visit: Visit) -> Response:
        """Show what needs a person."""
        now = self._parts.clock()
        with reading(self._parts.database) as session:
            needs = read_needs(session, self._parts.actions, now)
        return page("needs.html", visit=visit, needs=needs, now=now, done=_done(request))

    def run(self, request: Request, visit: Visit) -> Response:
        """Show a run, or a branch of one, and what can be decided on it."""
        run_id: UUID = request.path_params["run_id"]
        with reading(self._parts.database) as session:
            run = run_shapes.run_detail(run_details.read_run(session, run_id))
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
            done=_done(request),
        )

    def style(self, _request: Request) -> Response:
        """Give the style sheet."""
        return Response(
            self._style, media_type="text/css", headers={"Cache-Control": "max-age=300"}
        )

    # --- what is decided ----------------------------------------------------------------------

    def decide(self, request: Request, visit: Visit, form: Form) -> Response:
        """Do what a button says: settle, look up, approve, reject, cancel, retry."""
        run_id: UUID = request.path_params["run_id"]
        do = form.get("do", "")
        decide = _DECISIONS.get(do)
        if decide is None:
            raise Invalid("this form says nothing that can be done")
        decide(self._parts, visit, run_id, form)
        back = "/" if form.get("back") == "/" else f"/runs/{run_id}"
        return _see(f"{back}?done={do}")

    # --- coming and going ---------------------------------------------------------------------

    async def sign_in_page(self, request: Request) -> Response:
        """Ask for a token."""
        return page("sign_in.html", wanted=_local(request.query_params.get("to")), fault=None)

    async def sign_in(self, request: Request) -> Response:
        """Let somebody in who has a token."""
        form = await _read(request)
        wanted = _local(form.get("to"))
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
                wanted = request.url.path
                return _see("/sign-in" if wanted == "/" else f"/sign-in?to={quote(wanted)}")
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
            return _see("/sign-in")
        status = HTTPStatus.SERVICE_UNAVAILABLE
        message, hint = "Something went wrong.", None
        if isinstance(error, HookwrightError):
            message, hint = error.message, error.hint
        if isinstance(error, Rejected):
            status = HTTPStatus(error.status)
        elif isinstance(error, RateLimited):
            status = HTTPStatus.TOO_MANY_REQUESTS
        back = request.url.path if request.method == "POST" else "/"
        return page("problem.html", message=message, hint=hint, back=back, status=status)

    def _on_nothing(self, _request: Request, _error: Exception) -> Response:
        return page(
            "problem.html",
            message="There is nothing here",
            hint="what is older than the retention has been removed",
            back="/",
            status=HTTPStatus.NOT_FOUND,
        )


def _settle(parts: Parts, visit: Visit, run_id: UUID, form: Form) -> None:
    took_effect = form["do"] == "took_effect"
    output = None
    if took_effect and form.get("output", "").strip():
        try:
            output = json.loads(form["output"])
        except ValueError as error:
            raise Invalid(f"what later steps read is no JSON: {error}") from error
        if not isinstance(output, dict):
            raise Invalid('what later steps read is an object: {"name": "value"}')
    doubts.settle_step(
        parts.database,
        parts.queue,
        parts.actions,
        run_id=run_id,
        step=form.get("step", ""),
        took_effect=took_effect,
        output=output,
        who=visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _look_up(parts: Parts, visit: Visit, run_id: UUID, form: Form) -> None:
    doubts.look_again(
        parts.database,
        parts.queue,
        parts.actions,
        run_id=run_id,
        step=form.get("step", ""),
        who=visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _answer(parts: Parts, visit: Visit, run_id: UUID, form: Form) -> None:
    approved = form["do"] == "approve"
    approvals.decide(
        parts.database,
        parts.queue,
        run_id=run_id,
        step=form.get("step", ""),
        approved=approved,
        by=visit.caller,
        note=form.get("note", "").strip()[:LONGEST_NOTE] or None,
        now=parts.clock(),
    )


def _cancel(parts: Parts, visit: Visit, run_id: UUID, _form: Form) -> None:
    doubts.cancel_run(
        parts.database,
        parts.queue,
        run_id=run_id,
        who=visit.caller,
        now=parts.clock(),
        announce=parts.announce,
    )


def _retry(parts: Parts, visit: Visit, run_id: UUID, _form: Form) -> None:
    retrying.retry_run(
        parts.database, parts.queue, run_id=run_id, caller=visit.caller, now=parts.clock()
    )


_DECISIONS: Mapping[str, Callable[[Parts, Visit, UUID, Form], None]] = {
    "took_effect": _settle,
    "not_made": _settle,
    "look_up": _look_up,
    "approve": _answer,
    "reject": _answer,
    "cancel": _cancel,
    "retry": _retry,
}
_DONE = {
    "took_effect": "It took effect: the run goes on.",
    "not_made": "It was not made: it is tried again.",
    "look_up": "It is looked up once more.",
    "approve": "Approved: the run goes on.",
    "reject": "Rejected: the run goes on.",
    "cancel": "The run ends before its next step.",
    "retry": "The run goes on from where it ended.",
}


async def _read(request: Request) -> dict[str, str]:
    """Give the fields of a form; the body's size is bounded by BoundedBodies."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Invalid("this is no form of ours") from error


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)


def _local(path: str | None) -> str:
    """Give a path of ours: whoever made the link must not send people elsewhere."""
    good = path is not None and path.startswith("/runs/") and path.isascii() and path.isprintable()
    return path if good and path is not None else "/"


def _done(request: Request) -> str | None:
    """Give the sentence that says what the last button did; no text of the address is shown."""
    return _DONE.get(request.query_params.get("done", ""))
