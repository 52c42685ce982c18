"""What exists in the GitHub twin: pull requests, comments, statuses, hook deliveries."""

from dataclasses import dataclass, field
from datetime import datetime

from examples.twins.clock import Clock, zulu
from examples.twins.github.addresses import API, WEB, show_user
from examples.twins.github.check_run import CheckRun
from examples.twins.github.issue import Issue


@dataclass(slots=True)
class Comment:
    """One comment of an issue or pull request."""

    comment_id: int
    repo: str
    number: int
    body: str
    login: str
    created_at: datetime
    updated_at: datetime

    def show(self) -> dict[str, object]:
        """The comment as the API gives it."""
        api, web = f"{API}/repos/{self.repo}/issues", f"{WEB}/{self.repo}/pull/{self.number}"
        return {
            "id": self.comment_id,
            "node_id": f"IC_{self.comment_id}",
            "url": f"{api}/comments/{self.comment_id}",
            "html_url": f"{web}#issuecomment-{self.comment_id}",
            "issue_url": f"{api}/{self.number}",
            "body": self.body,
            "user": show_user(self.login),
            "author_association": "MEMBER",
            "created_at": zulu(self.created_at),
            "updated_at": zulu(self.updated_at),
        }


@dataclass(slots=True)
class PullRequest:
    """One pull request and the commits it holds."""

    repo: str
    number: int
    head_sha: str
    branch: str
    base: str = "main"
    title: str = "A change"
    state: str = "open"
    commits: list[str] = field(default_factory=list)

    def holds(self, sha: str) -> bool:
        """Whether this commit, or its first seven or more digits, is part of it."""
        known = [self.head_sha, *self.commits]
        return any(one == sha or (len(sha) >= 7 and one.startswith(sha)) for one in known)

    def show(self) -> dict[str, object]:
        """The pull request as the API gives it."""
        owner, _, name = self.repo.partition("/")
        place = {"id": 1296269, "name": name, "full_name": self.repo, "owner": show_user(owner)}
        return {
            "id": 1000000 + self.number,
            "number": self.number,
            "state": self.state,
            "title": self.title,
            "draft": False,
            "merged": False,
            "html_url": f"{WEB}/{self.repo}/pull/{self.number}",
            "url": f"{API}/repos/{self.repo}/pulls/{self.number}",
            "user": show_user(owner),
            "head": {
                "ref": self.branch,
                "sha": self.head_sha,
                "label": f"{owner}:{self.branch}",
                "repo": place,
            },
            "base": {"ref": self.base, "sha": "0" * 40, "label": f"{owner}:main", "repo": place},
        }


class Store:
    """All repositories the token can see."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._comments: dict[int, Comment] = {}
        self._next_comment = 1700000001
        self.pulls: dict[tuple[str, int], PullRequest] = {}
        self.commits: dict[str, set[str]] = {}
        self.issues: dict[tuple[str, int], Issue] = {}
        self.check_runs: dict[int, CheckRun] = {}
        self.statuses: list[dict[str, object]] = []
        self.dispatches: list[dict[str, object]] = []

    def add_pull(self, pull: PullRequest) -> None:
        """Add or replace a pull request; its repository and commits exist from now on."""
        self.pulls[pull.repo, pull.number] = pull
        self.commits.setdefault(pull.repo, set()).update([pull.head_sha, *pull.commits])

    def knows_commit(self, repo: str, sha: str) -> bool:
        """Whether this commit, or its first seven or more digits, is in the repository."""
        known = self.commits.get(repo, set())
        return sha in known or (len(sha) >= 7 and any(one.startswith(sha) for one in known))

    def add_comment(self, repo: str, number: int, body: str, login: str) -> Comment:
        """Add a comment."""
        now = self._clock.now()
        comment = Comment(self._next_comment, repo, number, body, login, now, now)
        self._next_comment += 1
        self._comments[comment.comment_id] = comment
        return comment

    def find_comment(self, repo: str, comment_id: int) -> Comment | None:
        """The comment with this id, if it is in this repository."""
        comment = self._comments.get(comment_id)
        return comment if comment and comment.repo == repo else None

    def edit_comment(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""
        comment.body = body
        comment.updated_at = self._clock.now()

    def delete_comment(self, comment_id: int) -> bool:
        """Remove a comment; tells whether there was one."""
        return self._comments.pop(comment_id, None) is not None

    def comments_of(self, repo: str, number: int) -> list[Comment]:
        """Comments of one issue, lowest id first."""
        found = [one for one in self._comments.values() if (one.repo, one.number) == (repo, number)]
        return sorted(found, key=lambda one: one.comment_id)

    def show(self) -> dict[str, object]:
        """Everything, for tests."""
        comments = [
            {**one.show(), "repo": one.repo, "number": one.number}
            for one in self._comments.values()
        ]
        return {
            "pulls": [pull.show() | {"repo": pull.repo} for pull in self.pulls.values()],
            "comments": comments,
            "issues": [one.show() | {"repo": one.repo} for one in self.issues.values()],
            "check_runs": [
                one.show() | {"repo": one.repo, "annotations": one.annotations}
                for one in self.check_runs.values()
            ],
            "statuses": self.statuses,
            "dispatches": self.dispatches,
        }
