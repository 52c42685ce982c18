"""Errors as `application/problem+json` (RFC 9457): one shape for whatever went wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from schemas.api import Fault, Problem
from schemas.plain_words import in_plain_words
from schemas.test_reports import FindingOut
from service.errors import HookwrightError, Rejected, Transient, Unauthenticated
from service.faults import note_fault, to_do
from service.workflows.findings import DocumentError, Finding

MEDIA_TYPE = "application/problem+json"
DEFAULT_RETRY_AFTER_S = 1

# Titles are constant per type; these say more than the status's own phrase.
TITLES = {
    "unauthenticated": "A valid bearer token is needed",
    "forbidden": "This token may not do that",
    "not_found": "There is nothing here",
    "invalid": "The request is not valid",
    "rate_limited": "Too many requests",
    "unavailable": "A part of this installation is not available",
    "workflow_invalid": "The workflow document has faults",
    "version_unknown": "This version of the API does not exist",
}


class ProblemResponse(Response):
    """A problem as an answer."""

    media_type = MEDIA_TYPE


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    instance: str,
    request_id: str,
    hint: str | None = None,
    fault: str | None = None,
    errors: Sequence[Fault] = (),
    findings: Sequence[Finding] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Give the answer for something that went wrong."""
    body = Problem(
        type=f"urn:hookwright:problem:{code}",
        title=TITLES.get(code, HTTPStatus(status).phrase),
        status=status,
        detail=detail,
        instance=instance,
        request_id=request_id,
        hint=hint,
        fault=fault,
        errors=list(errors) or None,
        findings=[FindingOut.model_validate(each, from_attributes=True) for each in findings]
        or None,
    )
    content = json.dumps(body.model_dump(mode="json", exclude_none=True))
    return ProblemResponse(content, status_code=status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Let every error of this application end as a problem."""
    app.add_exception_handler(HookwrightError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_mistake)


def _answer(request: Request, **fields: Any) -> Response:
    return problem(
        instance=request.url.path, request_id=request.scope.get("request_id", ""), **fields
    )


def _on_ours(request: Request, error: Exception) -> Response:
    if isinstance(error, DocumentError):
        many = "1 fault" if len(error.findings) == 1 else f"{len(error.findings)} faults"
        return _answer(
            request,
            status=error.status,
            code=error.code,
            detail=f"the document has {many}; nothing was changed",
            findings=error.findings,
        )
    if isinstance(error, Rejected):
        headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
        return _answer(
            request,
            status=error.status,
            code=error.code,
            detail=error.message,
            hint=error.hint,
            headers=headers,
        )
    if isinstance(error, Transient):
        wait = error.retry_after.total_seconds() if error.retry_after else DEFAULT_RETRY_AFTER_S
        return _answer(
            request,
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            code=error.code,
            detail=error.message,
            headers={"Retry-After": str(math.ceil(wait))},
        )
    raise error


def _on_validation(request: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return _answer(
        request,
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        code="invalid",
        detail="some values of the request are not valid",
        errors=[
            Fault(
                pointer="/" + "/".join(str(part) for part in fault["loc"]),
                detail=in_plain_words(fault),
            )
            for fault in faults
        ],
    )


def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
    phrase = HTTPStatus(status).phrase
    return _answer(
        request,
        status=status,
        code=phrase.lower().replace(" ", "_"),
        detail=_DETAILS.get(status, phrase),
        headers=error.headers if isinstance(error, HTTPException) else None,
    )


def internal_error(scope: Scope, fault: str) -> Response:
    """Give the answer for a mistake of ours: the log has the rest, under the fault's reference."""
    return problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal_error",
        detail="Hookwright made a mistake",
        instance=scope["path"],
        request_id=scope["request_id"],
        hint=to_do(fault),
        fault=fault,
    )


def note_request(error: Exception, scope: Scope) -> str:
    """Log what ended a request, and give the reference it is found by."""
    return note_fault(error, "request_failed", method=scope["method"], path=scope["path"])


def _on_mistake(request: Request, error: Exception) -> Response:
    # The framework raises the error once more after this answer; the envelope meets it again.
    return internal_error(request.scope, note_request(error, request.scope))


_DETAILS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take this method",
}
