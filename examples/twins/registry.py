"""Which twins there are."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from examples.twins.checkly import ChecklySettings, ChecklyTwin
from examples.twins.checkrd import CheckrdSettings, CheckrdTwin
from examples.twins.checksum import ChecksumSettings, ChecksumTwin
from examples.twins.checkview import CheckViewSettings, CheckViewTwin
from examples.twins.github import GitHubSettings, GitHubTwin
from examples.twins.slack import SlackSettings, SlackTwin
from examples.twins.twin import Settings, Twin
from examples.twins.vibeview import VibeViewSettings, VibeViewTwin

Make = Callable[[Mapping[str, object]], Twin]
S = TypeVar("S", bound=Settings)


def _maker(twin: Callable[[S], Twin], settings: type[S]) -> Make:
    return lambda options: twin(settings.model_validate(options))


_MAKERS: Mapping[str, Make] = MappingProxyType(
    {
        "vibeview": _maker(VibeViewTwin, VibeViewSettings),
        "checksum": _maker(ChecksumTwin, ChecksumSettings),
        "github": _maker(GitHubTwin, GitHubSettings),
        "slack": _maker(SlackTwin, SlackSettings),
        "checkview": _maker(CheckViewTwin, CheckViewSettings),
        "checkrd": _maker(CheckrdTwin, CheckrdSettings),
        "checkly": _maker(ChecklyTwin, ChecklySettings),
    }
)
TWIN_NAMES = tuple(_MAKERS)


def make_twin(name: str, options: Mapping[str, object]) -> Twin:
    """The twin of this name with these settings; raises `ValidationError` if they do not fit."""
    if name not in _MAKERS:
        raise LookupError(f"no twin {name!r}; there are: {', '.join(TWIN_NAMES)}")
    return _MAKERS[name](options)
