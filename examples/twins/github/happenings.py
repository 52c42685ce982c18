"""What happens in the GitHub twin for the hooks to tell, and what became of what was not sent."""

from collections.abc import Callable, Mapping
from datetime import datetime

from examples.twins.sending import Attempt

FATES: Mapping[str, Callable[[datetime], Attempt]] = {
    "failed": lambda at: Attempt(502, "Bad Gateway", at, 0.2),
    "silent": lambda at: Attempt(None, "", at, 10.0, "timed out"),
    "lost": lambda at: Attempt(200, "ok", at, 0.1),
}
"""What the record says of a delivery that never reached anybody."""


def issue_opened(repo: str, number: int) -> dict[str, object]:
    """The body that tells that an issue was opened."""
    owner, _, name = repo.partition("/")
    address = f"https://github.com/{repo}"
    place = {"id": 1296269, "name": name, "full_name": repo, "html_url": address}
    person = {"login": "dana-dev", "id": 6752317, "type": "User"}
    issue = {
        "id": 9000000 + number,
        "number": number,
        "title": f"Something is broken ({number})",
        "state": "open",
        "html_url": f"{address}/issues/{number}",
        "user": person,
        "labels": [],
    }
    return {
        "action": "opened",
        "issue": issue,
        "repository": place,
        "organization": {"login": owner, "id": 21031067},
        "sender": person,
    }
