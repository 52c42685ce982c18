"""What all calls of the GitHub twin share: callers, repositories, hooks, what is not there."""

from starlette.requests import Request

from examples.twins.clock import Clock
from examples.twins.github.bodies import AddedPull
from examples.twins.github.callers import Callers
from examples.twins.github.hooks import Hook
from examples.twins.github.limits import usual_limits
from examples.twins.github.refusals import refusal
from examples.twins.github.settings import GitHubSettings
from examples.twins.github.store import PullRequest, Store
from examples.twins.sending import Sender


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
        self.callers = Callers(self.settings, self.clock)
        self.hooks: dict[str, Hook] = {
            "repository": Hook(1, "repository", 1296269, self.clock, self._sender),
            "organization": Hook(2, "organization", 21031067, self.clock, self._sender),
            "integration": Hook(3, "integration", 51234, self.clock, self._sender),
        }
        self.add_pull(AddedPull())

    def add_pull(self, asked: AddedPull) -> PullRequest:
        """Add or replace a pull request, and as many after it as are asked for; gives the last."""
        given = asked.model_dump(exclude={"number", "count"})
        for number in range(asked.number, asked.number + asked.count - 1):
            self.store.add_pull(PullRequest(number=number, **given))
        last = PullRequest(number=asked.number + asked.count - 1, **given)
        self.store.add_pull(last)
        return last

    def known_repo(self, request: Request) -> str:
        """The repository in the path; 404 otherwise."""
        repo = f"{request.path_params['owner']}/{request.path_params['repo']}"
        if repo not in self.store.commits:
            raise refusal(404, "Not Found")
        return repo

    def known_issue(self, request: Request) -> tuple[str, int]:
        """Repository and number of the issue or pull request in the path; 404 otherwise."""
        place = self.known_repo(request), int(request.path_params["number"])
        if place not in self.store.pulls and place not in self.store.issues:
            raise refusal(404, "Not Found")
        return place

    def known_commit(self, request: Request) -> tuple[str, str]:
        """Repository and commit in the path; 422 when the repository lacks the commit."""
        repo, sha = self.known_repo(request), str(request.path_params["sha"])
        if not self.store.knows_commit(repo, sha):
            raise refusal(422, f"No commit found for SHA: {sha}")
        return repo, sha
