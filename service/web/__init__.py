"""The HTTP face: the management API, health, and what surrounds the door."""
