"""The twin of Checkly: alerts and their channels, test sessions, checks, errors (reference 2)."""

from examples.twins.checkly.account import ChecklySettings
from examples.twins.checkly.twin import ChecklyTwin

__all__ = ["ChecklySettings", "ChecklyTwin"]
