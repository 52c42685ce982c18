"""Which twins there are."""

from collections.abc import Mapping

from examples.twins.checkrd import CheckrdSettings, CheckrdTwin
from examples.twins.checksum import ChecksumSettings, ChecksumTwin
from examples.twins.checkview import CheckViewSettings, CheckViewTwin
from examples.twins.github import GitHubSettings, GitHubTwin
from examples.twins.slack import SlackSettings, SlackTwin
from examples.twins.twin import Twin
from examples.twins.vibeview import VibeViewSettings, VibeViewTwin

TWIN_NAMES = ("vibeview", "checksum", "github", "slack", "checkview", "checkrd")


def make_twin(name: str, options: Mapping[str, object]) -> Twin:
    """The twin of this name with these settings; raises `ValidationError` if they do not fit."""
    match name:
        case "vibeview":
            return VibeViewTwin(VibeViewSettings.model_validate(options))
        case "checksum":
            return ChecksumTwin(ChecksumSettings.model_validate(options))
        case "github":
            return GitHubTwin(GitHubSettings.model_validate(options))
        case "slack":
            return SlackTwin(SlackSettings.model_validate(options))
        case "checkview":
            return CheckViewTwin(CheckViewSettings.model_validate(options))
        case "checkrd":
            return CheckrdTwin(CheckrdSettings.model_validate(options))
        case _:
            raise LookupError(f"no twin {name!r}; there are: {', '.join(TWIN_NAMES)}")
