"""What all calls of the GitHub twin share: settings, repositories, the hook, error answers."""

from pydantic import Field
from starlette.requests import Request

from examples.twins.clock import Clock
from examples.twins.github.bodies import AddedPull
from examples.twins.github.hooks import Hook
from examples.twins.github.limits import DOCS, usual_limits
from examples.twins.github.store import PullRequest, Store
from examples.twins.sending import Sender
from examples.twins.twin import Refusal, Settings


class GitHubSettings(Settings):
    """Settings of this twin. `login` is whose token it is."""

    key: str = Field(default="ghp_twin", min_length=1)
    secret: str = "github-webhook-secret"
    login: str = "qa-bot"


class Account:
    """Everything one token can see."""

    def __init__(self, settings: GitHubSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.limits = usual_limits()
        self._sender = Sender()
        self.clear()

    def clear(self) -> None:
        """One repository with one open pull request: `acme-co/webapp` number 42."""
        self.store = Store(self.clock)
        self.hook = Hook(self.clock, self._sender)
        self.add_pull(AddedPull())

    def add_pull(self, asked: AddedPull) -> PullRequest:
        """Add or replace a pull request."""
        pull = PullRequest(**asked.model_dump())
        self.store.add_pull(pull)
        return pull

    def known_repo(self, request: Request) -> str:
        """The repository in the path; 404 otherwise."""
        repo = f"{request.path_params['owner']}/{request.path_params['repo']}"
        if repo not in self.store.commits:
            raise refusal(404, "Not Found")
        return repo

    def known_issue(self, request: Request) -> tuple[str, int]:
        """Repository and number of the pull request in the path; 404 otherwise."""
        place = self.known_repo(request), int(request.path_params["number"])
        if place not in self.store.pulls:
            raise refusal(404, "Not Found")
        return place

    def known_commit(self, request: Request) -> tuple[str, str]:
        """Repository and commit in the path; 422 when the repository lacks the commit."""
        repo, sha = self.known_repo(request), str(request.path_params["sha"])
        if not self.store.knows_commit(repo, sha):
            raise refusal(422, f"No commit found for SHA: {sha}")
        return repo, sha


def refusal(status: int, message: str) -> Refusal:
    """`{"message", "documentation_url", "status"}`."""
    return Refusal(status, {"message": message, "documentation_url": DOCS, "status": str(status)})


def validation_failed(resource: str, name: str, message: str) -> Refusal:
    """422 with the field that does not fit."""
    error = {"resource": resource, "code": "unprocessable", "field": name, "message": message}
    body = {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS}
    return Refusal(422, body)
