"""Twins: stand-ins of other people's servers, spoken to over real HTTP.

Each twin answers as `VibeView`, `Checksum`, `GitHub` or `Slack` would, keeps a record of every call
and has levers under `/_twin/` for tests and the demo. Nothing of the product is imported here, and
the product never imports a twin.
"""
