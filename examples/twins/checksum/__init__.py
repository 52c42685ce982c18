"""The twin of Checksum: runs tests, heals failed runs, generates tests (reference 5)."""

from examples.twins.checksum.project import ChecksumSettings
from examples.twins.checksum.twin import ChecksumTwin

__all__ = ["ChecksumSettings", "ChecksumTwin"]
