"""CheckView's errors: problem bodies of RFC 7807 (reference 3.2)."""

from examples.twins.twin import Refusal

ERRORS = "https://api.checkview.io/errors"
KINDS = {
    400: ("bad-request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not Found"),
    405: ("method-not-allowed", "Method Not Allowed"),
    429: ("rate-limit-exceeded", "Too Many Requests"),
}


def problem(
    status: int, detail: str, instance: str | None = None, headers: dict[str, str] | None = None
) -> Refusal:
    """A problem about one call; `instance` is the path that was called."""
    slug, title = KINDS.get(status, ("error", "Error"))
    body: dict[str, object] = {
        "type": f"{ERRORS}/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if instance is not None:
        body["instance"] = instance
    kind = ("content-type", "application/problem+json")
    return Refusal(status, body, (kind, *(headers or {}).items()))
