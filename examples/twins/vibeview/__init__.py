"""The twin of VibeView: runs, credit, webhooks (reference 1)."""

from examples.twins.vibeview.organisation import VibeViewSettings
from examples.twins.vibeview.twin import VibeViewTwin

__all__ = ["VibeViewSettings", "VibeViewTwin"]
