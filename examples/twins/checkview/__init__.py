"""The twin of CheckView: websites, test flows, test runs, audits, notifications (reference 3)."""

from examples.twins.checkview.organisation import CheckViewSettings
from examples.twins.checkview.twin import CheckViewTwin

__all__ = ["CheckViewSettings", "CheckViewTwin"]
