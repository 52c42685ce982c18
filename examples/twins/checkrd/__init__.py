"""The twin of Checkrd: agents, kill switch, alert rules that fire, their history (reference 4)."""

from examples.twins.checkrd.account import CheckrdSettings
from examples.twins.checkrd.twin import CheckrdTwin

__all__ = ["CheckrdSettings", "CheckrdTwin"]
