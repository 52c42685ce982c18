"""Organisations, API tokens, audit log, apps (reference 1.4)."""

from collections.abc import Sequence
from email.parser import BytesParser
from email.policy import HTTP

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview import bodies
from examples.twins.vibeview.account import ORGANISATION_ID, RANGES, Account
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.queries import figure

MAX_AUDIT_ROWS = 200
MAX_NOTE_CHARS = 500


class Administration:
    """The `organizations` and `apps` calls."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        own, apps = f"{API}/organizations/{{org}}", f"{API}/apps"
        tokens, get, post = f"{own}/api-tokens", ["GET"], ["POST"]
        return (
            Route(f"{API}/organizations/", self.list_organisations, methods=get),
            Route(tokens, self.list_tokens, methods=get),
            Route(tokens, self.create_token, methods=post),
            Route(f"{tokens}/{{token:int}}", self.delete_token, methods=["DELETE"]),
            Route(f"{own}/audit-events", self.list_audit_events, methods=get),
            Route(f"{own}/session-defaults", self.change_defaults, methods=["PATCH"]),
            Route(f"{apps}/", self.list_apps, methods=get),
            Route(f"{apps}/{{app}}", self.show_app, methods=get),
            Route(f"{apps}/{{app}}/builds", self.upload_build, methods=post),
        )

    async def list_organisations(self, _: Request) -> Response:
        """The organisations of the token."""
        return JSONResponse([{"id": ORGANISATION_ID, "name": "Acme"}])

    async def list_tokens(self, request: Request) -> Response:
        """Tokens without their secret parts."""
        return JSONResponse(list(self._known(request).tokens.values()))

    async def create_token(self, request: Request) -> Response:
        """A new token, shown once."""
        account = self._known(request)
        asked = bodies.NewToken.model_validate_json(await request.body() or b"{}")
        mark_effect(request)
        return JSONResponse(account.add_token(asked.label, asked.role), 201)

    async def delete_token(self, request: Request) -> Response:
        """End a token."""
        if self._known(request).tokens.pop(request.path_params["token"], None) is None:
            raise refusal(404, "Token not found")
        mark_effect(request)
        return Response(status_code=204)

    async def list_audit_events(self, request: Request) -> Response:
        """A page of the audit log."""
        account, asked = self._known(request), dict(request.query_params)
        if asked.get("time_range", "last-day") not in RANGES:
            raise refusal(422, "Unknown time_range")
        limit = figure(request, "limit", usual=50, low=1, high=MAX_AUDIT_ROWS)
        offset = figure(request, "offset", usual=0, low=0)
        return JSONResponse(account.audit_events(asked, limit=limit, offset=offset))

    async def change_defaults(self, request: Request) -> Response:
        """Whether streaming may go on at the cost of credit."""
        account = self._known(request)
        asked = bodies.SessionDefaults.model_validate_json(await request.body() or b"{}")
        account.allow_streaming_overage = asked.allow_streaming_overage
        mark_effect(request)
        return JSONResponse(asked.model_dump())

    async def list_apps(self, request: Request) -> Response:
        """Apps of a platform."""
        account = self._organisation.account
        wanted = request.query_params.get("platform")
        return JSONResponse(
            [
                account.show_app(app_id)
                for app_id, app in account.apps.items()
                if wanted in {None, app["platform"]}
            ]
        )

    async def show_app(self, request: Request) -> Response:
        """An app with its builds."""
        return JSONResponse(self._organisation.account.show_app(self._app_id(request)))

    async def upload_build(self, request: Request) -> Response:
        """A new build, from a form."""
        app_id = self._app_id(request)
        fields, size = _read_form(request.headers.get("content-type", ""), await request.body())
        if size is None:
            raise refusal(422, "file: Field required")
        if len(fields.get("note", "")) > MAX_NOTE_CHARS:
            raise refusal(422, "note is too long")
        account = self._organisation.account
        build = account.add_build(
            app_id, version=fields.get("version"), size=size, note=fields.get("note")
        )
        mark_effect(request)
        return JSONResponse(build, 201)

    def _known(self, request: Request) -> Account:
        if request.path_params["org"] != str(ORGANISATION_ID):
            raise refusal(403, "You do not belong to this organization")
        return self._organisation.account

    def _app_id(self, request: Request) -> str:
        app_id = str(request.path_params["app"])
        if app_id not in self._organisation.account.apps:
            raise refusal(404, "App not found")
        return app_id


def _read_form(kind: str, body: bytes) -> tuple[dict[str, str], int | None]:
    """The fields of a multipart form, and the size of its file if there is one."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields: dict[str, str] = {}
    size = None
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            continue
        if part.get_filename() is not None and name == "file":
            size = len(content)
        else:
            fields[str(name)] = content.decode()
    return fields, size
