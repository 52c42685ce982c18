"""GitHub's request limits: the hourly one, the points a minute, the pace of new content."""

from dataclasses import dataclass

from starlette.requests import Request

from examples.twins.clock import Clock
from examples.twins.front import answer_with
from examples.twins.ratelimit import Limits, Standing, Window
from examples.twins.twin import Refusal

HOUR_S = 3600.0
TOKEN = "token"
_CONTENT = ("/comments", "/issues")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
DOCS = "https://docs.github.com/rest"
LIMITS_PAGE = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


@dataclass(frozen=True, slots=True)
class GitHubLimits:
    """The four limits by name (reference 6.3); figures are those of a user's token."""

    primary: Window
    points: Window
    content: Window
    content_hour: Window

    def by_name(self) -> Limits:
        """For the control surface."""
        return {
            "primary": self.primary,
            "points": self.points,
            "content": self.content,
            "content_hour": self.content_hour,
        }


def usual_limits() -> GitHubLimits:
    """The documented figures."""
    return GitHubLimits(
        Window(5000, HOUR_S), Window(900, 60.0), Window(80, 60.0), Window(500, HOUR_S)
    )


def count_primary(
    limits: GitHubLimits, clock: Clock, request: Request, *, cost: int, who: str = TOKEN
) -> None:
    """Count against the hourly limit of this caller and put its headers on the answer.

    Raises a 403 `Refusal` when the limit is used up.
    """
    standing = limits.primary.take(who, clock.seconds(), cost=cost)
    figures = {**_figures(standing, clock), "resource": "core"}
    headers = [(f"x-ratelimit-{name}", str(figure)) for name, figure in figures.items()]
    answer_with(request, headers)
    if not standing.allowed:
        message = "API rate limit exceeded for user ID 583231."
        raise Refusal(403, {"message": message, "documentation_url": LIMITS_PAGE})


def show_standing(limits: GitHubLimits, clock: Clock, *, who: str = TOKEN) -> dict[str, int]:
    """Where the caller stands, as `GET /rate_limit` shows it."""
    return _figures(limits.primary.take(who, clock.seconds(), cost=0), clock)


def _figures(standing: Standing, clock: Clock) -> dict[str, int]:
    return {
        "limit": standing.limit,
        "remaining": standing.remaining,
        "used": standing.used,
        "reset": int(clock.now().timestamp() + standing.reset_s),
    }


def check_secondary(
    limits: GitHubLimits, clock: Clock, request: Request, *, who: str = TOKEN
) -> None:
    """Refuse with 403 and `retry-after` when calls come too fast or make too much content."""
    now = clock.seconds()
    cost = 1 if request.method in READS else 5
    standings = [limits.points.take(who, now, cost=cost)]
    if request.method == "POST" and request.url.path.endswith(_CONTENT):
        standings += [limits.content.take(who, now), limits.content_hour.take(who, now)]
    for standing in standings:
        if not standing.allowed:
            message = "You have exceeded a secondary rate limit. Please wait a few minutes."
            body = {"message": message, "documentation_url": LIMITS_PAGE}
            raise Refusal(403, body, (("retry-after", str(standing.retry_after_s)),))
