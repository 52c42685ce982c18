"""Which twins there are. One is loaded when it is made: tests start many, each in its process."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from examples.twins.twin import Twin

_CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vibeview": ("VibeViewTwin", "VibeViewSettings"),
        "checksum": ("ChecksumTwin", "ChecksumSettings"),
        "github": ("GitHubTwin", "GitHubSettings"),
        "slack": ("SlackTwin", "SlackSettings"),
        "checkview": ("CheckViewTwin", "CheckViewSettings"),
        "checkrd": ("CheckrdTwin", "CheckrdSettings"),
        "checkly": ("ChecklyTwin", "ChecklySettings"),
    }
)
"""The package of each, and what it calls the twin and its settings."""
TWIN_NAMES = tuple(_CLASSES)


def make_twin(name: str, options: Mapping[str, object]) -> Twin:
    """The twin of this name with these settings; raises `ValidationError` if they do not fit."""
    if name not in _CLASSES:
        raise LookupError(f"no twin {name!r}; there are: {', '.join(TWIN_NAMES)}")
    package = import_module(f"examples.twins.{name}")
    twin, settings = (getattr(package, one) for one in _CLASSES[name])
    made: Twin = twin(settings.model_validate(options))
    return made
