"""Problems as the description of the API tells of them."""

from __future__ import annotations

from http import HTTPStatus

from schemas.api import Problem
from service.web import errors

Responses = dict[int | str, dict[str, object]]


def problems(*statuses: HTTPStatus) -> Responses:
    """Give these statuses as responses that are problems."""
    return {
        int(status): {
            "model": Problem,
            "content": {errors.MEDIA_TYPE: {}},
            "description": status.phrase,
        }
        for status in statuses
    }
