"""The twin of Slack: messages, edits, history, incoming webhooks, buttons (reference 7)."""

from examples.twins.slack.settings import SlackSettings
from examples.twins.slack.twin import SlackTwin

__all__ = ["SlackSettings", "SlackTwin"]
