"""The twin of GitHub: comments, pull requests of a commit, statuses, hooks (reference 6)."""

from examples.twins.github.settings import GitHubSettings
from examples.twins.github.twin import GitHubTwin

__all__ = ["GitHubSettings", "GitHubTwin"]
