"""What happens in the GitHub twin for the hooks to tell, and what became of what was not sent."""

from collections.abc import Callable, Mapping
from datetime import datetime

from examples.twins.clock import zulu
from examples.twins.github.bodies import Deployed
from examples.twins.sending import Attempt

FATES: Mapping[str, Callable[[datetime], Attempt]] = {
    "failed": lambda at: Attempt(502, "Bad Gateway", at, 0.2),
    "silent": lambda at: Attempt(None, "", at, 10.0, "timed out"),
    "lost": lambda at: Attempt(200, "ok", at, 0.1),
}
"""What the record says of a delivery that never reached anybody."""


_PERSON: Mapping[str, object] = {"login": "dana-dev", "id": 6752317, "type": "User"}


def issue_opened(repo: str, number: int) -> dict[str, object]:
    """The body that tells that an issue was opened."""
    issue = {
        "id": 9000000 + number,
        "number": number,
        "title": f"Something is broken ({number})",
        "state": "open",
        "html_url": f"https://github.com/{repo}/issues/{number}",
        "user": _PERSON,
        "labels": [],
    }
    return {"action": "opened", "issue": issue, **_place(repo)}


def deployment_told(asked: Deployed, *, number: int, at: datetime) -> dict[str, object]:
    """The body that tells the status of a deployment."""
    moment = zulu(at)
    deployment = {
        "id": 145988000 + number,
        "ref": asked.ref,
        "sha": asked.sha,
        "task": "deploy",
        "environment": asked.environment,
        "created_at": moment,
        "updated_at": moment,
    }
    status = {
        "id": 991000 + number,
        "state": asked.state,
        "environment": asked.environment,
        "environment_url": asked.url,
        "created_at": moment,
        "updated_at": moment,
    }
    told = {"deployment": deployment, "deployment_status": status}
    return {"action": "created", **told, **_place(asked.repo)}


def _place(repo: str) -> dict[str, object]:
    """What every body says: where it happened, and who did it."""
    owner, _, name = repo.partition("/")
    address = f"https://github.com/{repo}"
    return {
        "repository": {"id": 1296269, "name": name, "full_name": repo, "html_url": address},
        "organization": {"login": owner, "id": 21031067},
        "sender": _PERSON,
    }
