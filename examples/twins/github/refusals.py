"""How GitHub words its refusals."""

from examples.twins.github.limits import DOCS
from examples.twins.twin import Refusal


def refusal(status: int, message: str) -> Refusal:
    """`{"message", "documentation_url", "status"}`."""
    return Refusal(status, {"message": message, "documentation_url": DOCS, "status": str(status)})


def validation_failed(resource: str, name: str, message: str) -> Refusal:
    """422 with the field that does not fit."""
    error = {"resource": resource, "code": "unprocessable", "field": name, "message": message}
    body = {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS}
    return Refusal(422, body)
